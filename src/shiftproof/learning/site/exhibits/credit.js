// Exhibit: four things that are said to make a network invariant. Sixteen networks tell them apart; two of them are alive.
import { chain } from "#learn/engine/chain.js";
import { argmax, bytes, largestDifference, moved } from "#learn/engine/tensor.js";
import { View } from "#learn/exhibits/credit/View.js";
import { indexOf, movesIn, withMoves } from "#learn/parts/moves.js";
import { inks, paint } from "#learn/parts/Picture.js";

export const SIDE = 28;
const FAR = SIDE / 2;
const PLAYED = 3; // pixels to the right
/** The stages, by their names in the record. */
export const STAGES = { sharing: "weight sharing", pooling: "pooling", averaging: "averaging readout", augmentation: "augmentation" };
export const NAMES = Object.keys(STAGES);
const ORDER = "sharing,pooling,averaging,augmentation";
const OF_FOUR = /^(?!.*(sharing|pooling|averaging|augmentation).*\1)(sharing|pooling|averaging|augmentation)(,(sharing|pooling|averaging|augmentation)){3}$/;

/** @typedef {{digit: number, dy: number, dx: number, tried: string, on: number, order: string, stage: string}} State */
/** @typedef {ReturnType<typeof seen>} Seen */
/** @typedef {ReturnType<typeof prepare>} Held */

/** @param {any} held */
export function prepare({ credit, digits, records }) {
  const all = bytes(digits.pixels);
  const ten = Array.from({ length: 10 }, (_, k) => ({ data: Float64Array.from(all.subarray(k * SIDE ** 2, (k + 1) * SIDE ** 2), (v) => v / 255), c: 1, h: SIDE, w: SIDE }));
  const nets = ["plain", "moved"].map((name) => ({ name, read: chain(credit[name].layers), accuracy: credit[name].accuracy }));
  const { networks, kept } = records.attribution;
  const sixteen = Array.from({ length: 16 }, (_, on) => {
    const row = networks[NAMES.filter((_, i) => on & (1 << i)).map((n) => STAGES[n]).join(", ") || "none"];
    return { on, kept: row["answers kept beyond chance"][0], right: row["correct, moved"][0] };
  });
  return { ten, nets, sixteen, recorded: kept, pooling: records.pooling.accuracy, augmentation: records.augmentation.accuracy, runs: new Map() };
}

/** What each stage adds, in this order. @param {Held["sixteen"]} sixteen @param {string[]} order @returns {Record<string, number>} */
export function added(sixteen, order) {
  let on = 0;
  return Object.fromEntries(order.map((name) => {
    const before = sixteen[on].kept;
    on |= 1 << NAMES.indexOf(name);
    return [name, sixteen[on].kept - before];
  }));
}

/** @param {string[]} rest @returns {string[][]} */
export const orders = (rest) => (rest.length ? rest.flatMap((n) => orders(rest.filter((o) => o !== n)).map((o) => [n, ...o])) : [[]]);

/** The mean over all orders (Shapley 1953). @param {Held["sixteen"]} sixteen */
export function shares(sixteen) {
  const all = orders(NAMES).map((order) => added(sixteen, order));
  return Object.fromEntries(NAMES.map((n) => [n, all.reduce((sum, a) => sum + a[n], 0) / all.length]));
}

/**
 * Everything that is shown.
 * @param {State} s @param {Held} m
 */
export function seen(s, m) {
  const run = (/** @type {number} */ dy, /** @type {number} */ dx) => {
    const key = `${s.digit} ${dy} ${dx}`;
    const picture = moved(m.ten[s.digit], dy, dx, "zero");
    return m.runs.get(key) ?? m.runs.set(key, m.nets.map((net) => net.read(picture))).get(key);
  };
  const tried = movesIn(s.tried, SIDE);
  const home = run(0, 0);
  const nets = m.nets.map((net, k) => {
    const map = new Int8Array(SIDE ** 2).fill(-1);
    let [same, change] = [0, 0];
    for (const i of tried) {
      const scores = run(Math.floor(i / SIDE) - FAR, (i % SIDE) - FAR)[k];
      map[i] = argmax(scores) === argmax(home[k]) ? 1 : 0;
      same += map[i];
      change = Math.max(change, largestDifference(scores, home[k]));
    }
    return { name: net.name, accuracy: net.accuracy, answer: argmax(run(s.dy, s.dx)[k]), map, same, change };
  });
  const mean = shares(m.sixteen);
  const order = s.order.split(",");
  return {
    picture: moved(m.ten[s.digit], s.dy, s.dx, "zero").data,
    nets,
    tried: tried.length,
    sixteen: m.sixteen,
    on: s.on,
    order,
    stage: s.stage,
    here: added(m.sixteen, order),
    mean,
    all: m.sixteen[15].kept - m.sixteen[0].kept,
    orders: orders(NAMES).length,
    interval: Object.fromEntries(NAMES.map((n) => [n, m.recorded[STAGES[n]].share.slice(1, 3)])),
    rank: NAMES.toSorted((a, b) => mean[b] - mean[a]),
    models: ["A", "B", "C"].map((name) => ({ name, rows: [m.pooling[name], m.augmentation[name]] })),
  };
}

/** A difference of two shares, in points. @param {number} v */
export const points = (v) => ({ size: 100 * v });

/** The sentence: what the chosen stage adds, and whether its interval leaves out nothing. @param {Seen} r */
export function take(r) {
  const [lo, hi] = r.interval[r.stage];
  const values = { stage: { key: `credit.predict.${r.stage}` }, x: points(r.here[r.stage]), y: points(r.mean[r.stage]), n: r.orders, lo: points(lo), hi: points(hi) };
  if (lo <= 0 && hi >= 0) return { key: "credit.take.nothing", values };
  return { key: lo > 0 ? "credit.take.adds" : "credit.take.costs", values };
}

/** The digit ends where the picture ends; what was tried holds for one digit. @param {State} next @param {State} before @returns {State} */
export function settle(next, before) {
  const inside = (/** @type {number} */ v) => Math.max(-FAR, Math.min(FAR - 1, v));
  const at = { dy: inside(next.dy), dx: inside(next.dx) };
  const start = next.digit === before.digit ? next.tried : withMoves("", [indexOf(0, 0, SIDE)], SIDE);
  return { ...next, ...at, tried: withMoves(start, [indexOf(at.dy, at.dx, SIDE)], SIDE) };
}

export const credit = {
  id: "credit",
  rows: ["S10", "S11", "S12", "S28"],
  claims: [2],
  minutes: 4,
  material: ["credit", "digits", "records"],
  prepare,
  start: { digit: 7, dy: 0, dx: 0, tried: withMoves("", [indexOf(0, 0, SIDE)], SIDE), on: 0, order: ORDER, stage: "augmentation" },
  within: {
    digit: { from: 0, to: 9 },
    dy: { from: -FAR, to: FAR - 1 },
    dx: { from: -FAR, to: FAR - 1 },
    tried: { like: /^[\w-]{1,140}$/ },
    on: { from: 0, to: 15 },
    order: { like: OF_FOUR },
    stage: { of: NAMES },
  },
  settle,
  nudge: (/** @type {State} */ s, /** @type {number} */ dy, /** @type {number} */ dx) => ({ dy: s.dy + dy, dx: s.dx + dx }),
  home: { dy: 0, dx: 0 },
  guessing: { items: NAMES, like: OF_FOUR, value: (/** @type {string} */ v) => ({ keys: v.split(",").map((n) => `credit.predict.${n}`) }) },
  question: () => ({ key: "credit.predict.question", values: {} }),
  play: (/** @type {State} */ _, /** @type {number} */ share) => ({ dx: Math.round(PLAYED * share) }),
  outcome: (/** @type {Seen} */ r) => r.rank.join(","),
  seen,
  take,
  see: ["drag", "pool", "one"],
  own: ["shiftproof audit MODEL PICTURES --max-px 3", "shiftproof reproduce attribution"],
  View,
  thumbnail: (/** @type {HTMLCanvasElement} */ canvas, /** @type {Held} */ m) => paint(canvas, moved(m.ten[4], 0, PLAYED, "zero").data, SIDE, SIDE, inks.grey()),
};
