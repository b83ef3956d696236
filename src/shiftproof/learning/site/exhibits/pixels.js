// Exhibit: every second sample of a wave, and every second pixel of a picture. What comes back, and which moves are kept?
import { argmax, fromRows, moved, place } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/pixels/View.js";
import { frequencies, isMove, REMEDIES, ROUNDING, sampled, wave } from "#learn/exhibits/pixels/sampling.js";
import { inks, paint } from "#learn/parts/Picture.js";

export const SAMPLES = 32;
export const STRIDES = [1, 2, 4];
const FASTEST = SAMPLES / 2;
const STEP = 9; // samples of the stroke whose sum is taken
const FROM = 8; // where a stroke begins that has not been moved
const ASKED = 2; // the stride of the question

/** @typedef {import("#learn/exhibits/pixels/sampling.js").Remedy} Remedy */
/** @typedef {{f: number, dx: number, stride: number, remedy: Remedy}} State */
/** @typedef {ReturnType<typeof seen>} Seen */

/** A ball with light from above, in whole numbers: sums of squares are exact. */
export const PICTURE = fromRows(
  Array.from({ length: 16 }, (_, y) =>
    Array.from({ length: 16 }, (__, x) => (Math.hypot(y - 8, x - 7) < 5.6 ? Math.max(1, 16 - Math.floor(1.9 * Math.hypot(y - 5.4, x - 5.1))) : 0)),
  ),
);

/** @param {number} stride @param {Remedy} remedy */
function movesOf(stride, remedy) {
  const { h, w } = PICTURE;
  const left = (/** @type {number} */ dy, /** @type {number} */ dx) => sampled(moved(PICTURE, dy, dx).data, h, w, stride, remedy);
  const first = left(0, 0);
  const kept = Array.from({ length: h * w }, (_, i) => (isMove(left(Math.floor(i / w), i % w).data, first.data, first.h, first.w) ? 1 : 0));
  const smallest = kept.findIndex((v, i) => v === 1 && i > 0 && i < w);
  return { kept, count: kept.reduce((a, b) => a + b, 0), smallest: smallest < 0 ? w : smallest };
}

/** @type {Map<string, ReturnType<typeof movesOf>>} */
const known = new Map();
/**
 * Which moves of the picture come out as moves of what is left, by trying them all; tried once.
 * @param {number} stride @param {Remedy} remedy
 */
export function keptMoves(stride, remedy) {
  const name = `${stride} ${remedy}`;
  return known.get(name) ?? known.set(name, movesOf(stride, remedy)).get(name);
}

/** The sum of what is left of `length` ones in a row, for each place where they can begin. @param {number} length @param {number} stride @param {Remedy} remedy */
export function totals(length, stride, remedy) {
  return Array.from({ length: stride }, (_, at) => {
    const row = Float64Array.from({ length: SAMPLES }, (__, i) => (place(i - at - FROM, SAMPLES) < length ? 1 : 0));
    return sampled(row, 1, SAMPLES, stride, remedy).data.reduce((a, b) => a + b, 0);
  });
}

/**
 * Everything that is shown, from the wave, the stride and the remedy.
 * @param {State} s
 */
export function seen(s) {
  const { h, w } = PICTURE;
  const given = wave(s.f, SAMPLES, s.dx);
  const left = sampled(given, 1, SAMPLES, s.stride, s.remedy);
  const found = frequencies(left.data);
  const ghost = argmax(found.sizes);
  const moves = keptMoves(s.stride, s.remedy);
  const picture = moved(PICTURE, 0, s.dx);
  return {
    f: s.f,
    stride: s.stride,
    remedy: s.remedy,
    wave: given,
    left,
    ghost,
    size: found.sizes[ghost],
    gone: found.sizes[ghost] < ROUNDING,
    /** The slow wave through what is left, at any place of the row. */
    through: (/** @type {number} */ at) => found.at(ghost, (at - left.x) / s.stride),
    fold: SAMPLES / s.stride / 2,
    picture,
    small: sampled(picture.data, h, w, s.stride, s.remedy),
    moves,
    alone: keptMoves(s.stride, "none").count,
    sums: [
      { name: "dot", length: 1, values: totals(1, s.stride, s.remedy) },
      { name: "line", length: STEP, values: totals(STEP, s.stride, s.remedy) },
    ],
  };
}

/** The sentence: what the wave has become, and how many moves are kept. @param {Seen} r */
export function take(r) {
  const values = { f: r.f, g: r.ghost, s: r.stride, m: r.alone, n: r.moves.kept.length, a: { size: r.size } };
  const became = r.gone ? "gone" : r.ghost === r.f ? "stays" : "ghost";
  if (r.remedy === "none") {
    return { key: { gone: "pixels.take.gone", stays: r.f === r.fold ? "pixels.take.edge" : "pixels.take.stays", ghost: "pixels.take.ghost" }[became], values };
  }
  return {
    key: { gone: "pixels.mended.gone", stays: "pixels.mended.stays", ghost: "pixels.mended.ghost" }[became],
    values: { ...values, k: r.moves.count, remedy: { key: `pixels.remedy.${r.remedy}` } },
  };
}

/** @param {State} next @returns {State} */
export const settle = (next) => ({
  ...next,
  f: Math.max(1, Math.min(FASTEST, next.f)),
  dx: place(next.dx + FASTEST, SAMPLES) - FASTEST,
});

export const pixels = {
  id: "pixels",
  rows: ["S24"],
  claims: [2],
  minutes: 3,
  material: [],
  prepare: () => ({}),
  start: Object.freeze({ f: 14, dx: 0, stride: 1, remedy: "none" }),
  within: {
    f: { from: 1, to: FASTEST },
    dx: { from: -FASTEST, to: FASTEST - 1 },
    stride: { of: STRIDES },
    remedy: { of: REMEDIES },
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ f: s.f - dy, dx: s.dx + dx }),
  home: { f: 14, dx: 0 },
  guessing: { from: 0, to: FASTEST, step: 1, value: (/** @type {number} */ v) => v },
  question: (/** @type {State} */ s) => ({ key: "pixels.predict.question", values: { f: s.f, s: ASKED } }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({ remedy: "none", stride: share < 0.5 ? 1 : ASKED }),
  outcome: (/** @type {Seen} */ r) => String(r.gone ? 0 : r.ghost),
  seen,
  take,
  see: ["pool", "ways", "border"],
  own: ["shiftproof check MODEL", "shiftproof repair MODEL --goal circular"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas) => {
    const small = sampled(PICTURE.data, PICTURE.h, PICTURE.w, ASKED, "none");
    paint(canvas, small.data, small.w, small.h, (v) => inks.grey()(v / MOST));
  },
};
/** The brightest pixel. */
export const MOST = Math.max(...PICTURE.data);
