// Numbers as bars from zero, each with the range that it takes elsewhere.
import { html } from "#learn/view.js";

/**
 * @param {{
 *   names: any[], values: ArrayLike<number> | null, ranges: {low: number, high: number}[] | null, from: number, to: number,
 *   top: number, say: (v: number) => any,
 * }} props `top` is the largest; -1: none is
 */
export function Ranges({ names, values, ranges, from, to, top, say }) {
  const place = (/** @type {number} */ v) => (to > from ? (100 * (v - from)) / (to - from) : 0);
  const zero = place(0);
  const box = (/** @type {number} */ a, /** @type {number} */ b) => ({ left: `${Math.min(a, b)}%`, width: `${Math.abs(a - b)}%` });
  return html`<dl class="ranges">
    ${names.map((name, k) => html`<div class=${values && k === top ? "range top" : "range"}>
      <dt>${name}</dt>
      <dd class="track" aria-hidden="true">
        ${values && html`<i style=${box(zero, place(values[k]))}></i>`}
        ${ranges && html`<b style=${box(place(ranges[k].low), place(ranges[k].high))}></b>`}
      </dd>
      <dd class="n">${values && say(values[k])}</dd>
    </div>`)}
  </dl>`;
}
