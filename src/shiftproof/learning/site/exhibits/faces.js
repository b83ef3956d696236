// Exhibit: a face whose eyes, nose and mouth can be put elsewhere. Which networks still call it a face?
import { argmax, bytes, largestDifference, moved } from "#learn/engine/tensor.js";
import { networks, NETS, put } from "#learn/exhibits/faces/networks.js";
import { View } from "#learn/exhibits/faces/View.js";
import { inks, paint } from "#learn/parts/Picture.js";

export const SIDE = 25;
export const SIZE = [5, 9]; // rows and columns of a part that is lifted
/** Where the parts are, row and column of their top left; and the names of their moves in the state. */
export const PARTS = {
  left: { at: [6, 2], keys: ["ly", "lx"] },
  right: { at: [6, 11], keys: ["ry", "rx"] },
  nose: { at: [11, 7], keys: ["dy", "dx"] },
  mouth: { at: [16, 7], keys: ["my", "mx"] },
};
export const NAMES = Object.keys(PARTS);
const TAKEN = { left: "right", right: "nose", nose: "mouth", mouth: "left" }; // a scrambled face: each part at another's place
const ROWS = { bag: "bag of parts", places: "parts at their places", deep: "cpcp", capsules: "capsules" };

/** @typedef {{which: string, fy: number, fx: number} & Record<string, number>} State */
/** @typedef {ReturnType<typeof seen>} Seen */
/** @typedef {ReturnType<typeof prepare>} Held */

/** @param {any} held */
export function prepare({ faces, face, records }) {
  const picture = { data: Float64Array.from(bytes(face.pixels), (v) => v / 255), c: 1, h: face.side, w: face.side };
  const read = networks(faces);
  return { picture, read, home: read(picture), recorded: records["scrambled-face"].face, moved: records.capsules.right };
}

/** The moves that put each part at another's place. */
export const scrambled = Object.fromEntries(NAMES.flatMap((n) => PARTS[n].keys.map((key, i) => [key, PARTS[TAKEN[n]].at[i] - PARTS[n].at[i]])));
export const whole = Object.fromEntries(["fy", "fx", ...NAMES.flatMap((n) => PARTS[n].keys)].map((key) => [key, 0]));

/**
 * Everything that is shown.
 * @param {State} s @param {Held} m
 */
export function seen(s, m) {
  const boxes = NAMES.map((n) => ({ from: PARTS[n].at, to: PARTS[n].at.map((v, i) => v + s[PARTS[n].keys[i]]) }));
  const still = put(m.picture, boxes, SIZE);
  const picture = moved(still, s.fy, s.fx);
  const now = m.read(picture);
  const back = (/** @type {import("#learn/engine/tensor.js").Maps} */ x) => moved(x, -s.fy, -s.fx).data;
  const first = s.fy || s.fx ? m.read(still) : now;
  const score = (/** @type {any} */ of) => of.scores.bag[1] - of.scores.bag[0];
  return {
    picture,
    boxes: boxes.map((b) => b.to),
    parts: now.parts,
    face: now.face,
    nets: NETS.map((name) => ({ name, score: now.scores[name][1] - now.scores[name][0], before: m.home.scores[name][1] - m.home.scores[name][0], says: argmax(now.scores[name]) === 1, recorded: m.recorded[ROWS[name]] })),
    exchanged: ["capsules", "deep"].map((name) => m.recorded[ROWS[name]]["parts exchanged"][0]),
    bag: score(now),
    home: score(m.home),
    mapsMoved: Math.max(largestDifference(back(now.parts), first.parts.data), largestDifference(back(now.face), first.face.data)),
    untouched: NAMES.every((n) => PARTS[n].keys.every((key) => s[key] === 0)),
    who: NETS.filter((name) => argmax(now.scores[name]) === 1),
    distances: ["capsules", "C"].map((name) => ({ name, row: m.moved[name] })),
  };
}

/** The sentence: whether the bag's score is what it was, and who says face. @param {Seen} r */
export function take(r) {
  const who = r.who.length ? { keys: r.who.map((n) => `faces.predict.${n}`), by: ", " } : { key: "faces.nobody" };
  return { key: `faces.take.${r.bag === r.home ? "same" : "other"}.${r.untouched ? "whole" : "apart"}`, values: { a: { size: r.bag }, b: { size: r.home }, who } };
}

/** @param {State} next @returns {State} */
export const settle = (next) => ({ ...next, ...Object.fromEntries(Object.keys(whole).map((key) => [key, Math.max(-SIDE, Math.min(SIDE, next[key]))])) });

export const keysOf = (/** @type {string} */ which) => PARTS[which]?.keys ?? ["fy", "fx"];
export const faces = {
  id: "faces",
  rows: ["S8", "S19", "S20"],
  claims: [],
  minutes: 3,
  material: ["faces", "face", "records"],
  prepare,
  start: Object.freeze({ which: "nose", ...whole }),
  within: { which: { of: [...NAMES, "face"] }, ...Object.fromEntries(Object.keys(whole).map((key) => [key, { from: -SIDE, to: SIDE }])) },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => {
    const [y, x] = keysOf(s.which);
    return { [y]: s[y] + dy, [x]: s[x] + dx };
  },
  home: whole,
  guessing: { ticks: NETS, like: /^(none|(bag|places|deep|capsules)(,(bag|places|deep|capsules)){0,3})$/, value: (/** @type {string} */ v) => (v === "none" ? { key: "faces.nobody" } : { keys: v.split(",").map((n) => `faces.predict.${n}`), by: ", " }) },
  question: () => ({ key: "faces.predict.question", values: {} }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => Object.fromEntries(Object.entries({ ...whole, ...scrambled }).map(([key, v]) => [key, Math.round(v * share) + 0])),
  outcome: (/** @type {Seen} */ r) => r.who.join(",") || "none",
  seen,
  take,
  see: ["drag", "forgets"],
  own: ["shiftproof check builtin:bag-of-parts", "shiftproof reproduce scrambled-face capsules"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas, /** @type {Held} */ m) => paint(canvas, seen(settle(/** @type {any} */ ({ ...whole, ...scrambled })), m).picture.data, SIDE, SIDE, inks.grey()),
};
