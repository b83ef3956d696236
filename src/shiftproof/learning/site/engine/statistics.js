// Numbers drawn by chance, the same for the same seed, and what is measured of many numbers.

/** Numbers in (0, 1), the same for the same seed (Park and Miller 1988). @param {number} seed */
export function chances(seed) {
  let state = (seed * 7919 + 1) % 2147483647 || 1;
  const next = () => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let i = 0; i < 16; i++) next(); // the first numbers of near seeds are near each other
  return next;
}

/** Numbers of the normal distribution with mean 0 and variance 1 (Box and Muller 1958). @param {number} seed @param {number} n */
export function normals(seed, n) {
  const next = chances(seed);
  return Float64Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()));
}

/** @param {ArrayLike<number>} v */
export function mean(v) {
  let sum = 0;
  for (let i = 0; i < v.length; i++) sum += v[i];
  return sum / v.length;
}

/** The mean of the squared distances from the mean. @param {ArrayLike<number>} v */
export function variance(v) {
  const m = mean(v);
  let sum = 0;
  for (let i = 0; i < v.length; i++) sum += (v[i] - m) ** 2;
  return sum / v.length;
}

/** How two lists of numbers go together, from -1 to 1; 0 where one is constant (Pearson). @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
export function correlation(a, b) {
  const [p, q] = [mean(a), mean(b)];
  let [both, x, y] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    both += (a[i] - p) * (b[i] - q);
    x += (a[i] - p) ** 2;
    y += (b[i] - q) ** 2;
  }
  return x === 0 || y === 0 ? 0 : both / Math.sqrt(x * y);
}

/** The correlation at distance n that is left if all between are known, from those at 1 to n (Durbin and Levinson). @param {number[]} r */
export function direct(r) {
  /** @type {number[]} */
  let known = [];
  for (let n = 1; n <= r.length; n++) {
    const before = known;
    const dot = (/** @type {(j: number) => number} */ of) => before.reduce((sum, v, j) => sum + v * of(j), 0);
    const last = (r[n - 1] - dot((j) => r[n - 2 - j])) / (1 - dot((j) => r[j]));
    known = [...before.map((v, j) => v - last * before[n - 2 - j]), last];
  }
  return known[known.length - 1];
}

/** The numbers in random order (Fisher and Yates). @param {Float64Array} v @param {number} seed */
export function shuffled(v, seed) {
  const next = chances(seed);
  const out = v.slice();
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}
