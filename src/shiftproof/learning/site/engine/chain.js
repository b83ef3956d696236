// A network that is a chain of layers, as `chain_to_file` in tests/exhibit_networks.py writes it.
import { average, convolution, dense, maxPool, relu } from "#learn/engine/forward.js";
import { halves } from "#learn/engine/tensor.js";

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */

/** @param {any} p a layer of a file @returns {(x: Maps) => Maps} */
function layer(p) {
  if (p.kind === "relu") return relu;
  if (p.kind === "pool") return (x) => maxPool(x, p.k);
  const row = (/** @type {Float64Array} */ data) => ({ data, c: data.length, h: 1, w: 1 });
  if (p.kind === "average") return (x) => row(average(x));
  const held = { ...p, weight: halves(p.weight), bias: halves(p.bias) };
  return p.kind === "convolution" ? convolution(held) : (x) => row(dense(held, x.data));
}

/** @param {any[]} layers @returns {(x: Maps) => Float64Array} the scores */
export function chain(layers) {
  const steps = layers.map(layer);
  return (x) => steps.reduce((v, step) => step(v), x).data;
}
