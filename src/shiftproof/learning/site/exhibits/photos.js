// Exhibit: a photograph, two windows that can be dragged, and how two pixels go together with distance. Stationarity and locality.
import { bytes } from "#learn/engine/tensor.js";
import { byDistance, DIRECTIONS, DISTANCES, fieldByGradient, fieldOf, NEAR, ofWindow, spoilt, VERSIONS } from "#learn/exhibits/photos/statistics.js";
import { View } from "#learn/exhibits/photos/View.js";
import { inks, paint } from "#learn/parts/Picture.js";
import { percent, sketching } from "#learn/parts/Sketch.js";

export const WINDOW = 64; // pixels of a window's side
export const STEP = 4; // windows move by so many pixels
const PLACES = { first: [32, 48], second: [160, 144] }; // where the windows are at the start
const SIDE = 256; // pixels of the photograph's side
export const ASKED = [1, 4, 16, 64]; // distances of the sketch
const LEVEL = 0.05; // of the three tests of a row together
const ROWS = { given: "photographs", vignetted: "vignetted", half: "left half's pixels shuffled", sorted: "patches in order of brightness", shuffled: "all pixels shuffled" };

/** @typedef {{version: string, which: "first" | "second", dy: number, dx: number, ey: number, ex: number, far: number, direction: string, layers: number, kernel: number}} State */
/** @typedef {ReturnType<typeof seen>} Seen */
/** @typedef {ReturnType<typeof prepare>} Held */

/** @param {any} held */
export function prepare({ scene, records }) {
  const x = Float64Array.from(bytes(scene.pixels), (v) => v / 255);
  return { x, n: scene.side, tests: records.stationarity.pictures, recorded: records.locality.correlation.horizontal, kept: new Map() };
}

/** What takes longer than a frame is measured once. @template T @param {Held} m @param {string} key @param {() => T} make @returns {T} */
const once = (m, key, make) => m.kept.get(key) ?? m.kept.set(key, make()).get(key);

/**
 * Everything that is shown.
 * @param {State} s @param {Held} m
 */
export function seen(s, m) {
  const x = once(m, s.version, () => spoilt(m.x, m.n, s.version));
  const curve = once(m, `${s.version} ${s.direction}`, () => byDistance(x, m.n, s.direction));
  const flat = once(m, `flat ${s.direction}`, () => byDistance(spoilt(m.x, m.n, "shuffled"), m.n, s.direction));
  const at = { first: [PLACES.first[0] + STEP * s.dy, PLACES.first[1] + STEP * s.dx], second: [PLACES.second[0] + STEP * s.ey, PLACES.second[1] + STEP * s.ex] };
  const windows = { first: ofWindow(x, m.n, at.first[0], at.first[1], WINDOW), second: ofWindow(x, m.n, at.second[0], at.second[1], WINDOW) };
  const of = (/** @type {[number, number][]} */ r) => r[DISTANCES.indexOf(s.far)][1];
  const p = Math.min(...Object.entries(m.tests[ROWS[s.version]]).filter(([column]) => column.endsWith(": p")).map(([, [v]]) => v));
  return {
    x, n: m.n, at, windows,
    apart: windows.first.bins.reduce((sum, v, i) => sum + Math.abs(v - windows.second.bins[i]), 0) / 2,
    version: s.version,
    curve: curve.r,
    flat: flat.r,
    far: s.far,
    r: of(curve.r),
    shuffled: of(flat.r),
    rest: Math.max(...flat.r.map(([, v]) => Math.abs(v))),
    direct: s.far <= NEAR ? curve.direct[s.far - 1] : null,
    sketch: ASKED.map((d) => curve.r[DISTANCES.indexOf(d)][1]),
    p,
    differs: p < LEVEL / 3,
    recorded: m.recorded[`${s.far} px`]?.[0] ?? null,
    field: fieldOf(s.kernel, s.layers),
    byGradient: once(m, `field ${s.kernel} ${s.layers}`, () => fieldByGradient(s.kernel, s.layers)),
  };
}

/** The sentence: whether pixels at this distance go together, and whether the record finds a difference by position. @param {Seen} r */
export function take(r) {
  const values = { d: r.far, r: { size: r.r }, s: { size: r.shuffled }, version: { key: `photos.version.${r.version}` }, p: { size: r.p } };
  return { key: `photos.take.${r.r > r.rest ? "together" : "apart"}.${r.differs ? "differ" : "same"}`, values };
}

/** @param {State} next @returns {State} */
export function settle(next) {
  const within = (/** @type {number} */ v, /** @type {number} */ base) => Math.max(-base / STEP, Math.min((SIDE - WINDOW - base) / STEP, v));
  const { first, second } = PLACES;
  return { ...next, dy: within(next.dy, first[0]), dx: within(next.dx, first[1]), ey: within(next.ey, second[0]), ex: within(next.ex, second[1]) };
}

const ALL = { from: -SIDE, to: SIDE };
export const photos = {
  id: "photos",
  rows: ["S13", "S14", "S6"],
  claims: [],
  minutes: 3,
  material: ["scene", "records"],
  prepare,
  start: Object.freeze({ version: "given", which: "first", dy: 0, dx: 0, ey: 0, ex: 0, far: 1, direction: "across", layers: 1, kernel: 3 }),
  within: {
    version: { of: VERSIONS },
    which: { of: ["first", "second"] },
    dy: ALL, dx: ALL, ey: ALL, ex: ALL,
    far: { of: DISTANCES },
    direction: { of: Object.keys(DIRECTIONS) },
    layers: { from: 1, to: 4 },
    kernel: { of: [3, 5] },
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => (s.which === "first" ? { dy: s.dy + dy, dx: s.dx + dx } : { ey: s.ey + dy, ex: s.ex + dx }),
  home: { dy: 0, dx: 0, ey: 0, ex: 0 },
  guessing: sketching(ASKED),
  question: () => ({ key: "photos.predict.question", values: {} }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({ version: "given", direction: "across", far: ASKED[Math.min(3, Math.floor(share * 4))] }),
  outcome: (/** @type {Seen} */ r) => percent(r.sketch),
  seen,
  take,
  see: ["one", "dense", "pixels"],
  own: ["shiftproof reproduce locality --data folder:photos/", "shiftproof reproduce stationarity --data folder:photos/"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas, /** @type {Held} */ m) => paint(canvas, m.x, m.n, m.n, inks.grey()),
};
