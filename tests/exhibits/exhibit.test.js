// The page of an exhibit: how the move of the question is played.
import assert from "node:assert/strict";
import { test } from "node:test";

import { played } from "#learn/exhibit.js";
import { EXHIBITS } from "#learn/exhibits/index.js";

/** The shares of a move that is played when frames come at these times, from its start on. */
function sharesOf(times, reduced = false) {
  const [shares, frames] = [[], []];
  const before = { matchMedia: globalThis.matchMedia, requestAnimationFrame: globalThis.requestAnimationFrame };
  Object.assign(globalThis, { matchMedia: () => ({ matches: reduced }), requestAnimationFrame: (f) => frames.push(f) });
  let ended = false;
  const start = performance.now();
  played({ play: (_, share) => share }, {}, (share) => shares.push(share), () => (ended = true));
  for (const t of times) frames.pop()?.(start + t);
  Object.assign(globalThis, before);
  return { shares, ended };
}

test("a frame may have begun before the move: its share is none, not less", () => {
  const { shares, ended } = sharesOf([-16, -0.1, 225, 900]);
  assert.deepEqual(shares.slice(0, 2), [0, 0]);
  assert.ok(shares[2] > 0.4 && shares[2] < 0.6);
  assert.equal(shares[3], 1);
  assert.ok(ended);
});

test("for who wants nothing to move by itself, the move is made at once", () => {
  assert.deepEqual(sharesOf([], true), { shares: [1], ended: true });
});

test("at every share of its move an exhibit is in a state that it knows", () => {
  for (const e of EXHIBITS) {
    for (let i = 0; i <= 100; i++) {
      for (const [name, value] of Object.entries(e.play(e.start, i / 100))) {
        const range = e.within[name];
        const known = "of" in range ? range.of.includes(value) : "like" in range ? range.like.test(value) : value >= range.from && value <= range.to;
        assert.ok(known, `${e.id} ${name} ${value} at ${i} %`);
      }
    }
  }
});
