// The screen of "The border gives it away": a dot on a board, a white picture after some layers, and how often pixels are used.
import { POINTS } from "#learn/exhibits/border.js";
import { PADDINGS } from "#learn/exhibits/border/layers.js";
import { Choice } from "#learn/parts/Choice.js";
import { Curve } from "#learn/parts/Curve.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { sketched } from "#learn/parts/Sketch.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

const [CELLS, CELL] = [4, 5];
const share = (/** @type {any} */ t) => (/** @type {number} */ v) => t.plain("border.share", { v: { share: v } });

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked, guess }) {
  return html`${asked && html`<${Controls} ...${{ state, set, t }} />`}
    <div class="stage three border">
      <${Dot} ...${{ state, set, r, t, asked }} />
      <${White} ...${{ r, t, asked, guess }} />
      <section>
        <h2>${t("border.used.title")}</h2>
        ${asked
          ? html`<p class="soft">${t("border.used.note", { depth: r.depth })}</p>
            <div class="map-of"><${Picture} values=${r.used.data} w=${r.side} h=${r.side} ink="heat" most=${Math.max(...r.used.data)} label=${t.plain("border.used.label")} /></div>`
          : html`<p class="soft">${t("border.hidden")}</p><div class="covered" aria-hidden="true">?</div>`}
      </section>
    </div>
    ${asked && html`<div class="stage border-under">
      <${Table} ...${{ r, t }} />
      <${Margins} ...${{ state, set, r, t }} />
    </div>`}`;
}

/** @param {any} props */
function Controls({ state, set, t }) {
  return html`<div class="controls border-controls">
    <${Choice} label=${t("border.padding")} value=${state.padding} options=${PADDINGS} say=${(/** @type {string} */ o) => t(`border.padding.${o}`)} set=${(/** @type {string} */ padding) => set({ padding })} />
    <${Slider} label=${t("border.depth")} value=${state.depth} from=${1} to=${8} set=${(/** @type {number} */ depth) => set({ depth })} />
  </div>`;
}

/** @param {any} props */
function Dot({ state, set, r, t, asked }) {
  const { dy, dx, margin } = state;
  const label = t.plain("border.dot.label", { dy, dx });
  const corner = (/** @type {number} */ c) => ({ x: margin + (c % CELLS) * CELL, y: margin + Math.floor(c / CELLS) * CELL });
  const lines = Array.from({ length: CELLS + 1 }, (_, i) => margin + i * CELL);
  return html`<section>
    <h2>${t("border.dot.title", { n: CELLS ** 2 })}</h2>
    <p class="soft">${t("border.dot.hint")}</p>
    <${Handle} rows=${r.side} columns=${r.side} label=${label} class="picture" at=${() => ({ dy, dx })}
      drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set({ dy: from.dy + y, dx: from.dx + x })}>
      <${Picture} values=${r.picture.data} w=${r.side} h=${r.side} label=${label} />
      <svg viewBox="0 0 ${r.side} ${r.side}" aria-hidden="true">
        ${lines.map((v) => html`<g><line class="cell-line" x1=${v} x2=${v} y1=${margin} y2=${margin + CELLS * CELL} /><line class="cell-line" y1=${v} y2=${v} x1=${margin} x2=${margin + CELLS * CELL} /></g>`)}
        ${asked && html`<rect class=${r.answer === r.cell ? "said" : "said other"} ...${corner(r.answer)} width=${CELL} height=${CELL} />`}
      </svg>
    </${Handle}>
    <div class="sliders">
      ${["dx", "dy"].map((name) => html`<${Slider} label=${t(`border.move.${name}`)} value=${state[name]} from=${-7} to=${CELLS * CELL - 8} set=${(/** @type {number} */ v) => set({ [name]: v })} />`)}
    </div>
    ${asked && html`<p class=${r.answer === r.cell ? "soft" : "soft changed"}>${t("border.says", { c: r.cell + 1, g: r.answer + 1 })}</p>`}
  </section>`;
}

/** @param {any} props */
function White({ r, t, asked, guess }) {
  const label = t.plain("border.inward");
  return html`<section>
    <h2>${t("border.white.title")}</h2>
    ${asked
      ? html`<p class=${r.wide ? "soft changed" : "soft"}>${t(r.wide ? "border.white.note" : "border.white.none", { w: r.wide, depth: r.depth })}</p>
        <div class="map-of"><div style=${{ width: `${(100 * r.white.w) / r.side}%` }}><${Picture} values=${r.white.data} w=${r.white.w} h=${r.white.h} label=${t.plain("border.white.label", { w: r.wide, depth: r.depth })} /></div></div>
        <${Curve} x=${{ from: 1, to: POINTS.length, label }} y=${{ from: 0, to: 1, label: t("border.white.share"), say: share(t) }} label=${label}
          lines=${[{ points: r.inward.map((/** @type {number} */ v, /** @type {number} */ i) => [POINTS[i], v]), name: t("border.white.key") }, ...sketched(guess, POINTS, t("photos.key.said"))]} />`
      : html`<p class="soft">${t("border.hidden")}</p><div class="covered" aria-hidden="true">?</div>`}
  </section>`;
}

/** @param {any} props */
function Table({ r, t }) {
  const row = (/** @type {string} */ name, /** @type {any[]} */ values) => html`<tr><th scope="row">${t(`border.table.${name}`, name === "white" ? { depth: r.depth } : {})}</th>${values.map((v) => html`<td>${t.value(v)}</td>`)}</tr>`;
  return html`<section>
    <h2>${t("border.table.title")}</h2>
    <p class="soft">${t("border.table.note", { e: { size: r.missed } })}</p>
    <table class="sums">
      <tr><td></td>${["corner", "edge", "centre"].map((o) => html`<th scope="col">${t(`border.at.${o}`)}</th>`)}</tr>
      ${row("white", r.values.map((/** @type {number} */ size) => ({ size })))}
      ${row("times", r.times)}
    </table>
  </section>`;
}

/** @param {any} props */
function Margins({ state, set, r, t }) {
  const last = r.curve.length - 1;
  const s = r.right;
  return html`<section>
    <h2>${t("border.margin.title")}</h2>
    <p class="soft">${t(r.tells ? "border.margin.tells" : "border.margin.same", { s: { share: s }, c: { share: r.chance }, m: r.margin })}</p>
    <${Curve} x=${{ from: 0, to: last, label: t("border.margin.x") }} y=${{ from: 0, to: 1, label: t("border.margin.y"), say: share(t) }}
      lines=${[{ points: r.curve }, { points: [[0, r.chance], [last, r.chance]], class: "faint", name: t("border.chance") }]} at=${[state.margin, s]}
      set=${(/** @type {number} */ v) => set({ margin: Math.round(v) })} label=${t.plain("border.margin.label", { s: { share: s }, m: r.margin })} />
    <div class="sliders"><${Slider} label=${t("border.margin")} value=${state.margin} from=${0} to=${last} set=${(/** @type {number} */ margin) => set({ margin })} /></div>
  </section>`;
}
