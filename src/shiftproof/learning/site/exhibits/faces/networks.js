// Four networks that say whether a picture is a face: which parts, parts at their places, convolutions, capsules.
import { grouped, route } from "#learn/engine/capsule.js";
import { chain } from "#learn/engine/chain.js";
import { convolution, dense, maxPool, padded, relu } from "#learn/engine/forward.js";
import { halves, maps } from "#learn/engine/tensor.js";

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
export const NETS = ["bag", "places", "deep", "capsules"];

/** The largest number of each map. @param {Maps} x */
const largest = (x) => Float64Array.from({ length: x.c }, (_, c) => x.data.subarray(c * x.h * x.w, (c + 1) * x.h * x.w).reduce((a, b) => Math.max(a, b)));

/** @param {any} held a file that `make exhibits` wrote */
export function networks(held) {
  const read = (/** @type {any} */ p) => ({ ...p, weight: halves(p.weight), ...(p.bias ? { bias: halves(p.bias) } : {}) });
  const [template, window, face, conv, primary] = ["template", "window", "face", "conv", "primary"].map((name) => convolution(read(held[name])));
  const [bag, places, routed, deep] = [read(held.bag), read(held.places), read(held.route), chain(held.deep)];
  /** How well each part matches around each pixel, from -1 to 1. @param {Maps} x @returns {Maps} */
  const partMaps = (x) => {
    const [mean, square, found] = [window(x), window({ ...x, data: x.data.map((v) => v * v) }), template(x)];
    return { ...found, data: found.data.map((v, i) => v / Math.sqrt(Math.max(0, square.data[i] - mean.data[i] ** 2) + held.floor)) };
  };
  return (/** @type {Maps} */ x) => {
    const found = partMaps(x);
    const faceMap = face(maxPool(padded(found, 1, "circular"), 3, 1));
    const below = grouped(primary(relu(conv(x))), routed.shape[1]);
    const scores = {
      bag: dense(bag, largest(found)),
      places: dense(places, largest(faceMap)),
      deep: deep(x),
      capsules: Float64Array.from(route(below, routed, held.routings).above, (v) => Math.hypot(...v)),
    };
    return { parts: found, face: faceMap, scores };
  };
}


/** The part of a picture that is the mean of its rim: what skin is like around it. @param {Maps} x @param {number[]} box top, left @param {number[]} size */
export function around(x, [top, left], [rows, columns]) {
  let [sum, n] = [0, 0];
  for (let y = top - 1; y <= top + rows; y++) {
    for (let u = left - 1; u <= left + columns; u++) {
      const rim = y < top || u < left || y >= top + rows || u >= left + columns;
      if (rim && y >= 0 && u >= 0 && y < x.h && u < x.w) [sum, n] = [sum + x.data[y * x.w + u], n + 1];
    }
  }
  return sum / n;
}

/** The picture with its boxes lifted off and put down elsewhere; what is off the board is gone. @param {Maps} x @param {{from: number[], to: number[]}[]} boxes @param {number[]} size */
export function put(x, boxes, size) {
  const out = maps(1, x.h, x.w);
  out.data.set(x.data);
  const each = (/** @type {number[]} */ [top, left], /** @type {(at: number, y: number, u: number) => void} */ give) => {
    for (let y = 0; y < size[0]; y++) for (let u = 0; u < size[1]; u++) if (top + y >= 0 && top + y < x.h && left + u >= 0 && left + u < x.w) give((top + y) * x.w + left + u, y, u);
  };
  const lifted = boxes.filter((b) => b.from[0] !== b.to[0] || b.from[1] !== b.to[1]);
  for (const b of lifted) each(b.from, (at) => (out.data[at] = around(x, b.from, size)));
  for (const b of lifted) each(b.to, (at, y, u) => (out.data[at] = x.data[(b.from[0] + y) * x.w + b.from[1] + u]));
  return out;
}
