// The screen of "The spaceship": a track with a window that slides along it; the products under the window; what is left.
import { SHOWN } from "#learn/exhibits/ship.js";
import { Choice } from "#learn/parts/Choice.js";
import { Handle } from "#learn/parts/Handle.js";
import { Slider } from "#learn/parts/Slider.js";
import { html, useRef } from "#learn/view.js";

const [W, H] = [720, 260];
const [LOW, HIGH] = [-3.5, 10];
const across = (/** @type {number} */ t) => ((t + 0.5) / SHOWN) * W;
const up = (/** @type {number} */ v) => H - ((v - LOW) / (HIGH - LOW)) * H;
const path = (/** @type {Float64Array} */ v) => Array.from(v, (y, t) => `${t ? "L" : "M"}${across(t).toFixed(1)} ${up(y).toFixed(1)}`).join("");

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  return html`<div class="stage ship">
      <${Track} ...${{ state, set, r, t }} />
      <${Products} ...${{ state, set, r, t }} />
    </div>
    ${asked && html`<div class="controls">
      <${Choice} label=${t("ship.window")} value=${state.window} options=${[...r.table.map((/** @type {any} */ row) => row.name), "own"]} say=${(/** @type {string} */ o) => t(`ship.window.${o}`)} set=${(/** @type {string} */ window) => set({ window })} />
      <${Choice} label=${t("ship.flip")} value=${state.flip} options=${["no", "yes"]} say=${(/** @type {string} */ o) => t(`ship.flip.${o}`)} set=${(/** @type {string} */ flip) => set({ flip })} />
    </div>
    <p class="soft">${t(r.flipped === 0 ? "ship.flip.same" : "ship.flip.other", { e: { size: r.flipped } })} ${t(r.commutes === 0 ? "ship.commutes" : "ship.commutes.not", { e: { size: r.commutes } })}</p>
    <div class="stage ship-under"><${Errors} ...${{ r, t }} /><${Own} ...${{ state, set, t }} /></div>`}`;
}

/** @param {any} props */
function Track({ state, set, r, t }) {
  const label = t.plain("ship.track.label", { t: r.at, s: { size: r.sum } });
  const first = Math.max(0, r.inside[r.inside.length - 1].t);
  return html`<section>
    <h2>${t("ship.track")}</h2>
    <p class="soft">${t("ship.track.hint")}</p>
    <${Handle} rows=${1} columns=${SHOWN} label=${label} class="track-of" at=${() => state.dx} drag=${(/** @type {number} */ _, /** @type {number} */ x, /** @type {number} */ from) => set({ dx: from + x })}>
      <svg viewBox="0 0 ${W} ${H}" role="img" aria-label=${label}>
        <rect class="window" x=${across(first - 0.5)} width=${across(r.at + 0.5) - across(first - 0.5)} y="0" height=${H} />
        <path class="true" d=${path(r.position)} />
        ${Array.from(r.track, (/** @type {number} */ v, /** @type {number} */ i) => html`<circle class=${i <= r.at && i > r.at - r.inside.length ? "point in" : "point"} cx=${across(i)} cy=${up(v)} r="2.6" />`)}
        <path class="averaged" d=${path(r.line)} />
        <circle class="tip" cx=${across(r.at)} cy=${up(r.sum)} r="7" />
      </svg>
    </${Handle}>
    <p class="names soft"><span class="key faint">${t("ship.key.true")}</span><span class="key line1">${t("ship.key.averaged")}</span></p>
    <div class="sliders"><${Slider} label=${t("ship.time")} value=${r.at} from=${0} to=${SHOWN - 1} set=${(/** @type {number} */ v) => set({ dx: state.dx + v - r.at })} /></div>
  </section>`;
}

/** Each product under the window as a bar; together they are the next point. @param {any} props */
function Products({ state, set, r, t }) {
  const [width, height, middle] = [300, 170, 110];
  const n = Math.max(5, r.inside.length);
  const most = Math.max(...r.inside.map((/** @type {any} */ p) => Math.abs(p.product)), 0.5);
  const bar = (/** @type {number} */ v) => (v / most) * 80;
  const step = width / n;
  const label = t.plain("ship.products.label", { k: r.inside.length, s: { size: r.sum } });
  const chosen = useRef(0);
  const drawing = svg({ r, width, height, middle, step, bar, label });
  const point = (/** @type {number} */ y, /** @type {number} */ x, /** @type {boolean} */ first) => {
    if (first) chosen.current = 4 - x;
    set({ [`w${chosen.current}`]: 10 - y });
  };
  return html`<section>
    <h2>${t("ship.products")}</h2>
    <p class="soft">${t(state.window === "own" ? "ship.products.own" : "ship.products.hint")}</p>
    ${state.window === "own" ? html`<${Handle} rows=${21} columns=${5} label=${label} class="weights-of" point=${point}>${drawing}</${Handle}>` : html`<div class="weights-of">${drawing}</div>`}
    <p class="sum">${t("ship.sum", { k: r.inside.length, s: { size: r.sum } })}</p>
  </section>`;
}

/** @param {any} props the present stands on the right, as on the track */
const svg = ({ r, width, height, middle, step, bar, label }) => html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label=${label}>
  <line class="zero" x1="0" x2=${width} y1=${middle} y2=${middle} />
  ${r.inside.map((/** @type {any} */ p, /** @type {number} */ k) => html`<rect class=${p.product < 0 ? "minus" : "plus"} x=${width - (k + 1) * step + 1} width=${Math.max(1, step - 2)} y=${Math.min(middle, middle - bar(p.product))} height=${Math.abs(bar(p.product))} />
    <circle class="weight" cx=${width - (k + 0.5) * step} cy=${middle - p.w * 100} r=${step > 20 ? 4 : 2} />`)}
</svg>`;

/** @param {any} props */
function Errors({ r, t }) {
  const rows = [...r.table, ...(r.window === "own" ? [{ ...r, name: "own" }] : [])];
  return html`<section>
    <h2>${t("ship.errors")}</h2>
    <p class="soft">${t("ship.errors.note")}</p>
    <table class="counts">
      <tr><td></td>${["noise", "squares", "lag", "error"].map((c) => html`<th scope="col">${t(`ship.errors.${c}`)}</th>`)}</tr>
      ${rows.map((row) => html`<tr><th scope="row" class=${row.name === r.window ? "now" : ""}>${t(`ship.window.${row.name}`)}</th>
        ${["noise", "squares", "lag", "error"].map((c) => html`<td class=${row.name === r.window ? "now" : ""}>${t.value({ size: row[c] })}</td>`)}</tr>`)}
    </table>
  </section>`;
}

/** @param {any} props */
function Own({ state, set, t }) {
  return html`<section>
    <h2>${t("ship.own")}</h2>
    <p class="soft">${t("ship.own.note")}</p>
    <div class="sliders">${[0, 1, 2, 3, 4].map((k) => html`<${Slider} label=${t("ship.own.weight", { k })} value=${state[`w${k}`]} from=${-10} to=${10} shown=${t.value({ size: state[`w${k}`] / 10 })}
      set=${(/** @type {number} */ v) => set({ window: "own", [`w${k}`]: v })} />`)}</div>
  </section>`;
}
