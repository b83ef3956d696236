// Every s-th number of a row or a picture that is a circle, with what can be done before or after; and what frequencies are left.
import { place } from "#learn/engine/tensor.js";

/** @typedef {"none" | "blur" | "lowpass" | "after" | "polyphase"} Remedy */
/** @type {Remedy[]} */
export const REMEDIES = ["none", "blur", "lowpass", "after", "polyphase"];
export const BLUR = [1 / 4, 1 / 2, 1 / 4];
/** Amplitudes of sums of a few dozen doubles that are smaller than this are rounding. */
export const ROUNDING = 1e-9;

const turn = (/** @type {number} */ k, /** @type {number} */ i, /** @type {number} */ n) => (2 * Math.PI * place(k * i, n)) / n;

/** A cosine of f cycles over n samples that starts at sample `at`. @param {number} f @param {number} n @param {number} at */
export const wave = (f, n, at) => Float64Array.from({ length: n }, (_, i) => Math.cos(turn(f, i - at, n)));

/** The row with the kernel's middle at each place, on a circle. @param {Float64Array} x @param {ArrayLike<number>} kernel */
function filtered(x, kernel) {
  const middle = Math.floor(kernel.length / 2);
  return x.map((_, i) => {
    let sum = 0;
    for (let j = 0; j < kernel.length; j++) sum += kernel[j] * x[place(i + j - middle, x.length)];
    return sum;
  });
}

/** The kernel that leaves every frequency under the fold as it is, and nothing of the others. @param {number} n @param {number} stride */
function lowpass(n, stride) {
  const fold = n / stride / 2;
  return Float64Array.from({ length: n }, (_, i) => {
    let sum = 1;
    for (let k = 1; k < fold; k++) sum += 2 * Math.cos(turn(k, i - n / 2, n));
    return sum / n;
  });
}

/** What stands before the stride, for a row. @param {Remedy} remedy @param {number} n @param {number} stride @returns {ArrayLike<number>} */
function before(remedy, n, stride) {
  if (remedy === "blur") return BLUR;
  return remedy === "lowpass" && stride > 1 ? lowpass(n, stride) : [1];
}

/** Rows and columns exchanged. @param {Float64Array} x @param {number} h @param {number} w */
const turned = (x, h, w) => Float64Array.from(x, (_, i) => x[(i % h) * w + Math.floor(i / h)]);

/** Every row filtered, then every column. @param {Float64Array} x @param {number} h @param {number} w @param {(n: number) => ArrayLike<number>} kernel */
function bothWays(x, h, w, kernel) {
  const rows = (/** @type {Float64Array} */ v, /** @type {number} */ n, /** @type {number} */ length) => {
    if (n === 1 && length === 1) return v;
    const out = new Float64Array(v.length);
    for (let i = 0; i < n; i++) out.set(filtered(v.subarray(i * length, (i + 1) * length), kernel(length)), i * length);
    return out;
  };
  const across = rows(x, h, w);
  return h === 1 ? across : turned(rows(turned(across, h, w), w, h), w, h);
}

/**
 * What is left of a grid: every s-th row and column from a first one. It is the first row and column themselves, but for adaptive
 * polyphase sampling, which begins where the sum of squares is largest (Chaman and Dokmanic 2021).
 * @param {Float64Array} x @param {number} h a row is a grid with h = 1 @param {number} w @param {number} stride @param {Remedy} remedy
 */
export function sampled(x, h, w, stride, remedy) {
  const down = h === 1 ? 1 : stride;
  const from = bothWays(x, h, w, (n) => before(remedy, n, stride));
  const [rows, columns] = [h / down, w / stride];
  const beginning = (/** @type {number} */ y, /** @type {number} */ u) =>
    Float64Array.from({ length: rows * columns }, (_, i) => from[(Math.floor(i / columns) * down + y) * w + (i % columns) * stride + u]);
  let best = { y: 0, x: 0, data: beginning(0, 0), most: -1 };
  if (remedy === "polyphase") {
    for (let y = 0; y < down; y++) {
      for (let u = 0; u < stride; u++) {
        const data = beginning(y, u);
        const most = data.reduce((sum, v) => sum + v * v, 0);
        if (most > best.most + ROUNDING) best = { y, x: u, data, most };
      }
    }
  }
  const data = remedy === "after" ? bothWays(best.data, rows, columns, () => BLUR) : best.data;
  return { y: best.y, x: best.x, h: rows, w: columns, data };
}

/** How much of each whole number of cycles is in a row, and the wave of one of them. @param {Float64Array} x */
export function frequencies(x) {
  const n = x.length;
  const parts = Array.from({ length: Math.floor(n / 2) + 1 }, (_, k) => {
    const weight = (k === 0 || 2 * k === n ? 1 : 2) / n;
    let [real, imaginary] = [0, 0];
    x.forEach((v, i) => {
      real += weight * v * Math.cos(turn(k, i, n));
      imaginary -= weight * v * Math.sin(turn(k, i, n));
    });
    return { real, imaginary, size: Math.hypot(real, imaginary) };
  });
  return {
    sizes: parts.map((p) => p.size),
    at: (/** @type {number} */ k, /** @type {number} */ i) => {
      const angle = (2 * Math.PI * k * i) / n;
      return parts[k].real * Math.cos(angle) - parts[k].imaginary * Math.sin(angle);
    },
  };
}

/** Whether one grid is the other, moved around the circle by any move. @param {Float64Array} a @param {Float64Array} b @param {number} h @param {number} w */
export function isMove(a, b, h, w) {
  for (let dy = 0; dy < h; dy++) {
    for (let dx = 0; dx < w; dx++) {
      let same = true;
      for (let i = 0; same && i < h * w; i++) {
        const from = ((Math.floor(i / w) + dy) % h) * w + ((i + dx) % w);
        same = Math.abs(a[i] - b[from]) < ROUNDING;
      }
      if (same) return true;
    }
  }
  return false;
}
