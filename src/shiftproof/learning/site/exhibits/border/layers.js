// Layers of 3 x 3 with a border: what they make of a white picture, and how often each pixel is used.
import { convolutionBackward } from "#learn/engine/backward.js";
import { convolution } from "#learn/engine/forward.js";
import { maps, moved, place } from "#learn/engine/tensor.js";

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
/** @typedef {"circular" | "zero" | "reflect" | "replicate" | "none"} Padding */
/** @type {Padding[]} */
export const PADDINGS = ["zero", "circular", "reflect", "replicate", "none"];
export const KERNEL = 3;
export const TAPS = KERNEL ** 2;
/** What a filter of the first layer looks at: left of it, right of it, above, below. */
const NEIGHBOURS = [3, 5, 1, 7];

/** @param {ArrayLike<number>} weight @param {Padding} padding @returns {import("#learn/engine/forward.js").Convolution} */
const layer = (weight, padding) => ({
  weight: Float64Array.from(weight),
  channelsIn: 1,
  channelsOut: 1,
  kernel: KERNEL,
  padding: padding === "none" ? 0 : 1,
  border: padding === "none" ? "zero" : padding,
});
const ones = new Array(TAPS).fill(1);
/** @param {number} tap */
const single = (tap) => ones.map((_, i) => (i === tap ? 1 : 0));

/** Layers that add up 3 x 3 pixels, the first of them with this filter: whole numbers, so that what is equal is equal exactly. @param {ArrayLike<number>} first @param {number} depth @param {Padding} padding */
const stack = (first, depth, padding) => Array.from({ length: depth }, (_, l) => layer(l === 0 ? first : ones, padding));

/** @param {number} side @param {number} value */
export function filled(side, value) {
  const x = maps(1, side, side);
  x.data.fill(value);
  return x;
}

/** What layers of 3 x 3 means make of a picture. @param {Maps} x @param {number} depth @param {Padding} padding */
export function averaged(x, depth, padding) {
  const sums = stack(ones, depth, padding).reduce((v, p) => convolution(p)(v), x);
  return { ...sums, data: sums.data.map((v) => v / TAPS ** depth) };
}

/**
 * How often each pixel is used on its way to the sum of the last map, by going backwards from ones.
 * @param {number} side @param {ArrayLike<number>} first the filter of the first layer @param {number} depth @param {Padding} padding
 */
export function used(side, first, depth, padding) {
  const layers = stack(first, depth, padding);
  const shrinks = padding === "none" ? KERNEL - 1 : 0;
  let delta = filled(side - depth * shrinks, 1);
  for (let l = depth - 1; l >= 0; l--) delta = convolutionBackward(filled(side - l * shrinks, 0), layers[l], delta).input;
  return delta;
}
/** @param {number} side @param {number} depth @param {Padding} padding */
export const usedEvenly = (side, depth, padding) => used(side, ones, depth, padding);

/**
 * What four maps, each summed over all positions, say of a dot at each pixel. All is positive, so ReLU changes nothing and a dot's
 * sums are how often its pixel is used.
 * @param {number} side @param {number} depth @param {Padding} padding
 */
export const sums = (side, depth, padding) => NEIGHBOURS.map((tap) => used(side, single(tap), depth, padding).data);

/** The same by running the layers forwards on a picture. @param {Maps} x @param {number} depth @param {Padding} padding */
export const sumsOf = (x, depth, padding) =>
  NEIGHBOURS.map((tap) => stack(single(tap), depth, padding).reduce((v, p) => convolution(p)(v), x).data.reduce((a, b) => a + b, 0));

/** How wide the frame is in which a map is not 1. @param {Maps} x */
export function shadow(x) {
  let wide = 0;
  x.data.forEach((v, i) => {
    const [y, u] = [Math.floor(i / x.w), i % x.w];
    if (v !== 1) wide = Math.max(wide, 1 + Math.min(y, u, x.h - 1 - y, x.w - 1 - u));
  });
  return wide;
}

const SIDE = 16;
/** A picture of whole numbers without any order, around zero. */
const NOISE = (() => {
  let state = 7;
  const x = filled(SIDE, 0);
  for (let i = 0; i < x.data.length; i++) x.data[i] = ((state = place(state * 48271, 2147483647)) % 201) - 100;
  return x;
})();
const FILTER = [1, 2, -1, 0, 3, 1, -2, 1, 2];

/** How far a layer of 3 x 3 is from moving along, for a move by one around the circle: a share of the map's size. @param {Padding} padding */
export function missed(padding) {
  const run = convolution(layer(FILTER, padding));
  const [before, after] = [run(moved(NOISE, 0, 1)), moved(run(NOISE), 0, 1)];
  return Math.hypot(...after.data.map((v, i) => v - before.data[i])) / Math.hypot(...after.data);
}
