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
