// One number that slides.
import { html } from "#learn/view.js";

/**
 * @param {{label: any, value: number, from: number, to: number, step?: number, set: (v: number) => void, shown?: any}} props
 */
export function Slider({ label, value, from, to, step = 1, set, shown = value }) {
  return html`<label class="slider">
    <span>${label}</span>
    <input type="range" min=${from} max=${to} step=${step} value=${value} oninput=${(/** @type {any} */ e) => set(Number(e.target.value))} />
    <output>${shown}</output>
  </label>`;
}
