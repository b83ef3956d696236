// Exhibit: a dense layer's matrix of weights becomes a convolution, in three steps. How far is it from one, and what is left?
import { largestDifference, place } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/dense/View.js";
import {
  applied, asText, commutator, drawn, free, joined, length, LEVELS, near, ofPicture, offset, ofText, SIDE, tied, UNIT, ways,
} from "#learn/exhibits/dense/matrix.js";
import { inks, paint } from "#learn/parts/Picture.js";

export const STEPS = ["dense", "tied", "local", "channels"];
export const CHANNELS = 4;
const SEEDS = [13, 2, 4, 6]; // one for each channel
const SIGNAL = [0, 2, 7, 4, 1, 0, 0, 0, 0, 0, 0, 0];
const HALF = SIDE / 2;
const PAIRS = { n: 9, k: 3 };

/**
 * @typedef {{
 *   step: string, far: number, dx: number, row: number, column: number, brush: number, layers: number, own: string,
 * }} State
 */
/** @typedef {ReturnType<typeof seen>} Seen */

/** The weights before any step: as drawn, or as painted. @param {string} own */
export const weights = (own) => (own ? ofText(own) : drawn(SEEDS[0]));

/** A matrix after the steps up to this one. @param {Float64Array} m @param {string} step @param {number} far */
export function stepped(m, step, far) {
  if (step === "dense") return m;
  return step === "tied" ? tied(m) : near(tied(m), far);
}

/** What painting changes: one weight, or where weights are tied all of the same offset. @param {State} s @param {number} row @param {number} column @param {number} level */
export function painted(s, row, column, level) {
  const held = weights(s.own).map((v, k) => {
    const [i, j] = [Math.floor(k / SIDE), k % SIDE];
    const same = s.step === "dense" ? i === row && j === column : offset(i, j, SIDE) === offset(row, column, SIDE);
    return same ? level * UNIT : v;
  });
  return { row, column, own: asText(held) };
}

/**
 * Everything that is shown.
 * @param {State} s
 */
export function seen(s) {
  const given = weights(s.own);
  const shared = s.step !== "dense";
  const far = s.step === "dense" || s.step === "tied" ? HALF : s.far;
  const channels = s.step === "channels" ? CHANNELS : 1;
  const matrix = stepped(given, s.step, far);
  const nearest = tied(given);
  const left = shared ? matrix : nearest;
  const size = length(given);
  const share = (/** @type {Float64Array} */ part) => (size === 0 ? 0 : length(part) / size);
  const x = Float64Array.from(SIGNAL);
  const go = (/** @type {Float64Array} */ v) => v.map((_, i) => v[place(i - s.dx, SIDE)]);
  const after = applied(matrix, go(x));
  const first = go(applied(matrix, x));
  const reached = ways(s.column, far, s.layers);
  const last = reached[s.layers];
  const some = last.filter((v) => v > 0);
  return {
    step: s.step,
    given,
    matrix,
    far,
    own: s.own !== "",
    kernels: [given, ...SEEDS.slice(1, channels).map((seed) => drawn(seed))].map((m) => {
      const k = stepped(m, shared ? s.step : "tied", far);
      const middle = HALF * SIDE; // the row of the matrix whose output stands in the middle
      return k.slice(middle, middle + SIDE);
    }),
    weight: matrix[s.row * SIDE + s.column],
    all: SIDE * SIDE * channels,
    free: free(SIDE, shared, far) * channels,
    channels,
    commutator: commutator(matrix),
    convolution: size === 0 ? 1 : share(nearest),
    other: share(given.map((v, k) => v - left[k])),
    moved: go(x),
    after,
    first,
    error: largestDifference(after, first),
    ways: reached,
    reached: some.length,
    most: Math.max(...some),
    least: Math.min(...some),
    pairs: { ...PAIRS, dense: PAIRS.n ** 2, kernel: joined(PAIRS.n, PAIRS.k) },
    counts: [
      { name: "row", n: SIDE, at: [SIDE ** 2, free(SIDE, true, HALF), free(SIDE, true, s.far), CHANNELS * free(SIDE, true, s.far)] },
      { name: "small", n: 28, at: ofPicture(28, s.far, CHANNELS, true) },
      { name: "large", n: 1000, at: ofPicture(1000, s.far, CHANNELS, false) },
    ],
  };
}

/** The sentence: whether moves pass through, and what that cost. @param {Seen} r */
export function take(r) {
  const values = { N: r.all, n: r.free, c: { size: r.commutator }, d: { share: r.other }, k: r.channels };
  if (r.commutator !== 0) return { key: "dense.take.not", values };
  if (r.free === r.all) return { key: "dense.take.already", values };
  return { key: r.channels > 1 ? "dense.take.channels" : "dense.take.passes", values };
}

/** @param {State} next @returns {State} */
export const settle = (next) => ({ ...next, dx: place(next.dx + HALF, SIDE) - HALF });

const percent = (/** @type {number} */ share) => Math.round(100 * share);

export const dense = {
  id: "dense",
  rows: ["S22", "S17"],
  claims: [],
  minutes: 3,
  material: [],
  prepare: () => ({}),
  start: Object.freeze({ step: "dense", far: 1, dx: 0, row: 3, column: 5, brush: LEVELS, layers: 1, own: "" }),
  within: {
    step: { of: STEPS },
    far: { from: 1, to: HALF - 1 },
    dx: { from: -HALF, to: HALF - 1 },
    row: { from: 0, to: SIDE - 1 },
    column: { from: 0, to: SIDE - 1 },
    brush: { from: -LEVELS, to: LEVELS },
    layers: { from: 1, to: 4 },
    own: { like: /^[A-Za-z0-9_-]{96}$/ },
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ _, /** @type {number} */ dx) => ({ dx: s.dx + dx }),
  home: { dx: 0 },
  guessing: { from: 0, to: 100, step: 1, value: (/** @type {number} */ v) => ({ share: v / 100 }) },
  question: (/** @type {State} */ s) => ({ key: s.own ? "dense.predict.own" : "dense.predict.question", values: { n: SIDE } }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({ step: share < 0.5 ? "dense" : "tied" }),
  outcome: (/** @type {Seen} */ r) => String(percent(r.convolution)),
  seen,
  take,
  see: ["ways", "one", "pixels"],
  own: [
    "from shiftproof.measure.projection import project_to_convolution",
    "project_to_convolution(layer.weight.detach(), (height, width)).distance",
  ],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas) => paint(canvas, tied(drawn(SEEDS[0])), SIDE, SIDE, inks.signed(1)),
};
