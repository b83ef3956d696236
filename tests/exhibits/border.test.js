// "The border gives it away": how far it shows, what it tells of a dot, and the sentence that it chooses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { BOARD, border, CELLS, DEEPEST, MARGINS, POINTS, read, seen, settle, take } from "#learn/exhibits/border.js";
import { filled, missed, PADDINGS, sums, sumsOf, usedEvenly } from "#learn/exhibits/border/layers.js";

const state = (change) => settle({ ...border.start, ...change });
const at = (change) => seen(state(change));
const near = (a, b, far = 5e-5) => assert.ok(Math.abs(a - b) <= far, `${a} is not ${b}`);

test("zeros, one layer: the corner of a white picture becomes 4/9, an edge 6/9, the centre stays 1", () => {
  const [corner, edge, centre] = at({}).values;
  assert.deepEqual([corner, edge, centre], [4 / 9, 6 / 9, 1]);
  near(corner, 0.4444);
  near(edge, 0.6667);
});

test("corner, edge and centre are used 4, 6, 9 times with zeros; 1, 3, 9 without padding; 9 everywhere around the circle", () => {
  const times = (padding) => at({ padding }).times;
  assert.deepEqual(times("zero"), [4, 6, 9]);
  assert.deepEqual(times("none"), [1, 3, 9]);
  assert.deepEqual(times("circular"), [9, 9, 9]);
  assert.deepEqual(times("reflect"), [4, 6, 9]);
  assert.deepEqual(times("replicate"), [9, 9, 9]);
});

test("the shadow is as many pixels wide as there are layers of 3 x 3, with zeros only", () => {
  for (let depth = 1; depth <= DEEPEST; depth++) {
    for (const padding of PADDINGS) assert.equal(at({ depth, padding }).wide, padding === "zero" ? depth : 0, `${padding} ${depth}`);
  }
});

test("around the circle the answer never depends on the cell: right at exactly 6.25 %", () => {
  for (const depth of [1, 3, 8]) {
    for (const r of read(depth, "circular")) assert.deepEqual([r.right, r.tells], [1 / CELLS ** 2, false]);
  }
});

test("with zeros and one layer the cell is known at the border, and by chance from 1 px off it; L layers carry it no further than L px", () => {
  for (const depth of [1, 2, 3]) {
    read(depth, "zero").forEach((r, margin) => {
      if (margin === 0) assert.ok(r.tells && r.right > 0.0625);
      if (margin >= depth) assert.deepEqual([r.right, r.tells], [0.0625, false], `${depth} layers, ${margin} px`);
    });
  }
  assert.ok(read(1, "zero")[0].right > 0.1);
});

test("reflected, repeated or without padding the border tells too, though white stays white", () => {
  for (const padding of ["reflect", "replicate", "none"]) assert.ok(read(1, padding)[0].right > 0.0625, padding);
});

test("every pixel is used alike around the circle only", () => {
  for (const padding of PADDINGS) assert.equal(at({ padding, margin: 3 }).even, padding === "circular", padding);
});

test("no border but the circle moves along: zeros, reflected and the others miss a move by one", () => {
  assert.equal(missed("circular"), 0);
  for (const padding of PADDINGS.filter((p) => p !== "circular")) assert.ok(missed(padding) > 0.2 && missed(padding) < 0.6, `${padding} ${missed(padding)}`);
});

test("what is counted backwards is what running the layers gives, for a dot at any pixel", () => {
  for (const padding of PADDINGS) {
    const back = sums(9, 3, padding);
    for (const i of [0, 4, 13, 40, 80]) {
      const dot = filled(9, 0);
      dot.data[i] = 1;
      assert.deepEqual(sumsOf(dot, 3, padding), back.map((s) => s[i]), `${padding} ${i}`);
    }
  }
});

test("the total that is used is what the outputs need: nine for each, less what the border holds", () => {
  const total = (padding) => usedEvenly(10, 1, padding).data.reduce((a, b) => a + b, 0);
  assert.deepEqual(["circular", "reflect", "replicate"].map(total), [900, 900, 900]);
  assert.deepEqual([total("zero"), total("none")], [28 ** 2, 9 * 64]);
});

const CHOSEN = {
  "border.take.shadow": { depth: 4 },
  "border.take.off": { depth: 2, margin: 3 },
  "border.take.leaks": { padding: "reflect" },
  "border.take.far": { padding: "reflect", margin: 3 },
  "border.take.nothing": { padding: "circular" },
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(at(change)).key, key));
}

test("the cell of the dot, and the answer, follow the dot", () => {
  const corner = at({ dy: -7, dx: -7 });
  assert.deepEqual([corner.cell, corner.answer, corner.picture.data[0]], [0, 0, 1]);
  assert.equal(at({ dy: 12, dx: 12 }).cell, 15);
  assert.deepEqual(settle({ ...border.start, dy: 99, dx: -99 }), { ...border.start, dy: 12, dx: -7 });
  assert.equal(at({ margin: 4 }).side, BOARD + 2 * MARGINS[4]);
});

test("the outcome of the prediction is measured with zeros and four layers, whatever stood there", () => {
  const outcome = (change) => border.outcome(seen(state({ ...change, ...border.play(state(change), 1) })));
  // one axis of the mean of 3 x 3, four times, by hand: far from the other borders only the nearest takes anything away
  let row = new Array(20).fill(1);
  for (let l = 0; l < 4; l++) row = row.map((v, i) => ((row[i - 1] ?? 0) + v + (row[i + 1] ?? 0)) / 3);
  const shares = row.slice(0, POINTS.length).map((v) => Math.round(100 * v)).join(",");
  assert.deepEqual([outcome({}), outcome({ padding: "reflect", depth: 7 })], [shares, shares]);
  assert.match(shares, border.guessing.like);
  assert.equal(border.guessing.value("5,0,100"), "5\u00a0%, 0\u00a0%, 100\u00a0%");
});

test("the curve goes inwards from the border and not past the middle of a small map", () => {
  for (const depth of [1, 4, 8]) {
    const { white, inward } = at({ depth, padding: "zero" });
    assert.deepEqual(inward, POINTS.map((d) => white.data[10 * 20 + d - 1]));
    assert.equal(inward.filter((v) => v < 1).length, Math.min(depth, POINTS.length));
  }
  assert.deepEqual(at({ depth: 8, padding: "none" }).inward, [1, 1]); // 4 pixels are left
});
