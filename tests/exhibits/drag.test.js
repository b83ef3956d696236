// "Drag the digit": what it measures, and the sentence that it chooses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { largestDifference, moved } from "#learn/engine/tensor.js";
import { drag, mapsMoved, prepare, seen, settle, SIDE, take } from "#learn/exhibits/drag.js";
import { indexOf, withMoves } from "#learn/parts/moves.js";

import { golden, weights } from "./read.js";

const held = { drag: weights("drag"), digits: weights("digits") };
const material = prepare(held);
const at = (change) => settle({ ...drag.start, ...change }, { ...drag.start, ...change });
const ALL = withMoves("", Array.from({ length: SIDE ** 2 }, (_, i) => i), SIDE);
const SOME = withMoves("", [[0, 0], [0, 10], [-7, 3], [13, -14], [5, 5], [-14, -14]].map(([y, x]) => indexOf(y, x, SIDE)), SIDE);

test("fifty moved digits are read as torch reads them", () => {
  const cases = golden("drag").moved;
  assert.equal(cases.length, 50);
  for (const { digit, dy, dx, flat, average } of cases) {
    const { readouts } = material.read(moved(material.ten[digit], dy, dx));
    assert.ok(largestDifference(readouts[0].scores, flat) <= 1e-9);
    assert.ok(largestDifference(readouts[1].scores, average) <= 1e-9);
  }
});

test("the networks are good readers, and all ten digits are read rightly where they are", () => {
  assert.ok(held.drag.accuracy.average >= 0.95);
  assert.ok(held.drag.accuracy.flat >= 0.95);
  for (let digit = 0; digit < 10; digit++) assert.deepEqual(seen(at({ digit }), material).first, [digit, digit]);
});

test("over all moves of a digit the average never changes its answer, the dense readout mostly does", () => {
  const r = seen(at({ digit: 7, tried: ALL }), material);
  assert.equal(r.tried, SIDE ** 2);
  assert.equal(r.kept[1], SIDE ** 2);
  assert.ok(r.change[1] > 0 && r.change[1] <= 1e-12);
  assert.ok(r.kept[0] < SIDE ** 2 / 2);
  assert.ok(r.change[0] > 1);
});

test("at a few moves of every digit too", () => {
  for (let digit = 0; digit < 10; digit++) {
    const r = seen(at({ digit, tried: SOME }), material);
    assert.equal(r.kept[1], r.tried);
    assert.ok(r.change[1] <= 1e-12);
    assert.ok(r.kept[0] < r.tried);
  }
});

test("maps move with the picture exactly, whatever the move", () => {
  for (const [dy, dx] of [[0, 10], [-3, 5], [13, -14], [1, 1]]) {
    const r = seen(at({ digit: 4, dy, dx }), material);
    assert.equal(r.mapsDiffer, 0);
    assert.ok(r.pooledChanged > 0);
  }
});

test("with black moving in nothing wraps until something has left", () => {
  const near = seen(at({ digit: 7, edge: "zero", dx: 1 }), material);
  assert.equal(near.left, 0);
  assert.equal(near.mapsDiffer, 0);
  const far = seen(at({ digit: 7, edge: "zero", dx: 13 }), material);
  assert.ok(far.left > 0);
  assert.ok(far.mapsDiffer > 0);
});

test("the state is kept inside its range, and another picture starts a new count", () => {
  assert.equal(at({ dx: 14 }).dx, -14);
  assert.equal(at({ dx: 20, edge: "zero" }).dx, 13);
  const before = at({ tried: ALL });
  assert.equal(settle({ ...before, digit: 3 }, before).tried, drag.start.tried);
  assert.equal(settle({ ...before, dx: 2 }, before).tried, ALL);
});

/** A network whose readouts are exchanged, and one that has the dense readout twice. */
const exchanged = { ...material, kept: new Map(), read: (x) => ({ ...material.read(x), readouts: material.read(x).readouts.toReversed() }) };
const twice = { ...material, kept: new Map(), read: (x) => ({ ...material.read(x), readouts: [material.read(x).readouts[0], material.read(x).readouts[0]] }) };
const CHOSEN = {
  "drag.take.empty": [{}, material],
  "drag.take.average": [{ tried: SOME }, material],
  "drag.take.both": [{ dx: 1 }, material],
  "drag.take.flat": [{ tried: SOME }, exchanged],
  "drag.take.neither": [{ tried: SOME }, twice],
  "drag.take.left": [{ edge: "zero", dx: 13, dy: 13 }, material],
  "drag.take.inside": [{ edge: "zero", dx: 2 }, material],
  "drag.take.little": [{ edge: "zero", dx: 9 }, material],
  "drag.take.stayed": [{ edge: "zero", digit: 1, dx: 9 }, exchanged],
};
for (const [key, [change, network]] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(seen(at(change), network)).key, key));
}

test("what is said of the maps names its cause only where it was measured", () => {
  assert.equal(seen(at({ dx: 5 }), material).mapsMoved, "drag.maps.same");
  assert.equal(seen(at({ edge: "zero", dx: 13 }), material).mapsMoved, "drag.maps.left");
  const unshared = (x) => ({ ...material.read(x), maps: { ...x, data: x.data.map((v, i) => v * i) } }); // each place its own factor
  assert.equal(seen(at({ dx: 5 }), { ...material, kept: new Map(), read: unshared }).mapsMoved, "drag.maps.differ");
  assert.equal(mapsMoved({ mapsDiffer: 1e-14, left: 0 }), "drag.maps.same");
});

test("the outcome of the prediction is what the two readouts do", () => {
  const outcome = (network) => drag.outcome(seen(at({ digit: 7, ...drag.play(drag.start, 1) }), network));
  assert.equal(outcome(material), "average");
  assert.equal(outcome(exchanged), "flat");
  assert.equal(outcome(twice), "neither");
  assert.equal(drag.outcome(seen(at({ dx: 1 }), material)), "both");
  assert.deepEqual(drag.guessing.options.toSorted(), ["average", "both", "flat", "neither"]);
});
