// The screen of "Drag the digit": the picture, the maps, and two verdicts.
import { maps } from "#learn/engine/tensor.js";
import { Answers } from "#learn/exhibits/drag/Answers.js";
import { Own } from "#learn/exhibits/drag/Own.js";
import { Bars } from "#learn/parts/Bars.js";
import { Choice } from "#learn/parts/Choice.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { Slider } from "#learn/parts/Slider.js";
import { html, useMemo, useState } from "#learn/view.js";

const SIDE = 28;
const FAR = SIDE / 2;
const SHOWN = 4; // of the maps
const DIGITS = Array.from({ length: 10 }, (_, k) => String(k));
const READOUTS = ["flat", "average"];

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md; `brief`: as the landing page shows it */
export function View({ state, set, seen: r, t, asked, material, brief = false }) {
  const [drawing, draw] = useState(false);
  return html`<div class="stage drag">
    <section class="see">
      <h2>${t(drawing ? "drag.draw.title" : "drag.picture.title")}</h2>
      <p class="soft">${t(drawing ? "drag.draw.hint" : "drag.picture.hint")}</p>
      <div class="pair">
        ${drawing
          ? html`<${Own} ...${{ set, t, end: () => draw(false) }} />`
          : html`<${Moved} ...${{ state, set, r, t }} />`}
        <div class="glance" aria-hidden="true">
          ${READOUTS.map((name, k) => html`<span>${t(`drag.${name}.short`)}</span><${Answer} ...${{ r, k, asked: asked && !drawing }} />`)}
        </div>
      </div>
      ${!brief && html`<${Controls} ...${{ state, set, t, material, drawing, draw }} />`}
    </section>
    <section class="maps">
      <h2>${t("drag.maps.title")}</h2>
      <p class="soft">${t("drag.maps.note", { n: SHOWN, all: r.maps.c })}</p>
      <${Some} of=${r.maps} label=${(/** @type {number} */ n) => t.plain("drag.maps.label", { n })} />
      ${asked && html`<p class="soft">${t(r.mapsMoved, { error: { size: r.mapsDiffer } })}</p>`}
      <h2 class="pooled">${t("drag.pooled.title", { k: SIDE / r.pooled.h })}</h2>
      <${Some} of=${r.pooled} label=${(/** @type {number} */ n) => t.plain("drag.pooled.label", { n })} />
      ${asked && html`<p class="soft">${t("drag.pooled.note", { n: r.pooledChanged, all: r.pooled.data.length })}</p>`}
    </section>
    <section class="read">
      <div class="readouts">
        ${READOUTS.map((name, k) => html`<${Readout} ...${{ name, k, state, set, r, t, asked: asked && !drawing, brief }} />`)}
      </div>
      ${!brief && asked && html`<${Answers} ...${{ state, set, r, t }} />`}
    </section>
  </div>`;
}

/** The picture, and an arrow from where it was. @param {any} props */
function Moved({ state, set, r, t }) {
  const { dy, dx } = state;
  const label = t.plain(state.digit < 0 ? "drag.picture.own" : "drag.picture.label", { digit: state.digit, dy, dx });
  const middle = (/** @type {number} */ d) => FAR + d;
  return html`<${Handle}
    class="picture" rows=${SIDE} columns=${SIDE} label=${label} at=${() => ({ dy, dx })}
    drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set({ dy: from.dy + y, dx: from.dx + x })}
  >
    <${Picture} values=${r.picture.data} w=${SIDE} h=${SIDE} label=${label} />
    <svg viewBox="0 0 ${SIDE} ${SIDE}" aria-hidden="true">
      ${(dy !== 0 || dx !== 0) && html`<line class="arrow" x1=${FAR} y1=${FAR} x2=${middle(dx)} y2=${middle(dy)} />`}
      ${(dy !== 0 || dx !== 0) && html`<circle class="tip" cx=${middle(dx)} cy=${middle(dy)} r="0.55" />`}
    </svg>
  </${Handle}>`;
}

/** @param {any} props */
function Controls({ state, set, t, material, drawing, draw }) {
  const slide = (/** @type {"dx" | "dy"} */ name) =>
    html`<${Slider} label=${t(`drag.move.${name}`)} value=${state[name]} from=${-FAR} to=${FAR - 1} set=${(/** @type {number} */ v) => set({ [name]: v })} />`;
  return html`<div class="sliders">${slide("dx")}${slide("dy")}</div>
    <div class="row">
      <button type="button" onclick=${() => set({ dy: 0, dx: 0 })}>${t("drag.back")}</button>
      ${!drawing && html`<button type="button" onclick=${() => draw(true)}>${t("drag.draw")}</button>`}
    </div>
    <div class="digits" role="group" aria-label=${t.plain("drag.digits")}>
      ${DIGITS.map((name, k) => html`<button type="button" aria-label=${name} aria-pressed=${state.digit === k}
        onclick=${() => (draw(false), set({ digit: k, own: "", dy: 0, dx: 0 }))}><${Picture} values=${material.ten[k].data} w=${SIDE} h=${SIDE} /></button>`)}
    </div>
    <${Choice} label=${t("drag.edge")} value=${state.edge} options=${["circular", "zero"]}
      say=${(/** @type {string} */ o) => t(`drag.edge.${o}`)} set=${(/** @type {string} */ edge) => set({ edge })} />`;
}

/** The first few channels. @param {{of: import("#learn/engine/tensor.js").Maps, label: (n: number) => string}} props */
function Some({ of, label }) {
  const area = of.h * of.w;
  const most = useMemo(() => of.data.reduce((a, b) => Math.max(a, b), 0), [of]);
  return html`<div class="some">
    ${Array.from({ length: SHOWN }, (_, i) => html`<${Picture} values=${of.data.subarray(i * area, (i + 1) * area)} w=${of.w} h=${of.h} ink="heat" most=${most} label=${label(i + 1)} />`)}
  </div>`;
}

/** The answer in large type, or that nobody has said yet. @param {any} props */
const Answer = ({ r, k, asked }) =>
  asked ? html`<b class=${r.same[k] ? "same" : "other"}>${r.readouts[k].answer}</b>` : html`<b class="hidden">?</b>`;

/** @param {any} props */
function Readout({ name, k, state, set, r, t, asked, brief }) {
  const { chances, answer } = r.readouts[k];
  return html`<section class=${asked && !r.same[k] ? "readout other" : "readout"}>
    <h2>${t(`drag.${name}.title`)}</h2>
    <p class="soft">${t(`drag.${name}.note`)}</p>
    <p class="answer"><${Answer} ...${{ r, k, asked }} />${asked && html`<span>${t.value({ share: chances[answer] })}</span>`}</p>
    <${Bars} names=${DIGITS} shares=${asked ? chances : null} top=${asked ? answer : -1} t=${t} />
    ${!brief && html`<${AnswerMap} ...${{ k, state, set, r, t, asked }} />`}
  </section>`;
}

/** A picture of all moves: dragging on it goes there. @param {any} props */
function AnswerMap({ k, state, set, r, t, asked }) {
  const nothing = useMemo(() => maps(1, SIDE, SIDE).data.fill(-1), []);
  const label = asked ? t.plain("drag.answers.label", { same: r.kept[k], tried: r.tried, all: SIDE ** 2 }) : t.plain("drag.answers.untried");
  return html`<div class="answers">
    <h2>${t("drag.answers.title")}</h2>
    <${Handle} class="map" rows=${SIDE} columns=${SIDE} label=${label}
      point=${(/** @type {number} */ y, /** @type {number} */ x) => set({ dy: y - FAR, dx: x - FAR })}>
      <${Picture} values=${asked ? r.answers[k] : nothing} w=${SIDE} h=${SIDE} ink="answers" label=${label} />
      <svg viewBox="0 0 ${SIDE} ${SIDE}" aria-hidden="true">
        <path class="cross" d="M0 ${FAR + 0.5}H${SIDE}M${FAR + 0.5} 0V${SIDE}" />
        <rect class="here" x=${FAR + state.dx} y=${FAR + state.dy} width="1" height="1" />
      </svg>
    </${Handle}>
    <p class="soft">${asked ? t("drag.answers.count", { same: r.kept[k], tried: r.tried }) : t("drag.answers.untried")}</p>
  </div>`;
}
