// "Two ways round": the laws of the experiment `equivariance`, and the sentence that is chosen.
import assert from "node:assert/strict";
import { test } from "node:test";

import { average } from "#learn/engine/forward.js";
import { moved } from "#learn/engine/tensor.js";
import { CHANGES, FUNCTIONS, prepare, seen, take, ways } from "#learn/exhibits/ways.js";
import { bothWays, doubled, everyMove, laws, pictures, relative, squares, turned } from "#learn/exhibits/ways/laws.js";
import { whole } from "#learn/exhibits/ways/whole.js";

const held = prepare();
const at = (change) => ways.settle({ ...ways.start, ...change });
const of = (change, material = held) => seen(at(change), material);
const near = (a, b, error = 1e-12) => assert.ok(Math.abs(a - b) <= error, `${a} is not ${b}`);
const all = laws();
const both = pictures();
/** |a - b| as a share of |c|, of both pictures together. */
const share = (a, b, c = b) =>
  Math.sqrt(a.reduce((sum, m, i) => sum + squares(m.data, b[i].data), 0) / c.reduce((sum, m) => sum + squares(m.data), 0));

test("the whole numbers are those of torch's generator", () => {
  assert.deepEqual([...whole(12, 0)], [4, -4, -2, 2, 3, 2, 3, -3, -3, -4, 4, -2]);
});

test("over all moves: exactly 0, or the errors of the experiment", () => {
  const most = (f) => Math.max(...both.map((x) => everyMove(all[f], x).most));
  for (const f of ["circular", "symmetric", "relu", "mask", "mean", "largest"]) assert.equal(most(f), 0, f);
  near(most("zeros"), 0.5337508376284741);
  near(most("factor"), 1.6079831443477086);
  near(most("dense"), 1.9682983039963935);
});

test("a map with a cell for every two pixels keeps the even moves: 36 of 144", () => {
  for (const f of ["pool", "stride"]) {
    for (const x of both) {
      const { errors, held: kept } = everyMove(all[f], x);
      assert.equal(kept, 36);
      errors.forEach((e, i) => assert.equal(e === 0, Math.floor(i / 12) % 2 === 0 && (i % 12) % 2 === 0));
    }
  }
});

test("stride 2, odd moves: 1.286 at the best move of the map", () => {
  const fx = both.map(all.stride.run);
  const errors = [[1, 0], [0, 1], [1, 1]].flatMap(([dy, dx]) =>
    [[0, 0], [1, 0], [0, 1], [1, 1]].map(([uy, ux]) => share(both.map((x) => all.stride.run(moved(x, dy, dx))), fx.map((m) => moved(m, uy, ux)), fx)),
  );
  near(Math.min(...errors), 1.2859495117017097);
  for (const [i, x] of both.entries()) {
    const best = [0, 1].map((u) => relative(all.stride.run(moved(x, 0, 1)), moved(fx[i], 0, u), fx[i]));
    assert.equal(bothWays(all.stride, x, fx[i], 0, 1).error, Math.min(...best));
  }
});

test("a quarter turn: 1.241, with a symmetrised kernel 0; twice the size: 1.076", () => {
  const run = (f, g) => share(both.map((x) => all[f].run(g(x))), both.map((x) => g(all[f].run(x))));
  near(run("circular", turned), 1.2413168841283955);
  assert.equal(run("symmetric", turned), 0);
  near(run("circular", doubled), 1.0756563515603426);
});

test("four quarter turns, and the middle of a doubled picture, are as it was", () => {
  for (const x of both) {
    assert.deepEqual(turned(turned(turned(turned(x)))), x);
    assert.notDeepEqual(turned(x), x);
    assert.deepEqual([...average(doubled(x))], [...average(x)]);
  }
});

test("what is shown: the corners, and the error that stands between them", () => {
  for (const f of FUNCTIONS) {
    for (const g of CHANGES) {
      const r = of({ f, g, dx: 1, dy: 3 });
      if (r.error === null) continue;
      assert.equal(r.error === 0, r.largest === 0);
      assert.deepEqual([r.fgx.h, r.fgx.w], [r.gfx.h, r.gfx.w]);
      if (g === "move") assert.equal(r.error, r.moves.errors[3 * 12 + 1]);
    }
  }
  const r = of({ f: "circular", dx: 5 });
  assert.deepEqual(r.fgx.data, r.gfx.data);
  assert.ok(r.difference.data.every((v) => v === 0));
});

const CHOSEN = {
  "ways.take.every": { f: "circular" },
  "ways.take.still": { f: "mean" },
  "ways.take.some": {},
  "ways.take.none": { f: "dense", picture: "numbers" },
  "ways.take.same": { f: "symmetric", g: "turn" },
  "ways.take.apart": { f: "circular", g: "turn" },
  "ways.take.size": { f: "dense", g: "double" },
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(of(change)).key, key));
}

test("a law that is broken at one place is not said to hold everywhere", () => {
  const broken = { ...held.laws, circular: { ...held.laws.circular, run: (x) => ({ ...held.laws.circular.run(x), data: held.laws.circular.run(x).data.with(0, 1e6) }) } };
  const material = { ...held, laws: broken, every: (f, picture) => everyMove(broken[f], held.shown[picture]) };
  assert.equal(take(of({ f: "circular" }, material)).key, "ways.take.none");
});

test("every outcome of the prediction is offered, and comes from the error", () => {
  const outcome = (change) => ways.outcome(of({ ...change, ...ways.play(at(change), 1) }));
  assert.equal(outcome({}), "other");
  assert.equal(outcome({ f: "circular" }), "equal");
  assert.equal(outcome({ f: "dense", g: "double" }), "other");
  assert.equal(ways.outcome({ error: 0.05 }), "nearly");
  assert.equal(ways.question(at({ g: "turn" })).key, "ways.predict.by.turn");
});
