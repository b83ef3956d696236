// Maps: numbers in rows, columns and channels, and what only rearranges them.

/**
 * A picture or feature maps, channels first, as in torch: data[(channel * h + row) * w + column].
 * @typedef {{data: Float64Array, c: number, h: number, w: number}} Maps
 */

/**
 * Maps of zeros.
 * @param {number} c @param {number} h @param {number} w
 * @returns {Maps}
 */
export const maps = (c, h, w) => ({ data: new Float64Array(c * h * w), c, h, w });

/**
 * Maps from nested rows, one channel.
 * @param {number[][]} rows
 * @returns {Maps}
 */
export const fromRows = (rows) => ({ data: Float64Array.from(rows.flat()), c: 1, h: rows.length, w: rows[0].length });

/**
 * The remainder that is never negative: place(-1, 5) is 4.
 * @param {number} i @param {number} n
 */
export const place = (i, n) => ((i % n) + n) % n;

/**
 * The maps moved by (dy, dx), positive = down and right. What moves in: the other side, or zeros.
 * @param {Maps} x @param {number} dy @param {number} dx @param {"circular" | "zero"} [edge]
 * @returns {Maps}
 */
export function moved(x, dy, dx, edge = "circular") {
  const { c, h, w } = x;
  const out = maps(c, h, w);
  const across = edge === "zero" ? Math.max(-w, Math.min(w, dx)) : place(dx, w);
  for (let k = 0; k < c; k++) {
    for (let y = 0; y < h; y++) {
      const from = y - dy;
      if (edge === "zero" && (from < 0 || from >= h)) continue;
      const row = x.data.subarray((k * h + place(from, h)) * w, (k * h + place(from, h) + 1) * w);
      const to = (k * h + y) * w;
      out.data.set(row.subarray(Math.max(0, -across), w - Math.max(0, across)), to + Math.max(0, across));
      if (edge === "circular") out.data.set(row.subarray(w - across), to);
    }
  }
  return out;
}

/**
 * The largest absolute difference; 0 only if all numbers are equal.
 * @param {ArrayLike<number>} a @param {ArrayLike<number>} b
 */
export function largestDifference(a, b) {
  if (a.length !== b.length) throw new RangeError(`${a.length} numbers against ${b.length}`);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

/**
 * How many numbers differ at all.
 * @param {ArrayLike<number>} a @param {ArrayLike<number>} b
 */
export function countDifferent(a, b) {
  let n = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) n++;
  return n;
}

/**
 * The index of the largest number, the first of equals.
 * @param {ArrayLike<number>} v
 */
export function argmax(v) {
  let best = 0;
  for (let i = 1; i < v.length; i++) if (v[i] > v[best]) best = i;
  return best;
}

/** @param {string} text base64 @returns {Uint8Array} */
export const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/**
 * Numbers of half precision (IEEE 754, little endian) in base64. Infinity and NaN are refused: no weight is one.
 * @param {string} text
 * @returns {Float64Array}
 */
export function halves(text) {
  const held = bytes(text);
  const view = new DataView(held.buffer);
  return Float64Array.from({ length: held.length / 2 }, (_, i) => {
    const bits = view.getUint16(2 * i, true);
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) throw new RangeError(`number ${i} is infinite or no number`);
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    return bits & 0x8000 ? -size : size;
  });
}
