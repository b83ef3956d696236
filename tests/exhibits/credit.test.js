// "Who is responsible?": two networks against torch, sixteen against the record, shares over all orders, and the sentence.
import assert from "node:assert/strict";
import { test } from "node:test";

import { largestDifference, moved } from "#learn/engine/tensor.js";
import { added, credit, NAMES, orders, prepare, seen, settle, shares, STAGES, take } from "#learn/exhibits/credit.js";
import { indexOf, withMoves } from "#learn/parts/moves.js";

import { golden, read, weights } from "./read.js";

const held = { credit: weights("credit"), digits: weights("digits"), records: weights("records") };
const material = prepare(held);
const state = (change) => settle({ ...credit.start, ...change }, credit.start);
const at = (change) => seen(state(change), material);
const near = (a, b, far) => assert.ok(Math.abs(a - b) <= far, `${a} is not ${b}`);

test("both networks read moved digits as torch does, to 1e-9", () => {
  const cases = golden("credit").moved;
  assert.equal(cases.length, 20);
  for (const c of cases) {
    const picture = moved(material.ten[c.digit], c.dy, c.dx, "zero");
    for (const net of material.nets) assert.ok(largestDifference(net.read(picture), c[net.name]) <= 1e-9);
  }
});

test("both are good readers of unmoved digits, and read the ten rightly", () => {
  for (const net of material.nets) assert.ok(net.accuracy > 0.97);
  for (let digit = 0; digit < 10; digit++) assert.deepEqual(at({ digit }).nets.map((n) => n.answer), [digit, digit]);
});

test("over moves up to three pixels the network trained on moves keeps more answers, and its scores change all the same", () => {
  const moves = [];
  for (let dy = -3; dy <= 3; dy++) for (let dx = -3; dx <= 3; dx++) moves.push(indexOf(dy, dx, 28));
  const kept = [0, 0];
  for (let digit = 0; digit < 10; digit++) {
    const r = seen({ ...credit.start, digit, tried: withMoves("", moves, 28) }, material);
    assert.equal(r.tried, 49);
    r.nets.forEach((n, k) => ((kept[k] += n.same), assert.ok(n.change > 1)));
  }
  assert.ok(kept[1] > kept[0]);
  assert.ok(kept[1] / 490 > 0.95);
});

test("shares over all 24 orders are those of the record, and add up to the whole", () => {
  assert.equal(orders(NAMES).length, 24);
  const mean = shares(material.sixteen);
  const figures = read("tests/golden/experiments/attribution.json").figures;
  for (const n of NAMES) near(mean[n], figures.find((f) => f.table === "kept" && f.row === STAGES[n] && f.column === "share").measured, 2e-6);
  near(Object.values(mean).reduce((a, b) => a + b), at({}).all, 1e-12);
  for (const order of orders(NAMES)) near(Object.values(added(material.sixteen, order)).reduce((a, b) => a + b), at({}).all, 1e-12);
});

test("a stage that adds nothing to any set has no share, and one that adds alone has all", () => {
  const only = Array.from({ length: 16 }, (_, on) => ({ on, kept: on & 4 ? 1 : 0, right: 0 }));
  const mean = shares(only);
  NAMES.forEach((n, i) => near(mean[n], i === 2 ? 1 : 0, 1e-12));
});

test("the models of the pooling experiment are in their published order on moved digits, augmented above", () => {
  const rows = at({}).models.map((m) => m.rows.map((row) => row.moved[0]));
  assert.ok(rows[0][0] < rows[1][0] && rows[1][0] < rows[2][0]);
  for (const [plain, augmented] of rows) assert.ok(augmented > plain);
});

test("the sentences: adds, takes away, is not told from nothing", () => {
  const of = (stage, change = {}) => take({ ...at({ stage }), ...change }).key;
  assert.deepEqual(NAMES.map((n) => of(n)), ["credit.take.adds", "credit.take.nothing", "credit.take.adds", "credit.take.adds"]);
  assert.equal(of("pooling", { interval: { pooling: [-0.3, -0.1] } }), "credit.take.costs");
});

test("an order is all four, each once", () => {
  const { like } = credit.within.order;
  assert.match(credit.start.order, like);
  for (const bad of ["sharing", "sharing,sharing,pooling,averaging", "sharing,pooling,averaging,other", ""]) assert.doesNotMatch(bad, like);
});

test("the outcome is the order of the shares", () => {
  assert.equal(credit.outcome(at({})), "augmentation,sharing,averaging,pooling");
  assert.equal(credit.outcome({ rank: ["pooling", "sharing"] }), "pooling,sharing");
});

test("another digit starts a new count; the digit ends where the picture ends", () => {
  const s = settle({ ...credit.start, dx: 99 }, credit.start);
  assert.equal(s.dx, 13);
  assert.equal(settle({ ...s, digit: 3, dx: 0 }, s).tried, credit.start.tried);
});
