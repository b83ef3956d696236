// Exhibit: a stroke, its own filter, max pooling. Which moves does the pool not notice?
import { convolution, maxPool, relu } from "#learn/engine/forward.js";
import { maps } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/pool/View.js";
import { paintCells } from "#learn/parts/Cells.js";

export const SIDE = 12;
export const REACH = 3; // the table has every move of up to so many pixels
export const WINDOWS = [2, 3, 4, 9];
export const SHAPES = {
  giyeok: [[1, 1, 1], [0, 0, 1], [0, 0, 1]],
  corner: [[1, 0, 0], [1, 0, 0], [1, 1, 1]],
};
const STROKE = 3; // rows and columns of a shape
const ROW_WINDOW = 3;
const CURVE_TO = 9;
const TENTHS = [3, 1, 10, 2, 1]; // the textbook's row (Goodfellow et al. 2016, figure 9.8), with its left neighbour

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
/**
 * @typedef {{
 *   shape: "giyeok" | "corner", window: number, stride: "window" | "one", y: number, x: number, dy: number, dx: number,
 *   r0: number, r1: number, r2: number, r3: number, r4: number,
 * }} State
 */
/** @typedef {ReturnType<typeof seen>} Seen */

/** The picture with the shape's top left at (y, x). @param {number[][]} shape @param {number} y @param {number} x */
function drawn(shape, y, x) {
  const picture = maps(1, SIDE, SIDE);
  shape.forEach((row, i) => row.forEach((v, j) => (picture.data[(y + i) * SIDE + x + j] = v)));
  return picture;
}

/** A filter that is the shape itself: it answers 1 where the whole shape is, 0 elsewhere. @param {number[][]} shape */
function detector(shape) {
  const weight = Float64Array.from(shape.flat());
  const whole = weight.reduce((a, b) => a + b);
  const layer = convolution({ weight, bias: Float64Array.of(1 - whole), channelsIn: 1, channelsOut: 1, kernel: STROKE, padding: 1 });
  return (/** @type {Maps} */ picture) => relu(layer(picture));
}

/** 1 where the numbers differ. @param {Maps} a @param {Maps} b */
const differing = (a, b) => Uint8Array.from(a.data, (v, i) => (v === b.data[i] ? 0 : 1));
const count = (/** @type {Uint8Array} */ flags) => flags.reduce((a, b) => a + b, 0);

/** Maxima of `window` neighbours of a row. @param {number[]} row @param {number} window @param {number} [stride] */
export const poolRow = (row, window, stride = 1) => {
  const found = [];
  for (let i = 0; i + window <= row.length; i += stride) found.push(Math.max(...row.slice(i, i + window)));
  return found;
};

/**
 * The share of starting cells from which a single answer can move by `move` without the pooled row noticing, by running it.
 * @param {number} window @param {number} move
 */
export function unnoticed(window, move) {
  const length = 4 * window * Math.ceil((move + window) / window);
  const one = (/** @type {number} */ at) => poolRow(Array.from({ length }, (_, i) => (i === at ? 1 : 0)), window, window).join();
  let same = 0;
  for (let start = window; start < 2 * window; start++) same += one(start) === one(start + move) ? 1 : 0;
  return same / window;
}

/** What moving the textbook's row by one changes. @param {number[]} tenths */
export function movedRow(tenths) {
  const pooled = (/** @type {number[]} */ row) => poolRow([tenths[0], ...row, row[row.length - 1]], ROW_WINDOW);
  const [before, after] = [tenths.slice(1), tenths.slice(0, -1)];
  const changes = (/** @type {number[]} */ a, /** @type {number[]} */ b) => a.map((v, i) => v !== b[i]);
  return {
    before,
    after,
    pooledBefore: pooled(before),
    pooledAfter: pooled(after),
    changed: changes(before, after),
    pooledChanged: changes(pooled(before), pooled(after)),
  };
}

/**
 * Everything that is shown, from where the stroke stands.
 * @param {State} s
 */
export function seen(s) {
  const shape = SHAPES[s.shape];
  const find = detector(shape);
  const stride = s.stride === "one" ? 1 : s.window;
  const at = (/** @type {number} */ dy, /** @type {number} */ dx) => {
    const picture = drawn(shape, s.y + dy, s.x + dx);
    const found = find(picture);
    return { picture, found, pooled: maxPool(found, s.window, stride) };
  };
  const first = at(0, 0);
  const now = at(s.dy, s.dx);
  const noticed = (/** @type {number} */ dy, /** @type {number} */ dx) => count(differing(at(dy, dx).pooled, first.pooled));
  const moves = [];
  for (let dy = -REACH; dy <= REACH; dy++) for (let dx = -REACH; dx <= REACH; dx++) moves.push({ dy, dx, n: noticed(dy, dx) });
  const others = moves.filter((m) => m.dy !== 0 || m.dx !== 0);
  const far = Math.max(Math.abs(s.dy), Math.abs(s.dx));
  const foundChanged = differing(now.found, first.found);
  const pooledChanged = differing(now.pooled, first.pooled);
  return {
    ...now,
    first,
    stride,
    window: s.window,
    foundChanged,
    pooledChanged,
    foundCount: count(foundChanged),
    pooledCount: count(pooledChanged),
    one: noticed(1, 0),
    moves,
    all: others.length,
    free: others.filter((m) => m.n === 0).length,
    far,
    curve: Array.from({ length: CURVE_TO + 1 }, (_, v) => /** @type {[number, number]} */ ([v, unnoticed(s.window, v)])),
    row: movedRow([s.r0, s.r1, s.r2, s.r3, s.r4]),
  };
}

/** The sentence, chosen by how many of the moves the pool does not notice. @param {Seen} r */
export function take(r) {
  const values = { k: r.window, u: r.free, n: r.all, stride: r.stride };
  if (r.free === 0) return { key: "pool.take.every", values };
  return { key: r.free === r.all ? "pool.take.blind" : "pool.take.some", values };
}

/** The stroke stays in the picture, with room for every move of the table. @param {State} next @returns {State} */
export function settle(next) {
  const within = (/** @type {number} */ v, /** @type {number} */ low, /** @type {number} */ high) => Math.max(low, Math.min(high, v));
  const last = SIDE - STROKE;
  return { ...next, dy: within(next.dy, -next.y, last - next.y), dx: within(next.dx, -next.x, last - next.x) };
}

const OUTCOMES = ["nothing", "one", "two"];

export const pool = {
  id: "pool",
  rows: ["S2", "S3", "S4"],
  claims: [],
  minutes: 3,
  material: [],
  prepare: () => ({}),
  start: Object.freeze({
    shape: "giyeok", window: 2, stride: "window", y: 3, x: 3, dy: 0, dx: 0,
    r0: TENTHS[0], r1: TENTHS[1], r2: TENTHS[2], r3: TENTHS[3], r4: TENTHS[4],
  }),
  within: {
    shape: { of: Object.keys(SHAPES) },
    window: { of: WINDOWS },
    stride: { of: ["window", "one"] },
    y: { from: REACH, to: SIDE - STROKE - REACH },
    x: { from: REACH, to: SIDE - STROKE - REACH },
    dy: { from: -SIDE, to: SIDE },
    dx: { from: -SIDE, to: SIDE },
    ...Object.fromEntries(TENTHS.map((_, i) => [`r${i}`, { from: 0, to: 10 }])),
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ dy: s.dy + dy, dx: s.dx + dx }),
  home: { dy: 0, dx: 0 },
  guessing: { options: [...OUTCOMES, "more"] },
  question: (/** @type {State} */ _, /** @type {Seen} */ r) => ({
    key: r.one === 0 ? "pool.predict.question" : "pool.predict.noticed",
    values: { n: r.one },
  }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({ dy: share < 0.5 ? 1 : 2, dx: 0 }),
  outcome: (/** @type {Seen} */ r) => OUTCOMES[r.pooledCount] ?? "more",
  seen,
  take,
  see: ["pixels"],
  own: ["shiftproof check MODEL"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas) => paintCells(canvas, drawn(SHAPES.giyeok, 3, 5), undefined, 1, true),
};
