// A grid of cells on a canvas. Cells that changed have a ring, so that colour alone says nothing.
import { colours, css, level } from "#learn/parts/colours.js";
import { html, useLayoutEffect, useRef } from "#learn/view.js";

const SIDE = 480; // pixels of the canvas
const GAP = 2;
const RING = 4;

/**
 * @param {HTMLCanvasElement} canvas @param {{data: ArrayLike<number>, h: number, w: number}} grid
 * @param {ArrayLike<number> | undefined} changed 1 where a ring is to be @param {number} most value of the last colour
 * @param {boolean} plain one colour for all that is not zero
 */
export function paintCells(canvas, grid, changed, most, plain) {
  const { heat, of } = colours();
  const step = SIDE / Math.max(grid.w, grid.h);
  const [w, h] = [Math.round(step * grid.w), Math.round(step * grid.h)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, w, h);
  for (let i = 0; i < grid.w * grid.h; i++) {
    const x = (i % grid.w) * step + GAP / 2;
    const y = Math.floor(i / grid.w) * step + GAP / 2;
    const v = grid.data[i];
    context.fillStyle = css(v === 0 ? of("raised") : plain ? of("accent") : level(heat, 0.15 + (0.85 * v) / most));
    context.fillRect(x, y, step - GAP, step - GAP);
    if (!changed?.[i]) continue;
    context.lineWidth = RING;
    context.strokeStyle = css(of("aliasing"));
    context.strokeRect(x + RING / 2, y + RING / 2, step - GAP - RING, step - GAP - RING);
  }
}

/**
 * @param {{
 *   grid: {data: ArrayLike<number>, h: number, w: number}, changed?: ArrayLike<number>, most?: number, plain?: boolean, label: string,
 * }} props
 */
export function Cells({ grid, changed, most = 1, plain = true, label }) {
  const canvas = useRef(null);
  const theme = colours();
  useLayoutEffect(() => paintCells(canvas.current, grid, changed, most, plain), [grid, changed, most, plain, theme]);
  return html`<canvas class="cells" ref=${canvas} role="img" aria-label=${label}></canvas>`;
}
