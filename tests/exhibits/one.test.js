// "One kernel, or one for each place": what goes wrong, what is counted, and the sentence that it chooses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { answered, asText, drawn, LEVELS, one, PLACES, seen, shared, take, TAPS, tapsOf } from "#learn/exhibits/one.js";
import { counts, sizes } from "#learn/exhibits/one/counts.js";

import { read, weights } from "./read.js";

const material = one.prepare({ records: weights("records") });
const state = (change) => one.settle({ ...one.start, ...change });
const at = (change) => seen(state(change), material);
const free = (place, tap, level) => ({ tied: "no", ...drawn(state({ tied: "no" }), place, tap, level) });

test("one kernel of twelve changed: wrong at exactly two places, its own and the one that it moved to", () => {
  for (let p = 0; p < PLACES; p++) {
    for (const tap of [0, 1, 2]) {
      for (let dx = 1; dx < PLACES / 2; dx++) {
        const r = at({ ...free(p, tap, 5), dx });
        assert.deepEqual([p, (p + dx) % PLACES].sort((a, b) => a - b), r.wrong.flatMap((w, i) => (w ? [i] : [])));
      }
    }
  }
  assert.equal(at(free(4, 1, 5)).count, 0); // not moved
});

test("chained kernels answer at every move as before, moved along, exactly", () => {
  for (let dx = -6; dx < 6; dx++) {
    assert.equal(at({ dx }).count, 0);
    const tied = at({ ...free(4, 1, 5), tied: "yes", dx });
    assert.deepEqual([tied.count, tied.alike, tied.other], [0, true, 0]);
  }
});

test("chaining is the nearest: twice is once, and the squares of both parts add up", () => {
  const taps = tapsOf(free(2, 0, 7).own);
  const mean = shared(taps);
  assert.deepEqual(shared(mean).map((v) => Math.round(v * 1e12)), mean.map((v) => Math.round(v * 1e12)));
  const square = (v) => v.reduce((a, b) => a + b * b, 0);
  assert.ok(Math.abs(square(mean) + square(taps.map((v, i) => v - mean[i])) - square(taps)) < 1e-9);
});

test("a chained tap changes in all kernels, a free one in one", () => {
  assert.equal(tapsOf(drawn(state({}), 3, 1, -4).own).filter((v) => v === -4).length, PLACES);
  assert.equal(tapsOf(free(3, 1, -4).own).filter((v) => v === -4).length, 1);
});

test("what is drawn stands in the address", () => {
  const taps = Float64Array.from({ length: PLACES * TAPS }, (_, i) => (i % (2 * LEVELS + 1)) - LEVELS);
  assert.deepEqual(tapsOf(asText(taps)), taps);
  assert.match(asText(taps), one.within.own.like);
});

test("the published counts: digits, many filters, and the edges of a photograph", () => {
  const of = (layer) => counts(sizes(layer, PLACES, TAPS));
  assert.deepEqual(of("digits").map((c) => c.weights), [4917248, 156800, 200]);
  assert.deepEqual(of("filters").map((c) => c.weights), [19668992, 225792, 288]);
  const [dense, local, kernel] = of("edge");
  assert.deepEqual([kernel.operations, dense.entries, dense.operations, kernel.weights], [267960, 8003072000, 16006144000, 2]);
  assert.equal(local.products, kernel.products);
  assert.ok(Math.abs(at({ layer: "edge", counted: "operations" }).ratio - 59733.3) < 0.05);
  assert.equal(at({ layer: "edge", counted: "weights" }).ratio, 4001536000);
  assert.equal(at({ layer: "edge", counted: "entries" }).ratio, 1);
});

test("counted by formula as by running: the multiplications of a row", () => {
  let products = 0;
  const counting = new Proxy(tapsOf(""), { get: (taps, i) => (typeof i === "string" && /^\d+$/.test(i) && products++, taps[i]) });
  answered(counting, new Float64Array(PLACES));
  assert.equal(products, counts(sizes("row", PLACES, TAPS))[1].products);
});

test("the figures of training pictures are those of the record", () => {
  const figures = read("tests/golden/experiments/efficiency.json").figures;
  const of = (row) => figures.find((f) => f.table === "accuracy" && f.row === row && f.column === "60,000 pictures").measured;
  const { last, largest } = at({});
  assert.equal(largest, 60000);
  for (const [name, row] of [["shared", "convolution"], ["local", "unshared"], ["dense", "dense"]]) assert.ok(Math.abs(last[name] - of(row)) < 1e-6);
});

const CHOSEN = {
  "one.take.memory": {},
  "one.take.both": { against: "dense" },
  "one.take.apart": { ...free(4, 1, 5), dx: 1 },
  "one.take.hidden": free(4, 1, 5),
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(at(change)).key, key));
}

test("the outcome of the prediction is counted, whatever stood there", () => {
  const outcome = (change) => one.outcome(seen(state({ ...change, ...one.play(state(change), 1) }), material));
  assert.deepEqual([outcome({}), outcome({ tied: "yes", dx: 3, ...drawn(state({}), 0, 0, 7) })], ["two", "two"]);
  assert.deepEqual([one.outcome(at({})), one.outcome({ count: 1 }), one.outcome({ count: PLACES })], ["more", "one", "all"]);
});
