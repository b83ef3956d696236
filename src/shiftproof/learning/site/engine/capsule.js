// Capsules: vectors whose length says whether something is there (Sabour, Frosst and Hinton 2017).
import { softmax } from "#learn/engine/forward.js";

/** The same direction, a length below 1: v = |s|^2 / (1 + |s|^2) s / |s|. @param {Float64Array} s */
export function squash(s) {
  let square = 0;
  for (let i = 0; i < s.length; i++) square += s[i] * s[i];
  const length = Math.sqrt(square);
  return s.map((v) => (v * length) / (1 + length * length));
}

/**
 * Channels of maps in groups of `size`, each a capsule at each place: by kind, then row by row.
 * @param {import("#learn/engine/tensor.js").Maps} x @param {number} size
 */
export function grouped(x, size) {
  const area = x.h * x.w;
  return Array.from({ length: (x.c / size) * area }, (_, i) => {
    const s = new Float64Array(size);
    for (let d = 0; d < size; d++) s[d] = x.data[(Math.floor(i / area) * size + d) * area + (i % area)];
    return squash(s);
  });
}

/**
 * Every capsule below predicts every one above, and is routed to where it agrees.
 * @param {Float64Array[]} below @param {{weight: Float64Array, shape: number[]}} p weights (below, numbers below, above, numbers above) @param {number} routings
 * @returns {{above: Float64Array[], coupling: Float64Array[]}}
 */
export function route(below, p, routings) {
  const [, d, above, e] = p.shape;
  const wide = above * e;
  const predicted = new Float64Array(below.length * wide);
  below.forEach((u, i) => {
    for (let m = 0; m < d; m++) for (let k = 0; k < wide; k++) predicted[i * wide + k] += u[m] * p.weight[(i * d + m) * wide + k];
  });
  const logits = below.map(() => new Float64Array(above));
  for (let r = 1; ; r++) {
    const coupling = logits.map((b) => softmax(b));
    const sums = new Float64Array(wide);
    for (let i = 0; i < below.length; i++) for (let k = 0; k < wide; k++) sums[k] += coupling[i][Math.floor(k / e)] * predicted[i * wide + k];
    const found = Array.from({ length: above }, (_, j) => squash(sums.slice(j * e, (j + 1) * e)));
    if (r === routings) return { above: found, coupling };
    for (let i = 0; i < below.length; i++) for (let k = 0; k < wide; k++) logits[i][Math.floor(k / e)] += found[Math.floor(k / e)][k % e] * predicted[i * wide + k];
  }
}
