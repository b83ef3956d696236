// Exhibit: three maps, a dense layer, softmax. Who forgets where the pattern is: the layer whose weights are tied, or softmax?
import { convolution, dense, relu, softmax } from "#learn/engine/forward.js";
import { argmax, fromRows, largestDifference, moved } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/forgets/View.js";
import { paintCells } from "#learn/parts/Cells.js";
import { isRounding } from "#learn/words.js";

export const SIDE = 5;
const PLACES = SIDE * SIDE;
export const FINE = 1000; // steps of λ
export const TENTH = 10;
/** The strokes of the experiment `readout`, and the filters that find them. */
export const PATTERNS = {
  corner: [[1, 0, 0], [1, 0, 0], [1, 1, 1]],
  cross: [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
  bar: [[1, 1, 1], [0, 0, 0], [0, 0, 0]],
};
export const CLASSES = /** @type {(keyof typeof PATTERNS)[]} */ (Object.keys(PATTERNS));
const WANTED = 4; // the score that the right class is fitted to, as in the experiment
const FITTED = 12; // the place where it is fitted: the middle
const SEED = 7;

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
/** @typedef {number[][]} Rows */
/**
 * @typedef {{
 *   shape: keyof typeof PATTERNS, dy: number, dx: number, tie: number, weights: "middle" | "drawn", softmax: "on" | "off",
 *   z0: number, z1: number, z2: number, all: number, one: number, times: number,
 * }} State
 */
/** @typedef {ReturnType<typeof seen>} Seen */
/** @typedef {ReturnType<typeof prepare>} Material */

/** The stroke in the middle of the picture. @param {Rows} stroke */
const drawn = (stroke) => fromRows(Array.from({ length: SIDE }, (_, y) => Array.from({ length: SIDE }, (_, x) => stroke[y - 1]?.[x - 1] ?? 0)));

/** Move number i, row by row, each from -2 to 2. @param {number} i @returns {[number, number]} */
const moveOf = (i) => [Math.floor(i / SIDE) - 2, (i % SIDE) - 2];

/** A filter for each stroke on the circle; a cell outside the stroke counts against it. */
function filters() {
  const strokes = CLASSES.map((name) => PATTERNS[name].flat());
  const layer = convolution({
    weight: Float64Array.from(strokes.flatMap((s) => s.map((v) => 2 * v - 1))),
    bias: Float64Array.from(strokes, (s) => 0.5 - s.reduce((a, b) => a + b)),
    channelsIn: 1, channelsOut: CLASSES.length, kernel: 3, padding: 1, border: "circular",
  });
  return (/** @type {Maps} */ picture) => relu(layer(picture));
}

/** The inverse of a small matrix that has one, by elimination. @param {Rows} matrix @returns {Rows} */
export function inverse(matrix) {
  const n = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let i = 0; i < n; i++) {
    const best = rows.findIndex((row, k) => k >= i && row[i] !== 0);
    [rows[i], rows[best]] = [rows[best], rows[i]];
    rows[i] = rows[i].map((v) => v / rows[i][i]);
    for (let k = 0; k < n; k++) if (k !== i) rows[k] = rows[k].map((v, j) => v - rows[k][i] * rows[i][j]);
  }
  return rows.map((row) => row.slice(n));
}

/**
 * The least weights that give each class its wanted score for its own row of inputs, and 0 for the others' rows.
 * @param {Rows} inputs a row for each class @returns {Rows} a row of weights for each class
 */
export function fitted(inputs) {
  const overlap = inputs.map((a) => inputs.map((b) => a.reduce((sum, v, i) => sum + v * b[i], 0)));
  const turned = inverse(overlap);
  return inputs.map((_, k) => inputs[0].map((_, i) => WANTED * inputs.reduce((sum, row, j) => sum + turned[j][k] * row[i], 0)));
}

/** Numbers of about normal size, the same at every visit. @param {number} n */
function scattered(n) {
  let state = SEED;
  const next = () => (state = (state * 48271) % 2147483647) / 2147483647;
  return Array.from({ length: n }, () => Array.from({ length: 12 }, next).reduce((a, b) => a + b) - 6);
}

/** Pictures and maps of every pattern at every place, and the weights that the readouts are mixed from. */
export function prepare() {
  const find = filters();
  const strokes = CLASSES.map((name) => drawn(PATTERNS[name]));
  const pictures = strokes.map((s) => Array.from({ length: PLACES }, (_, i) => moved(s, ...moveOf(i))));
  const found = pictures.map((row) => row.map(find));
  const middle = found.map((row) => [...row[FITTED].data]);
  const sums = middle.map((row) => CLASSES.map((_, c) => row.slice(c * PLACES, (c + 1) * PLACES).reduce((a, b) => a + b)));
  const each = (/** @type {Rows} */ rows) => rows.map((row) => row.flatMap((v) => Array(PLACES).fill(v)));
  const size = CLASSES.length * PLACES;
  const noise = scattered(CLASSES.length * size);
  return {
    pictures,
    found,
    middle: fitted(middle),
    drawn: CLASSES.map((_, k) => noise.slice(k * size, (k + 1) * size)),
    tied: each(fitted(sums)), // one weight for each map, fitted to the same three pictures
  };
}

/** What softmax makes of three scores when something is done to them. @param {State} s */
export function rescored(s) {
  const before = Float64Array.of(s.z0, s.z1, s.z2).map((v) => v / TENTH);
  const after = before.map((v, k) => (s.times / TENTH) * v + s.all / TENTH + (k === 0 ? s.one / TENTH : 0));
  const [was, is] = [softmax(before), softmax(after)];
  return { before, after, was, is, change: largestDifference(was, is), same: argmax(was) === argmax(is) };
}

/**
 * Everything that is shown: the answers at this place, and how they spread over all places.
 * @param {State} s @param {Material} held
 */
export function seen(s, held) {
  const share = s.tie / FINE;
  const base = s.weights === "middle" ? held.middle : held.drawn;
  const weight = base.map((row, k) => row.map((v, i) => (1 - share) * v + share * held.tied[k][i]));
  const layer = { weight: Float64Array.from(weight.flat()) };
  const scores = held.found.map((row) => row.map((m) => dense(layer, m.data)));
  const shares = scores.map((row) => row.map(softmax));
  const ranges = (/** @type {Float64Array[][]} */ of) =>
    of.map((row) => CLASSES.map((_, k) => ({ low: Math.min(...row.map((v) => v[k])), high: Math.max(...row.map((v) => v[k])) })));
  const spread = (/** @type {{low: number, high: number}[][]} */ of) => Math.max(...of.flat().map((r) => r.high - r.low));
  const [scoreRanges, shareRanges] = [ranges(scores), ranges(shares)];
  const winners = (/** @type {Float64Array[][]} */ of) => of.map((row) => row.map(argmax));
  const [byScore, byShare] = [winners(scores), winners(shares)];
  const changes = (/** @type {number[][]} */ of) => of.flatMap((row) => row.filter((w) => w !== row[FITTED])).length;
  const every = scores.flat();
  const tops = every.map((v) => v.filter((x) => x === Math.max(...v)).length);
  const shape = CLASSES.indexOf(s.shape);
  const at = (s.dy + 2) * SIDE + s.dx + 2;
  return {
    shape,
    share,
    picture: held.pictures[shape][at],
    maps: held.found[shape][at],
    weight,
    scores: scores[shape][at],
    shares: shares[shape][at],
    scoreRanges: scoreRanges[shape],
    shareRanges: shareRanges[shape],
    reach: Math.max(...every.flatMap((v) => [...v].map(Math.abs))),
    top: byScore[shape][at],
    equal: tops[shape * PLACES + at] > 1,
    places: PLACES,
    all: every.length,
    undecided: tops.filter((n) => n > 1).length,
    right: byScore.flatMap((row, k) => row.filter((w) => w === k)).length / every.length,
    spread: spread(scoreRanges),
    shareSpread: spread(shareRanges),
    changes: changes(byScore),
    changesAfter: changes(byShare),
    rescored: rescored(s),
  };
}

const nothing = (/** @type {number} */ v) => v === 0 || isRounding(v);

/** The sentence, chosen by whether scores, probabilities and answers depend on the place. @param {Seen} r */
export function take(r) {
  const values = { l: { size: r.share }, s: { size: r.spread }, p: { size: r.shareSpread }, r: { share: r.right }, n: r.places };
  if (nothing(r.spread)) return { key: "forgets.take.tied", values };
  if (nothing(r.shareSpread)) return { key: "forgets.take.common", values };
  return { key: r.right === 1 && r.undecided === 0 ? "forgets.take.right" : "forgets.take.spread", values };
}

/** The picture is a circle of five by five. @param {State} next @returns {State} */
export function settle(next) {
  const around = (/** @type {number} */ v) => ((((v + 2) % SIDE) + SIDE) % SIDE) - 2;
  return { ...next, dy: around(next.dy), dx: around(next.dx) };
}

export const forgets = {
  id: "forgets",
  rows: ["S7", "S9"],
  claims: [1],
  minutes: 3,
  material: [],
  prepare,
  start: Object.freeze({
    shape: "cross", dy: 0, dx: 0, tie: 0, weights: "drawn", softmax: "on", z0: 20, z1: 10, z2: 0, all: 0, one: 0, times: TENTH,
  }),
  within: {
    shape: { of: CLASSES },
    weights: { of: ["drawn", "middle"] },
    softmax: { of: ["on", "off"] },
    dy: { from: -2, to: 2 },
    dx: { from: -2, to: 2 },
    tie: { from: 0, to: FINE },
    ...Object.fromEntries(["z0", "z1", "z2", "all", "one"].map((name) => [name, { from: -50, to: 50 }])),
    times: { from: 0, to: 50 },
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ dy: s.dy + dy, dx: s.dx + dx }),
  home: { dy: 0, dx: 0 },
  guessing: { options: ["more", "less", "same"] },
  question: () => ({ key: "forgets.predict.question", values: {} }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({ softmax: "off", dx: Math.round(2 * share) }),
  outcome: (/** @type {Seen} */ r) => (r.changes === r.changesAfter ? "same" : r.changes > r.changesAfter ? "more" : "less"),
  seen,
  take,
  see: ["drag"],
  own: ["shiftproof check MODEL", "sp.layers.ChannelReadout()"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas, /** @type {Material} */ held) =>
    paintCells(canvas, held.pictures[1][FITTED], undefined, 1, true),
};
