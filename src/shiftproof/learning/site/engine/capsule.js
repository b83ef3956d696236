// Capsules: vectors whose length says whether something is there (Sabour, Frosst and Hinton 2017).
import { softmax } from "#learn/engine/forward.js";

/** The same direction, a length below 1: v = |s|^2 / (1 + |s|^2) s / |s|. @param {Float64Array} s */
export function squash(s) {
  const length = Math.hypot(...s);
  return s.map((v) => (v * length) / (1 + length * length));
}

/**
 * Channels of maps in groups of `size`, each a capsule at each place: by kind, then row by row.
 * @param {import("#learn/engine/tensor.js").Maps} x @param {number} size
 */
export function grouped(x, size) {
  const area = x.h * x.w;
  return Array.from({ length: (x.c / size) * area }, (_, i) => squash(Float64Array.from({ length: size }, (_, d) => x.data[(Math.floor(i / area) * size + d) * area + (i % area)])));
}

/**
 * Every capsule below predicts every one above, and is routed to where it agrees.
 * @param {Float64Array[]} below @param {{weight: Float64Array, shape: number[]}} p weights (below, numbers below, above, numbers above) @param {number} routings
 * @returns {{above: Float64Array[], coupling: Float64Array[]}}
 */
export function route(below, p, routings) {
  const [, d, above, e] = p.shape;
  const predicted = below.map((u, i) => Array.from({ length: above }, (_, j) => Float64Array.from({ length: e }, (_, k) => {
    let sum = 0;
    for (let m = 0; m < d; m++) sum += u[m] * p.weight[((i * d + m) * above + j) * e + k];
    return sum;
  })));
  const logits = below.map(() => new Float64Array(above));
  for (let r = 1; ; r++) {
    const coupling = logits.map((b) => softmax(b));
    const found = Array.from({ length: above }, (_, j) => squash(Float64Array.from({ length: e }, (_, k) => predicted.reduce((sum, u, i) => sum + coupling[i][j] * u[j][k], 0))));
    if (r === routings) return { above: found, coupling };
    predicted.forEach((u, i) => found.forEach((v, j) => v.forEach((x, k) => (logits[i][j] += x * u[j][k]))));
  }
}
