// Exhibit: a picture is brought to one pose before a network sees it. Does the answer then stay the same, and for which moves?
import { convolution, dense, relu } from "#learn/engine/forward.js";
import { readers } from "#learn/engine/readers.js";
import { argmax, bytes, maps, moved } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/seam/View.js";
import { centred, centreOf, rolledBack, seamOf } from "#learn/exhibits/seam/pose.js";
import { whole } from "#learn/exhibits/ways/whole.js";
import { inks, paint } from "#learn/parts/Picture.js";

export const SIDE = 32;
const [HALF, FILTERS, LETTERS] = [SIDE / 2, 4, "ABCD"];
const REACH = 5; // of the digit: every move up to so many pixels
const PLAYED = 5;
const SEED = 7;

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
/** @typedef {"circle" | "object" | "camera"} World */
/** @typedef {{world: World, fool: "no" | "lines", digit: number, dy: number, dx: number}} State */
/** @typedef {{plain: string, posed: string, left: number}} Run */
/** @typedef {ReturnType<typeof seen>} Seen */
/** @typedef {ReturnType<typeof prepare>} Material */

/**
 * A small network with a weight for every place, whole numbers drawn once: its letters mean nothing, but they change. Each kernel
 * sums to zero, so that it sees edges and not how bright the picture is.
 */
function letters() {
  const drawn = whole(FILTERS * 9, SEED);
  const weight = drawn.map((v, i) => (i % 9 === 8 ? -drawn.subarray(i - 8, i).reduce((a, b) => a + b) : v));
  const layer = convolution({ weight, channelsIn: 1, channelsOut: FILTERS, kernel: 3, padding: 1, border: "replicate" });
  const head = { weight: whole(LETTERS.length * FILTERS * SIDE ** 2, SEED + 1) };
  return (/** @type {Maps} */ picture) => LETTERS[argmax(dense(head, relu(layer(picture)).data))];
}

/** @param {{digits: any, drag: any, photograph: any}} held */
export function prepare({ digits, drag, photograph }) {
  const pixels = bytes(digits.pixels);
  const ten = digits.index.map((/** @type {number} */ _, /** @type {number} */ k) => ({
    ...maps(1, digits.side, digits.side),
    data: Float64Array.from(pixels.subarray(k * digits.side ** 2, (k + 1) * digits.side ** 2), (v) => v / 255),
  }));
  const large = { ...maps(1, photograph.side, photograph.side), data: Float64Array.from(bytes(photograph.pixels)) };
  const read = readers(drag);
  const digit = (/** @type {Maps} */ picture) => String(read(picture).readouts[0].answer);
  /** @type {Map<string, {home: {plain: string, posed: string}, all: Run[]}>} */
  const kept = new Map();
  return { ten, large, letter: letters(), digit, seam: seamOf, centre: centreOf, kept };
}

/** The window of the photograph whose upper left corner lies at (y, x). @param {Maps} large @param {number} y @param {number} x */
function windowAt(large, y, x) {
  const out = maps(1, SIDE, SIDE);
  for (let i = 0; i < SIDE; i++) out.data.set(large.data.subarray((y + i) * large.w + x, (y + i) * large.w + x + SIDE), i * SIDE);
  return out;
}

/** Two white lines with hard edges, painted on the photograph: more of a jump than its border. @param {Maps} picture @returns {Maps} */
function fooled(picture) {
  const at = SIDE / 4 + 3;
  const data = picture.data.map((v, i) => (Math.floor(i / SIDE) === at || i % SIDE === at ? 255 : v));
  return { ...picture, data };
}

const total = (/** @type {Maps} */ m) => m.data.reduce((a, b) => a + b, 0);

/** The moves of a world. @param {World} world @returns {[number, number][]} */
export function movesOf(world) {
  const [low, high] = world === "object" ? [-REACH, REACH] : [-HALF, HALF - 1];
  const each = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  return each.flatMap((dy) => each.map((dx) => /** @type {[number, number]} */ ([dy, dx])));
}

/** The picture of a state after a move. @param {State} s @param {Material} held @param {number} dy @param {number} dx @returns {Maps} */
function pictureAt(s, held, dy, dx) {
  if (s.world === "object") return moved(held.ten[s.digit], dy, dx, "zero");
  if (s.world === "camera") return windowAt(held.large, HALF + dy, HALF + dx);
  const still = windowAt(held.large, HALF, HALF);
  return moved(s.fool === "lines" ? fooled(still) : still, dy, dx);
}

/** The pose of a picture. @param {State} s @param {Material} held @param {Maps} picture */
function posed(s, held, picture) {
  const object = s.world === "object";
  const seam = object ? null : held.seam(picture);
  const at = object ? held.centre(picture) : seam.at;
  return { seam, at, posed: object ? centred(picture, at) : rolledBack(picture, at) };
}

const equal = (/** @type {Float64Array} */ a, /** @type {Float64Array} */ b) => a.every((v, i) => v === b[i]);

/** Both answers at every move, and without one, run once for each picture. @param {State} s @param {Material} held */
function runs(s, held) {
  const name = `${s.world} ${s.fool} ${s.digit}`;
  if (!held.kept.has(name)) {
    const answer = s.world === "object" ? held.digit : held.letter;
    const still = pictureAt(s, held, 0, 0);
    const first = posed(s, held, still).posed;
    const home = { plain: answer(still), posed: answer(first) };
    const bright = total(still);
    const all = movesOf(s.world).map(([dy, dx]) => {
      const picture = pictureAt(s, held, dy, dx);
      const there = posed(s, held, picture).posed;
      const left = s.world === "object" ? 1 - total(picture) / bright : 0;
      return { plain: answer(picture), posed: equal(there.data, first.data) ? home.posed : answer(there), left };
    });
    held.kept.set(name, { home, all });
  }
  return held.kept.get(name);
}

/**
 * Everything that is shown: the picture and its pose here, and how many moves keep each answer.
 * @param {State} s @param {Material} held
 */
export function seen(s, held) {
  const picture = pictureAt(s, held, s.dy, s.dx);
  const here = posed(s, held, picture);
  const { home, all } = runs(s, held);
  const moves = movesOf(s.world);
  const same = { plain: all.map((r) => r.plain === home.plain), posed: all.map((r) => r.posed === home.posed) };
  const inside = all.map((r) => r.left <= 1e-12); // sums of brightness in another order
  const count = (/** @type {boolean[]} */ flags, /** @type {(i: number) => boolean} */ of = () => true) => flags.filter((f, i) => f && of(i)).length;
  const now = moves.findIndex(([dy, dx]) => dy === s.dy && dx === s.dx);
  return {
    ...here,
    world: s.world,
    picture,
    first: home,
    says: { plain: all[now].plain, posed: all[now].posed },
    all: all.length,
    side: Math.sqrt(all.length),
    kept: { plain: count(same.plain), posed: count(same.posed) },
    painted: { plain: Int8Array.from(same.plain, Number), posed: Int8Array.from(same.posed, Number) },
    left: all[now].left,
    inside: count(inside),
    outside: all.length - count(inside),
    within: { plain: count(same.plain, (i) => inside[i]), posed: count(same.posed, (i) => inside[i]) },
    beyond: { plain: count(same.plain, (i) => !inside[i]), posed: count(same.posed, (i) => !inside[i]) },
    border: s.world === "circle" && here.at[0] === (s.dy + SIDE) % SIDE && here.at[1] === (s.dx + SIDE) % SIDE,
  };
}

/** The sentence, chosen by the world and by whether the pose keeps every answer. @param {Seen} r */
export function take(r) {
  const values = { y: r.at[0], x: r.at[1], n: r.kept.posed, m: r.kept.plain, all: r.all };
  if (r.world === "camera") {
    const changed = { k: r.all - r.kept.posed, j: r.all - r.kept.plain, all: r.all };
    return { key: r.kept.posed < r.all ? "seam.take.camera" : "seam.take.steady", values: changed };
  }
  if (r.world === "object") {
    const of = r.left > 1e-12 ? { ...r.beyond, all: r.outside } : { ...r.within, all: r.inside };
    const over = { y: r.at[0], x: r.at[1], n: of.posed, m: of.plain, all: of.all };
    if (r.left > 1e-12) return { key: "seam.take.left", values: { ...over, p: { share: r.left } } };
    return { key: of.posed === of.all ? "seam.take.inside" : "seam.take.broken", values: over };
  }
  if (r.kept.posed < r.all) return { key: "seam.take.broken", values };
  return { key: r.border ? "seam.take.border" : "seam.take.elsewhere", values };
}

/** The picture stays where the world lets it go. @param {State} next @returns {State} */
export function settle(next) {
  const [low, high] = next.world === "object" ? [-REACH, REACH] : [-HALF, HALF - 1];
  const within = (/** @type {number} */ v) =>
    next.world === "circle" ? ((((v + HALF) % SIDE) + SIDE) % SIDE) - HALF : Math.max(low, Math.min(high, v));
  return { ...next, dy: within(next.dy), dx: within(next.dx) };
}

export const seam = {
  id: "seam",
  rows: [], // a repair, none of the systems of the notes
  claims: [2],
  minutes: 3,
  material: ["digits", "drag", "photograph"],
  prepare,
  start: Object.freeze({ world: "circle", fool: "no", digit: 7, dy: 0, dx: 0 }),
  within: {
    world: { of: ["circle", "object", "camera"] },
    fool: { of: ["no", "lines"] },
    digit: { from: 0, to: 9 },
    dy: { from: -HALF, to: HALF - 1 },
    dx: { from: -HALF, to: HALF - 1 },
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ dy: s.dy + dy, dx: s.dx + dx }),
  home: { dy: 0, dx: 0 },
  guessing: { options: ["all", "most", "few"] },
  question: (/** @type {State} */ s, /** @type {Seen} */ r) => ({ key: `seam.predict.in.${s.world}`, values: { n: r.all } }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({ dy: Math.round(PLAYED * share), dx: Math.round(2 * PLAYED * share) }),
  outcome: (/** @type {Seen} */ r) => (r.kept.posed === r.all ? "all" : 2 * r.kept.posed >= r.all ? "most" : "few"),
  seen,
  take,
  see: ["drag", "ways"],
  own: ["shiftproof repair MODEL --goal circular", "torch.nn.Sequential(sp.layers.CanonicalPose(\"seam\"), model)"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas, /** @type {Material} */ held) => {
    const still = moved(windowAt(held.large, HALF, HALF), PLAYED, 2 * PLAYED);
    paint(canvas, still.data.map((v) => v / 255), SIDE, SIDE, inks.grey());
  },
};
