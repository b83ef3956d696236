// Exhibit: from x along f and then along g, or along g and then along f. Do both ways end at the same picture?
import { largestDifference, maps, moved } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/ways/View.js";
import { around, bothWays, doubled, everyMove, laws, pictures, relative, SIDE, turned } from "#learn/exhibits/ways/laws.js";
import { inks, paint } from "#learn/parts/Picture.js";

/** An F with a shadow below zero, so that no turn and no mirror leaves it as it is. */
const FIGURE = [
  "............",
  "..######....",
  "..######-...",
  "..##-----...",
  "..##-.......",
  "..####......",
  "..####-.....",
  "..##---.....",
  "..##-.......",
  "..##-.......",
  "...--.......",
  "............",
];
const LEVELS = { "#": 4, "-": -3, ".": 0 };
export const FUNCTIONS = ["stride", "pool", "circular", "zeros", "symmetric", "relu", "mask", "factor", "mean", "largest", "dense"];
export const CHANGES = ["move", "turn", "double"];
const NEARLY = 0.1; // of the size of f(x)

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
/** @typedef {{f: string, g: string, picture: "figure" | "numbers", dy: number, dx: number}} State */
/** @typedef {ReturnType<typeof seen>} Seen */
/** @typedef {ReturnType<typeof prepare>} Material */

/** The F, the same in both channels. @returns {Maps} */
function figure() {
  const values = FIGURE.flatMap((row) => [...row].map((c) => LEVELS[c]));
  return { ...maps(2, SIDE, SIDE), data: Float64Array.from([...values, ...values]) };
}

/** What every state works on; what all moves of a picture give is measured once for each f. */
export function prepare() {
  const held = laws();
  const shown = { figure: figure(), numbers: pictures()[0] };
  /** @type {Map<string, ReturnType<typeof everyMove>>} */
  const kept = new Map();
  const every = (/** @type {string} */ f, /** @type {State["picture"]} */ picture) => {
    const key = `${f} ${picture}`;
    if (!kept.has(key)) kept.set(key, everyMove(held[f], shown[picture]));
    return kept.get(key);
  };
  return { laws: held, shown, every };
}

/**
 * Everything that is shown: the four corners, the lower right one by both ways, and how far these are apart.
 * @param {State} s @param {Material} held
 */
export function seen(s, held) {
  const f = held.laws[s.f];
  const x = held.shown[s.picture];
  const fx = f.run(x);
  const change = s.g === "turn" ? turned : doubled;
  const gx = s.g === "move" ? moved(x, s.dy, s.dx) : change(x);
  const fits = !(f.fixed && s.g === "double");
  const readout = f.stride === 0;
  /** @returns {{first: Maps, second: Maps, error: number} | null} */
  function ways() {
    if (!fits) return null;
    if (s.g === "move") return bothWays(f, x, fx, s.dy, s.dx);
    const [first, second] = [f.run(gx), readout ? fx : change(fx)];
    return { first, second, error: relative(first, second, second) };
  }
  const both = ways();
  return {
    f: s.f,
    g: s.g,
    readout,
    x,
    fx,
    gx,
    fgx: both?.first ?? null,
    gfx: both?.second ?? null,
    error: both?.error ?? null,
    difference: both && { ...both.first, data: both.first.data.map((v, i) => v - both.second.data[i]) },
    largest: both && largestDifference(both.first.data, both.second.data),
    most: fx.data.reduce((a, v) => Math.max(a, Math.abs(v)), 0),
    moves: s.g === "move" ? held.every(s.f, s.picture) : null,
  };
}

/** The sentence, chosen by whether both ways meet: at every move, at some, at none but no move; or for a turn and a scale. @param {Seen} r */
export function take(r) {
  const values = { f: { key: `ways.f.${r.f}` }, g: { key: `ways.g.${r.g}` } };
  if (r.error === null) return { key: "ways.take.size", values };
  const at = { ...values, e: { size: r.error }, d: { size: r.largest } };
  if (r.moves === null) return { key: r.error === 0 ? "ways.take.same" : "ways.take.apart", values: at };
  const { held, all, most } = r.moves;
  const over = { f: values.f, m: held, n: all, e: { size: most } };
  if (held === all) return { key: r.readout ? "ways.take.still" : "ways.take.every", values: over };
  return { key: held > 1 ? "ways.take.some" : "ways.take.none", values: over };
}

export const ways = {
  id: "ways",
  rows: ["S1", "S23"],
  claims: [],
  minutes: 3,
  material: [],
  prepare,
  start: Object.freeze({ f: "stride", g: "move", picture: "figure", dy: 0, dx: 0 }),
  within: {
    f: { of: FUNCTIONS },
    g: { of: CHANGES },
    picture: { of: ["figure", "numbers"] },
    dy: { from: -SIDE / 2, to: SIDE / 2 - 1 },
    dx: { from: -SIDE / 2, to: SIDE / 2 - 1 },
  },
  settle: (/** @type {State} */ next) => ({ ...next, dy: around(next.dy), dx: around(next.dx) }),
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ g: "move", dy: s.dy + dy, dx: s.dx + dx }),
  home: { dy: 0, dx: 0 },
  guessing: { options: ["equal", "nearly", "other"] },
  question: (/** @type {State} */ s) => ({ key: `ways.predict.by.${s.g}`, values: { f: { key: `ways.f.${s.f}` } } }),
  play: (/** @type {State} */ s, /** @type {number} */ share) => (s.g === "move" ? { dy: 0, dx: Math.round(share) } : {}),
  outcome: (/** @type {Seen} */ r) => (r.error === 0 ? "equal" : r.error !== null && r.error < NEARLY ? "nearly" : "other"),
  seen,
  take,
  see: ["drag", "pool", "pixels"],
  own: [
    "sp.measure.equivariance_error_by_move(layer, pictures, [(0, 1)], \"circular\")",
    "sp.testing.assert_invariant(model, pictures, grid(3, boundary=\"circular\"))",
  ],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas, /** @type {Material} */ held) =>
    paint(canvas, held.shown.figure.data, SIDE, SIDE, inks.signed(LEVELS["#"])),
};
