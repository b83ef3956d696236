// The screen of "What photographs are like": a photograph with two windows, their histograms, and r against distance.
import { DIRECTIONS, DISTANCES, VERSIONS } from "#learn/exhibits/photos/statistics.js";
import { ASKED, STEP, WINDOW } from "#learn/exhibits/photos.js";
import { Choice } from "#learn/parts/Choice.js";
import { Curve } from "#learn/parts/Curve.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { sketched } from "#learn/parts/Sketch.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

const KEYS = { first: ["dy", "dx"], second: ["ey", "ex"] };

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked, guess }) {
  const pick = (/** @type {string} */ name, /** @type {readonly any[]} */ options, say = (/** @type {any} */ o) => t(`photos.${name}.${o}`)) =>
    html`<${Choice} label=${t(`photos.${name}`)} value=${state[name]} options=${options} say=${say} set=${(/** @type {any} */ v) => set({ [name]: v })} />`;
  return html`${asked && html`<div class="controls">${pick("version", VERSIONS)}</div>`}
    <div class="stage three photos">
      <section>
        <h2>${t("photos.picture")}</h2>
        <p class="soft">${t("photos.hint")}</p>
        <div class="album">
          <${Picture} values=${r.x} w=${r.n} h=${r.n} label=${t.plain("photos.label", { version: { key: `photos.version.${r.version}` } })} />
          ${["first", "second"].map((which) => html`<${Window} ...${{ which, state, set, r, t }} />`)}
          ${asked && html`<i class="field" style=${{ top: 0, left: 0, width: `${(100 * r.field) / r.n}%`, height: `${(100 * r.field) / r.n}%` }}></i>`}
        </div>
        <div class="sliders">${pick("which", ["first", "second"])}
          ${KEYS[state.which].map((name, i) => html`<${Slider} label=${t(`photos.move.${i ? "dx" : "dy"}`)} value=${r.at[state.which][i]} from=${0} to=${r.n - WINDOW} step=${STEP} set=${(/** @type {number} */ v) => set({ [name]: state[name] + (v - r.at[state.which][i]) / STEP })} />`)}</div>
      </section>
      <section>
        <h2>${t("photos.histograms")}</h2>
        <p class="soft">${t("photos.histograms.note")}</p>
        <${Histograms} ...${{ r, t }} />
        <p class="soft">${t("photos.apart", { a: { share: r.apart } })}</p>
        <table class="counts"><tr><td></td><th scope="col">${t("photos.mean")}</th><th scope="col">${t("photos.variance")}</th></tr>
          ${["first", "second"].map((w) => html`<tr><th scope="row">${t(`photos.which.${w}`)}</th><td>${t.value({ size: r.windows[w].mean })}</td><td>${t.value({ size: r.windows[w].variance })}</td></tr>`)}</table>
      </section>
      <section>
        <h2>${t("photos.distance")}</h2>
        ${asked ? html`<${Distance} ...${{ state, set, r, t, guess, pick }} />` : html`<p class="soft">${t("photos.hidden")}</p><div class="covered" aria-hidden="true">?</div>`}
      </section>
    </div>
    ${asked && html`<h2 class="strip-name">${t("photos.field")}</h2><div class="controls">${pick("layers", [1, 2, 3, 4], (o) => t.value(o))}${pick("kernel", [3, 5], (o) => t.value(o))}</div>
      <p class="soft">${t(r.byGradient === r.field ? "photos.field.note" : "photos.field.less", { k: r.field, g: r.byGradient })}</p>`}`;
}

/** @param {any} props */
function Window({ which, state, set, r, t }) {
  const [y, x] = KEYS[which];
  const label = t.plain("photos.window", { which: { key: `photos.which.${which}` }, y: r.at[which][0], x: r.at[which][1] });
  const from = () => (set({ which }), { y: state[y], x: state[x] });
  const part = (/** @type {number} */ v) => `${(100 * v) / r.n}%`;
  return html`<div class=${`over ${which}`} style=${{ top: part(r.at[which][0]), left: part(r.at[which][1]), width: part(WINDOW), height: part(WINDOW) }}>
    <${Handle} rows=${WINDOW / STEP} columns=${WINDOW / STEP} label=${label} class=${which} at=${from} drag=${(/** @type {number} */ dy, /** @type {number} */ dx, /** @type {any} */ start) => set({ [y]: start.y + dy, [x]: start.x + dx })} />
  </div>`;
}

/** Both on one axis: the square root of a share, so that rare answers are seen. @param {any} props */
function Histograms({ r, t }) {
  const n = r.windows.first.bins.length;
  const most = Math.max(...r.windows.first.bins, ...r.windows.second.bins);
  const line = (/** @type {Float64Array} */ bins) => Array.from(bins, (v, i) => `${i ? "L" : "M"}${(i + 0.5) * (300 / n)} ${140 - 130 * Math.sqrt(v / most)}`).join("");
  return html`<svg class="histogram" viewBox="0 0 300 144" role="img" aria-label=${t.plain("photos.apart", { a: { share: r.apart } })}>
    <path class="one" d=${line(r.windows.first.bins)} /><path class="two" d=${line(r.windows.second.bins)} /></svg>`;
}

/** @param {any} props */
function Distance({ state, set, r, t, guess, pick }) {
  const nearest = (/** @type {number} */ v) => DISTANCES.reduce((a, b) => (Math.abs(Math.log(b / v)) < Math.abs(Math.log(a / v)) ? b : a));
  const lines = [{ points: r.curve, name: t("photos.key.r") }, { points: r.flat, class: "faint", name: t("photos.key.flat") }, ...sketched(guess, ASKED, t("photos.key.said"))];
  return html`<p class="soft">${t(r.direct === null ? "photos.r" : "photos.r.direct", { d: r.far, r: { size: r.r }, ...(r.direct === null ? {} : { v: { size: r.direct } }) })}</p>
    <${Curve} x=${{ from: 1, to: 96, log: true, label: t("photos.x") }} y=${{ from: -0.2, to: 1, label: t("photos.y") }} lines=${lines} at=${[r.far, r.r]}
      set=${(/** @type {number} */ v) => set({ far: nearest(v) })} label=${t.plain("photos.r", { d: r.far, r: { size: r.r } })} />
    <div class="sliders"><${Slider} label=${t("photos.far")} value=${DISTANCES.indexOf(state.far)} from=${0} to=${DISTANCES.length - 1} shown=${state.far} set=${(/** @type {number} */ i) => set({ far: DISTANCES[i] })} /></div>
    ${pick("direction", Object.keys(DIRECTIONS))}
    ${r.recorded !== null && html`<p class="soft">${t("photos.record", { d: r.far, r: { size: r.recorded } })} ${t("record.from")} <code class="inline">shiftproof reproduce locality</code></p>`}`;
}
