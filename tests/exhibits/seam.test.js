// "Find the seam": the pose moves with the picture, exactly, and what that makes of the answers.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { maps, moved, place } from "#learn/engine/tensor.js";
import { movesOf, prepare, seam, seen, settle, take } from "#learn/exhibits/seam.js";
import { centred, centreOf, quantised, rolledBack, SCORE, scores, seamOf } from "#learn/exhibits/seam/pose.js";

import { weights } from "./read.js";

/** Hills of light with some noise, as an exported photograph is held. */
function photograph(side = 64) {
  let state = 5;
  const next = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const values = Array.from({ length: side ** 2 }, (_, i) => {
    const [y, x] = [Math.floor(i / side), i % side];
    return Math.round(128 + 60 * Math.sin(y / 7 + x / 19) + 40 * Math.cos(x / 11 - y / 23) + 6 * next());
  });
  return { side, pixels: btoa(String.fromCharCode(...values)) };
}

const material = () => prepare({ digits: weights("digits"), drag: weights("drag"), photograph: photograph() });
const held = material();
const at = (change) => settle({ ...seam.start, ...change });
const of = (change, using = held) => seen(at(change), using);
const still = of({}).picture;

test("the weights of the score are those of the layer", () => {
  const source = readFileSync(new URL("../../src/shiftproof/layers/seam.py", import.meta.url), "utf-8");
  const rows = source.split("SCORE: tuple[tuple[int, ...], ...] = (")[1].split("\n)\n")[0];
  assert.deepEqual(SCORE, [...rows.matchAll(/\(([^)]*)\)/g)].map((m) => m[1].split(",").map(Number)));
});

test("values from least to largest, halves to the even neighbour", () => {
  assert.deepEqual([...quantised([-1, 0, 1])], [0, 128, 255]);
  assert.deepEqual([...quantised([4, 4])], [0, 0]);
  assert.deepEqual([...quantised([0, 1, 102])], [0, 2, 255]);
});

test("scores of a moved picture are the moved scores, exactly, and the pose is the same picture", () => {
  const [n, home] = [32, seamOf(still)];
  for (const [dy, dx] of [[1, 0], [0, 1], [5, 10], [31, 17], [16, 16]]) {
    const picture = moved(still, dy, dx);
    const q = quantised(picture.data);
    scores(q, n, false).forEach((v, i) => assert.equal(v, home.rows[place(i - dy, n)]));
    scores(q, n, true).forEach((v, i) => assert.equal(v, home.columns[place(i - dx, n)]));
    const found = seamOf(picture);
    assert.deepEqual(found.at, [place(home.at[0] + dy, n), place(home.at[1] + dx, n)]);
    assert.deepEqual(rolledBack(picture, found.at), rolledBack(still, home.at));
  }
});

test("a picture that is a move of itself has one pose too", () => {
  const stripes = { ...maps(1, 8, 8), data: Float64Array.from({ length: 64 }, (_, i) => (i % 4 === 0 ? 9 : i % 2)) };
  const spots = { ...maps(1, 8, 8), data: Float64Array.from({ length: 64 }, (_, i) => (i === 9 || i === 45 ? 1 : 0)) };
  for (const picture of [stripes, spots, maps(1, 8, 8)]) {
    const posed = rolledBack(picture, seamOf(picture).at);
    for (let v = 0; v < 64; v++) {
      const other = moved(picture, Math.floor(v / 8), v % 8);
      assert.deepEqual(rolledBack(other, seamOf(other).at), posed);
    }
  }
});

for (const fool of ["no", "lines"]) {
  test(`around the circle the answer is the same at all 1,024 moves, fooled or not: ${fool}`, () => {
    const r = of({ fool });
    assert.deepEqual([r.all, r.kept.posed], [1024, 1024]);
    assert.ok(r.kept.plain < 1024);
  });
}

test("a digit on black: to the last bit while nothing has left", () => {
  for (const digit of [1, 7]) {
    const home = of({ world: "object", digit });
    const posed = centred(held.ten[digit], centreOf(held.ten[digit])).data;
    for (const [dy, dx] of movesOf("object")) {
      const picture = moved(held.ten[digit], dy, dx, "zero");
      const left = picture.data.filter((v) => v > 0).length < held.ten[digit].data.filter((v) => v > 0).length;
      if (!left) assert.ok(centred(picture, centreOf(picture)).data.every((v, i) => v === posed[i]));
    }
    assert.equal(home.within.posed, home.inside);
    assert.ok(home.within.plain < home.inside);
    assert.ok(home.inside > 20 && home.outside > 20);
  }
});

test("a camera: the pose does not keep the answer, and the map says what is counted", () => {
  const r = of({ world: "camera", dy: 3, dx: -4 });
  assert.ok(r.kept.posed < 1024);
  for (const way of ["plain", "posed"]) assert.equal(r.painted[way].reduce((a, b) => a + b, 0), r.kept[way]);
  assert.equal(r.painted.posed[16 * 32 + 16], 1); // no move keeps its answer
});

/** A pose that is always the same place: it does not move with the picture. */
const stuck = () => ({ ...material(), seam: (picture) => ({ ...seamOf(picture), at: [0, 0] }) });
/** A network that has one answer. */
const blind = () => ({ ...material(), letter: () => "A" });
const CHOSEN = {
  "seam.take.elsewhere": [{ fool: "lines" }, held],
  "seam.take.border": [{}, held],
  "seam.take.inside": [{ world: "object" }, held],
  "seam.take.left": [{ world: "object", dy: 5 }, held],
  "seam.take.camera": [{ world: "camera" }, held],
  "seam.take.broken": [{}, stuck()],
  "seam.take.steady": [{ world: "camera" }, blind()],
};
for (const [key, [change, using]] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(of(change, using)).key, key));
}

test("the outcome of the prediction is counted, and every outcome is offered", () => {
  assert.equal(seam.outcome(of(seam.play(at({}), 1))), "all");
  assert.equal(seam.outcome({ kept: { posed: 600 }, all: 1024 }), "most");
  assert.equal(seam.outcome({ kept: { posed: 300 }, all: 1024 }), "few");
  assert.deepEqual(settle({ ...seam.start, dx: 17, dy: -17 }), { ...seam.start, dx: -15, dy: 15 });
  assert.deepEqual(settle({ ...seam.start, world: "object", dx: 17, dy: -17 }), { ...seam.start, world: "object", dx: 5, dy: -5 });
});
