// "The scrambled face": four networks against torch, capsules against torch, laws of a bag of parts, and the sentence.
import assert from "node:assert/strict";
import { test } from "node:test";

import { grouped, route, squash } from "#learn/engine/capsule.js";
import { argmax, largestDifference, moved } from "#learn/engine/tensor.js";
import { faces, NAMES, PARTS, prepare, scrambled, seen, settle, SIDE, SIZE, take, whole } from "#learn/exhibits/faces.js";
import { networks, NETS, put } from "#learn/exhibits/faces/networks.js";

import { golden, weights } from "./read.js";

const cases = golden("faces");
const held = weights("faces");
const read = networks(held);
const picture = (values) => ({ data: Float64Array.from(values), c: 1, h: SIDE, w: SIDE });
/** Something like a face: the templates of the parts at their places, over grey. */
const made = (() => {
  const x = picture(Array(SIDE * SIDE).fill(0.6));
  for (const { at } of Object.values(PARTS)) for (let y = 1; y < 4; y++) for (let u = 1; u < 8; u++) x.data[(at[0] + y) * SIDE + at[1] + u] = 0.2 + 0.03 * ((y * 5 + u * 3) % 7);
  return x;
})();
const face = { side: SIDE, pixels: btoa(Array.from(made.data, (v) => String.fromCharCode(Math.round(255 * v))).join("")) };
const material = prepare({ faces: held, face, records: weights("records") });
const state = (change) => settle({ ...faces.start, ...change });
const at = (change) => seen(state(change), material);

test("all four networks read random pictures as torch does, to 1e-9", () => {
  cases.x.forEach((x, i) => {
    const { scores } = read(picture(x));
    for (const name of NETS) assert.ok(largestDifference(scores[name], cases[name][i]) <= 1e-9, `${name} ${largestDifference(scores[name], cases[name][i])}`);
  });
});

test("squash and routing equal torch's, and each capsule below shares out one vote", () => {
  const u = Array.from({ length: 10 }, (_, i) => Float64Array.from(cases.squash.s.slice(3 * i, 3 * i + 3)));
  assert.ok(largestDifference(u.flatMap((s) => [...squash(s)]), cases.squash.out) <= 1e-12);
  const p = { weight: Float64Array.from(cases.route.w), shape: [5, 3, 4, 6] };
  const found = [u.slice(0, 5), u.slice(5)].map((below) => route(below, p, 3));
  assert.ok(largestDifference(found.flatMap((f) => f.above.flatMap((v) => [...v])), cases.route.v) <= 1e-9);
  assert.ok(largestDifference(found.flatMap((f) => f.coupling.flatMap((c) => [...c])), cases.route.coupling) <= 1e-9);
  for (const c of found[0].coupling) assert.ok(Math.abs(c.reduce((a, b) => a + b) - 1) < 1e-12);
  const once = route(u.slice(0, 5), p, 1); // routed once is another answer
  assert.ok(largestDifference(once.above.flatMap((v) => [...v]), cases.route.v.slice(0, 24)) > 1e-6);
  assert.deepEqual([...squash(new Float64Array(3))], [0, 0, 0]);
  assert.equal(grouped({ data: new Float64Array(32).fill(1), c: 8, h: 2, w: 2 }, 4).length, 8);
});

test("moved around the circle every part map and the face map move along exactly, and the scores of both part networks stay", () => {
  const home = read(made);
  for (const [dy, dx] of [[3, -4], [12, 7], [-1, 24]]) {
    const now = read(moved(made, dy, dx));
    assert.deepEqual(moved(now.parts, -dy, -dx).data, home.parts.data);
    assert.deepEqual(moved(now.face, -dy, -dx).data, home.face.data);
    for (const name of ["bag", "places"]) assert.deepEqual(now.scores[name], home.scores[name]);
    assert.equal(at({ fy: dy, fx: dx }).mapsMoved, 0);
  }
});

test("scrambled: every part lies at another's place, none at its own, and all places are taken", () => {
  const places = (n) => PARTS[n].keys.map((key, i) => PARTS[n].at[i] + scrambled[key]).join();
  const own = NAMES.map((n) => PARTS[n].at.join());
  assert.deepEqual(NAMES.map(places).toSorted(), own.toSorted());
  NAMES.forEach((n, i) => assert.notEqual(places(n), own[i]));
});

test("a part that is put down has its pixels, and what is off the board is gone", () => {
  const [y, x] = PARTS.nose.at;
  const down = put(made, [{ from: [y, x], to: [y + 3, x + 2] }], SIZE);
  for (let i = 0; i < SIZE[0]; i++) for (let j = 0; j < SIZE[1]; j++) assert.equal(down.data[(y + 3 + i) * SIDE + x + 2 + j], made.data[(y + i) * SIDE + x + j]);
  assert.deepEqual(put(made, [{ from: [y, x], to: [y, x] }], SIZE).data, made.data);
  assert.ok(put(made, [{ from: [y, x], to: [40, 40] }], SIZE).data.every(Number.isFinite));
});

const who = [];
const CHOSEN = {
  "faces.take.same.whole": { fy: 5, fx: -3 },
  "faces.take.same.apart": scrambled, // of this face the parts are alike, so each filter finds the same as before
  "faces.take.other.apart": Object.fromEntries(NAMES.map((n) => [PARTS[n].keys[0], 25])),
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(at(change)).key, key));
}
test("the sentence that a right network never says, and who is named", () => {
  const r = at({});
  assert.equal(take({ ...r, bag: r.home + 1e-12 }).key, "faces.take.other.whole");
  assert.deepEqual(take({ ...r, who }).values.who, { key: "faces.nobody" });
  assert.deepEqual(take({ ...r, who: ["bag", "deep"] }).values.who.keys, ["faces.predict.bag", "faces.predict.deep"]);
});

test("the outcome is who says face of the scrambled face, as the scores say", () => {
  const r = seen(state({ fx: 3, ...faces.play(state({ fx: 3 }), 1) }), material);
  const boxes = NAMES.map((n) => ({ from: PARTS[n].at, to: PARTS[n].at.map((v, i) => v + scrambled[PARTS[n].keys[i]]) }));
  const { scores } = read(put(material.picture, boxes, SIZE));
  assert.equal(faces.outcome(r), NETS.filter((n) => argmax(scores[n]) === 1).join(",") || "none");
  assert.match(faces.outcome(r), faces.guessing.like);
  assert.deepEqual(faces.play(state({}), 0), Object.fromEntries(Object.keys(whole).map((k) => [k, 0])));
  assert.equal(faces.outcome({ who: [] }), "none");
});

test("what is chosen moves with the arrow keys", () => {
  assert.deepEqual(faces.nudge(state({ which: "mouth", my: 2 }), 1, -1), { my: 3, mx: -1 });
  assert.deepEqual(faces.nudge(state({ which: "face" }), 1, 2), { fy: 1, fx: 2 });
});
