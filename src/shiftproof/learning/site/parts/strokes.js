// A picture that somebody draws, with sixteen greys, as a text that can stand in an address.
import { maps } from "#learn/engine/tensor.js";

const GREYS = 15;
const BRUSH = 1.5; // pixels from the middle of the stroke to where it ends

/** @param {ArrayLike<number>} values in [0, 1], an even number of them */
export function drawingAsText(values) {
  const nibbles = Array.from(values, (v) => Math.round(v * GREYS));
  const held = Array.from({ length: nibbles.length / 2 }, (_, i) => nibbles[2 * i] * 16 + nibbles[2 * i + 1]);
  return btoa(String.fromCharCode(...held)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/** @param {string} text @param {number} side */
export function drawingOfText(text, side) {
  const out = maps(1, side, side);
  const raw = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  for (let i = 0; i < Math.min(raw.length, out.data.length / 2); i++) {
    out.data[2 * i] = (raw.charCodeAt(i) >> 4) / GREYS;
    out.data[2 * i + 1] = (raw.charCodeAt(i) & 15) / GREYS;
  }
  return out;
}

/** The picture with a dab of the brush. @param {import("#learn/engine/tensor.js").Maps} picture @param {number} row @param {number} column */
export function dabbed(picture, row, column) {
  const data = Float64Array.from(picture.data, (v, i) => {
    const far = Math.hypot(Math.floor(i / picture.w) - row, (i % picture.w) - column);
    return Math.max(v, Math.min(1, Math.max(0, BRUSH + 0.25 - far)));
  });
  return { ...picture, data };
}
