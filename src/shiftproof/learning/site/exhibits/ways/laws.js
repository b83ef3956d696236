// What f and g may be in "Two ways round", and how far f(g(x)) is from g(f(x)).
import { average, convolution, dense, maxPool, relu } from "#learn/engine/forward.js";
import { maps, moved, place } from "#learn/engine/tensor.js";
import { whole } from "#learn/exhibits/ways/whole.js";

export const SIDE = 12;
const [CHANNELS, FILTERS, KERNEL, CLASSES] = [2, 3, 3, 10];
const ABOVE = 10; // the mask is 1 where the sum of the filters' answers is larger

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
/**
 * `stride`: pixels of the picture for one cell of the map; 0: there is no map, only an answer. `fixed`: it has weights for one
 * size of picture only.
 * @typedef {{run: (x: Maps) => Maps, stride: number, fixed?: boolean}} Law
 */

/** The picture turned by a quarter, against the clock. @param {Maps} x @returns {Maps} */
export function turned(x) {
  const out = maps(x.c, x.w, x.h);
  for (let c = 0; c < x.c; c++) {
    for (let y = 0; y < out.h; y++) {
      for (let u = 0; u < out.w; u++) out.data[(c * out.h + y) * out.w + u] = x.data[(c * x.h + u) * x.w + x.w - 1 - y];
    }
  }
  return out;
}

/** Every pixel drawn as two by two. @param {Maps} x @returns {Maps} */
export function doubled(x) {
  const out = maps(x.c, 2 * x.h, 2 * x.w);
  for (let c = 0; c < x.c; c++) {
    for (let y = 0; y < out.h; y++) {
      for (let u = 0; u < out.w; u++) out.data[(c * out.h + y) * out.w + u] = x.data[(c * x.h + (y >> 1)) * x.w + (u >> 1)];
    }
  }
  return out;
}

/** An answer without positions. @param {ArrayLike<number>} values @returns {Maps} */
const answer = (values) => ({ data: Float64Array.from(values), c: 1, h: 1, w: values.length });

/** The pictures of the experiment, whole numbers. */
export const pictures = () => {
  const all = whole(2 * CHANNELS * SIDE * SIDE, 0);
  return [0, 1].map((i) => ({ ...maps(CHANNELS, SIDE, SIDE), data: all.slice(i * CHANNELS * SIDE ** 2, (i + 1) * CHANNELS * SIDE ** 2) }));
};

/** The kernels plus themselves turned once, twice and three times: no quarter turn changes them. @param {Float64Array} weight */
function symmetrised(weight) {
  const kernels = { data: weight, c: FILTERS * CHANNELS, h: KERNEL, w: KERNEL };
  const all = [kernels];
  for (let k = 1; k < 4; k++) all.push(turned(all[k - 1]));
  return weight.map((_, i) => all.reduce((sum, k) => sum + k.data[i], 0));
}

/** @returns {Record<string, Law>} */
export function laws() {
  const weight = whole(FILTERS * CHANNELS * KERNEL ** 2, 1);
  const bias = whole(FILTERS, 2);
  const factors = whole(SIDE ** 2, 3);
  const columns = whole(FILTERS * SIDE ** 2 * CLASSES, 4); // lies as (in, out)
  const head = { weight: Float64Array.from(columns, (_, i) => columns[(i % (FILTERS * SIDE ** 2)) * CLASSES + Math.floor(i / (FILTERS * SIDE ** 2))]) };
  const shape = { bias, channelsIn: CHANNELS, channelsOut: FILTERS, kernel: KERNEL, padding: 1 };
  const circular = convolution({ ...shape, weight, border: "circular" });
  const summed = (/** @type {Maps} */ m) => Float64Array.from({ length: m.h * m.w }, (_, i) => m.data[i] + m.data[i + m.h * m.w] + m.data[i + 2 * m.h * m.w]);
  return {
    circular: { run: circular, stride: 1 },
    zeros: { run: convolution({ ...shape, weight }), stride: 1 },
    symmetric: { run: convolution({ ...shape, weight: symmetrised(weight), border: "circular" }), stride: 1 },
    relu: { run: relu, stride: 1 },
    mask: { run: (x) => ({ data: summed(circular(x)).map((v) => (v > ABOVE ? 1 : 0)), c: 1, h: x.h, w: x.w }), stride: 1 },
    factor: { run: (x) => ({ ...x, data: x.data.map((v, i) => v * factors[i % SIDE ** 2]) }), stride: 1, fixed: true },
    pool: { run: (x) => maxPool(x, 2), stride: 2 },
    stride: { run: convolution({ ...shape, weight, stride: 2, border: "circular" }), stride: 2 },
    mean: { run: (x) => answer(average(relu(circular(x)))), stride: 0 },
    largest: { run: (x) => answer(largest(circular(x))), stride: 0 },
    dense: { run: (x) => answer(dense(head, relu(circular(x)).data)), stride: 0, fixed: true },
  };
}

/** @param {Maps} m */
const largest = (m) => Array.from({ length: m.c }, (_, c) => m.data.subarray(c * m.h * m.w, (c + 1) * m.h * m.w).reduce((a, b) => Math.max(a, b)));

/** Sum of squares of a - b, or of a. @param {ArrayLike<number>} a @param {ArrayLike<number>} [b] */
export function squares(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - (b ? b[i] : 0)) ** 2;
  return sum;
}

/** |a - b| as a share of |whole|; exactly 0 if nothing differs. @param {Maps} a @param {Maps} b @param {Maps} unit */
export function relative(a, b, unit) {
  const off = squares(a.data, b.data);
  return off === 0 ? 0 : Math.sqrt(off / (squares(unit.data) || 1));
}

/**
 * Both ways round for a move: f(g(x)) and the move of f(x) that comes nearest to it. A map with a cell for every two pixels can
 * move by whole cells only, so the cells on both sides of an odd move are tried.
 * @param {Law} f @param {Maps} x @param {Maps} fx f(x) @param {number} dy @param {number} dx
 */
export function bothWays(f, x, fx, dy, dx) {
  const first = f.run(moved(x, dy, dx));
  if (f.stride === 0) return { first, second: fx, error: relative(first, fx, fx) };
  const sides = (/** @type {number} */ v) => [...new Set([Math.floor(v / f.stride), Math.ceil(v / f.stride)])];
  let best = null;
  for (const uy of sides(dy)) {
    for (const ux of sides(dx)) {
      const second = moved(fx, uy, ux);
      const error = relative(first, second, fx);
      if (best === null || error < best.error) best = { first, second, error };
    }
  }
  return best;
}

/** How far both ways are apart, at every move around the circle. @param {Law} f @param {Maps} x */
export function everyMove(f, x) {
  const fx = f.run(x);
  const errors = Array.from({ length: SIDE ** 2 }, (_, i) => bothWays(f, x, fx, Math.floor(i / SIDE), i % SIDE).error);
  return { errors, held: errors.filter((e) => e === 0).length, all: errors.length, most: Math.max(...errors) };
}

/** The remainder from -6 to 5. @param {number} v */
export const around = (v) => place(v + SIDE / 2, SIDE) - SIDE / 2;
