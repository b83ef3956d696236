// Three maps, and a line from each of their cells to each class: as thick as its weight, full where the cell answers.
import { colours, css } from "#learn/parts/colours.js";
import { html, useLayoutEffect, useRef } from "#learn/view.js";

const [W, H] = [640, 720];
const MAP = 200; // pixels of a map's side
const GAP = 3;
const DOT = 13;
const WIDEST = 7; // pixels of the thickest line
const FAINT = 0.16;

/**
 * @param {HTMLCanvasElement} canvas @param {import("#learn/engine/tensor.js").Maps} maps @param {number[][]} weight a row for each class
 * @param {number} top the class that wins
 */
export function paintWires(canvas, maps, weight, top) {
  const { of } = colours();
  Object.assign(canvas, { width: W, height: H });
  const context = canvas.getContext("2d");
  const step = MAP / maps.w;
  const row = H / maps.c;
  const middle = (/** @type {number} */ k) => row * (k + 0.5);
  const places = maps.h * maps.w;
  const cell = (/** @type {number} */ i) => ({
    x: (i % maps.w) * step,
    y: middle(Math.floor(i / places)) - MAP / 2 + Math.floor((i % places) / maps.w) * step,
  });
  const most = Math.max(...weight.flat().map(Math.abs));
  const lines = weight.flatMap((w, k) => w.map((v, i) => ({ k, i, v, answers: maps.data[i] > 0 })));
  for (const { k, i, v, answers } of lines.toSorted((a, b) => Number(a.answers) - Number(b.answers))) {
    if (v === 0) continue;
    const { x, y } = cell(i);
    context.globalAlpha = answers ? 1 : FAINT;
    context.strokeStyle = css(of(v > 0 ? "accent" : "aliasing"));
    context.lineWidth = (WIDEST * Math.abs(v)) / most;
    context.setLineDash(v > 0 ? [] : [9, 6]);
    context.beginPath();
    context.moveTo(x + step / 2, y + step / 2);
    context.lineTo(W - DOT - GAP, middle(k));
    context.stroke();
  }
  context.globalAlpha = 1;
  context.setLineDash([]);
  maps.data.forEach((v, i) => {
    const { x, y } = cell(i);
    const size = step - GAP - 14;
    context.fillStyle = css(of("paper"));
    context.fillRect(x + 6, y + 6, size + 2, size + 2);
    context.fillStyle = css(of(v > 0 ? "accent" : "rule"));
    context.fillRect(x + 7, y + 7, size, size);
  });
  for (let k = 0; k < weight.length; k++) {
    context.fillStyle = css(of(k === top ? "accent" : "soft"));
    context.beginPath();
    context.arc(W - DOT - GAP, middle(k), DOT, 0, 2 * Math.PI);
    context.fill();
  }
}

/** @param {{maps: any, weight: number[][], top: number, label: string}} props */
export function Wires({ maps, weight, top, label }) {
  const canvas = useRef(null);
  const theme = colours();
  useLayoutEffect(() => paintWires(canvas.current, maps, weight, top), [maps, weight, top, theme]);
  return html`<canvas class="wires" ref=${canvas} role="img" aria-label=${label}></canvas>`;
}
