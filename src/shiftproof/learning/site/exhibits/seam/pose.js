// The pose of a picture: the seam, where its old border lies, or the centre of an object. It is found as `sp.layers.CanonicalPose`
// finds it with the linear score of `layers/seam.py`; the score that the layer has by default is learned, and larger.
import { moved, place } from "#learn/engine/tensor.js";

const [LEVELS, FIXED_POINT, LARGEST] = [255, 2 ** 20, 4095];
const SOFTENED = [1, 8, 64];
/** Weights of what is seen around a line; fitted once to photographs without labels (`layers/seam.py`). */
export const SCORE = [
  [48, 310, -145, 153, -384, -1345, -2293, -511, -426, -108, 122, 84],
  [-11, -513, 76, -539, -339, -103, 3442, -1411, -655, -62, -518, -35],
  [-78, 249, 140, 1115, 1455, 1186, -4096, 1474, 2006, 697, 804, -238],
  [-307, -344, -21, -451, -859, 734, 1291, -423, -42, -443, -151, -387],
  [111, -28, -134, -213, 1026, 1443, 124, 240, -183, 136, 90, 109],
  [485, 667, -176, 153, -1684, -1276, 826, -1069, -508, 318, 158, 384],
  [309, -132, 148, 298, 201, 583, -769, 727, 349, 524, -39, -83],
  [-371, 109, 61, 219, 936, 847, 491, 370, 477, -164, 255, -121],
  [-301, 75, -190, -615, -1136, -336, -114, -51, -804, -514, -301, 357],
];
const REACH = SCORE[0].length;
const TABLES = SOFTENED.map((s) => Float64Array.from({ length: LARGEST + 1 }, (_, t) => Math.round(FIXED_POINT * Math.log(s + t))));

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */

/** A half goes to the even neighbour, as in torch. @param {number} v */
function rounded(v) {
  const down = Math.floor(v);
  return v - down === 0.5 ? down + (down % 2) : Math.round(v);
}

/** The picture in 0..255, from its own least to its own largest value. @param {ArrayLike<number>} data */
export function quantised(data) {
  const values = Float32Array.from(data);
  const low = Math.min(...values);
  const range = Math.fround(Math.max(...values) - low);
  return Float64Array.from(values, (v) => (range ? rounded(Math.fround(Math.fround(Math.fround(v - low) / range) * LEVELS)) : 0));
}

/**
 * The score of each row, or of each column, of a picture of one channel: sums of whole numbers, so exact wherever it lies.
 * @param {Float64Array} q whole numbers 0..255 @param {number} n side @param {boolean} columns
 */
export function scores(q, n, columns) {
  const [along, across] = columns ? [n, 1] : [1, n];
  const profiles = SCORE.map(() => new Float64Array(n));
  for (let r = 0; r < n; r++) {
    const [a, b, d, e] = [r - 2, r - 1, r, r + 1].map((i) => place(i, n) * across);
    const sums = new Float64Array(SCORE.length);
    for (let i = 0, at = 0; i < n; i++, at += along) {
      const step = q[d + at] - q[b + at];
      const bend = q[e + at] - q[d + at] - step;
      const first = Math.abs(step);
      const second = Math.abs(bend);
      const cross = Math.abs(bend + q[b + at] - q[a + at]);
      for (let k = 0; k < TABLES.length; k++) {
        const table = TABLES[k];
        sums[k] += table[first];
        sums[k + 3] += table[second];
        sums[k + 6] += table[cross];
      }
    }
    for (let f = 0; f < SCORE.length; f++) profiles[f][r] = sums[f];
  }
  return Float64Array.from({ length: n }, (_, r) => {
    let sum = 0;
    for (let j = 0; j < REACH; j++) {
      const line = (r + j - REACH / 2 + n) % n;
      for (let f = 0; f < SCORE.length; f++) sum += SCORE[f][j] * profiles[f][line];
    }
    return sum;
  });
}

/** Whether the picture as seen from cell a comes after that from b, value by value. @param {Float64Array} q @param {number} n @param {number[]} a @param {number[]} b */
function after(q, n, a, b) {
  for (let y = 0; y < n; y++) {
    for (let x = 0; x < n; x++) {
      const off = q[place(a[0] + y, n) * n + place(a[1] + x, n)] - q[place(b[0] + y, n) * n + place(b[1] + x, n)];
      if (off !== 0) return off > 0;
    }
  }
  return false;
}

/**
 * Where the picture begins: the row and the column of the highest scores; of equal ones the cell from which the whole picture
 * comes last in order, so that the choice moves with the picture.
 * @param {Maps} picture one channel, square
 */
export function seamOf(picture) {
  const n = picture.h;
  const q = quantised(picture.data);
  const [rows, columns] = [scores(q, n, false), scores(q, n, true)];
  const best = (/** @type {Float64Array} */ of) => {
    const most = Math.max(...of);
    return [...of.keys()].filter((i) => of[i] === most);
  };
  let found = null;
  for (const y of best(rows)) for (const x of best(columns)) if (found === null || after(q, n, [y, x], found)) found = [y, x];
  return { rows, columns, at: /** @type {[number, number]} */ (found) };
}

/** Where the centre of what differs from the border's value lies, in whole pixels. @param {Maps} picture one channel */
export function centreOf(picture) {
  const { data, h, w } = picture;
  const edge = [...data].filter((_, i) => i < w || i >= (h - 1) * w || i % w === 0 || i % w === w - 1).sort((a, b) => a - b);
  const background = edge[(edge.length - 1) >> 1];
  const far = Array.from(data, (v) => Math.abs(v - background));
  const most = Math.max(...far);
  const middle = [h >> 1, w >> 1];
  if (most === 0) return middle;
  const mass = far.map((v) => rounded((v / most) * LEVELS));
  const total = mass.reduce((a, b) => a + b, 0);
  const centre = (/** @type {(i: number) => number} */ of) => Math.floor((2 * mass.reduce((sum, m, i) => sum + m * of(i), 0) + total) / (2 * total));
  return [centre((i) => Math.floor(i / w)), centre((i) => i % w)];
}

/** The picture brought to its pose by its seam. @param {Maps} picture @param {number[]} at */
export const rolledBack = (picture, [y, x]) => moved(picture, -y, -x);

/** The picture with the object's centre in the middle. @param {Maps} picture @param {number[]} at */
export const centred = (picture, [y, x]) => moved(picture, (picture.h >> 1) - y, (picture.w >> 1) - x);
