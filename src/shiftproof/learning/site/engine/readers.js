// The network of exhibit 1: three convolutions, read in two ways. Weights are in weights/drag.json.
import { average, convolution, dense, maxPool, relu, softmax } from "#learn/engine/forward.js";
import { argmax, halves } from "#learn/engine/tensor.js";

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
/** @typedef {{scores: Float64Array, chances: Float64Array, answer: number}} Readout */
/** @typedef {{maps: Maps, pooled: Maps, readouts: [Readout, Readout]}} Reading */

/** @param {Float64Array} scores @returns {Readout} */
const readout = (scores) => ({ scores, chances: softmax(scores), answer: argmax(scores) });

/**
 * @param {any} held a file that `make exhibits` wrote
 * @returns {(picture: Maps) => Reading}
 */
export function readers(held) {
  const read = (/** @type {any} */ p) => ({ ...p, weight: halves(p.weight), bias: halves(p.bias) });
  const layers = held.convs.map((/** @type {any} */ p) =>
    convolution({ ...read(p), padding: (p.dilation * (p.kernel - 1)) / 2, border: "circular" }),
  );
  const flat = read(held.flat);
  const averaged = read(held.average);
  return (picture) => {
    let maps = picture;
    for (const layer of layers) maps = relu(layer(maps));
    const pooled = maxPool(maps, held.pool);
    const means = average(maps).map((v) => v * held.gain);
    return { maps, pooled, readouts: [readout(dense(flat, pooled.data)), readout(dense(averaged, means))] };
  };
}
