// Numbers as pixels on a canvas: pictures, maps and maps of answers.
import { colours, level } from "#learn/parts/colours.js";
import { html, useLayoutEffect, useRef } from "#learn/view.js";

/** @typedef {import("#learn/parts/colours.js").Colour} Colour */

/**
 * @param {HTMLCanvasElement} canvas @param {ArrayLike<number>} values @param {number} w @param {number} h
 * @param {(value: number) => Colour} colour
 */
export function paint(canvas, values, w, h, colour) {
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, h);
  for (let i = 0; i < w * h; i++) {
    const [r, g, b] = colour(values[i]);
    image.data[4 * i] = r;
    image.data[4 * i + 1] = g;
    image.data[4 * i + 2] = b;
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** How numbers become colours. `most` is the value of the last colour. */
export const inks = {
  grey: () => {
    const { grey } = colours();
    return (/** @type {number} */ v) => level(grey, v);
  },
  heat: (most = 1) => {
    const { heat } = colours();
    return (/** @type {number} */ v) => level(heat, most ? v / most : 0);
  },
  signed: (most = 1) => {
    const { signed } = colours();
    return (/** @type {number} */ v) => level(signed, most ? (1 + v / most) / 2 : 0.5);
  },
  /** 1: the same answer, 0: another, -1: not tried. */
  answers: () => {
    const { of, other } = colours();
    const found = [of("raised"), other, of("accent")];
    return (/** @type {number} */ v) => found[v + 1];
  },
};

/**
 * A canvas with a label that says in words what it shows; without a label it is decoration.
 * @param {{values: ArrayLike<number>, w: number, h: number, ink?: keyof typeof inks, most?: number, label?: string}} props
 */
export function Picture({ values, w, h, ink = "grey", most, label }) {
  const canvas = useRef(null);
  const theme = colours();
  useLayoutEffect(() => paint(canvas.current, values, w, h, inks[ink](most)), [values, w, h, ink, most, theme]);
  return label ? html`<canvas ref=${canvas} role="img" aria-label=${label}></canvas>` : html`<canvas ref=${canvas} aria-hidden="true"></canvas>`;
}
