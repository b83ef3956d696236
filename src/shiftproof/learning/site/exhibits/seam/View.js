// The screen of "Find the seam": the picture that is moved, where its pose was found, and both answers at every move.
import { Choice } from "#learn/parts/Choice.js";
import { Curve } from "#learn/parts/Curve.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

const WORLDS = ["circle", "object", "camera"];
const [HALF, REACH, WHITE] = [16, 5, 255];
const DIGITS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  const object = state.world === "object";
  const bright = (/** @type {any} */ m) => (object ? m.data : m.data.map((/** @type {number} */ v) => v / WHITE));
  const label = t.plain(`seam.label.${state.world}`, { dy: state.dy, dx: state.dx });
  const [low, high] = object ? [-REACH, REACH] : [-HALF, HALF - 1];
  return html`<div class="seam-choices"><${Choice} label=${t("seam.world")} value=${state.world} options=${WORLDS} say=${(/** @type {string} */ o) => t(`seam.world.${o}`)}
      set=${(/** @type {string} */ world) => set({ world, dy: 0, dx: 0 })} /></div>
    <div class="stage seam">
      <section>
        <h2>${t("seam.picture.title")}</h2>
        <p class="soft">${t(`seam.hint.${state.world}`)}</p>
        <${Handle} class="picture" rows=${r.picture.h} columns=${r.picture.w} label=${label} at=${() => ({ dy: state.dy, dx: state.dx })}
          drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set(dragged(state, from, y, x))}>
          <${Picture} values=${bright(r.picture)} w=${r.picture.w} h=${r.picture.h} label=${label} />
          ${asked && html`<${Mark} at=${r.at} n=${r.picture.w} point=${object} />`}
        </${Handle}>
        <div class="sliders">
          ${["dx", "dy"].map((name) => html`<${Slider} label=${t(`seam.move.${name}`)} value=${state[name]} from=${low} to=${high} set=${(/** @type {number} */ v) => set({ [name]: v })} />`)}
        </div>
        ${state.world === "circle" && html`<${Choice} label=${t("seam.fool")} value=${state.fool} options=${["no", "lines"]} say=${(/** @type {string} */ o) => t(`seam.fool.${o}`)} set=${(/** @type {string} */ fool) => set({ fool })} />`}
        ${object && html`<${Choice} label=${t("seam.digit")} value=${state.digit} options=${DIGITS} say=${String} set=${(/** @type {number} */ digit) => set({ digit })} />`}
      </section>
      <section>
        <h2>${t("seam.posed.title")}</h2>
        <p class="soft">${asked ? t(object ? "seam.posed.centre" : "seam.posed.seam", { y: r.at[0], x: r.at[1] }) : t("seam.hidden")}</p>
        ${asked
          ? html`<div class="shown"><${Picture} values=${bright(r.posed)} w=${r.posed.w} h=${r.posed.h} label=${t.plain("seam.posed.label")} /></div>`
          : html`<div class="covered" aria-hidden="true">?</div>`}
      </section>
      <section class="verdicts">
        ${["plain", "posed"].map((way) => html`<${Verdict} ...${{ way, r, t, asked, set, object }} />`)}
      </section>
    </div>
    ${asked && r.seam && html`<div class="stage curves">
      <${Scores} title=${t("seam.rows")} values=${r.seam.rows} at=${r.at[0]} t=${t} />
      <${Scores} title=${t("seam.columns")} values=${r.seam.columns} at=${r.at[1]} t=${t} />
    </div>`}
    <p class="soft seam-note">${t(`seam.network.${object ? "digits" : "letters"}`)}</p>`;
}

/** A camera that goes right sees the scene go left. @param {any} state @param {any} from @param {number} y @param {number} x */
const dragged = (state, from, y, x) =>
  state.world === "camera" ? { dy: from.dy - y, dx: from.dx - x } : { dy: from.dy + y, dx: from.dx + x };

/** Where the pose was found: a row and a column, or a point. @param {any} props */
const Mark = ({ at: [y, x], n, point }) => html`<svg viewBox="0 0 ${n} ${n}" aria-hidden="true">
  ${point
    ? html`<circle class="spot" cx=${x + 0.5} cy=${y + 0.5} r="0.9" />`
    : html`<path class="line-over" d="M0 ${y}H${n}M${x} 0V${n}" />`}
</svg>`;

/** One way to read: its answer here, and at which moves it is the same. @param {any} props */
function Verdict({ way, r, t, asked, set, object }) {
  const answer = r.says[way];
  const same = answer === r.first[way];
  const half = object ? REACH : HALF;
  return html`<div class="verdict">
    <h2>${t(way === "plain" ? "seam.plain.title" : "seam.posed.with")}</h2>
    <p class="answer">${t("seam.says")} <b class=${!asked && way === "posed" ? "hidden" : same ? "" : "other"}>${!asked && way === "posed" ? "?" : answer}</b></p>
    <p class="soft">${asked ? t("seam.count", { n: r.kept[way], all: r.all }) : t("seam.hidden")}</p>
    ${asked && html`<${Handle} class="map" rows=${r.side} columns=${r.side} label=${t.plain("seam.map", { n: r.kept[way], all: r.all })}
      point=${(/** @type {number} */ row, /** @type {number} */ column) => set({ dy: row - half, dx: column - half })}>
      <${Picture} values=${r.painted[way]} w=${r.side} h=${r.side} ink="answers" label=${t.plain("seam.map", { n: r.kept[way], all: r.all })} />
    </${Handle}>`}
  </div>`;
}

/** The score of every line, and its peak. @param {any} props */
function Scores({ title, values, at, t }) {
  const points = Array.from(values, (/** @type {number} */ v, i) => /** @type {[number, number]} */ ([i, v / 1e12]));
  const all = points.map(([, v]) => v);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  return html`<section>
    <h2>${title}</h2>
    <${Curve} x=${{ from: 0, to: points.length - 1, label: t("seam.line") }} y=${{ from: low, to: high > low ? high : low + 1, label: t("seam.score") }}
      lines=${[{ points }]} at=${[at, all[at]]} label=${t.plain("seam.peak", { n: at })} />
  </section>`;
}
