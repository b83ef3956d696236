// "Who forgets where?": what it measures, and the sentence that it chooses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { softmax } from "#learn/engine/forward.js";
import { argmax, largestDifference } from "#learn/engine/tensor.js";
import { fitted, forgets, inverse, prepare, rescored, seen, settle, take } from "#learn/exhibits/forgets.js";

const held = prepare();
const at = (change) => settle({ ...forgets.start, ...change });
const of = (change, material = held) => seen(at(change), material);
const near = (a, b, error = 1e-12) => assert.ok(Math.abs(a - b) <= error, `${a} is not ${b}`);
const WEIGHTS = ["drawn", "middle"];

test("fitted in the middle: right at 34.67 %, and a probability changes by .947", () => {
  const r = of({ weights: "middle" });
  near(r.right, 26 / 75);
  near(r.shareSpread, 0.9469947339578557);
  near(r.spread, 4);
  assert.deepEqual([...r.scores], [0, 4, 0]);
  assert.deepEqual([...of({ weights: "middle", dx: 1 }).scores], [0, 0, 0]); // it has learned the place
  assert.ok(of({ weights: "middle", dx: 1 }).equal);
});

test("tied: right at every place, and nothing changes, with softmax or without", () => {
  for (const weights of WEIGHTS) {
    const r = of({ weights, tie: 1000 });
    assert.deepEqual([r.right, r.changes, r.changesAfter, r.undecided], [1, 0, 0, 0]);
    near(r.spread, 0, 1e-14);
    near(r.shareSpread, 0, 1e-14);
  }
});

test("the spread is linear in 1 - λ", () => {
  for (const weights of WEIGHTS) {
    const whole = of({ weights }).spread;
    assert.ok(whole > 1);
    for (const tie of [100, 250, 500, 900, 999]) near(of({ weights, tie }).spread, (1 - tie / 1000) * whole);
  }
  assert.ok(of({ weights: "middle", tie: 998 }).spread < 0.01); // what is to be tried
});

test("the maps move with the pattern, and one cell of its own map answers", () => {
  for (const [k, shape] of ["corner", "cross", "bar"].entries()) {
    const home = of({ shape }).maps.data;
    for (let dy = -2; dy <= 2; dy++) {
      for (let dx = -2; dx <= 2; dx++) {
        const { data } = of({ shape, dy, dx }).maps;
        assert.equal(data.slice(25 * k, 25 * k + 25).filter((v) => v > 0).length, 1);
        for (let i = 0; i < 75; i++) {
          const [map, y, x] = [Math.floor(i / 25), Math.floor((i % 25) / 5), i % 5];
          assert.equal(data[25 * map + 5 * ((y + dy + 5) % 5) + ((x + dx + 5) % 5)], home[i]);
        }
      }
    }
  }
});

test("softmax never changes the answer, at any λ and place", () => {
  for (const weights of WEIGHTS) {
    for (const tie of [0, 300, 700, 1000]) {
      for (const shape of ["corner", "cross", "bar"]) {
        const r = of({ weights, tie, shape, dy: 1, dx: -2 });
        assert.equal(argmax(r.scores), argmax(r.shares));
        assert.equal(r.changes, r.changesAfter);
      }
    }
  }
});

/** Normal numbers, by Box and Muller. */
function normal(n) {
  let state = 11;
  const next = () => (state = (state * 48271) % 2147483647) / 2147483647;
  return Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()));
}

test("softmax of random scores: a constant changes nothing, doubling no class, a constant on one score about every fourth class", () => {
  const numbers = normal(40_000);
  let [changed, most, doubled] = [0, 0, 0];
  for (let i = 0; i < 4000; i++) {
    const z = Float64Array.from(numbers.slice(10 * i, 10 * i + 10));
    const before = softmax(z);
    most = Math.max(most, largestDifference(before, softmax(z.map((v) => v + 3))));
    const twice = softmax(z.map((v) => 2 * v));
    assert.equal(argmax(twice), argmax(before));
    doubled = Math.max(doubled, largestDifference(before, twice));
    changed += argmax(softmax(z.map((v, k) => (k === 0 ? v + 1 : v)))) === argmax(before) ? 0 : 1;
  }
  assert.ok(most <= 1e-15, `${most}`);
  near(doubled, 0.39, 0.02);
  near(changed / 4000, 0.2409, 0.02); // by integration; 26.3 % in the 1,000 draws of the record
});

test("what is done to three scores", () => {
  const on = (change) => rescored({ ...forgets.start, ...change });
  assert.equal(on({}).change, 0);
  assert.ok(on({ all: 37 }).change <= 1e-15);
  assert.deepEqual([on({ times: 20 }).same, on({ times: 20 }).change > 0.1], [true, true]);
  assert.equal(on({ one: -20 }).same, false);
});

test("least weights: a row for each class", () => {
  assert.deepEqual(inverse([[0, 2], [4, 0]]), [[0, 0.25], [0.5, 0]]);
  const rows = [[1, 0, 2, 0], [0, 1, 1, 0], [3, 0, 1, 1]];
  fitted(rows).forEach((w, k) => rows.forEach((row, j) => near(row.reduce((sum, v, i) => sum + v * w[i], 0), k === j ? 4 : 0)));
});

const CHOSEN = {
  "forgets.take.spread": {},
  "forgets.take.right": { weights: "middle", tie: 900 },
  "forgets.take.tied": { tie: 1000 },
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(of(change)).key, key));
}

test("a score that another equals is not called right everywhere", () => {
  const r = of({ weights: "middle", tie: 500 });
  assert.deepEqual([r.right, r.undecided, take(r).key], [1, 1, "forgets.take.spread"]);
});

test("a layer that gives all classes the same score has the other sentence: there softmax does forget", () => {
  const same = { ...held, drawn: held.drawn.map(() => held.drawn[0]) };
  const { key } = take(of({}, same));
  assert.equal(key, "forgets.take.common");
});

test("the outcome of the prediction is counted, and every outcome is offered", () => {
  for (const weights of WEIGHTS) for (const tie of [0, 500, 1000]) assert.equal(forgets.outcome(of({ weights, tie, ...forgets.play(at({}), 1) })), "same");
  assert.equal(forgets.outcome({ changes: 3, changesAfter: 1 }), "more");
  assert.equal(forgets.outcome({ changes: 1, changesAfter: 3 }), "less");
  assert.equal(forgets.play(at({}), 1).softmax, "off");
});
