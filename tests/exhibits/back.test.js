// "Backwards": gradients as sums over positions and over steps, against autograd and nudging, and the sentence that it chooses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { gradient, run, summands } from "#learn/engine/recurrent.js";
import { largestDifference } from "#learn/engine/tensor.js";
import { back, DELAYS, gradients, seen, settle, take, written } from "#learn/exhibits/back.js";

import { golden, read, weights } from "./read.js";

const held = golden("back");
const material = back.prepare({ back: weights("back") });
const state = (change) => settle({ ...back.start, ...change });
const at = (change) => seen(state(change), material);
const array = (v) => Float64Array.from(v);

test("in whole numbers both sums equal autograd's gradients exactly", () => {
  const { v, k, d, dk, dv } = held.space;
  const found = gradients(array(v), array(k), array(d), 0);
  assert.deepEqual([...found.kernel], dk);
  assert.deepEqual([...found.input], dv);
  assert.ok(found.unflipped > 0.5); // a kernel that is not flipped is noticed
});

for (const { scale, gradient: truth, states } of held.time) {
  test(`through time, weights x ${scale}: states, the carried gradient and the sum over steps equal autograd's`, () => {
    const w = material.w.map((v) => (v * scale) / 2);
    const out = run(material.x, material.x.map(() => w), material.size);
    assert.ok(largestDifference(array(out.flatMap((h) => [...h])), states) <= 1e-12);
    assert.ok(largestDifference(gradient(material.x, w, material.size), truth) <= 1e-9);
    const parts = summands(material.x, w, material.size);
    const most = Math.max(...truth.map(Math.abs));
    assert.ok(largestDifference(truth.map((_, i) => parts.reduce((a, p) => a + p[i], 0)), truth) <= 1e-15 * Math.max(1, most) * 4);
    const figures = read("tests/golden/experiments/recurrent-gradients.json").figures;
    const recorded = figures.find((f) => f.row === `weights x ${scale}` && f.column === "last step alone").measured;
    const r = at({ tab: "time", scale }).time;
    assert.ok(Math.abs(r.last - recorded) < 1e-9);
    assert.ok(r.off <= 3e-16 * 4 && Math.abs(r.shares.reduce((a, b) => a + b) - 1) < 1e-12);
  });
}

test("a cell of the kernel gets from nine cells of delta; a pixel from one at the corner, nine in the middle", () => {
  for (let c = 0; c < 9; c++) assert.equal(at({ cy: Math.floor(c / 3), cx: c % 3 }).space.senders, 9);
  const of = (cy, cx) => at({ by: "input", cy, cx }).space.senders;
  assert.deepEqual([of(0, 0), of(0, 2), of(2, 2), of(4, 4), of(1, 1)], [1, 3, 9, 1, 4]);
});

test("the terms that are shown add up to the gradient, and nudging gives the same", () => {
  for (const by of ["kernel", "input"]) {
    for (const places of [3, 1]) {
      const side = at({ by, places }).space.side;
      for (let i = 0; i < side * side; i++) {
        const { sends, full, cell, nudged } = at({ by, places, cy: Math.floor(i / side), cx: i % side }).space;
        assert.equal(sends.filter(Boolean).reduce((sum, s) => sum + s.delta * s.by, 0), full[cell]);
        assert.ok(Math.abs(nudged - full[cell]) <= 5e-11);
      }
    }
  }
});

test("with one position the short form is exact; with nine it is not, unless all other deltas are zero", () => {
  for (const by of ["kernel", "input"]) {
    assert.equal(at({ by, places: 1 }).space.wrong, 0);
    assert.ok(at({ by }).space.wrong > 0.5);
  }
  let own = "";
  for (let i = 1; i < 9; i++) own = written(state({ own }), "d", i, 0).own;
  assert.equal(at({ own }).space.wrong, 0);
  assert.match(own, back.within.own.like);
});

test("a gradient that is zero because what comes from many places cancels is not that of one place", () => {
  let own = "";
  for (let i = 0; i < 25; i++) own = written(state({ own }), "v", i, 1).own;
  for (let i = 0; i < 9; i++) own = written(state({ own }), "d", i, [1, -1][i] ?? 0).own;
  const r = at({ own });
  assert.deepEqual([...r.space.full], Array(9).fill(0));
  assert.equal(r.space.wrong, 1);
  assert.equal(take(r).key, "back.take.sum");
});

test("a delayed input gives the delayed state exactly, unless the weights change over time", () => {
  for (const delay of DELAYS) {
    const r = at({ tab: "time", delay }).time;
    assert.equal(r.delayed, 0);
    assert.ok(r.unshared > 1);
  }
});

const CHOSEN = {
  "back.take.sum": {},
  "back.take.one": { places: 1 },
  "back.take.time": { tab: "time" },
  "back.take.step": { tab: "time", steps: 1 },
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(at(change)).key, key));
}

test("the outcome of the prediction is counted, and what is chosen stays inside", () => {
  const outcome = (change) => back.outcome(seen(state({ ...change, ...back.play(state(change), 1) }), material));
  assert.deepEqual([outcome({}), outcome({ by: "input", places: 1 }), outcome({ tab: "time" })], ["nine", "nine", "nine"]);
  const s = settle({ ...back.start, dx: 9, dy: -4, cy: 7 });
  assert.deepEqual([s.dx, s.dy, s.cy], [2, 0, 2]);
  assert.equal(settle({ ...back.start, tab: "time", dx: 99 }).dx, 11);
});
