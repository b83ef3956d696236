// The screen of "One kernel, or one for each place": a row of kernels over a row of a picture; what is counted; what is measured.
import { COUNTED, LAYERS, WEIGHINGS } from "#learn/exhibits/one/counts.js";
import { drawn, LEVELS, PLACES, TAPS } from "#learn/exhibits/one.js";
import { Choice } from "#learn/parts/Choice.js";
import { Curve } from "#learn/parts/Curve.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { Slider } from "#learn/parts/Slider.js";
import { html, useRef } from "#learn/view.js";

const H = 60; // of the drawing of the kernels, in units of which a place has ten

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  const { dx, tied, place, tap } = state;
  const label = t.plain("one.signal.label", { dx });
  const row = (/** @type {Float64Array} */ values, /** @type {string} */ name) => html`<h3 class="strip-name">${t(`one.${name}`)}</h3>
    <ol class="answers-of">${[...values].map((v, i) => html`<li class=${r.wrong[i] ? "ringed" : ""}>${t.value({ size: v })}</li>`)}</ol>`;
  return html`<div class="stage one">
      <section>
        <h2>${t("one.signal")}</h2>
        <p class="soft">${t("one.signal.hint")}</p>
        <${Handle} rows=${1} columns=${PLACES} label=${label} class="signal picture" at=${() => dx} drag=${(/** @type {number} */ _, /** @type {number} */ x, /** @type {number} */ from) => set({ dx: from + x })}>
          <${Picture} values=${r.moved.map((/** @type {number} */ v) => v / 9)} w=${PLACES} h=${1} label=${label} />
        </${Handle}>
        <h2 class="strip-name">${t(tied === "yes" ? "one.kernels.tied" : "one.kernels.free", { n: PLACES })}</h2>
        <p class="soft">${t("one.kernels.hint")}</p>
        <${Kernels} ...${{ state, set, r, t }} />
        ${row(r.after, "after")}
        ${row(r.first, "first")}
        ${asked && html`<p class=${r.count ? "soft changed" : "soft"}>${t("one.wrong", { k: r.count, n: PLACES })}</p>`}
      </section>
      <section>
        <div class="sliders">
          <${Slider} label=${t("one.moved")} value=${dx} from=${-PLACES / 2} to=${PLACES / 2 - 1} set=${(/** @type {number} */ v) => set({ dx: v })} />
          <${Slider} label=${t("one.place")} value=${place + 1} from=${1} to=${PLACES} set=${(/** @type {number} */ v) => set({ place: v - 1 })} />
          <${Slider} label=${t("one.tap")} value=${tap + 1} from=${1} to=${TAPS} set=${(/** @type {number} */ v) => set({ tap: v - 1 })} />
          <${Slider} label=${t("one.level")} value=${Math.round(r.level)} from=${-LEVELS} to=${LEVELS} shown=${t.value({ size: r.level })} set=${(/** @type {number} */ v) => set(drawn(state, place, tap, v))} />
        </div>
        ${asked
          ? html`<${Choice} label=${t("one.tie")} value=${tied} options=${["yes", "no"]} say=${(/** @type {string} */ o) => t(`one.tie.${o}`)} set=${(/** @type {string} */ to) => set({ tied: to })} />
            <div class="row"><button type="button" onclick=${() => set({ own: "", tied: "yes" })}>${t("one.again")}</button></div>
            <p class="soft">${t("one.other", { p: { share: r.other } })}</p>`
          : html`<p class="soft">${t("one.hidden")}</p>`}
      </section>
    </div>
    ${asked && html`<div class="stage one-under"><${Counts} ...${{ state, set, r, t }} /><${Record} ...${{ r, t }} /></div>`}`;
}

/** Twelve kernels, each over its place; where they are chained, a line joins them. A tap follows the finger up and down. @param {any} props */
function Kernels({ state, set, r, t }) {
  const chosen = useRef([0, 0]);
  const label = t.plain("one.kernels.label", { i: state.place + 1, k: state.tap + 1, v: { size: r.level } });
  const up = (/** @type {number} */ v) => H / 2 - (v * (H / 2 - 4)) / LEVELS;
  function point(/** @type {number} */ y, /** @type {number} */ x, /** @type {boolean} */ first) {
    if (first) chosen.current = [Math.floor(x / TAPS), x % TAPS];
    set(drawn(state, chosen.current[0], chosen.current[1], LEVELS - y));
  }
  return html`<${Handle} rows=${2 * LEVELS + 1} columns=${PLACES * TAPS} label=${label} class="kernels-of" point=${point}>
    <svg viewBox="0 0 ${PLACES * 10} ${H}" role="img" aria-label=${label} preserveAspectRatio="none">
      ${state.tied === "yes" && html`<line class="chain" x1="5" x2=${PLACES * 10 - 5} y1=${H - 2} y2=${H - 2} />`}
      ${Array.from({ length: PLACES }, (_, p) => html`<g transform="translate(${p * 10} 0)">
        <line class="zero" x1="0.8" x2="9.2" y1=${H / 2} y2=${H / 2} />
        ${Array.from({ length: TAPS }, (_, k) => {
          const v = r.taps[p * TAPS + k];
          return html`<rect class=${v < 0 ? "minus" : "plus"} x=${1.1 + k * 2.7} width="2.4" y=${Math.min(up(v), H / 2 - 0.6)} height=${Math.max(1.2, Math.abs(up(v) - H / 2))} />`;
        })}
        ${p === state.place && html`<rect class="here" x="0.3" y="1" width="9.4" height=${H - 5} />`}
      </g>`)}
    </svg>
  </${Handle}>`;
}

/** @param {any} props */
function Counts({ state, set, r, t }) {
  const values = r.counts.map((/** @type {any} */ c) => c[state.counted]);
  const most = Math.log10(Math.max(...values));
  return html`<section>
    <h2>${t("one.counts.title")}</h2>
    <p class="soft">${t(`one.counted.about.${state.counted}`)}</p>
    <${Choice} label=${t("one.layer")} value=${state.layer} options=${LAYERS} say=${(/** @type {string} */ o) => t(`one.layer.${o}`)} set=${(/** @type {string} */ layer) => set({ layer })} />
    <${Choice} label=${t("one.counted")} value=${state.counted} options=${COUNTED} say=${(/** @type {string} */ o) => t(`one.counted.${o}`)} set=${(/** @type {string} */ counted) => set({ counted })} />
    <dl class="logs">${WEIGHINGS.map((who, i) => html`<div><dt>${t(`one.${who}`)}</dt>
      <dd class="track" aria-hidden="true"><i style=${{ width: `${(100 * Math.log10(values[i] * 1.3)) / (most + 0.12)}%` }}></i></dd><dd>${t.value(values[i])}</dd></div>`)}</dl>
    <p class="soft">${t(r.ratio === 1 ? "one.ratio.same" : "one.ratio", { x: { size: r.ratio } })}</p>
    <${Choice} label=${t("one.against")} value=${state.against} options=${["local", "dense"]} say=${(/** @type {string} */ o) => t(`one.${o}`)} set=${(/** @type {string} */ against) => set({ against })} />
  </section>`;
}

/** @param {any} props */
function Record({ r, t }) {
  const share = (/** @type {number} */ v) => ({ share: v });
  const say = (/** @type {number} */ v) => t.plain("border.share", { v: share(v) });
  const values = { n: r.largest, a: share(r.last.shared), b: share(r.last.local), c: share(r.last.dense) };
  const names = ["shared", "local", "dense"];
  return html`<section>
    <h2>${t("one.record.title")}</h2>
    <p class="soft">${t(r.last.shared > r.last.local ? "one.record.pays" : "one.record.not", values)}</p>
    <${Curve} x=${{ from: 100, to: r.largest, log: true, label: t("one.record.x"), say: t.number }}
      y=${{ from: 0.65, to: 1, label: t("one.record.y"), say }} lines=${r.lines.map((/** @type {any} */ l, /** @type {number} */ i) => ({ ...l, name: t(`one.${names[i]}`) }))}
      label=${t.plain("one.record.label", values)} />
    <p class="soft">${t("record.from")} <code class="inline">shiftproof reproduce efficiency</code></p>
  </section>`;
}
