// Exhibit: layers of 3 x 3 with different borders. How far does the border show, and does it tell where a dot is?
import { View } from "#learn/exhibits/border/View.js";
import { averaged, filled, KERNEL, missed, PADDINGS, shadow, sums, TAPS, usedEvenly } from "#learn/exhibits/border/layers.js";
import { inks, paint } from "#learn/parts/Picture.js";
import { percent, sketching } from "#learn/parts/Sketch.js";

export const CELLS = 4; // along an axis
export const CELL = 5; // pixels along an axis
export const BOARD = CELLS * CELL;
export const MARGINS = [0, 1, 2, 3, 4];
export const DEEPEST = 8;
const ASKED = 4; // the layers of the question
export const POINTS = [1, 2, 3, 4, 5, 6]; // pixels from the border, of the sketch
const START = 7; // row and column of the dot on the board

/** @typedef {import("#learn/exhibits/border/layers.js").Padding} Padding */
/** @typedef {{padding: Padding, depth: number, margin: number, dy: number, dx: number}} State */
/** @typedef {ReturnType<typeof seen>} Seen */

const cellOf = (/** @type {number} */ y, /** @type {number} */ x) => Math.floor(y / CELL) * CELLS + Math.floor(x / CELL);

/** @param {number} depth @param {Padding} padding @param {number} margin */
function measured(depth, padding, margin) {
  const side = BOARD + 2 * margin;
  const found = sums(side, depth, padding);
  const at = (/** @type {number} */ y, /** @type {number} */ x) => found.map((f) => f[(y + margin) * side + x + margin]);
  return Array.from({ length: BOARD ** 2 }, (_, i) => at(Math.floor(i / BOARD), i % BOARD));
}

/** Of each cell, the mean of what its places say. @param {number[][]} places */
function learned(places) {
  const means = Array.from({ length: CELLS ** 2 }, () => new Float64Array(places[0].length));
  places.forEach((v, i) => {
    const mean = means[cellOf(Math.floor(i / BOARD), i % BOARD)];
    v.forEach((s, k) => (mean[k] += s));
  });
  return means.map((m) => m.map((s) => s / CELL ** 2));
}

/** The cell whose mean is nearest, the first of equals. @param {number[]} v @param {Float64Array[]} means */
function nearest(v, means) {
  let [best, least] = [0, Infinity];
  means.forEach((m, c) => {
    const far = v.reduce((sum, s, k) => sum + (s - m[k]) ** 2, 0);
    if (far < least) [best, least] = [c, far];
  });
  return best;
}

/** @param {number} depth @param {Padding} padding */
function readings(depth, padding) {
  const means = learned(measured(depth, padding, 0));
  return MARGINS.map((margin) => {
    const answers = measured(depth, padding, margin).map((v) => nearest(v, means));
    const right = answers.filter((a, i) => a === cellOf(Math.floor(i / BOARD), i % BOARD)).length;
    return { answers, right: right / BOARD ** 2, tells: answers.some((a) => a !== answers[0]) };
  });
}

/** @type {Map<string, ReturnType<typeof readings>>} */
const known = new Map();
/** A readout that has learned the cells with the board at the border, at every distance from it; worked out once. @param {number} depth @param {Padding} padding */
export function read(depth, padding) {
  const name = `${depth} ${padding}`;
  return known.get(name) ?? known.set(name, readings(depth, padding)).get(name);
}

/**
 * Everything that is shown.
 * @param {State} s
 */
export function seen(s) {
  const side = BOARD + 2 * s.margin;
  const white = averaged(filled(side, 1), s.depth, s.padding);
  const used = usedEvenly(side, s.depth, s.padding);
  const once = usedEvenly(side, 1, s.padding);
  const all = read(s.depth, s.padding);
  const [y, x] = [START + s.dy, START + s.dx];
  const picture = filled(side, 0);
  picture.data[(y + s.margin) * side + x + s.margin] = 1;
  const middle = (/** @type {number} */ n) => Math.floor(n / 2);
  const three = (/** @type {{data: Float64Array, h: number, w: number}} */ m) => [m.data[0], m.data[middle(m.w)], m.data[middle(m.h) * m.w + middle(m.w)]];
  return {
    padding: s.padding,
    depth: s.depth,
    margin: s.margin,
    side,
    picture,
    white,
    wide: shadow(white),
    /** How white the middle row is, from the border on: not past the middle. */
    inward: POINTS.filter((d) => d <= white.w / 2).map((d) => white.data[middle(white.h) * white.w + d - 1]),
    used: { ...used, data: used.data.map((v) => v / TAPS ** s.depth) },
    values: three(white),
    times: three(once),
    missed: missed(s.padding),
    cell: cellOf(y, x),
    answer: all[s.margin].answers[y * BOARD + x],
    right: all[s.margin].right,
    tells: all[s.margin].tells,
    even: sums(side, s.depth, s.padding).every((map) => map.every((v) => v === map[0])),
    chance: 1 / CELLS ** 2,
    curve: all.map((r, m) => /** @type {[number, number]} */ ([MARGINS[m], r.right])),
  };
}

/** The sentence: whether a white picture shows the border, and whether the answer depends on the place. @param {Seen} r */
export function take(r) {
  const values = {
    padding: { key: `border.padding.${r.padding}` },
    depth: r.depth,
    w: r.wide,
    s: { share: r.right },
    c: { share: r.chance },
    m: r.margin,
  };
  if (r.wide > 0) return { key: r.tells ? "border.take.shadow" : "border.take.off", values };
  if (r.tells) return { key: "border.take.leaks", values };
  return { key: r.even ? "border.take.nothing" : "border.take.far", values };
}

/** The dot stays on the board. @param {State} next @returns {State} */
export function settle(next) {
  const within = (/** @type {number} */ v) => Math.max(-START, Math.min(BOARD - 1 - START, v));
  return { ...next, dy: within(next.dy), dx: within(next.dx) };
}

export const border = {
  id: "border",
  rows: ["S24", "S29"],
  claims: [],
  minutes: 2,
  material: [],
  prepare: () => ({}),
  start: Object.freeze({ padding: "zero", depth: 1, margin: 0, dy: 0, dx: 0 }),
  within: {
    padding: { of: PADDINGS },
    depth: { from: 1, to: DEEPEST },
    margin: { from: 0, to: MARGINS.length - 1 },
    dy: { from: -START, to: BOARD - 1 - START },
    dx: { from: -START, to: BOARD - 1 - START },
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ dy: s.dy + dy, dx: s.dx + dx }),
  home: { dy: 0, dx: 0 },
  guessing: sketching(POINTS),
  question: () => ({ key: "border.predict.question", values: { depth: ASKED, k: KERNEL } }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({ padding: "zero", depth: 1 + Math.round(share * (ASKED - 1)) }),
  outcome: (/** @type {Seen} */ r) => percent(r.inward),
  seen,
  take,
  see: ["pixels", "position", "drag"],
  own: ["shiftproof check MODEL --world canvas"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas) => {
    const x = averaged(filled(BOARD, 1), ASKED, "zero");
    paint(canvas, x.data, x.w, x.h, inks.grey());
  },
};
