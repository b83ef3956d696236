// Exhibit: back-propagation through a convolution, where positions add up, and through time, where steps do.
import { convolutionBackward } from "#learn/engine/backward.js";
import { convolution } from "#learn/engine/forward.js";
import { gradient, run, summands } from "#learn/engine/recurrent.js";
import { normals } from "#learn/engine/statistics.js";
import { largestDifference } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/back/View.js";
import { inks, paint } from "#learn/parts/Picture.js";
import { drawingAsText, drawingOfText } from "#learn/parts/strokes.js";

export const KERNEL = 3;
export const LEVELS = 7; // numbers are whole, from -LEVELS to LEVELS
const GREYS = 15;
const NUDGE = 1 / 1024;
const HELD = 8; // side of the square in which all numbers are written: V, K, delta
export const DELAYS = [1, 3, 7];
export const SCALES = [0.5, 1, 2];
const GIVEN = { // whole numbers, so that the sums are exact
  v: [2, -1, 3, 0, 1, 0, 4, -2, 1, 3, -3, 2, 1, -1, 2, 1, 0, 5, 2, -2, 3, 1, -1, 2, 0],
  k: [1, -2, 0, 3, 1, -1, 2, 0, -3],
  d: [2, 1, -1, 0, 3, 1, -2, 1, 2],
};
const WIDE = 5;

/**
 * @typedef {{
 *   tab: "space" | "time", by: "kernel" | "input", places: number, cy: number, cx: number, dy: number, dx: number, own: string,
 *   scale: number, delay: number, steps: number,
 * }} State
 */
/** @typedef {ReturnType<typeof seen>} Seen */

/** @param {string} own */
function numbers(own) {
  if (!own) return { v: Float64Array.from(GIVEN.v), k: Float64Array.from(GIVEN.k), d: Float64Array.from(GIVEN.d) };
  const all = drawingOfText(own, HELD).data.map((x) => Math.min(LEVELS, Math.round(x * GREYS) - LEVELS));
  return { v: all.slice(0, 25), k: all.slice(25, 34), d: all.slice(34, 43) };
}

/** What setting one number changes. @param {State} s @param {"v" | "k" | "d"} which @param {number} at @param {number} level */
export function written(s, which, at, level) {
  const held = numbers(s.own);
  held[which][at] = level;
  const all = [...held.v, ...held.k, ...held.d];
  return { own: drawingAsText(Array.from({ length: HELD ** 2 }, (_, i) => ((all[i] ?? 0) + LEVELS) / GREYS)) };
}

const square = (/** @type {Float64Array} */ data, /** @type {number} */ side) => ({ data, c: 1, h: side, w: side });
/** The top left part of a square. @param {Float64Array} data @param {number} side @param {number} part */
const corner = (data, side, part) => Float64Array.from({ length: part ** 2 }, (_, i) => data[Math.floor(i / part) * side + (i % part)]);
const apart = (/** @type {Float64Array} */ a, /** @type {Float64Array} */ b) => {
  const size = Math.hypot(...b);
  const off = Math.hypot(...a.map((v, i) => v - b[i]));
  return off && off / (size || off); // where the gradient is zero, all of what is taken for it is wrong
};

/** The two gradients of J = sum of delta Z, and what one place alone sends. @param {Float64Array} v @param {Float64Array} k @param {Float64Array} d @param {number} at */
export function gradients(v, k, d, at) {
  const [wide, places] = [Math.sqrt(v.length), Math.sqrt(d.length)];
  const layer = (/** @type {Float64Array} */ weight) => ({ weight, channelsIn: 1, channelsOut: 1, kernel: KERNEL });
  const back = convolutionBackward(square(v, wide), layer(k), square(d, places));
  const alone = convolutionBackward(square(v, wide), layer(k), square(d.map((x, i) => (i === at ? x : 0)), places));
  const unflipped = convolutionBackward(square(v, wide), layer(k.toReversed()), square(d, places));
  return { kernel: back.weight, input: back.input.data, alone, unflipped: apart(unflipped.input.data, back.input.data) };
}

/** @param {State} s */
function space(s) {
  const given = numbers(s.own);
  const wide = s.places + KERNEL - 1;
  const v = corner(given.v, WIDE, wide);
  const d = corner(given.d, KERNEL, s.places);
  const { k } = given;
  const at = s.dy * s.places + s.dx;
  const found = gradients(v, k, d, at);
  const of = s.by === "kernel" ? { side: KERNEL, given: k, full: found.kernel, short: found.alone.weight } : { side: wide, given: v, full: found.input, short: found.alone.input.data };
  const cell = s.cy * of.side + s.cx;
  const cost = (/** @type {number} */ step) => {
    const nudged = of.given.map((x, i) => (i === cell ? x + step : x));
    const z = convolution({ weight: s.by === "kernel" ? nudged : k, channelsIn: 1, channelsOut: 1, kernel: KERNEL })(square(s.by === "kernel" ? v : nudged, wide));
    return z.data.reduce((sum, x, i) => sum + x * d[i], 0);
  };
  // which delta sends something to the chosen cell: those whose patch has it, with the number that they multiply
  const sends = Array.from(d, (x, i) => {
    const [y, u] = [Math.floor(i / s.places), i % s.places];
    const tap = s.by === "kernel" ? [y + s.cy, u + s.cx] : [s.cy - y, s.cx - u];
    const inside = s.by === "kernel" || (tap[0] >= 0 && tap[0] < KERNEL && tap[1] >= 0 && tap[1] < KERNEL);
    return inside ? { delta: x, by: s.by === "kernel" ? v[tap[0] * wide + tap[1]] : k[tap[0] * KERNEL + tap[1]] } : null;
  });
  const z = convolution({ weight: k, channelsIn: 1, channelsOut: 1, kernel: KERNEL })(square(v, wide));
  return {
    v, k, d, z: z.data, wide, at, cell, side: of.side, full: of.full, short: of.short, sends, cost: cost(0),
    senders: sends.filter(Boolean).length,
    nudged: (cost(NUDGE) - cost(-NUDGE)) / (2 * NUDGE),
    wrong: apart(of.short, of.full),
    unflipped: found.unflipped,
    patch: v.map((_, i) => (Math.floor(i / wide) - s.dy >= 0 && Math.floor(i / wide) - s.dy < KERNEL && (i % wide) - s.dx >= 0 && (i % wide) - s.dx < KERNEL ? 1 : 0)),
  };
}

/** @param {State} s @param {ReturnType<typeof prepare>} m */
function time(s, m) {
  const { size } = m;
  const w = m.w.map((v) => (v * s.scale) / Math.sqrt(size));
  const x = m.x.slice(m.x.length - s.steps);
  const parts = summands(x, w, size);
  const shared = gradient(x, w, size);
  const sum = shared.map((_, i) => parts.reduce((a, p) => a + p[i], 0));
  const most = Math.max(...shared.map(Math.abs));
  const sizes = parts.map((p) => Math.hypot(...p));
  const later = [...Array(s.delay).fill(new Float64Array(x[0].length)), ...x];
  const each = later.map((_, t) => normals(t + 1, w.length));
  const moved = (/** @type {Float64Array[]} */ a, /** @type {Float64Array[]} */ b) => Math.max(...b.map((h, t) => largestDifference(a[t + s.delay], h)));
  const step = Math.min(s.dx, s.steps - 1);
  return {
    step,
    shares: sizes.map((v) => v / sizes.reduce((a, b) => a + b)),
    off: largestDifference(sum, shared) / most,
    last: largestDifference(parts[parts.length - 1], shared) / most,
    states: run(later, later.map(() => w), size),
    delayed: moved(run(later, later.map(() => w), size), run(x, x.map(() => w), size)),
    unshared: moved(run(later, each, size), run(x, each, size)),
  };
}

/** The inputs and weights of `shiftproof reproduce recurrent-gradients`; a row of weights for each number of the state. @param {any} held */
const prepare = ({ back: { x, w } }) => ({ x: x.map((/** @type {number[]} */ row) => Float64Array.from(row)), w: Float64Array.from(w.flat()), size: w.length });

/**
 * Everything that is shown.
 * @param {State} s @param {ReturnType<typeof prepare>} m
 */
export const seen = (s, m) => ({ tab: s.tab, space: space(s), time: time(s, m) });

/** The sentence: whether the short form, one place or one step alone, is the gradient. @param {Seen} r */
export function take(r) {
  if (r.tab === "time") {
    const { step, shares, off, last, delayed } = r.time;
    const values = { i: step + 1, n: shares.length, p: { share: shares[step] }, e: { size: off }, l: { share: last }, d: { size: delayed } };
    return { key: last === 0 ? "back.take.step" : "back.take.time", values };
  }
  const { senders, full, short, cell, nudged, wrong } = r.space;
  const values = { n: senders, a: { size: full[cell] }, b: { size: nudged }, c: { size: short[cell] }, e: { share: wrong } };
  return { key: wrong === 0 ? "back.take.one" : "back.take.sum", values };
}

/** @param {State} next @returns {State} */
export function settle(next) {
  const within = (/** @type {number} */ v, /** @type {number} */ n) => Math.max(0, Math.min(n - 1, v));
  const side = next.by === "kernel" ? KERNEL : next.places + KERNEL - 1;
  const wide = next.tab === "time" ? next.steps : next.places;
  return { ...next, cy: within(next.cy, side), cx: within(next.cx, side), dy: within(next.dy, next.places), dx: within(next.dx, wide) };
}

const STEPS = 12;
const OUTCOMES = { 1: "one", 3: "three", 9: "nine" };
export const back = {
  id: "back",
  rows: ["S25", "S26", "S27"],
  claims: [4],
  minutes: 4,
  material: ["back"],
  prepare,
  start: Object.freeze({ tab: "space", by: "kernel", places: 3, cy: 1, cx: 1, dy: 0, dx: 0, own: "", scale: 1, delay: 1, steps: STEPS }),
  within: {
    tab: { of: ["space", "time"] },
    by: { of: ["kernel", "input"] },
    places: { of: [3, 1] },
    cy: { from: 0, to: 4 },
    cx: { from: 0, to: 4 },
    dy: { from: 0, to: 2 },
    dx: { from: 0, to: STEPS - 1 },
    own: { like: /^[A-Za-z0-9_-]{43}$/ },
    scale: { of: SCALES },
    delay: { of: DELAYS },
    steps: { of: [STEPS, 1] },
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ dy: s.dy + dy, dx: s.dx + dx }),
  home: { dy: 0, dx: 0 },
  guessing: { options: ["one", "three", "nine", "other"] },
  question: () => ({ key: "back.predict.question", values: {} }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({ tab: "space", by: "kernel", places: 3, dy: Math.min(2, Math.floor(share * 3)), dx: Math.min(2, Math.floor(share * 9) % 3) }),
  outcome: (/** @type {Seen} */ r) => OUTCOMES[r.space.senders] ?? "other",
  seen,
  take,
  see: ["ship", "one"],
  own: ["torch.autograd.gradcheck(model.double(), pictures.double().requires_grad_())", "shiftproof reproduce convolution-gradients"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas) => paint(canvas, GIVEN.v, WIDE, WIDE, inks.signed(5)),
};
