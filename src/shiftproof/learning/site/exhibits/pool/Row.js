// The textbook's row of detector values, which moves right by one.
import { html } from "#learn/view.js";

const TENTHS = 10;

/** @param {any} props */
export function Row({ state, set, r, t }) {
  const say = (/** @type {number} */ v) => t.number(v / TENTHS);
  const cells = (/** @type {number[]} */ values, /** @type {boolean[]} */ changed = []) =>
    values.map((v, i) => html`<td class=${changed[i] ? "ringed" : ""}>${say(v)}</td>`);
  const { before, after, pooledBefore, pooledAfter, changed, pooledChanged } = r.row;
  const n = (/** @type {boolean[]} */ flags) => flags.filter(Boolean).length;
  return html`<section>
    <h2>${t("pool.row.title")}</h2>
    <p class="soft">${t("pool.row.note", { a: n(changed), n: changed.length, b: n(pooledChanged), m: pooledChanged.length })}</p>
    <table class="row-table">
      <tr><th scope="row">${t("pool.row.found")}</th>${cells(before)}</tr>
      <tr><th scope="row">${t("pool.row.moved")}</th>${cells(after, changed)}</tr>
      <tr><th scope="row">${t("pool.row.pooled")}</th>${cells(pooledBefore)}</tr>
      <tr><th scope="row">${t("pool.row.moved")}</th>${cells(pooledAfter, pooledChanged)}</tr>
    </table>
    <div class="five" role="group" aria-label=${t.plain("pool.row.edit")}>
      ${[0, 1, 2, 3, 4].map((i) => html`<input type="range" min="0" max=${TENTHS} value=${state[`r${i}`]}
        aria-label=${t.plain("pool.row.value", { n: i + 1 })} oninput=${(/** @type {any} */ e) => set({ [`r${i}`]: Number(e.target.value) })} />`)}
    </div>
  </section>`;
}
