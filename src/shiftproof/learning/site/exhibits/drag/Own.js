// A digit of the learner's own.
import { maps } from "#learn/engine/tensor.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { dabbed, drawingAsText } from "#learn/parts/strokes.js";
import { html, useState } from "#learn/view.js";

const SIDE = 28;
const DRAWN = -1;

/** @param {any} props */
export function Own({ set, t, end }) {
  const [picture, draw] = useState(() => maps(1, SIDE, SIDE));
  const label = t.plain("drag.draw.hint");
  const done = () => {
    if (picture.data.some((v) => v > 0)) set({ digit: DRAWN, own: drawingAsText(picture.data), dy: 0, dx: 0 });
    end();
  };
  return html`<div>
    <${Handle} class="picture drawing" rows=${SIDE} columns=${SIDE} label=${label}
      point=${(/** @type {number} */ y, /** @type {number} */ x) => draw((before) => dabbed(before, y, x))}>
      <${Picture} values=${picture.data} w=${SIDE} h=${SIDE} label=${label} />
    </${Handle}>
    <button type="button" class="main finish" onclick=${done}>${t("drag.draw.done")}</button>
  </div>`;
}
