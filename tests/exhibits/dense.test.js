// "From dense to convolution": what tying leaves, what passes, and the sentence that it chooses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { dense, painted, seen, settle, STEPS, take, weights } from "#learn/exhibits/dense.js";
import { asText, commutator, drawn, joined, length, near, ofPicture, ofText, tied, UNIT, ways } from "#learn/exhibits/dense/matrix.js";

const state = (change) => settle({ ...dense.start, ...change });
const at = (change) => seen(state(change));
const close = (a, b, far = 1e-12) => assert.ok(Math.abs(a - b) <= far, `${a} is not ${b}`);

test("the matrix drawn does not let a move pass; tied it does, exactly", () => {
  const r = at({});
  assert.ok(r.commutator > 16 && r.commutator < 17);
  for (const step of STEPS.slice(1)) for (const far of [1, 2, 5]) assert.equal(at({ step, far }).commutator, 0);
});

test("weights that can be chosen freely: 144, 12, 2 D + 1, and as often for each channel", () => {
  assert.deepEqual(["dense", "tied"].map((step) => at({ step }).free), [144, 12]);
  for (const far of [1, 2, 3, 4, 5]) {
    assert.equal(at({ step: "local", far }).free, 2 * far + 1);
    assert.equal(at({ step: "channels", far }).free, 4 * (2 * far + 1));
  }
});

test("a picture of 28 x 28: 614,656, 784, 9, 36; of 1000 x 1000: 3,996,001 offsets, 121 of them within 5", () => {
  assert.deepEqual(ofPicture(28, 1, 4, true), [614656, 784, 9, 36]);
  const [all, offsets, within] = ofPicture(1000, 5, 1, false);
  assert.deepEqual([all, offsets, within], [1e12, 3996001, 121]);
  assert.equal(within - 4 * 5 ** 2, 4 * 5 + 1); // the book's 4 D^2 is short by so many
  assert.deepEqual(at({}).counts.map((c) => c.at[0]), [144, 614656, 1e12]);
});

test("of a random n x n matrix, one part in n of the squared length is a convolution", () => {
  for (const n of [4, 12]) {
    let mean = 0;
    const all = 600;
    for (let seed = 1; seed <= all; seed++) {
      const m = drawn(seed, n);
      mean += (length(tied(m)) / length(m)) ** 2 / all;
    }
    assert.ok(Math.abs(mean * n - 1) < 0.1, `${n}: ${mean}`);
  }
});

test("tying is a projection: twice is once, and the squares of the two lengths add up", () => {
  const m = weights("");
  const once = tied(m);
  tied(once).forEach((v, k) => close(v, once[k]));
  close(length(once) ** 2 + length(m.map((v, k) => v - once[k])) ** 2, length(m) ** 2, 1e-10);
  const { convolution, other } = at({});
  close(convolution ** 2 + other ** 2, 1);
});

test("no convolution is nearer than the tied matrix", () => {
  const m = weights("");
  const far = (c) => length(m.map((v, k) => v - c[k]));
  const best = tied(m);
  for (let seed = 1; seed < 20; seed++) {
    const aside = tied(drawn(seed));
    assert.ok(far(best) < far(best.map((v, k) => v + 0.01 * aside[k])));
  }
});

test("moved before or after: different through the dense matrix, the same through the tied one at every move", () => {
  for (let dx = -6; dx < 6; dx++) {
    assert.ok(dx === 0 ? at({ dx }).error === 0 : at({ dx }).error > 1, String(dx));
    for (const step of STEPS.slice(1)) assert.ok(at({ dx, step }).error < 1e-13);
  }
});

test("reach is 1 + L (k - 1); through 4 layers 19 ways from the middle, 1 from the outermost; dense: all at once", () => {
  for (const far of [1, 2]) {
    for (const layers of [1, 2, 3, 4]) assert.equal(at({ step: "local", far, layers }).reached, Math.min(12, 1 + layers * 2 * far));
  }
  const r = at({ step: "local", layers: 4 });
  assert.deepEqual([r.most, r.least], [19, 1]);
  assert.deepEqual([...ways(5, 1, 4)[4]].filter((v) => v > 0), [1, 4, 10, 16, 19, 16, 10, 4, 1]);
  assert.equal(at({ layers: 1 }).reached, 12);
});

test("of 81 pairs of 9 and 9, a kernel of 3 joins 21", () => {
  assert.equal(joined(9, 3), 21);
  assert.deepEqual([at({}).pairs.dense, at({}).pairs.kernel], [81, 21]);
});

test("a weight is painted alone where nothing is tied, else with its diagonal", () => {
  const one = at(painted(state({}), 3, 5, 0));
  const before = weights("");
  assert.deepEqual([...one.given].filter((v, k) => v !== before[k]).length, 1);
  assert.equal(one.weight, 0);
  const whole = at({ step: "tied", ...painted(state({ step: "tied" }), 3, 5, 7) });
  assert.equal([...whole.matrix].filter((v) => v === 7 * UNIT).length, 12);
  assert.equal(whole.commutator, 0);
});

test("what is painted stands in the address", () => {
  const m = drawn(3);
  assert.deepEqual(ofText(asText(m)), m);
  assert.match(asText(m), dense.within.own.like);
  assert.doesNotMatch("A".repeat(95), dense.within.own.like);
});

test("near keeps what is near", () => {
  assert.equal(near(new Float64Array(144).fill(1), 1).reduce((a, b) => a + b), 36);
  assert.ok(commutator(near(drawn(3), 1)) > 1); // near alone lets nothing pass
});

const CHOSEN = {
  "dense.take.not": {},
  "dense.take.passes": { step: "tied" },
  "dense.take.channels": { step: "channels" },
  "dense.take.already": { own: asText(near(new Float64Array(144).fill(UNIT), 2)) },
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(at(change)).key, key));
}
test("kept near too the sentence says that moves pass, and a matrix of zeros is one that lets them", () => {
  assert.equal(take(at({ step: "local" })).key, "dense.take.passes");
  const zeros = asText(new Float64Array(144));
  assert.equal(take(at({ own: zeros })).key, "dense.take.already");
  assert.equal(at({ own: zeros }).convolution, 1);
});

test("a tie that is wrong in one weight reaches the sentence that a right one never says", () => {
  const r = at({ step: "tied" });
  const wrong = r.matrix.map((v, k) => (k === 17 ? v + 1e-9 : v));
  assert.equal(take({ ...r, commutator: commutator(wrong) }).key, "dense.take.not");
});

test("the outcome of the prediction is the share measured, whatever the step", () => {
  const outcome = (change) => dense.outcome(seen(state({ ...change, ...dense.play(state(change), 1) })));
  assert.equal(outcome({}), String(Math.round(100 * at({}).convolution)));
  assert.equal(outcome(CHOSEN["dense.take.already"]), "100");
  assert.equal(dense.question(state(CHOSEN["dense.take.already"])).key, "dense.predict.own");
  assert.equal(dense.question(state({})).key, "dense.predict.question");
});
