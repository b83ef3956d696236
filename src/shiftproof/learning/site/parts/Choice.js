// One of a few.
import { html } from "#learn/view.js";

/**
 * @param {{
 *   label: any, value: string | number, options: readonly (string | number)[], say: (option: any) => any, set: (option: any) => void,
 * }} props
 */
export function Choice({ label, value, options, say, set }) {
  return html`<div class="choice" role="group" aria-label=${label}>
    <span class="soft" aria-hidden="true">${label}</span>
    ${options.map((o) => html`<button type="button" aria-pressed=${o === value} onclick=${() => set(o)}>${say(o)}</button>`)}
  </div>`;
}
