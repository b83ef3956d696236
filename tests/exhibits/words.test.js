// Sentences and their numbers.
import assert from "node:assert/strict";
import { test } from "node:test";

import { EXHIBITS } from "#learn/exhibits/index.js";
import { speaker } from "#learn/words.js";

import { words } from "./read.js";

const t = speaker({ ...words("en"), x: "{v}" }, "en");
const said = (v) => t.plain("x", { v }).replaceAll("\u00a0", " ");

test("zero is said only of exact zero, and rounding is said to be rounding", () => {
  assert.equal(said({ size: 0 }), "0");
  assert.equal(said({ size: 1e-14 }), "1 × 10⁻¹⁴ (rounding)");
  assert.equal(said({ size: 4e-5 }), "4 × 10⁻⁵");
  assert.equal(said({ size: 0.0123456 }), "0.0123");
  assert.equal(said({ size: 68.123 }), "68.1");
});

test("a share is whole only where it is exact", () => {
  assert.equal(said({ share: 0 }), "0%");
  assert.equal(said({ share: 1 }), "100%");
  assert.equal(said({ share: 1e-9 }), "<0.1%");
  assert.equal(said({ share: 0.99999 }), ">99.9%");
  assert.equal(said({ share: 203 / 784 }), "25.9%");
  assert.equal(said({ share: -0.0003 }), ">-0.1%");
});

test("words that are missing, and values that are missing, are errors", () => {
  assert.throws(() => t("no.such.words"), /no words/);
  assert.throws(() => t.plain("x", {}), /no value/);
});

for (const language of ["en", "ko"]) {
  const held = words(language);
  test(`every exhibit has all its words: ${language}`, () => {
    for (const e of EXHIBITS) {
      const keys = ["title", "question", "why", "corrects", "try.next", ...(e.guessing.options ?? []).map((o) => `predict.${o}`)];
      for (const key of keys) assert.ok(`${e.id}.${key}` in held, `${e.id}.${key}`);
    }
  });
}

test("words of another script carry their language", () => {
  const shown = JSON.stringify(speaker({ ...words("ko"), x: "등변성(equivariance)" }, "ko")("x"));
  assert.match(shown, /"lang":"en"/);
});
