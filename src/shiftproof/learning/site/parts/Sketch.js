// A curve that is sketched with a finger over a few points, in hundredths; sliders beside it do the same.
import { Handle } from "#learn/parts/Handle.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

const [W, H, STEPS] = [360, 150, 20];

/** Shares as the text of a guess. @param {readonly number[]} shares */
export const percent = (shares) => shares.map((v) => Math.round(100 * Math.max(0, v))).join(",");

/** A guess that is sketched over these points. @param {readonly number[]} points */
export const sketching = (points) => ({
  points,
  like: new RegExp(`^\\d{1,3}(,\\d{1,3}){${points.length - 1}}$`),
  value: (/** @type {string} */ text) => text.replace(/,|$/g, "\u00a0%$&").replaceAll(",", ", "),
});

/** The line that was sketched, or none. @param {string} guess @param {readonly number[]} points @param {any} name */
export const sketched = (guess, points, name) =>
  /^[\d,]+$/.test(guess) ? [{ points: guess.split(",").map((v, i) => [points[i], Number(v) / 100]), class: "line1", name }] : [];

/** @param {{points: readonly number[], curve: number[], set: (curve: number[]) => void, t: import("#learn/words.js").Speaker}} props */
export function Sketch({ points, curve, set, t }) {
  const changed = (/** @type {number} */ at, /** @type {number} */ to) => set(curve.map((v, i) => (i === at ? to : v)));
  const across = (/** @type {number} */ i) => ((i + 0.5) * W) / points.length;
  const up = (/** @type {number} */ v) => H - (v * H) / 100;
  const label = t.plain("predict.sketch");
  return html`<p class="soft">${t("predict.sketch")}</p>
    <div class="sketching">
      <${Handle} rows=${STEPS} columns=${points.length} label=${label} class="sketch" point=${(/** @type {number} */ y, /** @type {number} */ x) => changed(x, Math.round(100 - (y * 100) / (STEPS - 1)))}>
        <svg viewBox="0 0 ${W} ${H + 24}" role="img" aria-label=${label}>
          ${[0, 50, 100].map((v) => html`<line class="rule" x1="0" x2=${W} y1=${up(v)} y2=${up(v)} />`)}
          <path d=${curve.map((v, i) => `${i ? "L" : "M"}${across(i)} ${up(v)}`).join("")} />
          ${curve.map((v, i) => html`<circle class="tip" cx=${across(i)} cy=${up(v)} r="7" /><text x=${across(i)} y=${H + 18} text-anchor="middle">${t.plain("predict.sketch.at", { d: points[i] })}</text>`)}
        </svg>
      </${Handle}>
      <div class="sliders">${points.map((d, i) => html`<${Slider} label=${t("predict.sketch.at", { d })} value=${Math.round(curve[i])} from=${0} to=${100} shown=${t.value({ share: curve[i] / 100 })} set=${(/** @type {number} */ v) => changed(i, v)} />`)}</div>
    </div>`;
}
