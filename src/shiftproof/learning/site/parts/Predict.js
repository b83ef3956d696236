// Predict, then see: the question before the first move, and what was said beside what came out.
import { html, useState } from "#learn/view.js";
import { Sketch } from "#learn/parts/Sketch.js";
import { Slider } from "#learn/parts/Slider.js";

/** The learner did not want to say. */
export const SKIPPED = "skip";

/**
 * One of a few, a number, an order, any of a few, or a curve over some points; the last three are texts that are `like` this.
 * @typedef {{options: readonly string[]} | {from: number, to: number, step: number, value: (v: number) => import("#learn/words.js").Value}
 *   | {ticks: readonly string[], like: RegExp, value: (v: string) => import("#learn/words.js").Value}
 *   | {items: readonly string[], like: RegExp, value: (v: string) => import("#learn/words.js").Value}
 *   | {points: readonly number[], like: RegExp, value: (v: string) => import("#learn/words.js").Value}} Guessing
 */

/**
 * @param {{
 *   id: string, guessing: Guessing, values: Record<string, import("#learn/words.js").Value>, question?: string,
 *   guess: string, outcome: string | null, choose: (guess: string) => void, t: import("#learn/words.js").Speaker,
 * }} props `outcome` is null while the move is played
 */
export function Predict({ id, guessing, values, question, guess, outcome, choose, t }) {
  const asked = question ?? `${id}.predict.question`;
  if (guess) {
    const name = (/** @type {string} */ v) =>
      "options" in guessing ? { key: `${id}.predict.${v}` } : "like" in guessing ? guessing.value(v) : guessing.value(Number(v));
    const key = guess === outcome ? "predict.right" : "predict.compare";
    return html`<section class="predict done">
      <p class="soft">${t(asked, values)}</p>
      <p>${guess === SKIPPED ? t("predict.skipped") : outcome === null ? t("predict.watch") : t(key, { guess: name(guess), truth: name(outcome) })}</p>
    </section>`;
  }
  return html`<section class="predict" aria-label=${t.plain("predict.title")}>
    <h2>${t("predict.title")}</h2>
    <p>${t(asked, values)}</p>
    <${"options" in guessing ? Options : "points" in guessing ? Drawn : "items" in guessing ? Ordered : "ticks" in guessing ? Ticked : Amount} ...${{ id, guessing, choose, t }} />
  </section>`;
}

/** @param {any} props */
const Options = ({ id, guessing, choose, t }) => html`<div class="row">
  ${guessing.options.map((/** @type {string} */ o) => html`<button type="button" class="option" onclick=${() => choose(o)}>${t(`${id}.predict.${o}`)}</button>`)}
  <${Skip} choose=${choose} t=${t} />
</div>`;

/** @param {any} props */
function Amount({ guessing, choose, t }) {
  const [value, set] = useState((guessing.from + guessing.to) / 2);
  const { from, to, step } = guessing;
  return html`<div class="row">
    <${Slider} ...${{ label: t("predict.guess"), value, from, to, step, set, shown: t.value(guessing.value(value)) }} />
    <button type="button" class="option" onclick=${() => choose(String(value))}>${t("predict.say")}</button>
    <${Skip} choose=${choose} t=${t} />
  </div>`;
}

/** @param {any} props */
function Drawn({ guessing, choose, t }) {
  const [curve, set] = useState(guessing.points.map(() => 50));
  return html`<div class="row">
      <button type="button" class="option" onclick=${() => choose(curve.join(","))}>${t("predict.say")}</button>
      <${Skip} choose=${choose} t=${t} />
    </div>
    <${Sketch} ...${{ points: guessing.points, curve, set, t }} />`;
}

/** @param {any} props */
function Ordered({ id, guessing, choose, t }) {
  const [order, set] = useState(guessing.items);
  const earlier = (/** @type {number} */ i) => set(order.with(i - 1, order[i]).with(i, order[i - 1]));
  return html`<div class="row">
      <button type="button" class="option" onclick=${() => choose(order.join(","))}>${t("predict.say")}</button>
      <${Skip} choose=${choose} t=${t} />
    </div>
    <ol class="ordering">${order.map((/** @type {string} */ o, /** @type {number} */ i) => html`<li key=${o}>${t(`${id}.predict.${o}`)}
      ${i > 0 && html`<button type="button" aria-label=${t.plain("predict.order.up", { item: { key: `${id}.predict.${o}` } })} onclick=${() => earlier(i)}>↑</button>`}</li>`)}</ol>`;
}

/** @param {any} props */
function Ticked({ id, guessing, choose, t }) {
  const [said, set] = useState(/** @type {string[]} */ ([]));
  return html`<div class="row">
      <button type="button" class="option" onclick=${() => choose(guessing.ticks.filter((/** @type {string} */ o) => said.includes(o)).join(",") || "none")}>${t("predict.say")}</button>
      <${Skip} choose=${choose} t=${t} />
    </div>
    <div class="ticks">${guessing.ticks.map((/** @type {string} */ o) => html`<label><input type="checkbox" checked=${said.includes(o)} onchange=${() => set(said.includes(o) ? said.filter((v) => v !== o) : [...said, o])} /> ${t(`${id}.predict.${o}`)}</label>`)}</div>`;
}

/** @param {any} props */
const Skip = ({ choose, t }) => html`<button type="button" class="quiet" onclick=${() => choose(SKIPPED)}>${t("predict.skip")}</button>`;
