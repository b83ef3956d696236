// Exhibit: a kernel at each of twelve places, chained or not. What goes wrong when one is changed, and what does sharing save?
import { place } from "#learn/engine/tensor.js";
import { COUNTED, counts, LAYERS, sizes, WEIGHINGS } from "#learn/exhibits/one/counts.js";
import { View } from "#learn/exhibits/one/View.js";
import { inks, paint } from "#learn/parts/Picture.js";
import { drawingAsText, drawingOfText } from "#learn/parts/strokes.js";

export const PLACES = 12;
export const TAPS = 3;
export const LEVELS = 7; // a tap is a whole number from -LEVELS to LEVELS
const GREYS = 15;
const KERNEL = [-1, 0, 1]; // it answers where the brightness changes
const SIGNAL = [2, 2, 3, 9, 8, 9, 9, 4, 2, 1, 1, 2]; // a row of a picture; nowhere black, so that no change of a tap is lost
const ASKED = { place: 4, tap: 1, level: 5 };
const HALF = PLACES / 2;

/**
 * @typedef {{
 *   tied: "yes" | "no", own: string, place: number, tap: number, dx: number,
 *   layer: string, counted: string, against: "local" | "dense",
 * }} State
 */
/** @typedef {ReturnType<typeof seen>} Seen */

const start = () => Float64Array.from({ length: PLACES * TAPS }, (_, i) => KERNEL[i % TAPS]);
/** @param {Float64Array} taps */
export const asText = (taps) => drawingAsText(Array.from(taps, (v) => (v + LEVELS) / GREYS));
/** The taps of all places, (place, tap). @param {string} text */
export const tapsOf = (text) =>
  text ? drawingOfText(text, HALF).data.map((v) => Math.min(LEVELS, Math.round(v * GREYS) - LEVELS)) : start();

/** Every kernel becomes the mean of all: the nearest layer that shares. @param {Float64Array} taps */
export const shared = (taps) =>
  taps.map((_, i) => {
    let sum = 0;
    for (let p = 0; p < PLACES; p++) sum += taps[p * TAPS + (i % TAPS)];
    return sum / PLACES;
  });

/** What setting a tap changes: that of one place, or of all where they are chained. @param {State} s @param {number} at @param {number} tap @param {number} level */
export function drawn(s, at, tap, level) {
  const held = tapsOf(s.own).map((v, i) => ((s.tied === "yes" || Math.floor(i / TAPS) === at) && i % TAPS === tap ? level : v));
  return { place: at, tap, own: asText(held) };
}

/** What the kernels answer: each looks at its own place and the two beside it, around the circle. @param {Float64Array} taps @param {Float64Array} x */
export const answered = (taps, x) =>
  x.map((_, i) => {
    let sum = 0;
    for (let k = 0; k < TAPS; k++) sum += taps[i * TAPS + k] * x[place(i + k - 1, PLACES)];
    return sum;
  });

const rolled = (/** @type {Float64Array} */ x, /** @type {number} */ dx) => x.map((_, i) => x[place(i - dx, PLACES)]);
const length = (/** @type {Float64Array} */ v) => Math.hypot(...v);

/** @param {any} held the records */
const prepare = ({ records }) => {
  const { accuracy } = records.efficiency;
  const lines = Object.entries(accuracy).map(([name, row]) => ({
    name,
    points: Object.entries(row).map(([column, [mean]]) => /** @type {[number, number]} */ ([Number(column.replace(/\D/g, "")), mean])),
    band: Object.entries(row).map(([column, [, low, high]]) => /** @type {[number, number, number]} */ ([Number(column.replace(/\D/g, "")), low, high])),
  }));
  return { lines };
};

/**
 * Everything that is shown.
 * @param {State} s @param {ReturnType<typeof prepare>} m
 */
export function seen(s, m) {
  const given = tapsOf(s.own);
  const nearest = shared(given);
  const taps = s.tied === "yes" ? nearest : given;
  const x = Float64Array.from(SIGNAL);
  const moved = rolled(x, s.dx);
  const after = answered(taps, moved);
  const first = rolled(answered(taps, x), s.dx);
  const wrong = Array.from(after, (v, i) => v !== first[i]);
  const size = length(taps);
  const last = m.lines.map((l) => l.points[l.points.length - 1][1]);
  const all = counts(sizes(s.layer, PLACES, TAPS));
  const of = (/** @type {string} */ who) => all[WEIGHINGS.indexOf(who)];
  return {
    taps,
    alike: taps.every((v, i) => v === taps[i % TAPS]),
    moved,
    after,
    first,
    wrong,
    count: wrong.filter(Boolean).length,
    other: size === 0 ? 0 : length(taps.map((v, i) => v - nearest[i])) / size,
    places: PLACES,
    level: taps[s.place * TAPS + s.tap],
    layer: s.layer,
    counted: s.counted,
    counts: all,
    ratio: of("dense")[s.counted] / of("shared")[s.counted],
    saved: { W: of(s.against).weights, w: of("shared").weights, M: of(s.against).products, m: of("shared").products },
    lines: m.lines,
    last: { shared: last[0], local: last[1], dense: last[2] },
    largest: m.lines[0].points[m.lines[0].points.length - 1][0],
  };
}

/** The sentence: what goes wrong where kernels differ, or what sharing saves where they are alike. @param {Seen} r */
export function take(r) {
  const { W, w, M, m } = r.saved;
  const apart = { k: r.count, n: r.places, p: { share: r.other } };
  if (!r.alike) return { key: r.count > 0 ? "one.take.apart" : "one.take.hidden", values: apart };
  return { key: M === m ? "one.take.memory" : "one.take.both", values: { W, w, M, m } };
}

const OUTCOMES = { 1: "one", 2: "two", [PLACES]: "all" };

export const one = {
  id: "one",
  rows: ["S5", "S15", "S16"],
  claims: [3],
  minutes: 3,
  material: ["records"],
  prepare,
  start: Object.freeze({ tied: "yes", own: "", place: 4, tap: 1, dx: 0, layer: "digits", counted: "weights", against: "local" }),
  within: {
    tied: { of: ["yes", "no"] },
    own: { like: /^[A-Za-z0-9_-]{24}$/ },
    place: { from: 0, to: PLACES - 1 },
    tap: { from: 0, to: TAPS - 1 },
    dx: { from: -HALF, to: HALF - 1 },
    layer: { of: LAYERS },
    counted: { of: COUNTED },
    against: { of: ["local", "dense"] },
  },
  settle: (/** @type {State} */ next) => ({ ...next, dx: place(next.dx + HALF, PLACES) - HALF }),
  nudge: (/** @type {State} */ s, /** @type {number} */ _, /** @type {number} */ dx) => ({ dx: s.dx + dx }),
  home: { dx: 0 },
  guessing: { options: ["one", "two", "all", "more"] },
  question: () => ({ key: "one.predict.question", values: { n: PLACES } }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({
    tied: "no",
    dx: share < 0.5 ? 0 : 1,
    ...drawn(/** @type {any} */ ({ own: "", tied: "no" }), ASKED.place, ASKED.tap, ASKED.level),
  }),
  outcome: (/** @type {Seen} */ r) => OUTCOMES[r.count] ?? "more",
  seen,
  take,
  see: ["dense", "ways", "photos"],
  own: ["shiftproof reproduce efficiency", "shiftproof.layers.UnsharedConv2d(1, 32, 3, input_size=28)"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas) => {
    const rows = Float64Array.from({ length: PLACES * PLACES }, (_, i) => {
      const tap = (i % PLACES) - Math.floor(i / PLACES) + 1;
      return tap >= 0 && tap < TAPS ? KERNEL[tap] : 0;
    });
    paint(canvas, rows, PLACES, PLACES, inks.signed(1));
  },
};
