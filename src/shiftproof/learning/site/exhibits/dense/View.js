// The screen of "From dense to convolution": the matrix, its lines, a signal that moves; then the kernels, and what is counted.
import { Lines } from "#learn/exhibits/dense/Lines.js";
import { LEVELS, SIDE, UNIT } from "#learn/exhibits/dense/matrix.js";
import { painted, STEPS } from "#learn/exhibits/dense.js";
import { Choice } from "#learn/parts/Choice.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  return html`${asked && html`<${Steps} ...${{ state, set, r, t }} />`}
    <div class="stage three dense">
      <${Matrix} ...${{ state, set, r, t }} />
      <${Joined} ...${{ state, set, r, t, asked }} />
      <${Signal} ...${{ state, set, r, t, asked }} />
    </div>
    ${asked && html`<div class="stage dense-under">
      <${Kernels} ...${{ r, t }} />
      <${Counts} ...${{ r, t, state }} />
    </div>`}`;
}

/** @param {any} props */
function Steps({ state, set, r, t }) {
  return html`<div class="controls steps">
    <${Choice} label=${t("dense.steps")} value=${state.step} options=${STEPS} say=${(/** @type {string} */ o) => t(`dense.step.${o}`)} set=${(/** @type {string} */ step) => set({ step })} />
    ${(state.step === "local" || state.step === "channels") && html`<${Slider} label=${t("dense.far")} value=${state.far} from=${1} to=${SIDE / 2 - 1} set=${(/** @type {number} */ far) => set({ far })} />`}
  </div>
  <p class="soft">${t(`dense.about.${state.step}`, state.step === "channels" ? { k: r.channels } : state.step === "local" ? { far: state.far } : {})}</p>`;
}

/** @param {any} props */
function Matrix({ state, set, r, t }) {
  const { row, column, brush } = state;
  const paint = (/** @type {number} */ y, /** @type {number} */ x) => set(painted(state, y, x, brush));
  const level = Math.round(r.weight / UNIT);
  const most = Math.max(...r.matrix.map(Math.abs));
  const label = t.plain("dense.matrix.label", { n: SIDE, i: row, j: column });
  return html`<section>
    <h2>${t("dense.matrix.title", { n: r.matrix.length })}</h2>
    <p class="soft">${t(state.step === "dense" ? "dense.matrix.hint" : "dense.matrix.along")}</p>
    <${Handle} rows=${SIDE} columns=${SIDE} label=${label} class="matrix" point=${paint}>
      <${Picture} values=${r.matrix} w=${SIDE} h=${SIDE} ink="signed" most=${most} label=${label} />
      <svg viewBox="0 0 ${SIDE} ${SIDE}" aria-hidden="true"><rect class="here" x=${column} y=${row} width="1" height="1" /></svg>
    </${Handle}>
    <${Choice} label=${t("dense.brush")} value=${brush} options=${[LEVELS, 0, -LEVELS]} say=${(/** @type {number} */ v) => t(`dense.brush.${v > 0 ? "plus" : v < 0 ? "minus" : "zero"}`)} set=${(/** @type {number} */ to) => set({ brush: to })} />
    ${r.own && html`<button type="button" class="again" onclick=${() => set({ own: "" })}>${t("dense.again")}</button>`}
    <div class="sliders">
      <${Slider} label=${t("dense.output")} value=${row} from=${0} to=${SIDE - 1} set=${(/** @type {number} */ to) => set({ row: to })} />
      <${Slider} label=${t("dense.input")} value=${column} from=${0} to=${SIDE - 1} set=${(/** @type {number} */ to) => set({ column: to })} />
      <${Slider} label=${t("dense.weight")} value=${level} from=${-LEVELS} to=${LEVELS} shown=${t.value({ size: r.weight })} set=${(/** @type {number} */ to) => set(painted(state, row, column, to))} />
    </div>
  </section>`;
}

/** @param {any} props */
function Joined({ state, set, r, t, asked }) {
  const { column, layers } = state;
  const values = { j: column, r: r.reached, n: SIDE, layers };
  const point = (/** @type {number} */ _, /** @type {number} */ to) => set({ column: to });
  const label = t.plain("dense.lines.label", values);
  return html`<section>
    <h2>${t("dense.lines.title")}</h2>
    <p class="soft">${t("dense.lines.note", { j: column })}</p>
    <${Handle} rows=${1} columns=${SIDE} label=${label} class="lines" point=${point}>
      <${Lines} matrix=${r.matrix} ways=${r.ways} label=${label} />
    </${Handle}>
    ${asked && html`<div class="sliders"><${Slider} label=${t("dense.layers")} value=${layers} from=${1} to=${4} set=${(/** @type {number} */ to) => set({ layers: to })} /></div>
      <p class="soft">${t("dense.reach", { ...values, a: r.most, b: r.least })}</p>
      <p class="soft">${t("dense.pairs", { n: r.pairs.n, k: r.pairs.k, a: r.pairs.dense, b: r.pairs.kernel })}</p>`}
  </section>`;
}

/** @param {any} props */
function Signal({ state, set, r, t, asked }) {
  const { dx } = state;
  const most = Math.max(...r.after.map(Math.abs), ...r.first.map(Math.abs));
  const label = t.plain("dense.signal.label", { dx });
  return html`<section>
    <h2>${t("dense.signal.title")}</h2>
    <p class="soft">${t("dense.signal.hint")}</p>
    <${Handle} rows=${1} columns=${SIDE} label=${label} class="signal" at=${() => dx} drag=${(/** @type {number} */ _, /** @type {number} */ x, /** @type {number} */ from) => set({ dx: from + x })}>
      <${Picture} values=${r.moved} w=${SIDE} h=${1} ink="signed" most=${Math.max(...r.moved)} label=${label} />
    </${Handle}>
    <div class="sliders"><${Slider} label=${t("dense.moved")} value=${dx} from=${-SIDE / 2} to=${SIDE / 2 - 1} set=${(/** @type {number} */ to) => set({ dx: to })} /></div>
    ${asked && html`<p class="strip-name">${t("dense.after")}</p>
      <${Picture} values=${r.after} w=${SIDE} h=${1} ink="signed" most=${most} label=${t.plain("dense.after")} />
      <p class="strip-name">${t("dense.first")}</p>
      <${Picture} values=${r.first} w=${SIDE} h=${1} ink="signed" most=${most} label=${t.plain("dense.first")} />
      <p class="soft">${t("dense.error", { e: { size: r.error } })}</p>`}
  </section>`;
}

/** @param {any} props */
function Kernels({ r, t }) {
  const most = Math.max(...r.kernels.flatMap((/** @type {Float64Array} */ k) => [...k].map(Math.abs))) || 1;
  return html`<section>
    <h2>${t("dense.kernel.title")}</h2>
    <p class="soft">${t("dense.kernel.note", { p: { share: r.convolution }, c: { size: r.commutator } })}</p>
    <div class="kernels">${r.kernels.map((/** @type {Float64Array} */ k, /** @type {number} */ i) => html`<${Picture} values=${k} w=${SIDE} h=${1} ink="signed" most=${most} label=${t.plain("dense.kernel.label", { n: i + 1 })} />`)}</div>
    <p class="ends" aria-hidden="true"><span>${t.value(-SIDE / 2)}</span><span>${t.value(0)}</span><span>${t.value(SIDE / 2 - 1)}</span></p>
  </section>`;
}

/** @param {any} props */
function Counts({ r, t, state }) {
  return html`<section>
    <h2>${t("dense.counts.title")}</h2>
    <p class="soft">${t("dense.counts.note", { far: state.far })}</p>
    <table class="counts">
      <tr><td></td>${STEPS.map((o) => html`<th scope="col" class=${o === state.step ? "now" : ""}>${t(`dense.step.${o}`)}</th>`)}</tr>
      ${r.counts.map((/** @type {any} */ c) => html`<tr><th scope="row">${t(`dense.counts.${c.name}`, { n: c.n })}</th>
        ${c.at.map((/** @type {number} */ v, /** @type {number} */ i) => html`<td class=${STEPS[i] === state.step ? "now" : ""}>${t.value(v < 1e9 ? v : { size: v })}</td>`)}</tr>`)}
    </table>
  </section>`;
}
