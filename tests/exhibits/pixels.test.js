// "Every second pixel": what comes back as another wave, which moves are kept, and the sentence that it chooses.
import assert from "node:assert/strict";
import { test } from "node:test";

import { frequencies, isMove, REMEDIES, sampled, wave } from "#learn/exhibits/pixels/sampling.js";
import { keptMoves, PICTURE, pixels, SAMPLES, seen, settle, STRIDES, take, totals } from "#learn/exhibits/pixels.js";

const at = (change) => seen(settle({ ...pixels.start, stride: 2, ...change }));
const near = (a, b, far = 1e-12) => assert.ok(Math.abs(a - b) <= far, `${a} is not ${b}`);

test("every second of 32 samples: 10 cycles become 6, 14 become 2, 2 stay 2", () => {
  for (const [f, g] of [[10, 6], [14, 2], [2, 2]]) assert.equal(at({ f }).ghost, g);
});

test("a frequency comes back folded, at every stride and from every place; it is measured, and equals the law", () => {
  for (const stride of STRIDES) {
    for (let f = 1; f <= SAMPLES / 2; f++) {
      for (const dx of [0, 1, 5]) {
        const r = at({ f, dx, stride });
        const n = SAMPLES / stride;
        if (!r.gone) assert.equal(r.ghost, Math.min(f % n, n - (f % n)), `${f} at ${dx}, stride ${stride}`);
      }
    }
  }
});

test("the wave that is drawn passes through what is kept", () => {
  for (const remedy of REMEDIES) {
    for (const f of [2, 5, 10, 14, 16]) {
      const r = at({ f, dx: 3, remedy });
      r.left.data.forEach((v, i) => near(r.through(i * 2 + r.left.x), v));
    }
  }
});

test("a blur keeps .9619 of 2 cycles and .0381 of 14", () => {
  near(at({ f: 2, remedy: "blur" }).size, 0.9619, 5e-5);
  near(at({ f: 14, remedy: "blur" }).size, 0.0381, 5e-5);
});

test("blurred after the stride, 14 cycles and 2 cannot be told apart; before it they can", () => {
  const sizes = (remedy) => [2, 14].map((f) => at({ f, remedy }).size);
  near(...sizes("after"));
  const [slow, fast] = sizes("blur");
  assert.ok(slow > 20 * fast);
});

test("a low-pass leaves what is under the fold as it is, and nothing else", () => {
  for (let f = 1; f <= SAMPLES / 2; f++) near(at({ f, remedy: "lowpass" }).size, f < 8 ? 1 : 0);
});

test("the sum of what is left: 1 or 0 and 5 or 4 by phase; blurred .5 and 4.5; polyphase 1 and 5", () => {
  assert.deepEqual(totals(1, 2, "none"), [1, 0]);
  assert.deepEqual(totals(9, 2, "none"), [5, 4]);
  assert.deepEqual([totals(1, 2, "blur"), totals(9, 2, "blur")], [[0.5, 0.5], [4.5, 4.5]]);
  assert.deepEqual([totals(1, 2, "polyphase"), totals(9, 2, "polyphase")], [[1, 1], [5, 5]]);
  assert.deepEqual(totals(1, 2, "after"), [1, 0]);
  totals(9, 2, "lowpass").forEach((v) => near(v, 4.5));
});

test("a circular stride of 1, 2, 4 keeps 256, 64, 16 of 256 moves; the smallest are 1, 2, 4", () => {
  assert.deepEqual(STRIDES.map((s) => keptMoves(s, "none").count), [256, 64, 16]);
  assert.deepEqual(STRIDES.map((s) => keptMoves(s, "none").smallest), [1, 2, 4]);
});

test("no blur keeps more moves; polyphase keeps every one, exactly", () => {
  for (const stride of [2, 4]) {
    for (const remedy of ["blur", "lowpass", "after"]) assert.equal(keptMoves(stride, remedy).count, 256 / stride ** 2);
    assert.equal(keptMoves(stride, "polyphase").count, 256);
  }
});

test("the moves that are kept are exactly those by whole strides", () => {
  keptMoves(4, "none").kept.forEach((v, i) => assert.equal(v === 1, Math.floor(i / 16) % 4 === 0 && (i % 16) % 4 === 0));
});

test("a picture that is no move of another is told from it", () => {
  const other = PICTURE.data.map((v, i) => (i === 100 ? v + 1 : v));
  assert.ok(isMove(PICTURE.data, PICTURE.data, 16, 16));
  assert.ok(!isMove(other, PICTURE.data, 16, 16));
});

test("the parts of a wave add up to it, and a stride of one changes nothing", () => {
  const x = wave(3, SAMPLES, 2).map((v, i) => v + wave(7, SAMPLES, 0)[i] / 2);
  const found = frequencies(x);
  x.forEach((v, i) => near(found.sizes.reduce((sum, _, k) => sum + found.at(k, i), 0), v));
  assert.deepEqual(sampled(x, 1, SAMPLES, 1, "none").data, x);
});

const CHOSEN = {
  "pixels.take.ghost": { f: 14 },
  "pixels.take.stays": { f: 2 },
  "pixels.take.edge": { f: 4, stride: 4, dx: 1 },
  "pixels.take.gone": { f: 8, dx: 1 },
  "pixels.mended.ghost": { f: 14, remedy: "blur" },
  "pixels.mended.stays": { f: 2, remedy: "polyphase" },
  "pixels.mended.gone": { f: 14, remedy: "lowpass" },
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(at(change)).key, key));
}

test("the sentence has what was measured", () => {
  const { values } = take(at({ f: 14, remedy: "polyphase" }));
  assert.deepEqual([values.f, values.g, values.s, values.m, values.k, values.n], [14, 2, 2, 64, 256, 256]);
});

test("the outcome of the prediction is measured: the question follows the wave that is there", () => {
  const outcome = (change) => {
    const state = settle({ ...pixels.start, ...change });
    return pixels.outcome(seen(settle({ ...state, ...pixels.play(state, 1) })));
  };
  assert.deepEqual([outcome({}), outcome({ f: 10 }), outcome({ f: 2 }), outcome({ f: 8, dx: 1 })], ["2", "6", "2", "0"]);
  assert.equal(pixels.question(settle({ ...pixels.start, f: 10 })).values.f, 10);
});

test("the wave goes round, and its cycles stay in their range", () => {
  assert.deepEqual([settle({ ...pixels.start, dx: 17, f: 40 }).dx, settle({ ...pixels.start, f: 40 }).f, settle({ ...pixels.start, f: 0 }).f], [-15, 16, 1]);
});
