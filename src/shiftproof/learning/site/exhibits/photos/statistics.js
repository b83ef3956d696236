// What is measured of a photograph: how pixels go together with distance, how its parts differ, and what one output sees.
import { convolutionBackward, maxPoolBackward } from "#learn/engine/backward.js";
import { convolution, maxPool } from "#learn/engine/forward.js";
import { correlation, direct, normals, shuffled } from "#learn/engine/statistics.js";
import { maps } from "#learn/engine/tensor.js";

export const VERSIONS = ["given", "vignetted", "half", "sorted", "shuffled"];
export const DIRECTIONS = { across: [0, 1], down: [1, 0], diagonal: [1, 1] };
export const DISTANCES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96];
export const NEAR = 16; // up to this distance the direct part is measured
const PATCH = 32;

/** The photograph, spoilt in one way. @param {Float64Array} x @param {number} n side @param {string} version */
export function spoilt(x, n, version) {
  if (version === "vignetted") {
    const at = (/** @type {number} */ i) => (2 * i) / (n - 1) - 1;
    return x.map((v, i) => v * (1 - 0.35 * (at(Math.floor(i / n)) ** 2 + at(i % n) ** 2)));
  }
  if (version === "shuffled") return shuffled(x, 1);
  if (version === "half") {
    const left = shuffled(x.filter((_, i) => i % n < n / 2), 1);
    return x.map((v, i) => (i % n < n / 2 ? left[(Math.floor(i / n) * n) / 2 + (i % n)] : v));
  }
  if (version !== "sorted") return x;
  const wide = n / PATCH;
  const pixel = (/** @type {number} */ p, /** @type {number} */ k) => (Math.floor(p / wide) * PATCH + Math.floor(k / PATCH)) * n + (p % wide) * PATCH + (k % PATCH);
  const sum = (/** @type {number} */ p) => Array.from({ length: PATCH ** 2 }, (_, k) => x[pixel(p, k)]).reduce((a, b) => a + b);
  const order = Array.from({ length: wide ** 2 }, (_, p) => p).sort((a, b) => sum(a) - sum(b));
  const out = new Float64Array(x.length);
  order.forEach((from, to) => {
    for (let k = 0; k < PATCH ** 2; k++) out[pixel(to, k)] = x[pixel(from, k)];
  });
  return out;
}

/** Pixels that are (dy, dx) apart, in two lists. @param {Float64Array} x @param {number} n @param {number} dy @param {number} dx */
export function pairs(x, n, dy, dx) {
  const [rows, columns] = [n - dy, n - dx];
  const pick = (/** @type {number} */ y, /** @type {number} */ u) => Float64Array.from({ length: rows * columns }, (_, i) => x[(Math.floor(i / columns) + y) * n + (i % columns) + u]);
  return [pick(0, 0), pick(dy, dx)];
}

/** r at each distance, and what is left of it if the pixels between are known. @param {Float64Array} x @param {number} n @param {string} direction */
export function byDistance(x, n, direction) {
  const [dy, dx] = DIRECTIONS[direction];
  const r = (/** @type {number} */ d) => {
    const [a, b] = pairs(x, n, dy * d, dx * d);
    return correlation(a, b);
  };
  const near = Array.from({ length: NEAR }, (_, i) => r(i + 1));
  return { r: DISTANCES.map((d) => /** @type {[number, number]} */ ([d, d <= NEAR ? near[d - 1] : r(d)])), direct: near.map((_, i) => direct(near.slice(0, i + 1))) };
}

/** Each pixel of a window less its left neighbour, counted in bins; and the window's mean and variance. @param {Float64Array} x @param {number} n @param {number} top @param {number} left @param {number} side */
export function ofWindow(x, n, top, left, side) {
  const bins = new Float64Array(BINS);
  let [sum, squares] = [0, 0];
  for (let y = top; y < top + side; y++) {
    for (let u = left; u < left + side; u++) {
      const v = x[y * n + u];
      sum += v;
      squares += v * v;
      if (u === left) continue;
      const at = Math.round(((v - x[y * n + u - 1]) / FAR + 1) * ((BINS - 1) / 2));
      bins[Math.max(0, Math.min(BINS - 1, at))] += 1 / (side * (side - 1));
    }
  }
  const mean = sum / side ** 2;
  return { bins, mean, variance: squares / side ** 2 - mean ** 2 };
}
export const BINS = 25;
export const FAR = 0.3; // the answer of the last bin

const LAYERS = ["c", "p", "c", "p"];
/** Rows that an output sees after each layer of c p c p, by formula. @param {number} kernel @param {number} layers */
export function fieldOf(kernel, layers) {
  let [field, step] = [1, 1];
  for (const kind of LAYERS.slice(0, layers)) {
    field += ((kind === "c" ? kernel : 2) - 1) * step;
    if (kind === "p") step *= 2;
  }
  return field;
}

/** The same by gradient: the rows and columns from which one output gets any, over pictures drawn by chance. @param {number} kernel @param {number} layers */
export function fieldByGradient(kernel, layers) {
  const side = 28;
  const reached = new Set();
  for (let seed = 1; seed <= 60; seed++) {
    /** @type {import("#learn/engine/tensor.js").Maps} */
    let x = { data: normals(seed, side * side), c: 1, h: side, w: side };
    const steps = LAYERS.slice(0, layers).map((kind, i) => {
      const weight = normals(seed + 100 * (i + 1), kernel * kernel);
      const p = { weight, channelsIn: 1, channelsOut: 1, kernel };
      const before = x;
      x = kind === "c" ? convolution(p)(before) : maxPool(before, 2);
      return (/** @type {import("#learn/engine/tensor.js").Maps} */ delta) => (kind === "c" ? convolutionBackward(before, p, delta).input : maxPoolBackward(before, 2, 2, delta));
    });
    let delta = maps(1, x.h, x.w);
    delta.data[0] = 1;
    for (const step of steps.toReversed()) delta = step(delta);
    delta.data.forEach((v, i) => v !== 0 && reached.add(i % side));
  }
  return Math.max(...reached) + 1;
}
