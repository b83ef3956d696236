// "When position matters": six networks against torch, what they know, and the sentence.
import assert from "node:assert/strict";
import { test } from "node:test";

import { largestDifference } from "#learn/engine/tensor.js";
import { CELLS, NETS, placed, position, prepare, seen, settle, take } from "#learn/exhibits/position.js";

import { golden, read, weights } from "./read.js";

const cases = golden("position");
const material = prepare({ position: weights("position"), digits: weights("digits"), records: weights("records") });
const state = (change) => settle({ ...position.start, ...change });
const at = (change) => seen(state(change), material);

test("six networks read digits in their cells as torch does, to 1e-9", () => {
  let compared = 0;
  for (const { name, read: net } of material.nets) {
    for (const [cell, rows] of Object.entries(cases[name])) {
      rows.forEach((scores, i) => {
        const found = net(placed(material, [0, 4, 7][i], Number(cell), 0));
        assert.ok(largestDifference(found, scores) <= 1e-9, `${name} ${cell}`);
        compared++;
      });
    }
  }
  assert.equal(compared, 6 * 5 * 3);
});

test("around the circle with an average the scores are the same in every cell, so it is right in exactly one of sixteen", () => {
  for (let digit = 0; digit < 10; digit++) {
    for (const margin of [0, 2]) {
      const r = at({ net: "circular", digit, margin }).chosen;
      assert.ok(r.spread <= 1e-12);
      assert.deepEqual([r.right, r.depends], [1, false]);
    }
  }
});

test("flattened and unshared know every cell", () => {
  for (const net of ["flattened", "unshared"]) for (const digit of [1, 7]) assert.ok(at({ net, digit }).chosen.knows, net);
});

test("zeros and an average: at the border it depends on the cell for some digit, two layers off the border never", () => {
  const depends = (margin) => Array.from({ length: 10 }, (_, digit) => at({ net: "zeros", digit, margin }).chosen.depends);
  assert.ok(depends(0).some(Boolean));
  for (const margin of [2, 3, 4]) assert.ok(depends(margin).every((d) => !d), String(margin));
});

test("weights for one size of board fit no other", () => {
  for (const net of ["flattened", "unshared"]) assert.equal(at({ net, margin: 1 }).chosen.hits, null);
  assert.notEqual(at({ net: "coordinates", margin: 1 }).chosen.hits, null);
});

test("the board: digits three pixels apart, all of each digit on it", () => {
  const total = (x) => x.data.reduce((a, b) => a + b, 0);
  for (const cell of [0, 6, 15]) assert.ok(Math.abs(total(placed(material, 7, cell, 3)) - material.ten[7].reduce((a, b) => a + b)) < 1e-12);
  assert.equal(placed(material, 7, 0, 0).w, material.side + 9);
});

test("what is shown of all test digits is the record", () => {
  const figures = read("tests/golden/experiments/position.json").figures;
  const of = (row) => figures.find((f) => f.table === "position" && f.row === row && f.column === "correct cell").measured;
  assert.equal(at({ net: "circular" }).chosen.recorded, of("convolution, circular padding, average"));
  assert.ok(Math.abs(at({ net: "none" }).chosen.recorded - of("convolution, no padding, average")) < 1e-6);
});

const CHOSEN = {
  "position.take.knows": { net: "unshared" },
  "position.take.never": { net: "circular" },
  "position.take.hint": { net: "none", digit: 0, margin: 2 },
  "position.take.size": { net: "flattened", margin: 2 },
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(at(change)).key, key));
}
test("the sentence position.take.some, for some network and digit", () => {
  const keys = NETS.flatMap((net) => Array.from({ length: 10 }, (_, digit) => take(at({ net, digit })).key));
  assert.ok(keys.includes("position.take.some"));
});

test("the outcome is what the network with zeros does, and the digit stays on the board", () => {
  const outcome = (change) => position.outcome(seen(state({ ...change, ...position.play(state(change), 1) }), material));
  assert.equal(outcome({ margin: 3 }), "no");
  assert.equal(outcome({ net: "unshared" }), outcome({}));
  assert.deepEqual([position.outcome({ chosen: { knows: true } }), position.outcome({ chosen: { depends: true } })], ["yes", "some"]);
  const s = settle({ ...position.start, dx: 9, dy: -9 });
  assert.deepEqual([s.dx, s.dy, at({ dx: 9, dy: -9 }).cell], [2, -1, CELLS - 1]);
});
