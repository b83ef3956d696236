// The screen of "Who forgets where?": the picture, its maps with their weights, scores, probabilities; then softmax by itself.
import { Ranges } from "#learn/exhibits/forgets/Ranges.js";
import { Wires } from "#learn/exhibits/forgets/Wires.js";
import { Cells } from "#learn/parts/Cells.js";
import { Choice } from "#learn/parts/Choice.js";
import { Handle } from "#learn/parts/Handle.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

const FINE = 1000;
const TENTH = 10;
const NAMES = ["corner", "cross", "bar"];

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  const { dy, dx } = state;
  const label = t.plain("forgets.picture.label", { dy, dx, shape: { key: `forgets.shape.${state.shape}` } });
  return html`<div class="stage forgets">
      <section>
        <h2>${t("forgets.picture.title")}</h2>
        <p class="soft">${t("forgets.picture.hint")}</p>
        <${Handle} rows=${r.picture.h} columns=${r.picture.w} label=${label} at=${() => ({ dy, dx })}
          drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set({ dy: from.dy + y, dx: from.dx + x })}>
          <${Cells} grid=${r.picture} label=${label} />
        </${Handle}>
        <div class="sliders">
          ${["dx", "dy"].map((name) => html`<${Slider} label=${t(`forgets.move.${name}`)} value=${state[name]} from=${-2} to=${2}
            set=${(/** @type {number} */ v) => set({ [name]: v })} />`)}
        </div>
        <${Choice} label=${t("forgets.shape")} value=${state.shape} options=${NAMES} say=${(/** @type {string} */ o) => t(`forgets.shape.${o}`)}
          set=${(/** @type {string} */ shape) => set({ shape })} />
      </section>
      <section>
        <h2>${t("forgets.maps.title")}</h2>
        <p class="soft">${t("forgets.maps.note", { n: r.weight.length * r.weight[0].length })}</p>
        <${Wires} maps=${r.maps} weight=${r.weight} top=${asked ? r.top : -1} label=${t.plain("forgets.maps.label", { n: r.maps.data.filter((/** @type {number} */ v) => v > 0).length })} />
      </section>
      <section>
        <${Answer} ...${{ state, set, r, t, asked }} />
      </section>
      ${asked && html`<section class="tie"><${Weights} ...${{ state, set, r, t }} /></section>`}
    </div>
    ${asked && html`<${Softmax} ...${{ state, set, r: r.rescored, t }} />`}`;
}

/** @param {any} props */
const Weights = ({ state, set, r, t }) => html`<h2>${t("forgets.weights.title")}</h2>
  <div class="sliders">
    <${Slider} label=${t("forgets.tie")} value=${state.tie} from=${0} to=${FINE} shown=${t.value({ size: r.share })} set=${(/** @type {number} */ tie) => set({ tie })} />
  </div>
  <p class="soft tie-ends"><span>${t("forgets.tie.from")}</span><span>${t("forgets.tie.to")}</span></p>
  <${Choice} label=${t("forgets.weights")} value=${state.weights} options=${["drawn", "middle"]} say=${(/** @type {string} */ o) => t(`forgets.weights.${o}`)}
    set=${(/** @type {string} */ weights) => set({ weights })} />`;

/** Scores stay covered before the guess: they are what the answer is without softmax. @param {any} props */
function Answer({ state, set, r, t, asked }) {
  const names = NAMES.map((name) => t(`forgets.shape.${name}`));
  const on = state.softmax === "on";
  const score = (/** @type {number} */ v) => t.value({ size: v });
  return html`<h2>${t("forgets.scores.title")}</h2>
    <p class="soft">${t(asked ? "forgets.range" : "forgets.hidden", { n: r.places })}</p>
    ${asked
      ? html`<${Ranges} names=${names} values=${r.scores} ranges=${r.scoreRanges} from=${-r.reach} to=${r.reach} top=${r.equal ? -1 : r.top} say=${score} />`
      : html`<div class="covered low" aria-hidden="true">?</div>`}
    <h2 class="next">${t("forgets.shares.title")}</h2>
    <p class="soft">${t(on ? "forgets.shares.on" : "forgets.shares.off")}</p>
    <${Ranges} names=${names} values=${on ? r.shares : null} ranges=${asked && on ? r.shareRanges : null} from=${0} to=${1} top=${r.equal ? -1 : r.top}
      say=${(/** @type {number} */ v) => t.value({ share: v })} />
    ${asked && html`<${Choice} label=${t("forgets.softmax")} value=${state.softmax} options=${["on", "off"]} say=${(/** @type {string} */ o) => t(`forgets.softmax.${o}`)}
        set=${(/** @type {string} */ softmax) => set({ softmax })} />
      <p class="soft">${t("forgets.changes", { n: r.all, a: r.changesAfter, b: r.changes })}</p>
      ${r.undecided > 0 && html`<p class="soft">${t("forgets.undecided", { n: r.undecided, all: r.all })}</p>`}`}`;
}

/** Softmax alone: three scores, and what may be done to them. @param {any} props */
function Softmax({ state, set, r, t }) {
  const names = NAMES.map((name) => t(`forgets.shape.${name}`));
  const share = (/** @type {number} */ v) => t.value({ share: v });
  const slider = (/** @type {string} */ name, /** @type {any} */ label, from = -50) => html`<${Slider} label=${label} value=${state[name]} from=${from} to=${50}
    shown=${t.value({ size: state[name] / TENTH })} set=${(/** @type {number} */ v) => set({ [name]: v })} />`;
  const largest = (/** @type {Float64Array} */ v) => v.indexOf(Math.max(...v));
  return html`<div class="stage three alone">
    <section>
      <h2>${t("forgets.alone.title")}</h2>
      <p class="soft">${t("forgets.alone.note")}</p>
      <div class="sliders">${names.map((name, k) => slider(`z${k}`, name))}</div>
    </section>
    <section>
      <h2>${t("forgets.done.title")}</h2>
      <p class="soft">${t("forgets.done.note")}</p>
      <div class="sliders wide-label">
        ${slider("all", t("forgets.done.all"))}
        ${slider("times", t("forgets.done.times"), 0)}
        ${slider("one", t("forgets.done.one"))}
      </div>
    </section>
    <section>
      <h2>${t("forgets.after.title")}</h2>
      <p class="soft">${t(r.same ? "forgets.after.same" : "forgets.after.other", { p: { size: r.change } })}</p>
      <${Ranges} names=${names} values=${r.is} ranges=${r.was.length ? Array.from(r.was, (v) => ({ low: v, high: v })) : null} from=${0} to=${1} top=${largest(r.is)} say=${share} />
      <p class="soft">${t("forgets.after.mark")}</p>
    </section>
  </div>`;
}
