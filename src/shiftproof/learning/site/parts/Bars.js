// Shares of 1 as bars, each with its number; empty while they are not to be seen.
import { html } from "#learn/view.js";

/**
 * @param {{names: string[], shares: ArrayLike<number> | null, top: number, t: import("#learn/words.js").Speaker}} props
 */
export function Bars({ names, shares, top, t }) {
  return html`<dl class="bars">
    ${names.map(
      (name, i) => html`<div class=${i === top ? "bar top" : "bar"}>
        <dt>${name}</dt>
        <dd class="track" aria-hidden="true"><i style=${{ transform: `scaleX(${shares ? shares[i] : 0})` }}></i></dd>
        <dd class="n">${shares && t.value({ share: shares[i] })}</dd>
      </div>`,
    )}
  </dl>`;
}
