// A network that is a chain of layers, as `chain_to_file` in tests/exhibit_networks.py writes it.
import { average, convolution, dense, maxPool, padded, relu } from "#learn/engine/forward.js";
import { halves, maps } from "#learn/engine/tensor.js";

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */

/** A kernel of its own at each place, around the circle; weights lie as (place, row x column x input, output). @param {any} p @returns {(x: Maps) => Maps} */
const unshared = (p) => (x) => {
  const out = maps(p.channelsOut, x.h, x.w);
  const rim = (p.kernel - 1) / 2;
  const from = padded(x, rim, "circular");
  const taps = p.channelsIn * p.kernel ** 2;
  for (let at = 0; at < x.h * x.w; at++) {
    for (let o = 0; o < p.channelsOut; o++) {
      let sum = p.bias[o * x.h * x.w + at];
      for (let t = 0; t < taps; t++) {
        const [c, tap] = [t % p.channelsIn, Math.floor(t / p.channelsIn)];
        const [y, u] = [Math.floor(tap / p.kernel), tap % p.kernel];
        sum += p.weight[(at * taps + t) * p.channelsOut + o] * from.data[(c * from.h + Math.floor(at / x.w) + y) * from.w + (at % x.w) + u];
      }
      out.data[o * x.h * x.w + at] = sum;
    }
  }
  return out;
};

/** The rows and columns as two more channels, from -1 to 1. @param {Maps} x @returns {Maps} */
function coordinates(x) {
  const at = (/** @type {number} */ i, /** @type {number} */ n) => (2 * i - (n - 1)) / Math.max(1, n - 1);
  const data = Float64Array.from({ length: (x.c + 2) * x.h * x.w }, (_, i) => {
    const [c, y, u] = [Math.floor(i / (x.h * x.w)), Math.floor(i / x.w) % x.h, i % x.w];
    return c < x.c ? x.data[i] : c === x.c ? at(y, x.h) : at(u, x.w);
  });
  return { ...x, data, c: x.c + 2 };
}

/** @param {any} p a layer of a file @returns {(x: Maps) => Maps} */
function layer(p) {
  if (p.kind === "relu") return relu;
  if (p.kind === "pool") return (x) => maxPool(x, p.k);
  const row = (/** @type {Float64Array} */ data) => ({ data, c: data.length, h: 1, w: 1 });
  if (p.kind === "average") return (x) => row(average(x));
  if (p.kind === "coordinates") return coordinates;
  const held = { ...p, weight: halves(p.weight), bias: halves(p.bias) };
  if (p.kind === "unshared") return unshared(held);
  return p.kind === "convolution" ? convolution(held) : (x) => row(dense(held, x.data));
}

/** @param {any[]} layers @returns {(x: Maps) => Float64Array} the scores */
export function chain(layers) {
  const steps = layers.map(layer);
  return (x) => steps.reduce((v, step) => step(v), x).data;
}
