// Every row of the product's list that exhibits are to show, and every wrong claim, is to be found in an exhibit: here is where.
import assert from "node:assert/strict";
import { test } from "node:test";

import { EXHIBITS } from "#learn/exhibits/index.js";

const SHOWN = {
  S1: ["drag", "ways"],
  S2: ["pool"],
  S3: ["pool"],
  S4: ["pool"],
  S5: ["one"],
  S6: ["photos"],
  S7: ["drag", "forgets"],
  S8: ["faces"],
  S9: ["forgets"],
  S10: ["credit"],
  S11: ["credit"],
  S12: ["credit"],
  S13: ["photos"],
  S14: ["photos"],
  S15: ["one"],
  S16: ["one"],
  S17: ["dense"],
  S18: ["position"],
  S19: ["faces"],
  S20: ["faces"],
  S21: ["ship"],
  S22: ["dense"],
  S23: ["ways"],
  S24: ["pixels", "border"],
  S25: ["ship", "back"],
  S26: ["back"],
  S27: ["back"],
  S28: ["drag", "credit"],
  S29: ["border", "position"],
};
const CORRECTED = { 1: ["drag", "forgets"], 2: ["drag", "pixels", "credit", "seam", "own"], 3: ["one"], 4: ["back"] };

const where = (field, value) => EXHIBITS.filter((e) => e[field].includes(value)).map((e) => e.id);

test("the rows are S1 to S29, and each is where this table says", () => {
  assert.deepEqual(Object.keys(SHOWN), Array.from({ length: 29 }, (_, i) => `S${i + 1}`));
  for (const [row, ids] of Object.entries(SHOWN)) assert.deepEqual(where("rows", row), ids, row);
});

test("the four wrong claims are where this table says", () => {
  for (const [claim, ids] of Object.entries(CORRECTED)) assert.deepEqual(where("claims", Number(claim)), ids, claim);
});

test("no exhibit shows a row or corrects a claim that is not in the tables, and each shows one", () => {
  for (const e of EXHIBITS) {
    assert.ok(e.rows.length + e.claims.length > 0, e.id);
    for (const row of e.rows) assert.ok(row in SHOWN, row);
    for (const claim of e.claims) assert.ok(claim in CORRECTED, String(claim));
  }
});
