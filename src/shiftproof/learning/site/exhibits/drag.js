// Exhibit: one network read in two ways. Which of them still knows the digit when it moves?
import { readers } from "#learn/engine/readers.js";
import { bytes, countDifferent, largestDifference, maps, moved, place } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/drag/View.js";
import { indexOf, movesIn, withMoves } from "#learn/parts/moves.js";
import { inks, paint } from "#learn/parts/Picture.js";
import { drawingOfText } from "#learn/parts/strokes.js";
import { isRounding } from "#learn/words.js";

export const SIDE = 28;
export const DRAWN = -1; // in place of a digit: the learner's own drawing
const FAR = SIDE / 2;
const PLAYED = 10; // pixels to the right, as the question says
const [FLAT, AVERAGE] = [0, 1];
const READOUTS = [FLAT, AVERAGE];

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
/** @typedef {{digit: number, own: string, dy: number, dx: number, edge: "circular" | "zero", tried: string}} State */
/** @typedef {{scores: Float64Array[], answers: number[], left: number}} Run */
/** @typedef {{from: Maps, home: import("#learn/engine/readers.js").Reading, brightness: number, moves: Run[]}} Runs */
/** @typedef {ReturnType<typeof seen>} Seen */
/** @typedef {ReturnType<typeof prepare>} Material */

/** @param {{drag: any, digits: any}} held */
export function prepare({ drag, digits }) {
  const pixels = bytes(digits.pixels);
  const each = digits.side ** 2;
  const ten = digits.index.map((/** @type {number} */ _, /** @type {number} */ k) => {
    const picture = maps(1, digits.side, digits.side);
    for (let i = 0; i < each; i++) picture.data[i] = pixels[k * each + i] / 255;
    return picture;
  });
  /** @type {Map<string, Runs>} */
  const kept = new Map();
  return { ten, read: readers(drag), kept };
}

/** @param {State} state @param {Material} material @returns {Maps} */
const original = ({ digit, own }, { ten }) => (digit === DRAWN ? drawingOfText(own, SIDE) : ten[digit]);

const total = (/** @type {Maps} */ picture) => picture.data.reduce((a, b) => a + b, 0);

/**
 * What has been run with one picture and one edge: how it is read where it was, and of each move both answers, both readouts'
 * scores, and how much brightness has left the picture.
 * @param {State} state @param {Material} material
 */
function runs(state, { kept, read, ...material }) {
  const name = `${state.digit} ${state.own} ${state.edge}`;
  if (!kept.has(name)) {
    const from = original(state, { kept, read, ...material });
    kept.set(name, { from, home: read(from), brightness: total(from), moves: [] });
  }
  const held = kept.get(name);
  /** @param {Maps} picture @param {import("#learn/engine/readers.js").Reading} reading */
  const summary = (picture, { readouts }) => ({
    scores: readouts.map((r) => r.scores),
    answers: readouts.map((r) => r.answer),
    left: held.brightness - total(picture),
  });
  const at = (/** @type {number} */ index) => {
    const picture = moved(held.from, Math.floor(index / SIDE) - FAR, (index % SIDE) - FAR, state.edge);
    return (held.moves[index] ??= summary(picture, read(picture)));
  };
  return { ...held, at, summary };
}

/**
 * Everything that is shown, from where the digit stands and which moves were tried.
 * @param {State} state @param {Material} material
 */
export function seen(state, material) {
  const { from, home, moves, at, summary } = runs(state, material);
  const picture = moved(from, state.dy, state.dx, state.edge);
  const now = material.read(picture);
  const here = (moves[indexOf(state.dy, state.dx, SIDE)] ??= summary(picture, now));
  const first = home.readouts.map((r) => r.answer);
  const answers = READOUTS.map(() => new Int8Array(SIDE ** 2).fill(-1));
  const kept = READOUTS.map(() => 0);
  const change = READOUTS.map(() => 0);
  const tried = movesIn(state.tried, SIDE);
  let mostLeft = 0;
  let unexplained = 0; // moves at which the average changed its answer while nothing had left the picture
  for (const index of tried) {
    const run = at(index);
    mostLeft = Math.max(mostLeft, run.left);
    for (const k of READOUTS) {
      const same = run.answers[k] === first[k];
      answers[k][index] = same ? 1 : 0;
      kept[k] += same ? 1 : 0;
      change[k] = Math.max(change[k], largestDifference(run.scores[k], home.readouts[k].scores));
      if (k === AVERAGE && !same && run.left <= 0) unexplained++;
    }
  }
  const mapsDiffer = largestDifference(moved(now.maps, -state.dy, -state.dx).data, home.maps.data);
  return {
    picture,
    maps: now.maps,
    pooled: now.pooled,
    readouts: now.readouts,
    first,
    same: READOUTS.map((k) => now.readouts[k].answer === first[k]),
    left: here.left,
    mapsDiffer,
    mapsMoved: mapsMoved({ mapsDiffer, left: here.left }),
    pooledChanged: countDifferent(now.pooled.data, home.pooled.data),
    tried: tried.length,
    kept,
    change,
    unexplained,
    mostLeft,
    answers,
    edge: state.edge,
  };
}

/**
 * The sentence, chosen by what was measured.
 * @param {Seen} r
 */
export function take(r) {
  const values = {
    n: r.tried,
    a: { share: r.kept[0] / r.tried },
    b: { share: r.kept[1] / r.tried },
    x: { size: r.change[0] },
    y: { size: r.change[1] },
  };
  if (r.tried < 2) return { key: "drag.take.empty", values: {} };
  const [flat, average] = r.kept.map((k) => k === r.tried);
  if (r.edge === "zero" && !average) return { key: r.unexplained === 0 ? "drag.take.left" : "drag.take.stayed", values };
  if (r.edge === "zero") return { key: r.mostLeft > 0 ? "drag.take.little" : "drag.take.inside", values };
  if (average) return { key: flat ? "drag.take.both" : "drag.take.average", values };
  return { key: flat ? "drag.take.flat" : "drag.take.neither", values };
}

/**
 * What is said of the maps when they are moved back. The cause, where it is named, is measured: brightness that left.
 * @param {{mapsDiffer: number, left: number}} r
 */
export function mapsMoved(r) {
  if (isRounding(r.mapsDiffer) || r.mapsDiffer === 0) return "drag.maps.same";
  return r.left > 0 ? "drag.maps.left" : "drag.maps.differ";
}

/** The moves lie on a circle, or end where the picture ends; what was tried holds for one picture and one edge. @param {State} next @param {State} before @returns {State} */
export function settle(next, before) {
  const inside = (/** @type {number} */ v) =>
    next.edge === "circular" ? place(v + FAR, SIDE) - FAR : Math.max(-FAR, Math.min(FAR - 1, v));
  const [dy, dx] = [inside(next.dy), inside(next.dx)];
  const another = next.digit !== before.digit || next.own !== before.own || next.edge !== before.edge;
  const start = another ? withMoves("", [indexOf(0, 0, SIDE)], SIDE) : next.tried;
  return { ...next, dy, dx, tried: withMoves(start, [indexOf(dy, dx, SIDE)], SIDE) };
}

export const drag = {
  id: "drag",
  rows: ["S1", "S7", "S28"],
  claims: [1, 2],
  minutes: 3,
  material: ["drag", "digits"],
  prepare,
  start: { digit: 7, own: "", dy: 0, dx: 0, edge: "circular", tried: withMoves("", [indexOf(0, 0, SIDE)], SIDE) },
  within: {
    digit: { from: DRAWN, to: 9 },
    own: { like: /^[\w-]{1,600}$/ },
    dy: { from: -FAR, to: FAR - 1 },
    dx: { from: -FAR, to: FAR - 1 },
    edge: { of: ["circular", "zero"] },
    tried: { like: /^[\w-]{1,140}$/ },
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ dy: s.dy + dy, dx: s.dx + dx }),
  home: { dy: 0, dx: 0 },
  guessing: { options: ["both", "flat", "average", "neither"] },
  question: (/** @type {State} */ s, /** @type {Seen} */ r) => ({
    key: s.digit === DRAWN ? "drag.predict.own" : "drag.predict.question",
    values: { digit: s.digit === DRAWN ? r.first[1] : s.digit, n: PLAYED },
  }),
  play: (/** @type {State} */ s, /** @type {number} */ share) => ({ dy: 0, dx: Math.round(PLAYED * share) }),
  outcome: (/** @type {Seen} */ r) => (r.same[0] ? (r.same[1] ? "both" : "flat") : r.same[1] ? "average" : "neither"),
  seen,
  take,
  see: ["ways", "forgets"],
  own: ['sp.audit(model, pictures, translations=sp.grid(3, boundary="circular"))'],
  View,
  /** @param {HTMLCanvasElement} canvas @param {Material} material */
  thumbnail: (canvas, { ten }) => paint(canvas, moved(ten[7], 2, 9).data, SIDE, SIDE, inks.grey()),
};
