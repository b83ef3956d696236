// Square matrices of weights over a row that is a circle: tied, kept near, and how far they are from letting moves pass.
import { drawingAsText, drawingOfText } from "#learn/parts/strokes.js";
import { place } from "#learn/engine/tensor.js";

export const SIDE = 12;
export const LEVELS = 7; // weights are whole multiples of UNIT, from -LEVELS to LEVELS: what is painted can stand in an address
export const UNIT = 3 / 8;
const GREYS = 15;

/**
 * Weights drawn from the normal distribution, rounded to whole multiples of UNIT: the same for the same seed.
 * @param {number} seed @param {number} [n]
 */
export function drawn(seed, n = SIDE) {
  let state = seed;
  const chance = () => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let i = 0; i < 16; i++) chance(); // the first numbers of near seeds are near each other
  return Float64Array.from({ length: n * n }, () => {
    const v = Math.sqrt(-2 * Math.log(chance())) * Math.cos(2 * Math.PI * chance());
    return UNIT * Math.max(-LEVELS, Math.min(LEVELS, Math.round(v / UNIT))) + 0; // no -0
  });
}

/** @param {ArrayLike<number>} weights */
export const asText = (weights) => drawingAsText(Array.from(weights, (v) => (v / UNIT + LEVELS) / GREYS));

/** @param {string} text */
export const ofText = (text) => drawingOfText(text, SIDE).data.map((v) => UNIT * Math.min(LEVELS, Math.round(v * GREYS) - LEVELS));

/** How far input j lies from output i, around the circle: from -n / 2 to n / 2 - 1. @param {number} i @param {number} j @param {number} n */
export const offset = (i, j, n) => place(j - i + Math.floor(n / 2), n) - Math.floor(n / 2);

const side = (/** @type {Float64Array} */ m) => Math.round(Math.sqrt(m.length));

/** Every weight becomes the mean of those at the same offset: the nearest convolution. @param {Float64Array} m */
export function tied(m) {
  const n = side(m);
  const sums = new Float64Array(n);
  m.forEach((v, k) => (sums[place((k % n) - Math.floor(k / n), n)] += v));
  return m.map((_, k) => sums[place((k % n) - Math.floor(k / n), n)] / n);
}

/** Weights of offsets beyond `far` become zero. @param {Float64Array} m @param {number} far */
export function near(m, far) {
  const n = side(m);
  return m.map((v, k) => (Math.abs(offset(Math.floor(k / n), k % n, n)) <= far ? v : 0));
}

/** The weights that can be chosen freely, counted: one for each place, or one for each offset. @param {number} n @param {boolean} shared @param {number} far */
export function free(n, shared, far) {
  const found = new Set();
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const a = offset(i, j, n);
      if (Math.abs(a) <= far) found.add(shared ? a : i * n + j);
    }
  }
  return found.size;
}

/** @param {Float64Array} m */
export const length = (m) => Math.hypot(...m);

/** ‖WT − TW‖, with T the move by one: zero exactly if a move before W is a move after it. @param {Float64Array} m */
export function commutator(m) {
  const n = side(m);
  return length(m.map((_, k) => m[Math.floor(k / n) * n + place((k % n) + 1, n)] - m[place(Math.floor(k / n) - 1, n) * n + (k % n)]));
}

/** W x. @param {Float64Array} m @param {ArrayLike<number>} x */
export function applied(m, x) {
  const n = side(m);
  return Float64Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += m[i * n + j] * x[j];
    return sum;
  });
}

/** In how many ways one input reaches each output through layers that join what is at most `far` apart. @param {number} from @param {number} far @param {number} layers @param {number} [n] */
export function ways(from, far, layers, n = SIDE) {
  const join = near(new Float64Array(n * n).fill(1), far);
  const each = [Float64Array.from({ length: n }, (_, i) => (i === from ? 1 : 0))];
  for (let l = 0; l < layers; l++) each.push(applied(join, each[l]));
  return each;
}

/** Pairs that are joined between n inputs and the outputs of a kernel of k, without a border. @param {number} n @param {number} k */
export function joined(n, k) {
  let pairs = 0;
  for (let i = 0; i + k <= n; i++) for (let j = 0; j < n; j++) pairs += j >= i && j < i + k ? 1 : 0;
  return pairs;
}

/**
 * Free weights of a picture of n x n pixels at each step: all, tied, near, channels.
 * @param {number} n @param {number} far @param {number} channels @param {boolean} wrapped around the circle there are n offsets along an axis, else 2 n - 1
 */
export const ofPicture = (n, far, channels, wrapped) => [
  n ** 4,
  (wrapped ? n : 2 * n - 1) ** 2,
  (2 * far + 1) ** 2,
  channels * (2 * far + 1) ** 2,
];
