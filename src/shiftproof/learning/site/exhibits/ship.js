// Exhibit: a noisy track is averaged with a window of weights. What is left of the noise, how far does it lag, and the flip.
import { normals } from "#learn/engine/statistics.js";
import { View } from "#learn/exhibits/ship/View.js";

export const SHOWN = 120; // points of the track that are drawn
const LONGEST = 45;
const [STEPS, SERIES] = [400, 60]; // of the series over which errors are averaged
const TENTHS = 10;
const MIDDLE = SHOWN / 2; // where the window ends at the start
const BINOMIAL = [1, 4, 6, 4, 1];
const FADING = 0.8;
const OWN = [5, 3, 2, 0, 0]; // tenths

/** @typedef {{window: string, dx: number, flip: "no" | "yes", w0: number, w1: number, w2: number, w3: number, w4: number}} State */
/** @typedef {ReturnType<typeof seen>} Seen */

const equal = (/** @type {number} */ k) => Array(k).fill(1 / k);
/** Weights by name: w[0] weighs the present, w[1] the step before. */
export const WINDOWS = {
  none: [1],
  two: equal(2),
  five: equal(5),
  fifteen: equal(15),
  longest: equal(LONGEST),
  binomial: BINOMIAL.map((v) => v / 16),
  recent: Array.from({ length: 15 }, (_, k) => (FADING ** k * (1 - FADING)) / (1 - FADING ** 15)),
};
const NAMES = Object.keys(WINDOWS);

/** Where the spaceship is. @param {number} t */
export const position = (t) => 0.05 * t + 3 * Math.sin((2 * Math.PI * t) / SHOWN);

/**
 * s(t) = sum over a of x(a) w(t - a), for every t at which the whole window lies inside.
 * @param {ArrayLike<number>} x @param {number[]} w
 */
export function smoothed(x, w) {
  return Float64Array.from({ length: x.length - w.length + 1 }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < w.length; k++) sum += w[k] * x[i + w.length - 1 - k];
    return sum;
  });
}

/** The book's convolution over all shifts at which the two touch. @param {number[]} x @param {number[]} w */
export function whole(x, w) {
  const out = Array(x.length + w.length - 1).fill(0);
  x.forEach((a, i) => w.forEach((b, k) => (out[i + k] += a * b)));
  return out;
}

const truth = Float64Array.from({ length: STEPS }, (_, t) => position(t));
const noise = Array.from({ length: SERIES }, (_, i) => normals(i + 1, STEPS));
const track = Float64Array.from(normals(99, SHOWN + LONGEST - 1), (v, i) => position(i - LONGEST + 1) + v);
const square = (/** @type {ArrayLike<number>} */ v) => Array.prototype.reduce.call(v, (/** @type {number} */ a, /** @type {number} */ b) => a + b * b, 0);

/** @type {Map<string, {noise: number, squares: number, lag: number, error: number}>} */
const known = new Map();

/** Over sixty series of noise: what is left of it, and the squared error with and without it. @param {number[]} w */
export function errors(w) {
  const key = w.join();
  const found = known.get(key);
  if (found) return found;
  const late = smoothed(truth, w).map((v, i) => v - truth[i + w.length - 1]);
  let [left, all] = [0, 0];
  for (const series of noise) {
    const rest = smoothed(series, w);
    left += square(rest);
    all += square(rest.map((v, i) => v + late[i]));
  }
  const n = late.length * SERIES;
  const made = { noise: left / n, squares: square(w), lag: square(late) / late.length, error: all / n };
  known.set(key, made);
  return made;
}

/**
 * Everything that is shown.
 * @param {State} s
 */
export function seen(s) {
  const tenths = [s.w0, s.w1, s.w2, s.w3, s.w4];
  const given = s.window === "own" ? tenths.map((v) => v / TENTHS) : WINDOWS[s.window];
  const w = s.flip === "yes" ? given.toReversed() : given;
  const path = (/** @type {number[]} */ weights) => smoothed(track, weights).slice(LONGEST - weights.length);
  const at = MIDDLE + s.dx;
  const inside = w.map((v, k) => ({ t: at - k, w: v, x: track[at - k + LONGEST - 1], product: v * track[at - k + LONGEST - 1] }));
  const line = path(w);
  const other = path(w.toReversed());
  const table = NAMES.map((name) => ({ name, points: WINDOWS[name].length, ...errors(WINDOWS[name]) }));
  const own = errors(w);
  const rest = table.filter((row) => row.name !== s.window);
  const whole1 = Array.from(track, (v) => Math.round(v * TENTHS));
  const whole2 = given.length <= OWN.length ? w.map((v) => Math.round(v * TENTHS * 8)) : [1];
  return {
    window: s.window,
    weights: w,
    inside,
    sum: line[at],
    at,
    track: track.slice(LONGEST - 1),
    line,
    position: Float64Array.from({ length: SHOWN }, (_, t) => position(t)),
    flipped: Math.max(...line.map((v, i) => Math.abs(v - other[i]))),
    commutes: whole(whole1, whole2).reduce((most, v, i) => Math.max(most, Math.abs(v - whole(whole2, whole1)[i])), 0),
    total: w.reduce((a, b) => a + b, 0),
    ...own,
    table,
    best: rest.reduce((a, b) => (b.error < a.error ? b : a)),
    five: errors(WINDOWS.five).error,
    longest: errors(WINDOWS.longest).error,
  };
}

/** The sentence: what is left, and whether any other window would do better. @param {Seen} r */
export function take(r) {
  const values = {
    window: { key: `ship.window.${r.window}` },
    v: { share: r.noise },
    s: { share: r.squares },
    lag: { size: r.lag },
    e: { size: r.error },
    other: { key: `ship.window.${r.best.name}` },
    o: { size: r.best.error },
  };
  return { key: r.error < r.best.error ? "ship.take.less" : "ship.take.more", values };
}

/** @param {State} next @returns {State} */
export const settle = (next) => ({ ...next, dx: Math.max(-MIDDLE, Math.min(SHOWN - 1 - MIDDLE, next.dx)) });
const NEARLY = 0.02; // of the error: less is said to be the same

export const ship = {
  id: "ship",
  rows: ["S21", "S25"],
  claims: [],
  minutes: 3,
  material: [],
  prepare: () => ({}),
  start: Object.freeze({ window: "five", dx: 0, flip: "no", ...Object.fromEntries(OWN.map((v, i) => [`w${i}`, v])) }),
  within: {
    window: { of: [...NAMES, "own"] },
    dx: { from: -MIDDLE, to: SHOWN - 1 - MIDDLE },
    flip: { of: ["no", "yes"] },
    ...Object.fromEntries(OWN.map((_, i) => [`w${i}`, { from: -TENTHS, to: TENTHS }])),
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ _, /** @type {number} */ dx) => ({ dx: s.dx + dx }),
  home: { dx: 0 },
  guessing: { options: ["fall", "same", "rise"] },
  question: () => ({ key: "ship.predict.question", values: { a: WINDOWS.five.length, b: LONGEST } }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({ window: share < 0.5 ? "five" : "longest", flip: "no" }),
  outcome: (/** @type {Seen} */ r) => (Math.abs(r.longest - r.five) <= NEARLY * r.five ? "same" : r.longest > r.five ? "rise" : "fall"),
  seen,
  take,
  see: ["one", "back"],
  own: ["shiftproof reproduce smoothing"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas) => {
    Object.assign(canvas, { width: SHOWN, height: SHOWN });
    const context = canvas.getContext("2d");
    context.fillStyle = "rgb(16 17 22)";
    context.fillRect(0, 0, SHOWN, SHOWN);
    context.fillStyle = "rgb(250 247 240)";
    track.slice(LONGEST - 1).forEach((v, t) => context.fillRect(t, SHOWN - 20 - v * 8, 4, 4));
  },
};
