// The screen of "Who is responsible?": a digit that two networks read; sixteen networks as points; what each stage adds.
import { NAMES, points, SIDE } from "#learn/exhibits/credit.js";
import { Choice } from "#learn/parts/Choice.js";
import { Curve } from "#learn/parts/Curve.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  const { dy, dx } = state;
  const label = t.plain("drag.picture.label", { digit: state.digit, dy, dx });
  return html`<div class="stage three credit">
      <section>
        <h2>${t("drag.picture.title")}</h2><p class="soft">${t("drag.picture.hint")}</p>
        <div class="pair"><${Handle} class="picture" rows=${SIDE} columns=${SIDE} label=${label} at=${() => ({ dy, dx })} drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set({ dy: from.dy + y, dx: from.dx + x })}>
          <${Picture} values=${r.picture} w=${SIDE} h=${SIDE} label=${label} />
        </${Handle}><div class="glance" aria-hidden="true">${r.nets.map((/** @type {any} */ n) => html`<span>${t(`credit.net.${n.name}`)}</span><b class=${asked ? (n.map.includes(0) ? "other" : "") : "hidden"}>${asked ? n.answer : "?"}</b>`)}</div></div>
        <div class="sliders">
          ${["dx", "dy"].map((name) => html`<${Slider} label=${t(`drag.move.${name}`)} value=${state[name]} from=${-SIDE / 2} to=${SIDE / 2 - 1} set=${(/** @type {number} */ v) => set({ [name]: v })} />`)}
          <${Slider} label=${t("credit.digit")} value=${state.digit} from=${0} to=${9} set=${(/** @type {number} */ digit) => set({ digit })} />
        </div>
      </section>
      ${asked ? html`<${Live} ...${{ r, t }} /><${Sixteen} ...${{ set, r, t }} />` : html`<section><h2>${t("credit.live")}</h2><p class="soft">${t("credit.hidden")}</p><div class="covered" aria-hidden="true">?</div></section>
        <section><h2>${t("credit.sixteen")}</h2><p class="soft">${t("credit.hidden")}</p><div class="covered" aria-hidden="true">?</div></section>`}
    </div>
    ${asked && html`<div class="stage one-under"><${Shares} ...${{ set, r, t }} /><${Models} ...${{ r, t }} /></div>`}`;
}

/** @param {any} props */
const Live = ({ r, t }) => html`<section>
  <h2>${t("credit.live")}</h2><p class="soft">${t("credit.live.note")}</p>
  <div class="some both">${r.nets.map((/** @type {any} */ net) => {
    const values = { same: net.same, tried: r.tried, all: SIDE ** 2 };
    return html`<div><h3>${t(`credit.net.${net.name}`)}</h3><b class=${net.map.includes(0) ? "big other" : "big"}>${net.answer}</b>
      <div class="picture"><${Picture} values=${net.map} w=${SIDE} h=${SIDE} ink="answers" label=${t.plain("credit.map", values)} /></div>
      <p class="soft">${t("drag.answers.count", { same: net.same, tried: r.tried })}</p>
      <p class="soft">${t("credit.change", { e: { size: net.change }, a: { share: net.accuracy } })}</p></div>`;
  })}</div>
</section>`;

/** Of each setting of the switches, answers kept against accuracy. @param {any} props */
function Sixteen({ set, r, t }) {
  const here = r.sixteen[r.on];
  const say = (/** @type {number} */ v) => t.plain("border.share", { v: { share: v } });
  const values = { k: { share: here.kept }, a: { share: here.right } };
  return html`<section>
    <h2>${t("credit.sixteen")}</h2><p class="soft">${t("credit.here", values)}</p>
    <div class="row">${NAMES.map((n, i) => html`<button type="button" aria-pressed=${!!(r.on & (1 << i))} onclick=${() => set({ on: r.on ^ (1 << i) })}>${t(`credit.predict.${n}`)}</button>`)}</div>
    <div class="points"><${Curve} x=${{ from: 0.4, to: 1, label: t("credit.x"), say }} y=${{ from: 0.3, to: 1, label: t("credit.y"), say }} at=${[here.right, here.kept]}
      lines=${r.sixteen.map((/** @type {any} */ p) => ({ points: [[p.right, p.kept], [p.right, p.kept]], class: p.on & 8 ? "line1" : "line0" }))} label=${t.plain("credit.here", values)} /></div>
    <p class="names soft"><span class="key line0">${t("credit.net.plain")}</span><span class="key line1">${t("credit.net.moved")}</span></p>
    <p class="soft">${t("record.from")} <code class="inline">shiftproof reproduce attribution</code></p>
  </section>`;
}

/** @param {any} props */
function Shares({ set, r, t }) {
  const most = Math.max(...NAMES.map((n) => r.mean[n]));
  const earlier = (/** @type {number} */ i) => set({ order: r.order.with(i - 1, r.order[i]).with(i, r.order[i - 1]).join(","), stage: r.order[i] });
  return html`<section>
    <h2>${t("credit.shares")}</h2><p class="soft">${t("credit.shares.note", { all: points(r.all) })}</p>
    <${Choice} label=${t("credit.stage")} value=${r.stage} options=${NAMES} say=${(/** @type {string} */ n) => t(`credit.predict.${n}`)} set=${(/** @type {string} */ stage) => set({ stage })} />
    <dl class="logs">${r.order.map((/** @type {string} */ n, /** @type {number} */ i) => html`<div><dt>${t(`credit.predict.${n}`)}</dt>
      <dd class="track" aria-hidden="true"><i style=${{ width: `${Math.max(0, (100 * r.mean[n]) / most)}%` }}></i></dd>
      <dd>${t("credit.adds", { x: points(r.here[n]), y: points(r.mean[n]) })} <button type="button" disabled=${i === 0} aria-label=${t.plain("predict.order.up", { item: { key: `credit.predict.${n}` } })} onclick=${() => earlier(i)}>↑</button></dd></div>`)}</dl>
  </section>`;
}

const CONDITIONS = ["unmoved", "moved little", "moved"];
/** @param {any} props */
const Models = ({ r, t }) => html`<section>
  <h2>${t("credit.models")}</h2><p class="soft">${t("credit.models.note")}</p>
  <table class="counts"><tr><td></td>${["unmoved", "little", "moved"].map((c) => html`<th scope="col">${t(`credit.models.${c}`)}</th>`)}</tr>
    ${["plain", "moved"].flatMap((how, k) => r.models.map((/** @type {any} */ m) => html`<tr><th scope="row">${m.name}, ${t(`credit.net.${how}`)}</th>${CONDITIONS.map((c) => html`<td>${t.value({ share: m.rows[k][c][0] })}</td>`)}</tr>`))}</table>
  <p class="soft">${t("record.from")} <code class="inline">shiftproof reproduce pooling augmentation</code></p>
</section>`;
