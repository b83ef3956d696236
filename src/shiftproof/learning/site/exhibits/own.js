// Exhibit: the learner's own network. It runs in Python, behind the server; an exported page holds what it answered.
import { bytes } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/own/View.js";
import { indexOf, moveOf, movesIn, withMoves } from "#learn/parts/moves.js";
import { inks, paint } from "#learn/parts/Picture.js";

const N = 18; // moves of -9 to 8 px along each axis: more than any network is moved by
const FAR = 8;
const MOST = 12; // pictures
const PLAYED = 3; // pixels to the right, as Python answers them at once (`learning/own.py`)
const ROUNDING = 1e-6; // of a share in single precision
const EDGES = ["", "crop", "circular", "zero"]; // "": the first of the network's

/** @typedef {{picture: number, edge: string, mended: number, dy: number, dx: number, tried: string}} State */
/** @typedef {[number, number]} Answer the class, and the share of certainty that it gets */
/** @typedef {{kept: Record<string, number>, share: number, pictures: number, moves: number, page?: string}} Audit */
/** @typedef {ReturnType<typeof prepare>} Material */
/** @typedef {ReturnType<typeof seen>} Seen */

/** @param {{own: any}} held */
export function prepare({ own }) {
  if (own.error) return { ...own, jobs: {} };
  const scenes = own.pictures.map((/** @type {any} */ p) => bytes(p.pixels));
  return { ...own, scenes, said: new Map(Object.entries(own.said)), refused: new Set(), jobs: own.jobs ?? {} };
}

/**
 * What the network sees: the picture moved, (h, w, c) from 0 to 1. The camera's scene has a margin on every side.
 * @param {Material} m @param {number} picture @param {string} edge @param {number} dy @param {number} dx
 */
function movedPicture({ scenes, size: [c, h, w], far }, picture, edge, dy, dx) {
  const wide = w + 2 * far;
  const values = new Float64Array(h * w * c);
  const round = (/** @type {number} */ v, /** @type {number} */ n) => (edge === "circular" ? (v + n) % n : v);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const [sy, sx] = [round(y - dy, h), round(x - dx, w)];
      if (edge === "zero" && (sy < 0 || sy >= h || sx < 0 || sx >= w)) continue;
      for (let k = 0; k < c; k++) values[(y * w + x) * c + k] = scenes[picture][((sy + far) * wide + sx + far) * c + k] / 255;
    }
  }
  return values;
}

/**
 * Everything that is shown, from where the picture stands and what is known so far.
 * @param {State} state @param {any} m
 */
export function seen(state, m) {
  if (m.error) return { error: m.error };
  const { far } = m;
  const inside = (/** @type {number} */ v) => Math.max(-far, Math.min(far, v));
  const [dy, dx] = [inside(state.dy), inside(state.dx)];
  const edge = m.edges.includes(state.edge) ? state.edge : m.edges[0];
  const picture = Math.min(state.picture, m.pictures.length - 1);
  const repair = m.jobs[`repair ${edge}`];
  const mended = state.mended && repair?.method ? 1 : 0;
  const name = (/** @type {number} */ y, /** @type {number} */ x, /** @type {number} */ which) => `${edge} ${which} ${picture} ${y} ${x}`;
  /** @param {number} y @param {number} x @returns {Answer | null} */
  const at = (y, x, which = mended) => m.said.get(name(y, x, which)) ?? null;
  const home = at(0, 0);
  const side = 2 * far + 1;
  const painted = new Int8Array(side ** 2).fill(-1);
  let [kept, known] = [0, 0];
  for (const index of movesIn(state.tried, N)) {
    const [y, x] = moveOf(index, N);
    const said = Math.abs(y) <= far && Math.abs(x) <= far ? at(y, x) : null;
    if (!said || !home) continue;
    const same = said[0] === home[0];
    painted[(y + far) * side + x + far] = same ? 1 : 0;
    if (!y && !x) continue; // where it is, it has not moved
    kept += same ? 1 : 0;
    known++;
  }
  const audits = [0, 1].map((which) => m.audits[`${edge} ${which}`] ?? (m.jobs[`audit ${edge} ${which}`]?.kept ? m.jobs[`audit ${edge} ${which}`] : null));
  return {
    dy,
    dx,
    edge,
    picture,
    mended,
    far,
    side,
    values: movedPicture(m, picture, edge, dy, dx),
    now: at(dy, dx),
    before: at(dy, dx, 0),
    home,
    wanted: [[0, 0], [dy, dx]].filter(([y, x]) => !at(y, x)),
    painted,
    kept,
    known,
    audits,
    changed: audits[mended] && Float64Array.from({ length: side ** 2 }, (_, i) => 1 - audits[mended].kept[`${Math.floor(i / side) - far} ${(i % side) - far}`]),
    auditing: m.jobs[`audit ${edge} ${mended}`],
    repair,
  };
}

/** The sentence, chosen by what was measured. @param {any} r */
export function take(r) {
  if (r.error) return { key: "own.failed", values: {} };
  const [before, after] = r.audits;
  if (before && after) {
    const values = { a: { share: before.share }, b: { share: after.share }, n: before.pictures };
    const way = after.share > before.share ? "better" : after.share < before.share ? "worse" : "equal";
    return { key: `own.take.${way}`, values };
  }
  const found = r.audits[r.mended];
  if (found) return { key: found.share === 1 ? "own.take.steady" : "own.take.audited", values: { a: { share: found.share }, n: found.pictures, moves: found.moves } };
  if (!r.known) return { key: "own.take.empty", values: {} };
  return { key: r.kept === r.known ? "own.take.all" : "own.take.some", values: { n: r.known, k: r.kept } };
}

/** What was tried holds for one picture, one edge and one network. @param {State} next @param {State} before @returns {State} */
export function settle(next, before) {
  const inside = (/** @type {number} */ v) => Math.max(-FAR, Math.min(FAR, v));
  const [dy, dx] = [inside(next.dy), inside(next.dx)];
  const another = next.picture !== before.picture || next.edge !== before.edge || next.mended !== before.mended;
  return { ...next, dy, dx, tried: withMoves(another ? HERE : next.tried, [indexOf(dy, dx, N)], N) };
}

const HERE = withMoves("", [indexOf(0, 0, N)], N);

export const own = {
  id: "own",
  rows: [],
  claims: [2],
  minutes: 5,
  material: ["own"],
  live: true, // its material comes from Python and takes its time: the first page does without
  prepare,
  start: { picture: 0, edge: "", mended: 0, dy: 0, dx: 0, tried: HERE },
  within: {
    picture: { from: 0, to: MOST - 1 },
    edge: { of: EDGES },
    mended: { of: [0, 1] },
    dy: { from: -FAR, to: FAR },
    dx: { from: -FAR, to: FAR },
    tried: { like: /^[\w-]{1,60}$/ },
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ dy: s.dy + dy, dx: s.dx + dx }),
  home: { dy: 0, dx: 0 },
  guessing: { options: ["surer", "less", "other"] },
  question: (/** @type {State} */ s, /** @type {any} */ r) => ({ key: "own.predict.question", values: { n: PLAYED } }),
  play: (/** @type {State} */ s, /** @type {number} */ share) => ({ dy: 0, dx: Math.round(PLAYED * share), mended: 0 }),
  outcome: (/** @type {any} */ r) => (r.error || !r.now || !r.home ? null : r.now[0] !== r.home[0] ? "other" : r.now[1] > r.home[1] - ROUNDING ? "surer" : "less"),
  seen,
  take,
  see: ["pixels", "border", "seam"],
  own: ["shiftproof learn --model timm:resnet18 --pretrained photos/"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas) => paint(canvas, Float64Array.from({ length: 81 }, (_, i) => (i === 40 ? 1 : -1)), 9, 9, inks.answers()),
};
