// "What photographs are like": statistics against their definitions, the test of position from the record, and the sentence.
import assert from "node:assert/strict";
import { test } from "node:test";

import { chances, correlation, direct, normals, shuffled } from "#learn/engine/statistics.js";
import { photos, prepare, seen, settle, take } from "#learn/exhibits/photos.js";
import { byDistance, DISTANCES, fieldByGradient, fieldOf, ofWindow, pairs, spoilt, VERSIONS } from "#learn/exhibits/photos/statistics.js";

import { read, weights } from "./read.js";

const N = 256;
/** A picture of sums along a row, r(d) = 0.97 ** d: what a photograph's neighbours are like, with a known law. */
const smooth = (() => {
  const noise = normals(3, N * N);
  const x = new Float64Array(N * N);
  for (let i = 0; i < x.length; i++) x[i] = i % N ? 0.97 * x[i - 1] + Math.sqrt(1 - 0.97 ** 2) * noise[i] : noise[i];
  return x.map((v) => Math.max(0, Math.min(1, 0.5 + v / 8)));
})();
const scene = { side: N, pixels: btoa(Array.from(smooth, (v) => String.fromCharCode(Math.round(255 * v))).join("")) };
const material = prepare({ scene, records: weights("records") });
const state = (change) => settle({ ...photos.start, ...change });
const at = (change) => seen(state(change), material);
const near = (a, b, far) => assert.ok(Math.abs(a - b) <= far, `${a} is not ${b}`);

test("correlation by its definition: of a list with itself 1, with its negative -1, with a constant 0", () => {
  const v = normals(1, 50);
  near(correlation(v, v), 1, 1e-12);
  near(correlation(v, v.map((a) => 3 - 2 * a)), -1, 1e-12);
  assert.equal(correlation(v, v.map(() => 4)), 0);
  near(correlation([1, 2, 3, 4], [2, 1, 4, 3]), 0.6, 1e-12);
});

test("what is left if the pixels between are known: all of it at one, nothing further in a chain", () => {
  const r = Array.from({ length: 8 }, (_, i) => 0.9 ** (i + 1));
  near(direct(r.slice(0, 1)), 0.9, 1e-12);
  for (let n = 2; n <= 8; n++) near(direct(r.slice(0, n)), 0, 1e-12);
  near(direct([0.5, 0.4]), (0.4 - 0.25) / (1 - 0.25), 1e-12); // the partial correlation of three
});

test("pairs that are apart, and their correlation by a known law", () => {
  const [a, b] = pairs(Float64Array.from({ length: 9 }, (_, i) => i), 3, 1, 1);
  assert.deepEqual([[...a], [...b]], [[0, 1, 3, 4], [4, 5, 7, 8]]);
  const { r } = byDistance(smooth, N, "across");
  for (const [d, v] of r.slice(0, 8)) near(v, 0.97 ** d, 0.06);
  assert.deepEqual(r.map(([d]) => d), DISTANCES);
});

test("shuffled pixels are the same pixels and do not go together; sorted patches too are the same pixels", () => {
  const sorted = (x) => Float64Array.from(x).sort();
  for (const version of ["half", "sorted", "shuffled"]) assert.deepEqual(sorted(spoilt(smooth, N, version)), sorted(smooth));
  assert.ok(byDistance(spoilt(smooth, N, "shuffled"), N, "down").r.every(([, v]) => Math.abs(v) < 0.02));
  assert.ok(spoilt(smooth, N, "vignetted").every((v, i) => v <= smooth[i] && v >= 0));
  const patch = (x, top, left) => ofWindow(x, N, top, left, 32).mean;
  const made = spoilt(smooth, N, "sorted");
  assert.ok(patch(made, 0, 0) < patch(made, 0, 32) && patch(made, 0, 32) < patch(made, 224, 224));
  assert.notDeepEqual(shuffled(smooth, 1), shuffled(smooth, 2));
  assert.ok(chances(1)() !== chances(2)());
});

test("a window's shares add up to 1; mean and variance by their definitions", () => {
  const w = ofWindow(smooth, N, 20, 31, 16);
  near(w.bins.reduce((a, b) => a + b), 1, 1e-12);
  const inside = Array.from({ length: 256 }, (_, i) => smooth[(20 + Math.floor(i / 16)) * N + 31 + (i % 16)]);
  const mean = inside.reduce((a, b) => a + b) / 256;
  near(w.mean, mean, 1e-12);
  near(w.variance, inside.reduce((a, v) => a + (v - mean) ** 2, 0) / 256, 1e-12);
});

test("receptive field of c p c p: 3, 4, 8, 10, by formula and by gradient", () => {
  assert.deepEqual([1, 2, 3, 4].map((n) => fieldOf(3, n)), [3, 4, 8, 10]);
  for (const kernel of [3, 5]) for (const n of [1, 2, 3, 4]) assert.equal(fieldByGradient(kernel, n), fieldOf(kernel, n));
});

test("two windows at one place are alike, and both stay on the photograph", () => {
  assert.equal(at({ dy: 0, dx: 0, ey: -32, ex: -24 }).apart, 0);
  const s = settle({ ...photos.start, dx: 999, dy: -999 });
  assert.deepEqual([s.dx, s.dy], [36, -8]);
});

test("p is the least of the record's three, and the record's words agree", () => {
  const { figures, finding } = read("tests/golden/experiments/stationarity.json");
  const least = (row) => Math.min(...figures.filter((f) => f.table === "pictures" && f.row === row && f.column.endsWith(": p")).map((f) => f.measured));
  near(at({ version: "vignetted" }).p, least("vignetted"), 1e-6);
  near(at({}).p, least("photographs"), 1e-6);
  assert.deepEqual(VERSIONS.map((version) => at({ version }).differs), [true, true, true, true, false]);
  assert.match(finding[0], /these differ by position/);
});

const CHOSEN = {
  "photos.take.together.differ": {},
  "photos.take.apart.same": { version: "shuffled", far: 8, direction: "down" },
};
for (const [key, change] of Object.entries(CHOSEN)) {
  test(`the sentence ${key}`, () => assert.equal(take(at(change)).key, key));
}
test("the sentence photos.take.together.same, where the record finds no difference", () => {
  const records = weights("records");
  const none = Object.fromEntries(Object.keys(records.stationarity.pictures.photographs).map((column) => [column, [0.5, null, null]]));
  const pictures = { ...records.stationarity.pictures, photographs: none };
  assert.equal(take(seen(state({}), prepare({ scene, records: { ...records, stationarity: { pictures } } }))).key, "photos.take.together.same");
});
test("the sentence photos.take.apart.differ, where neighbours do not go together and the record differs", () => {
  const noise = prepare({ scene: { side: N, pixels: btoa(Array.from(shuffled(smooth, 7), (v) => String.fromCharCode(Math.round(255 * v))).join("")) }, records: weights("records") });
  const keys = new Set(DISTANCES.map((far) => take(seen(state({ version: "half", far }), noise)).key));
  assert.ok(keys.has("photos.take.apart.differ"));
});

test("the outcome is the curve measured at four distances of the photograph as it is", () => {
  const play = photos.play(state({ version: "shuffled" }), 1);
  const r = seen(state({ version: "shuffled", ...play }), material);
  assert.equal(photos.outcome(r), r.sketch.map((v) => Math.round(100 * Math.max(0, v))).join(","));
  assert.match(photos.outcome(r), photos.guessing.like);
  near(r.sketch[0], 0.97, 0.02);
});
