// "Did the pool notice?": what it measures, and the sentence that it chooses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { maxPool } from "#learn/engine/forward.js";
import { fromRows } from "#learn/engine/tensor.js";
import { movedRow, pool, poolRow, seen, settle, take, unnoticed, WINDOWS } from "#learn/exhibits/pool.js";

const at = (change) => settle({ ...pool.start, ...change });
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);

test("windows with a single one", () => {
  for (const rows of [[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [0, 0]]]) assert.deepEqual([...maxPool(fromRows(rows), 2).data], [1]);
  for (const row of [[1, 0, 0], [0, 0, 1]]) assert.deepEqual(poolRow(row, 3), [1]);
});

for (const shape of ["giyeok", "corner"]) {
  test(`${shape} from an odd place: one down 0 cells, two down 2, one right 0`, () => {
    for (const [dy, dx, n] of [[1, 0, 0], [2, 0, 2], [0, 1, 0], [-1, 0, 2]]) assert.equal(seen(at({ shape, dy, dx })).pooledCount, n);
    for (const [dy, dx] of [[1, 0], [0, 1]]) assert.equal(seen(at({ shape, dy, dx })).foundCount, 2);
  });
}

test("from an even place the free moves change sides", () => {
  const free = (r) => r.moves.filter((m) => m.n === 0 && (m.dy || m.dx)).map((m) => `${m.dy} ${m.dx}`).sort();
  assert.deepEqual(free(seen(at({}))), ["0 1", "1 0", "1 1"]);
  assert.deepEqual(free(seen(at({ y: 4, x: 4 }))), ["-1 -1", "-1 0", "0 -1"]);
});

test("a single one on 4 x 4, one pixel right: unchanged at 8 of 12", () => {
  let same = 0;
  for (let i = 0; i < 16; i++) {
    if (i % 4 === 3) continue;
    const one = (/** @type {number} */ k) => maxPool({ c: 1, h: 4, w: 4, data: Float64Array.from({ length: 16 }, (_, j) => (j === k ? 1 : 0)) }, 2).data.join();
    same += one(i) === one(i + 1) ? 1 : 0;
  }
  assert.equal(same, 8);
});

test("the textbook's row: all four answers change, two of four pooled values", () => {
  const r = movedRow([3, 1, 10, 2, 1]);
  assert.deepEqual([r.changed, r.pooledChanged].map((f) => f.filter(Boolean).length), [4, 2]);
  assert.deepEqual(r.pooledBefore, [10, 10, 10, 2]);
  assert.deepEqual(r.pooledAfter, [3, 10, 10, 10]);
});

test("the share of starting cells is 1 - v / k, by running the pool", () => {
  for (const k of [2, 3, 4, 5, 9]) for (let v = 0; v <= k + 2; v++) near(unnoticed(k, v), Math.max(0, 1 - v / k));
});

test("of independent values, 1 - (k - v) / (k + v) change at stride one, up to chance", () => {
  let state = 1;
  const noise = Array.from({ length: 60000 }, () => (state = (state * 48271) % 2147483647) / 2147483647);
  for (const [k, v] of [[3, 1], [9, 2]]) {
    const pooled = poolRow(noise, k);
    const changed = pooled.filter((p, i) => i + v < pooled.length && p !== pooled[i + v]).length / (pooled.length - v);
    assert.ok(Math.abs(changed - (1 - (k - v) / (k + v))) < 0.01);
  }
});

test("a move is free exactly if the same windows see the answer", () => {
  for (const window of WINDOWS) {
    for (const stride of ["window", "one"]) {
      const r = seen(at({ window, stride }));
      const seeing = (y) => {
        const found = [];
        for (let i = 0; i < r.pooled.h; i++) if (y >= i * r.stride && y < i * r.stride + window) found.push(i);
        return found.join();
      };
      for (const m of r.moves) {
        const same = seeing(4 + m.dy) === seeing(4) && seeing(4 + m.dx) === seeing(4);
        assert.equal(m.n === 0, same, JSON.stringify({ window, stride, ...m }));
      }
    }
  }
});

const CHOSEN = {
  "pool.take.some": {},
  "pool.take.every": { stride: "one" },
  "pool.take.blind": { window: 9 },
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(seen(at(change))).key, key));
}

test("the outcome of the prediction is counted, and every outcome is offered", () => {
  const outcome = (change) => pool.outcome(seen(at({ ...change, ...pool.play(at(change), 1) })));
  assert.equal(outcome({}), "two");
  assert.equal(outcome({ window: 4 }), "nothing");
  assert.equal(outcome({ stride: "one" }), "more");
  assert.equal(pool.outcome({ pooledCount: 1 }), "one");
  assert.equal(pool.question(pool.start, seen(at({ y: 4 }))).key, "pool.predict.noticed");
  assert.equal(pool.question(pool.start, seen(at({}))).key, "pool.predict.question");
});
