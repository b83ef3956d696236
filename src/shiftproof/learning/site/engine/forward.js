// Layers on plain Float64Arrays. Each equals torch's own in float64 to 1e-9 (tests/exhibits/engine.test.js).
import { maps, place } from "#learn/engine/tensor.js";

/** @typedef {import("#learn/engine/tensor.js").Maps} Maps */
/** @typedef {"zero" | "circular" | "reflect" | "replicate"} Border */
/**
 * A convolution as in torch, which is a correlation: the kernel is not flipped. Weights lie as (out, in / groups, row, column).
 * @typedef {{
 *   weight: Float64Array, bias?: Float64Array, channelsIn: number, channelsOut: number, kernel: number,
 *   stride?: number, padding?: number, dilation?: number, groups?: number, border?: Border,
 * }} Convolution
 */

/**
 * From where a padded position takes its number; -1: it is zero.
 * @param {number} i @param {number} n @param {Border} border
 */
export function source(i, n, border) {
  if (i >= 0 && i < n) return i;
  if (border === "circular") return place(i, n);
  if (border === "replicate") return i < 0 ? 0 : n - 1;
  if (border === "reflect") return i < 0 ? -i : 2 * (n - 1) - i;
  return -1;
}

/**
 * The maps with a rim of `rim` pixels.
 * @param {Maps} x @param {number} rim @param {Border} border
 * @returns {Maps}
 */
export function padded(x, rim, border) {
  const out = maps(x.c, x.h + 2 * rim, x.w + 2 * rim);
  const columns = Int32Array.from({ length: out.w }, (_, u) => source(u - rim, x.w, border));
  for (let k = 0; k < x.c; k++) {
    for (let y = 0; y < out.h; y++) {
      const row = source(y - rim, x.h, border);
      if (row < 0) continue;
      const from = (k * x.h + row) * x.w;
      const to = (k * out.h + y) * out.w;
      for (let u = 0; u < out.w; u++) if (columns[u] >= 0) out.data[to + u] = x.data[from + columns[u]];
    }
  }
  return out;
}

/**
 * How many windows fit along an axis.
 * @param {number} n @param {number} kernel
 */
export const windows = (n, kernel, stride = 1, padding = 0, dilation = 1) =>
  Math.floor((n + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;

/** Output channels that are computed at a time: they share each pixel that is read. */
const TOGETHER = 4;

/**
 * The weights of each group of output channels side by side, as the inner loop reads them.
 * @param {Convolution} p
 */
function packed(p) {
  const groups = p.groups ?? 1;
  const each = p.channelsOut / groups;
  const taps = (p.channelsIn / groups) * p.kernel ** 2;
  const blocks = [];
  for (let group = 0; group < groups; group++) {
    for (let first = 0; first < each; first += TOGETHER) {
      const outputs = Math.min(TOGETHER, each - first);
      const from = (/** @type {number} */ j) => (group * each + first + j) * taps;
      // taps that are zero in all of them add nothing: kernels that are written with zeros around them cost no more
      const live = Array.from({ length: taps }, (_, t) => t).filter((t) => Array.from({ length: outputs }, (_, j) => p.weight[from(j) + t]).some((v) => v !== 0));
      const weight = new Float64Array(live.length * TOGETHER);
      for (let j = 0; j < outputs; j++) live.forEach((t, i) => (weight[i * TOGETHER + j] = p.weight[from(j) + t]));
      blocks.push({ group, first: group * each + first, outputs, weight, live });
    }
  }
  return blocks;
}

/**
 * A convolution, ready to be used many times.
 * @param {Convolution} p
 * @returns {(x: Maps) => Maps}
 */
export function convolution(p) {
  const { kernel, stride = 1, padding = 0, dilation = 1, groups = 1, border = "zero" } = p;
  const blocks = packed(p);
  const inputs = p.channelsIn / groups;
  const size = { h: -1, w: -1 }; // of the padded maps that `reads` are for
  /** @type {Int32Array[]} */
  let reads = [];
  return (x) => {
    if (x.c !== p.channelsIn) throw new RangeError(`${x.c} channels for a convolution of ${p.channelsIn}`);
    const from = padded(x, padding, border);
    if (from.h !== size.h || from.w !== size.w) {
      const offset = (/** @type {number} */ t) =>
        (Math.floor(t / kernel ** 2) * from.h + (Math.floor(t / kernel) % kernel) * dilation) * from.w + (t % kernel) * dilation;
      reads = blocks.map((b) => Int32Array.from(b.live, offset));
      Object.assign(size, { h: from.h, w: from.w });
    }
    const out = maps(p.channelsOut, windows(x.h, kernel, stride, padding, dilation), windows(x.w, kernel, stride, padding, dilation));
    blocks.forEach((block, i) => correlate(from, out, block, reads[i], block.group * inputs * from.h * from.w, stride, p.bias));
    return out;
  };
}

/**
 * Up to four output channels at every position, two positions at a time: each weight that is read serves both.
 * @param {Maps} from @param {Maps} out
 * @param {{first: number, outputs: number, weight: Float64Array}} block
 * @param {Int32Array} offsets @param {number} start @param {number} stride @param {Float64Array | undefined} bias
 */
function correlate(from, out, block, offsets, start, stride, bias) {
  const { first, outputs, weight } = block;
  const { data } = from;
  const area = out.h * out.w;
  const taps = offsets.length;
  const base = [0, 1, 2, 3].map((j) => (j < outputs ? bias?.[first + j] ?? 0 : 0));
  for (let y = 0; y < out.h; y++) {
    for (let u = 0; u < out.w; u += 2) {
      const beside = u + 1 < out.w ? u + 1 : u; // the last of an odd row is computed twice
      const row = start + y * stride * from.w;
      const at = row + u * stride;
      const further = (beside - u) * stride;
      let [a, b, c, d] = base;
      let [e, f, g, h] = base;
      for (let t = 0, q = 0; t < taps; t++, q += TOGETHER) {
        const v = data[at + offsets[t]];
        const w = data[at + offsets[t] + further];
        const k0 = weight[q];
        const k1 = weight[q + 1];
        const k2 = weight[q + 2];
        const k3 = weight[q + 3];
        a += v * k0;
        b += v * k1;
        c += v * k2;
        d += v * k3;
        e += w * k0;
        f += w * k1;
        g += w * k2;
        h += w * k3;
      }
      const to = first * area + y * out.w;
      const found = [a, b, c, d, e, f, g, h];
      for (let j = 0; j < outputs; j++) {
        out.data[to + j * area + u] = found[j];
        out.data[to + j * area + beside] = found[TOGETHER + j];
      }
    }
  }
}

/**
 * Negative numbers become zero.
 * @param {Maps} x
 * @returns {Maps}
 */
export function relu(x) {
  const data = new Float64Array(x.data.length);
  for (let i = 0; i < data.length; i++) data[i] = x.data[i] > 0 ? x.data[i] : 0;
  return { ...x, data };
}

/**
 * One number for each k x k window of each map.
 * @param {Maps} x @param {number} k @param {number} stride
 * @param {(row: number, column: number, channel: number) => number} inside
 * @returns {Maps}
 */
function pooled(x, k, stride, inside) {
  const out = maps(x.c, windows(x.h, k, stride), windows(x.w, k, stride));
  let i = 0;
  for (let c = 0; c < x.c; c++) {
    for (let y = 0; y < out.h; y++) for (let u = 0; u < out.w; u++) out.data[i++] = inside(y * stride, u * stride, c);
  }
  return out;
}

/**
 * The largest of each k x k window.
 * @param {Maps} x @param {number} k @param {number} [stride]
 */
export function maxPool(x, k, stride = k) {
  return pooled(x, k, stride, (y, u, c) => {
    let best = -Infinity;
    for (let a = 0; a < k; a++) {
      for (let b = 0; b < k; b++) {
        const v = x.data[(c * x.h + y + a) * x.w + u + b];
        if (v > best) best = v;
      }
    }
    return best;
  });
}

/**
 * The mean of each k x k window.
 * @param {Maps} x @param {number} k @param {number} [stride]
 */
export function averagePool(x, k, stride = k) {
  return pooled(x, k, stride, (y, u, c) => {
    let sum = 0;
    for (let a = 0; a < k; a++) for (let b = 0; b < k; b++) sum += x.data[(c * x.h + y + a) * x.w + u + b];
    return sum / (k * k);
  });
}

/**
 * The mean of each map over all positions.
 * @param {Maps} x
 */
export function average(x) {
  const n = x.h * x.w;
  return Float64Array.from({ length: x.c }, (_, c) => {
    let sum = 0;
    for (let i = c * n; i < (c + 1) * n; i++) sum += x.data[i];
    return sum / n;
  });
}

/**
 * A dense layer; weights lie as (out, in).
 * @param {{weight: Float64Array, bias?: Float64Array}} p @param {Float64Array} x
 */
export function dense({ weight, bias }, x) {
  return Float64Array.from({ length: weight.length / x.length }, (_, k) => {
    let sum = bias?.[k] ?? 0;
    for (let i = 0, at = k * x.length; i < x.length; i++) sum += weight[at + i] * x[i];
    return sum;
  });
}

/**
 * Probabilities of scores. The largest score is taken off first, which changes nothing but keeps exp finite.
 * @param {Float64Array} scores
 */
export function softmax(scores) {
  const top = Math.max(...scores);
  const e = scores.map((s) => Math.exp(s - top));
  const sum = e.reduce((a, b) => a + b);
  return e.map((v) => v / sum);
}
