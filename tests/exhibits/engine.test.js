// The engine against torch in float64.
import assert from "node:assert/strict";
import { test } from "node:test";

import * as backward from "#learn/engine/backward.js";
import * as forward from "#learn/engine/forward.js";
import { halves, largestDifference, maps, moved } from "#learn/engine/tensor.js";

import { golden } from "./read.js";

const CLOSE = 1e-9;
const cases = golden("engine");
const array = (v) => Float64Array.from(v);
const asMaps = ([c, h, w], values) => ({ c, h, w, data: array(values) });
const near = (a, b) => assert.ok(largestDifference(a, b) <= CLOSE, `differs by ${largestDifference(a, b)}`);
const layer = (held) => ({ ...held, weight: array(held.weight), bias: array(held.bias) });

cases.convolutions.forEach((held, i) => {
  const { kernel, stride, padding, dilation, groups, border } = held;
  const name = `convolution ${i}: kernel ${kernel}, stride ${stride}, padding ${padding} ${border}, dilation ${dilation}, groups ${groups}`;
  test(name, () => {
    const p = layer(held);
    const x = asMaps(held.size, held.x);
    const out = forward.convolution(p)(x);
    assert.deepEqual([out.c, out.h, out.w], held.outSize);
    near(out.data, held.out);
    const back = backward.convolutionBackward(x, p, asMaps(held.outSize, held.delta));
    near(back.input.data, held.dx);
    near(back.weight, held.dw);
    near(back.bias, held.db);
  });
});

test("padding that is off by one, and a kernel that is flipped, are noticed", () => {
  const held = cases.convolutions[1];
  const x = asMaps(held.size, held.x);
  const shifted = forward.convolution(layer(held))(moved(x, 0, 1, "zero"));
  assert.ok(largestDifference(shifted.data, held.out) > 0.1);
  const flipped = { ...layer(held), weight: array(held.weight).reverse() };
  const back = backward.convolutionBackward(x, flipped, asMaps(held.outSize, held.delta));
  assert.ok(largestDifference(back.input.data, held.dx) > 0.1);
});

cases.pools.forEach((held) => {
  test(`${held.kind} pooling ${held.k}, stride ${held.stride}`, () => {
    const [pool, back] = { max: [forward.maxPool, backward.maxPoolBackward], average: [forward.averagePool, backward.averagePoolBackward] }[held.kind];
    const x = asMaps(held.size, held.x);
    const out = pool(x, held.k, held.stride);
    assert.deepEqual([out.c, out.h, out.w], held.outSize);
    near(out.data, held.out);
    near(back(x, held.k, held.stride, asMaps(held.outSize, held.delta)).data, held.dx);
  });
});

test("dense", () => {
  const held = cases.dense;
  near(forward.dense(layer(held), array(held.x)), held.out);
  const back = backward.denseBackward(layer(held), array(held.x), array(held.delta));
  near(back.input, held.dx);
  near(back.weight, held.dw);
  near(back.bias, held.db);
});

cases.softmax.forEach((held, i) => {
  test(`softmax ${i}`, () => {
    const p = forward.softmax(array(held.z));
    near(p, held.p);
    near(backward.softmaxBackward(p, array(held.delta)), held.dz);
  });
});

test("relu and the mean over positions", () => {
  const { relu, average } = cases;
  const x = asMaps(relu.size, relu.x);
  near(forward.relu(x).data, relu.out);
  near(backward.reluBackward(x, asMaps(relu.size, relu.delta)).data, relu.dx);
  near(forward.average(x), average.out);
  near(backward.averageBackward(x, array(average.delta)).data, average.dx);
  const rows = { ...x, c: x.h, h: x.c }; // the mean over the wrong axis
  assert.ok(largestDifference(forward.average(rows).slice(0, 3), average.out) > 0.01);
});

test("halves are read exactly, and what is no number is refused", () => {
  assert.deepEqual([...halves(cases.halves.text)], cases.halves.values);
  assert.throws(() => halves(btoa("\x00\x7c")), /infinite/);
});

test("moves around the circle compose, and zeros move in", () => {
  const x = maps(2, 5, 4);
  x.data.forEach((_, i) => (x.data[i] = i + 1));
  assert.deepEqual(moved(moved(x, 3, 9), -3, -9).data, x.data);
  assert.deepEqual([...moved(x, 1, 0, "zero").data.slice(0, 8)], [0, 0, 0, 0, 1, 2, 3, 4]);
  assert.deepEqual([...moved(x, 0, -3, "zero").data.slice(0, 4)], [4, 0, 0, 0]);
  for (const far of [4, -4, 9, -9]) assert.ok(moved(x, 0, far, "zero").data.every((v) => v === 0));
  for (const edge of ["circular", "zero"]) {
    for (let dy = -6; dy <= 6; dy++) {
      for (let dx = -6; dx <= 6; dx++) {
        const out = moved(x, dy, dx, edge);
        for (let i = 0; i < 20; i++) {
          const [row, column] = [Math.floor(i / 4) - dy, (i % 4) - dx];
          const inside = row >= 0 && row < 5 && column >= 0 && column < 4;
          const at = ((row + 50) % 5) * 4 + ((column + 40) % 4);
          assert.equal(out.data[i], edge === "circular" || inside ? x.data[at] : 0);
        }
      }
    }
  }
});
