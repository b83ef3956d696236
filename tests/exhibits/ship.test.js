// "The spaceship": what an average leaves of noise, how far it lags, the flip, and the sentence that it chooses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { mean, normals, variance } from "#learn/engine/statistics.js";
import { errors, seen, settle, ship, smoothed, take, whole, WINDOWS } from "#learn/exhibits/ship.js";

import { read } from "./read.js";

const state = (change) => settle({ ...ship.start, ...change });
const at = (change) => seen(state(change));
const near = (a, b, far) => assert.ok(Math.abs(a - b) <= far, `${a} is not ${b}`);

test("sums of squared weights: 1, .5, .2, .0667, .0222; binomial .2734", () => {
  const squares = ["none", "two", "five", "fifteen", "longest", "binomial"].map((window) => at({ window }).squares);
  [1, 0.5, 0.2, 0.0667, 0.0222, 0.2734].forEach((v, i) => near(squares[i], v, 5e-5));
});

test("what is left of the noise is the sum of squared weights, within the chance of sixty series", () => {
  for (const w of Object.values(WINDOWS)) {
    const { noise, squares } = errors(w);
    near(noise / squares, 1, 4 * Math.sqrt((2 * w.length) / (60 * 355)));
  }
});

test("five equal weights have the least total error of the seven, as in the record; forty-five the largest", () => {
  const figures = read("tests/golden/experiments/smoothing.json").figures;
  const recorded = (row) => figures.find((f) => f.row === row && f.column === "squared error, all").measured;
  const { table } = at({});
  assert.equal(table.reduce((a, b) => (b.error < a.error ? b : a)).name, "five");
  assert.equal(table.reduce((a, b) => (b.error > a.error ? b : a)).name, "longest");
  near(errors(WINDOWS.five).error, recorded("5 equal"), 0.02);
  near(errors(WINDOWS.longest).error, recorded("45 equal"), 0.1);
  near(errors(WINDOWS.longest).lag, figures.find((f) => f.row === "45 equal" && f.column.startsWith("lag")).measured, 1e-9);
});

test("the products under the window add up to the point", () => {
  for (const window of [...Object.keys(WINDOWS), "own"]) {
    for (const flip of ["no", "yes"]) {
      const r = at({ window, flip, dx: 17 });
      near(r.inside.reduce((sum, p) => sum + p.product, 0), r.sum, 1e-12);
    }
  }
});

test("flipped: .5, .3, .2 give another track; .2, .3, .2 the same one", () => {
  assert.ok(at({ window: "own" }).flipped > 0.1);
  assert.ok(at({ window: "own", w0: 2, w1: 3, w2: 2, w3: 3, w4: 2 }).flipped < 1e-12);
  assert.ok(at({ window: "five" }).flipped < 1e-12);
  assert.deepEqual([...smoothed([1, 0, 0, 5], [0.5, 0.25, 0.25])], [0.25, 2.5]);
});

test("x * w = w * x in whole numbers, and a correlation is not that", () => {
  assert.equal(at({ window: "own", w0: -7 }).commutes, 0);
  assert.deepEqual(whole([1, 2, 3], [4, 5]), whole([4, 5], [1, 2, 3]));
  assert.deepEqual(whole([1, 2, 3], [4, 5]), [4, 13, 22, 15]);
  assert.notDeepEqual(whole([1, 2, 3], [5, 4]), whole([1, 2, 3], [4, 5]));
});

test("one and minus one make an edge detector: nothing of a constant is left", () => {
  const r = at({ window: "own", w0: 10, w1: -10, w2: 0 });
  assert.equal(r.total, 0);
  assert.deepEqual([...smoothed([7, 7, 7, 9], r.weights.slice(0, 2))], [0, 0, 2]);
});

test("the noise is normal: mean 0, variance 1, the same for the same seed", () => {
  const v = normals(5, 20000);
  near(mean(v), 0, 0.03);
  near(variance(v), 1, 0.04);
  assert.deepEqual(normals(5, 10), v.slice(0, 10));
  assert.notDeepEqual(normals(6, 10), v.slice(0, 10));
});

test("the sentences: less than all others, or not", () => {
  assert.equal(take(at({ window: "five" })).key, "ship.take.less");
  for (const window of ["none", "two", "fifteen", "longest", "binomial", "recent", "own"]) assert.equal(take(at({ window })).key, "ship.take.more");
});

test("the outcome is the error measured, and follows it", () => {
  const outcome = (change) => ship.outcome(seen(state({ ...change, ...ship.play(state(change), 1) })));
  assert.equal(outcome({}), "rise");
  assert.deepEqual([ship.outcome({ five: 1, longest: 1.001 }), ship.outcome({ five: 1, longest: 0.5 })], ["same", "fall"]);
});

test("the window stays on the track", () => {
  assert.deepEqual([settle({ ...ship.start, dx: 99 }).dx, settle({ ...ship.start, dx: -99 }).dx], [59, -60]);
});
