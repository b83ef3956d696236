// "Your network": what Python answered, painted; the sentence is chosen by what was measured.
import assert from "node:assert/strict";
import { test } from "node:test";

import { own, prepare, seen, settle, take } from "#learn/exhibits/own.js";

const [H, W, FAR] = [4, 5, 2];
const SIDE = 2 * FAR + 1;

/** A scene of (h + 2 far) x (w + 2 far) grey cells, each of its own value. */
const scene = btoa(String.fromCharCode(...Array.from({ length: (H + 2 * FAR) * (W + 2 * FAR) }, (_, i) => i + 1)));

/** What Python gives: one picture, known answers by their names. */
const given = (change = {}) => ({
  own: {
    live: true, model: "net", data: "photos", random: false, notes: [], size: [1, H, W], far: FAR, edges: ["crop", "circular", "zero"],
    names: { 0: "cat", 1: "dog" }, pictures: [{ name: "a.png", pixels: scene }], check: { sentence: "", findings: [] }, audits: {},
    said: { "crop 0 0 0 0": [0, 0.9], "crop 0 0 0 3": [1, 0.5] }, ...change,
  },
});

const audit = (share) => ({ kept: { "0 0": 1 }, share, pictures: 6, moves: SIDE ** 2 - 1 });
const at = (change, before = own.start) => settle({ ...own.start, ...change }, before);
const walk = (...moves) => moves.reduce((s, [dy, dx]) => settle({ ...s, dy, dx }, s), own.start);

test("what the network sees is the scene or the window, moved, by a slow loop", () => {
  const m = prepare(given());
  const level = (y, x) => ((y + FAR) * (W + 2 * FAR) + x + FAR + 1) / 255;
  const round = (v, n) => ((v % n) + n) % n;
  for (const edge of ["crop", "circular", "zero"]) {
    for (const [dy, dx] of [[0, 0], [1, 0], [0, -2], [2, 1]]) {
      const { values } = seen(at({ edge, dy, dx }), m);
      for (let y = 0; y < H; y++) {
        for (let x = 0; x < W; x++) {
          const [sy, sx] = [y - dy, x - dx];
          const inside = sy >= 0 && sy < H && sx >= 0 && sx < W;
          const expected = edge === "crop" ? level(sy, sx) : edge === "circular" ? level(round(sy, H), round(sx, W)) : inside ? level(sy, sx) : 0;
          assert.equal(values[y * W + x], expected);
        }
      }
    }
  }
});

test("moves end where this network's end, and an unknown edge is the first", () => {
  const r = seen(at({ dy: 8, dx: -8 }), prepare(given()));
  assert.deepEqual([r.dy, r.dx, r.edge, r.side], [FAR, -FAR, "crop", SIDE]);
});

test("a move that was tried is painted when its answer is known", () => {
  const m = prepare(given());
  const s = walk([0, 1], [0, 2]);
  let r = seen(s, m);
  assert.deepEqual([r.known, r.kept, r.wanted], [0, 0, [[0, 2]]]); // where it is, it has not moved
  m.said.set("crop 0 0 0 2", [1, 0.7]);
  m.said.set("crop 0 0 0 1", [0, 0.6]);
  r = seen(s, m);
  assert.deepEqual([r.known, r.kept, r.wanted, r.now], [2, 1, [], [1, 0.7]]);
  assert.deepEqual([...r.painted].map((v, i) => [v, i]).filter(([v]) => v >= 0), [[1, 12], [1, 13], [0, 14]]);
});

test("another picture, edge or network begins anew", () => {
  const s = walk([0, 1], [1, 1]);
  for (const change of [{ picture: 1 }, { edge: "zero" }, { mended: 1 }]) {
    assert.equal(settle({ ...s, ...change, dy: 0, dx: 0 }, s).tried, own.start.tried);
  }
});

test("what is predicted is compared with what came out", () => {
  const m = prepare(given());
  assert.equal(own.outcome(seen(at({ dx: 1 }), m)), null);
  for (const [said, outcome] of [[[0, 0.9], "surer"], [[0, 0.95], "surer"], [[0, 0.9 - 1e-8], "surer"], [[0, 0.89], "less"], [[1, 0.99], "other"]]) {
    m.said.set("crop 0 0 0 1", said);
    assert.equal(own.outcome(seen(at({ dx: 1 }), m)), outcome);
  }
});

test("the sentence says what was tried by hand, then what the audit found, then what the repair changed", () => {
  const m = prepare(given());
  const key = (change, more = {}) => take(seen(at(change), { ...m, ...more })).key;
  const tried = walk([0, 1]);
  assert.equal(key({}), "own.take.empty");
  m.said.set("crop 0 0 0 1", [0, 0.9]);
  assert.equal(take(seen(tried, m)).key, "own.take.all");
  m.said.set("crop 0 0 0 1", [1, 0.9]);
  assert.deepEqual(take(seen(tried, m)), { key: "own.take.some", values: { n: 1, k: 0 } });
  for (const [consistency, found] of [[0.5, "audited"], [1, "steady"]]) {
    assert.equal(key({}, { jobs: { "audit crop 0": audit(consistency) } }), `own.take.${found}`);
  }
  for (const [before, after, found] of [[0.5, 0.6, "better"], [0.6, 0.5, "worse"], [0.5, 0.5, "equal"]]) {
    const jobs = { "audit crop 0": audit(before), "audit crop 1": audit(after), "repair crop": { method: "average" } };
    assert.equal(key({ mended: 1 }, { jobs }), `own.take.${found}`);
  }
});

test("a repaired network is only shown when there is one", () => {
  const m = prepare(given());
  assert.equal(seen(at({ mended: 1 }), m).mended, 0);
  assert.equal(seen(at({ mended: 1 }), { ...m, jobs: { "repair crop": { busy: true } } }).mended, 0);
  assert.equal(seen(at({ mended: 1 }), { ...m, jobs: { "repair crop": { method: "pose" } } }).mended, 1);
});

test("the audit's map is of the changed answers, at its moves", () => {
  const kept = Object.fromEntries(Array.from({ length: SIDE ** 2 }, (_, i) => [`${Math.floor(i / SIDE) - FAR} ${(i % SIDE) - FAR}`, i / 24]));
  const r = seen(own.start, prepare(given({ audits: { "crop 0": { ...audit(0.5), kept } } })));
  assert.deepEqual([...r.changed], Array.from({ length: SIDE ** 2 }, (_, i) => 1 - i / 24));
});

test("what failed is a sentence, and nothing is measured", () => {
  const m = prepare({ own: { error: "no such model" } });
  const r = seen(own.start, m);
  assert.equal(r.error, "no such model");
  assert.deepEqual(take(r), { key: "own.failed", values: {} });
  assert.equal(own.outcome(r), null);
});
