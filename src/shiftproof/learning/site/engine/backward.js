// The gradients of the layers: each takes dJ/d(output) and returns dJ/d(input), and dJ/d(weights) where there are any.
import { padded, source, windows } from "#learn/engine/forward.js";
import { maps } from "#learn/engine/tensor.js";

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
/** @typedef {import("#learn/engine/forward.js").Convolution} Convolution */

/**
 * dJ/dK[m, n] = sum over positions of delta V; dJ/dV = sum over outputs that saw it of delta K; dJ/db = sum of delta.
 * @param {Maps} x the input @param {Convolution} p @param {Maps} delta dJ/d(output)
 * @returns {{input: Maps, weight: Float64Array, bias: Float64Array}}
 */
export function convolutionBackward(x, p, delta) {
  const { kernel, stride = 1, padding = 0, dilation = 1, groups = 1, border = "zero" } = p;
  const v = padded(x, padding, border);
  const back = maps(v.c, v.h, v.w);
  const weight = new Float64Array(p.weight.length);
  const bias = new Float64Array(p.channelsOut);
  const inputs = p.channelsIn / groups;
  const outputs = p.channelsOut / groups;
  for (let o = 0; o < p.channelsOut; o++) {
    const group = Math.floor(o / outputs);
    for (let y = 0; y < delta.h; y++) {
      for (let u = 0; u < delta.w; u++) {
        const d = delta.data[(o * delta.h + y) * delta.w + u];
        bias[o] += d;
        for (let i = 0; i < inputs; i++) {
          for (let m = 0; m < kernel; m++) {
            for (let n = 0; n < kernel; n++) {
              const tap = ((o * inputs + i) * kernel + m) * kernel + n;
              const at = ((group * inputs + i) * v.h + y * stride + m * dilation) * v.w + u * stride + n * dilation;
              weight[tap] += d * v.data[at];
              back.data[at] += d * p.weight[tap];
            }
          }
        }
      }
    }
  }
  return { input: unpadded(back, x, padding, border), weight, bias };
}

/**
 * What came back to the rim belongs to the pixels that the rim was copied from.
 * @param {Maps} back @param {Maps} x @param {number} rim @param {import("#learn/engine/forward.js").Border} border
 */
function unpadded(back, x, rim, border) {
  const out = maps(x.c, x.h, x.w);
  for (let k = 0; k < x.c; k++) {
    for (let y = 0; y < back.h; y++) {
      const row = source(y - rim, x.h, border);
      for (let u = 0; u < back.w; u++) {
        const column = source(u - rim, x.w, border);
        if (row >= 0 && column >= 0) out.data[(k * x.h + row) * x.w + column] += back.data[(k * back.h + y) * back.w + u];
      }
    }
  }
  return out;
}

/**
 * Only what was positive passes.
 * @param {Maps} x @param {Maps} delta
 * @returns {Maps}
 */
export const reluBackward = (x, delta) => ({ ...x, data: delta.data.map((d, i) => (x.data[i] > 0 ? d : 0)) });

/**
 * All goes to the largest of each window, the first of equals.
 * @param {Maps} x @param {number} k @param {number} stride @param {Maps} delta
 */
export function maxPoolBackward(x, k, stride, delta) {
  return spread(x, k, stride, delta, (d, y, u, c, out) => {
    let best = -1;
    for (let a = 0; a < k; a++) {
      for (let b = 0; b < k; b++) {
        const at = (c * x.h + y + a) * x.w + u + b;
        if (best < 0 || x.data[at] > x.data[best]) best = at;
      }
    }
    out.data[best] += d;
  });
}

/**
 * Each of a window gets its share.
 * @param {Maps} x @param {number} k @param {number} stride @param {Maps} delta
 */
export function averagePoolBackward(x, k, stride, delta) {
  return spread(x, k, stride, delta, (d, y, u, c, out) => {
    for (let a = 0; a < k; a++) for (let b = 0; b < k; b++) out.data[(c * x.h + y + a) * x.w + u + b] += d / (k * k);
  });
}

/**
 * @param {Maps} x @param {number} k @param {number} stride @param {Maps} delta
 * @param {(d: number, row: number, column: number, channel: number, out: Maps) => void} give
 */
function spread(x, k, stride, delta, give) {
  const out = maps(x.c, x.h, x.w);
  const rows = windows(x.h, k, stride);
  const columns = windows(x.w, k, stride);
  for (let c = 0; c < x.c; c++) {
    for (let y = 0; y < rows; y++) {
      for (let u = 0; u < columns; u++) give(delta.data[(c * rows + y) * columns + u], y * stride, u * stride, c, out);
    }
  }
  return out;
}

/**
 * @param {Maps} x @param {Float64Array} delta one number for each map
 * @returns {Maps}
 */
export function averageBackward(x, delta) {
  const n = x.h * x.w;
  return { ...x, data: Float64Array.from(x.data, (_, i) => delta[Math.floor(i / n)] / n) };
}

/**
 * @param {{weight: Float64Array}} p @param {Float64Array} x @param {Float64Array} delta
 */
export function denseBackward(p, x, delta) {
  const input = new Float64Array(x.length);
  const weight = new Float64Array(p.weight.length);
  delta.forEach((d, k) => {
    for (let i = 0; i < x.length; i++) {
      weight[k * x.length + i] = d * x[i];
      input[i] += d * p.weight[k * x.length + i];
    }
  });
  return { input, weight, bias: Float64Array.from(delta) };
}

/**
 * From the probabilities themselves: dJ/dz_i = p_i (delta_i - sum over j of p_j delta_j).
 * @param {Float64Array} chances @param {Float64Array} delta
 */
export function softmaxBackward(chances, delta) {
  let mean = 0;
  for (let i = 0; i < delta.length; i++) mean += chances[i] * delta[i];
  return chances.map((p, i) => p * (delta[i] - mean));
}
