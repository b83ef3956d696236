// Inputs and outputs joined by lines as thick as their weights; what one input reaches is coloured.
import { SIDE } from "#learn/exhibits/dense/matrix.js";
import { colours, css } from "#learn/parts/colours.js";
import { html, useLayoutEffect, useRef } from "#learn/view.js";

const [W, H] = [480, 400];
const THICK = 2.2; // pixels for a weight of one

/**
 * Layers from the bottom up; a line is coloured where the chosen input's signal passes.
 * @param {HTMLCanvasElement} canvas @param {Float64Array} matrix @param {Float64Array[]} ways for each layer, in how many ways it is reached
 */
function paintLines(canvas, matrix, ways) {
  const { of } = colours();
  Object.assign(canvas, { width: W, height: H });
  const context = canvas.getContext("2d");
  const layers = ways.length - 1;
  const across = (/** @type {number} */ j) => ((j + 0.5) / SIDE) * W;
  const up = (/** @type {number} */ l) => H - 16 - (l / layers) * (H - 32);
  context.clearRect(0, 0, W, H);
  for (const passing of [false, true]) {
    for (let l = 0; l < layers; l++) {
      for (let k = 0; k < SIDE * SIDE; k++) {
        const [i, j] = [Math.floor(k / SIDE), k % SIDE];
        if (matrix[k] === 0 || ways[l][j] > 0 !== passing) continue;
        context.strokeStyle = css(of(!passing ? "rule" : matrix[k] > 0 ? "aliasing" : "accent"));
        context.lineWidth = Math.max(0.6, THICK * Math.abs(matrix[k]));
        context.beginPath();
        context.moveTo(across(j), up(l));
        context.lineTo(across(i), up(l + 1));
        context.stroke();
      }
    }
  }
  ways.forEach((row, l) => row.forEach((v, j) => {
    context.fillStyle = css(of(v > 0 ? "ink" : "soft"));
    context.beginPath();
    context.arc(across(j), up(l), v > 0 ? 9 : 5, 0, 2 * Math.PI);
    context.fill();
  }));
}

/** @param {{matrix: Float64Array, ways: Float64Array[], label: string}} props */
export function Lines({ matrix, ways, label }) {
  const canvas = useRef(null);
  const theme = colours();
  useLayoutEffect(() => paintLines(canvas.current, matrix, ways), [matrix, ways, theme]);
  return html`<canvas class="cells" ref=${canvas} role="img" aria-label=${label}></canvas>`;
}
