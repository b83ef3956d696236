// Exhibit: a digit in one of sixteen cells. Which networks can say in which, and what gives the place away?
import { chain } from "#learn/engine/chain.js";
import { argmax, bytes, largestDifference, maps } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/position/View.js";
import { inks, paint } from "#learn/parts/Picture.js";
import { isRounding } from "#learn/words.js";

export const CELLS = 4; // along an axis
const STEP = 3; // pixels from cell to cell
export const FARTHEST = 4; // pixels from the border
export const NETS = ["circular", "none", "zeros", "flattened", "coordinates", "unshared"];
const START = 5; // the cell at the start

/** @typedef {{net: string, digit: number, margin: number, dy: number, dx: number}} State */
/** @typedef {ReturnType<typeof seen>} Seen */
/** @typedef {ReturnType<typeof prepare>} Held */

/** Whole numbers as torch rounds: halves go to the even one. @param {number} v */
const even = (v) => (v % 1 === 0.5 && Math.floor(v) % 2 === 0 ? Math.floor(v) : Math.round(v));

/** @param {any} held */
export function prepare({ position, digits, records }) {
  const all = bytes(digits.pixels);
  const [wide, side] = [digits.side, position.side];
  const part = wide / side;
  const ten = Array.from({ length: 10 }, (_, k) => Float64Array.from({ length: side ** 2 }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < part ** 2; j++) sum += all[k * wide ** 2 + (Math.floor(i / side) * part + Math.floor(j / part)) * wide + (i % side) * part + (j % part)];
    return even(sum / part ** 2) / 255;
  }));
  const nets = NETS.map((name) => ({ name, read: chain(position.nets[name].layers), recorded: records.position.position[position.nets[name].row]["correct cell"][0], fixed: name === "flattened" || name === "unshared" }));
  return { ten, side, nets, leak: records.position.leak, runs: new Map() };
}

/** The digit on black, in its cell, with the board so far from the border. @param {Held} m @param {number} digit @param {number} cell @param {number} margin */
export function placed(m, digit, cell, margin) {
  const wide = m.side + (CELLS - 1) * STEP + 2 * margin;
  const out = maps(1, wide, wide);
  const [top, left] = [Math.floor(cell / CELLS) * STEP + margin, (cell % CELLS) * STEP + margin];
  m.ten[digit].forEach((v, i) => (out.data[(top + Math.floor(i / m.side)) * wide + left + (i % m.side)] = v));
  return out;
}

/** The scores of a network for this digit in each cell; none where its weights fit another size of board. @param {Held} m @param {number} k @param {number} digit @param {number} margin @returns {Float64Array[] | null} */
function scores(m, k, digit, margin) {
  if (m.nets[k].fixed && margin > 0) return null;
  const key = `${k} ${digit} ${margin}`;
  return m.runs.get(key) ?? m.runs.set(key, Array.from({ length: CELLS ** 2 }, (_, cell) => m.nets[k].read(placed(m, digit, cell, margin)))).get(key);
}

/**
 * Everything that is shown.
 * @param {State} s @param {Held} m
 */
export function seen(s, m) {
  const cell = START + s.dy * CELLS + s.dx;
  const nets = m.nets.map((net, k) => {
    const found = scores(m, k, s.digit, s.margin);
    if (!found) return { name: net.name, recorded: net.recorded, answer: -1, hits: null, right: 0, spread: 0, depends: false, knows: false };
    const answers = found.map(argmax);
    const hits = answers.map((a, c) => (a === c ? 1 : 0));
    const right = hits.reduce((a, b) => a + b, 0);
    const depends = answers.some((a) => a !== answers[0]);
    return { name: net.name, recorded: net.recorded, answer: answers[cell], hits, right, depends, spread: Math.max(...found.map((v) => largestDifference(v, found[0]))), knows: right === CELLS ** 2 };
  });
  return {
    picture: placed(m, s.digit, cell, s.margin),
    margin: s.margin,
    side: m.side,
    cell,
    nets,
    chosen: nets[NETS.indexOf(s.net)],
    able: nets.filter((n) => n.knows).length,
    chance: 1 / CELLS ** 2,
    leak: m.leak[`${s.margin} px`]["correct cell"][0],
  };
}

/** The sentence: whether the chosen network knows the cell, and whether its answer depends on it at all. @param {Seen} r */
export function take(r) {
  const n = r.chosen;
  const values = { k: r.able, all: r.nets.length, net: { key: `position.net.${n.name}` }, h: n.right, cells: CELLS ** 2, m: r.margin, e: { size: n.spread } };
  if (!n.hits) return { key: "position.take.size", values };
  if (n.knows) return { key: "position.take.knows", values };
  if (n.depends) return { key: "position.take.some", values };
  return { key: n.spread === 0 || isRounding(n.spread) ? "position.take.never" : "position.take.hint", values };
}

/** The digit stays on the board. @param {State} next @returns {State} */
export function settle(next) {
  const [row, column] = [Math.floor(START / CELLS), START % CELLS];
  const within = (/** @type {number} */ v, /** @type {number} */ at) => Math.max(-at, Math.min(CELLS - 1 - at, v));
  return { ...next, dy: within(next.dy, row), dx: within(next.dx, column) };
}

export const position = {
  id: "position",
  rows: ["S18", "S29"],
  claims: [],
  minutes: 2,
  material: ["position", "digits", "records"],
  prepare,
  start: Object.freeze({ net: "zeros", digit: 7, margin: 0, dy: 0, dx: 0 }),
  within: { net: { of: NETS }, digit: { from: 0, to: 9 }, margin: { from: 0, to: FARTHEST }, dy: { from: -CELLS, to: CELLS }, dx: { from: -CELLS, to: CELLS } },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ dy: s.dy + dy, dx: s.dx + dx }),
  home: { dy: 0, dx: 0 },
  guessing: { options: ["yes", "some", "no"] },
  question: (/** @type {State} */ s) => ({ key: "position.predict.question", values: { m: s.margin } }),
  play: (/** @type {State} */ s, /** @type {number} */ share) => ({ net: "zeros", dy: 0, dx: Math.round(share), margin: s.margin }),
  outcome: (/** @type {Seen} */ r) => (r.chosen.knows ? "yes" : r.chosen.depends ? "some" : "no"),
  seen,
  take,
  see: ["border", "drag", "one"],
  own: ["shiftproof.testing.assert_keeps_position(model, pictures, moves, least=1e-6)", "shiftproof reproduce position"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas, /** @type {Held} */ m) => {
    const x = placed(m, 7, START, 0);
    paint(canvas, x.data, x.w, x.h, inks.grey());
  },
};
