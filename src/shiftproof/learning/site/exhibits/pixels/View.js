// The screen of "Every second pixel": a wave and what is kept of it; the frequencies, folded; then a picture, its moves and sums.
import { Choice } from "#learn/parts/Choice.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { Slider } from "#learn/parts/Slider.js";
import { BLUR, REMEDIES } from "#learn/exhibits/pixels/sampling.js";
import { html } from "#learn/view.js";

const [W, H] = [640, 210];
const FINE = 16; // points of a line between two samples

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  const n = r.wave.length;
  return html`<div class="stage pixels">
      <section>
        <h2>${t("pixels.wave.title", { n })}</h2>
        <p class="soft">${t("pixels.wave.hint")}</p>
        <${Wave} ...${{ state, set, r, t, asked }} />
        <div class="sliders">
          <${Slider} label=${t("pixels.cycles")} value=${state.f} from=${1} to=${n / 2} set=${(/** @type {number} */ f) => set({ f })} />
          <${Slider} label=${t("pixels.moved")} value=${state.dx} from=${-n / 2} to=${n / 2 - 1} set=${(/** @type {number} */ dx) => set({ dx })} />
        </div>
      </section>
      <section>
        <h2>${t("pixels.fold.title")}</h2>
        ${asked
          ? html`<p class=${r.ghost !== r.f && !r.gone ? "soft changed" : "soft"}>${t(r.gone ? "pixels.fold.gone" : "pixels.fold.note", { f: r.f, g: r.ghost })}</p>
            <${Fold} ...${{ r, t }} />`
          : html`<p class="soft">${t("pixels.hidden")}</p><div class="covered" aria-hidden="true">?</div>`}
      </section>
    </div>
    ${asked && html`<${Controls} ...${{ state, set, t }} />
    <div class="stage three">
      <${Small} ...${{ r, t }} />
      <${Moves} ...${{ r, t }} />
      <${Sums} ...${{ r, t }} />
    </div>`}`;
}

/** @param {any} props */
function Wave({ state, set, r, t, asked }) {
  const n = r.wave.length;
  const { f, dx } = state;
  const across = (/** @type {number} */ at) => ((at + 0.5) / n) * W;
  const up = (/** @type {number} */ v) => H / 2 - v * (H / 2 - 14);
  const line = (/** @type {(at: number) => number} */ of) =>
    Array.from({ length: n * FINE + 1 }, (_, i) => `${i ? "L" : "M"}${across(i / FINE - 0.5).toFixed(1)} ${up(of(i / FINE - 0.5)).toFixed(1)}`).join("");
  const label = t.plain("pixels.wave.label", { f, dx });
  const kept = asked ? r.stride : 1;
  return html`<${Handle} rows=${n / 2} columns=${n} label=${label} class="wave" at=${() => ({ f, dx })}
    drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set({ f: from.f - y, dx: from.dx + x })}>
    <svg viewBox="0 0 ${W} ${H}" role="img" aria-label=${label}>
      <line class="zero" x1="0" x2=${W} y1=${H / 2} y2=${H / 2} />
      <path class="given" d=${line((at) => Math.cos((2 * Math.PI * f * (at - dx)) / n))} />
      ${kept > 1 && !r.gone && html`<path class=${r.ghost === r.f ? "through" : "through ghost"} d=${line(r.through)} />`}
      ${[...r.wave].map((v, i) => (kept === 1 || i % r.stride !== r.left.x) && html`<circle class=${kept === 1 ? "kept" : "dropped"} cx=${across(i)} cy=${up(v)} r=${kept === 1 ? 5 : 3.5} />`)}
      ${kept > 1 && [...r.left.data].map((v, i) => html`<circle class="kept" cx=${across(i * r.stride + r.left.x)} cy=${up(v)} r="7" />`)}
    </svg>
  </${Handle}>
  ${kept > 1 && html`<p class="keys">
    <span class="key line0">${t("pixels.key.given", { f })}</span>
    ${!r.gone && r.ghost !== r.f && html`<span class="key line1">${t("pixels.key.ghost", { g: r.ghost })}</span>`}
    <span class="key dot">${t("pixels.key.kept", { s: r.stride })}</span>
  </p>`}`;
}

/** The frequencies as a strip of paper, folded at half the number of what is kept: what lies on top of each other looks alike. @param {any} props */
function Fold({ r, t }) {
  const [left, right, top, gap] = [30, 290, 34, 46];
  const fastest = r.wave.length / 2;
  const rows = r.stride;
  const place = (/** @type {number} */ k) => {
    const row = Math.min(rows - 1, Math.floor(k / r.fold));
    const share = k / r.fold - row;
    return { x: left + (row % 2 ? 1 - share : share) * (right - left), y: top + row * gap };
  };
  const strip = Array.from({ length: rows }, (_, i) => {
    const [from, to] = i % 2 ? [right, left] : [left, right];
    const turn = i ? `A${gap / 2} ${gap / 2} 0 0 ${i % 2 ? 1 : 0} ${from} ${top + i * gap}` : `M${from} ${top}`;
    return `${turn}L${to} ${top + i * gap}`;
  }).join("");
  const [at, ghost] = [place(r.f), place(r.ghost)];
  return html`<svg class="fold" viewBox="0 0 320 ${top + (rows - 1) * gap + 34}" role="img" aria-label=${t.plain(r.gone ? "pixels.fold.gone" : "pixels.fold.label", { f: r.f, g: r.ghost, fold: r.fold })}>
    <path class="strip" d=${strip} />
    ${Array.from({ length: fastest + 1 }, (_, k) => {
      const p = place(k);
      return html`<line class="tick" x1=${p.x} x2=${p.x} y1=${p.y - 4} y2=${p.y + 4} />`;
    })}
    ${Array.from({ length: rows + 1 }, (_, i) => {
      const p = place(i * r.fold);
      return html`<text x=${p.x} y=${p.y + (i === 0 ? -12 : 24)} text-anchor="middle">${i * r.fold}</text>`;
    })}
    ${!r.gone && html`<line class="down" x1=${at.x} x2=${ghost.x} y1=${at.y} y2=${ghost.y} />
      <circle class=${r.ghost === r.f ? "same" : "other"} cx=${ghost.x} cy=${ghost.y} r="9" />`}
    <circle class="own" cx=${at.x} cy=${at.y} r="6" />
  </svg>`;
}

/** @param {any} props */
function Controls({ state, set, t }) {
  return html`<div class="controls">
    <${Choice} label=${t("pixels.stride")} value=${state.stride} options=${[1, 2, 4]} say=${(/** @type {number} */ v) => t.value(v)} set=${(/** @type {number} */ stride) => set({ stride })} />
    <${Choice} label=${t("pixels.remedy")} value=${state.remedy} options=${REMEDIES} say=${(/** @type {string} */ o) => t(`pixels.remedy.${o}`)} set=${(/** @type {string} */ remedy) => set({ remedy })} />
  </div>
  <p class="soft">${t(`pixels.about.${state.remedy}`, state.remedy === "blur" || state.remedy === "after" ? { a: { size: BLUR[0] }, b: { size: BLUR[1] } } : {})}</p>`;
}

/** @param {any} props */
function Small({ r, t }) {
  const most = Math.max(...r.picture.data);
  const shown = (/** @type {any} */ x) => Float64Array.from(x.data, (v) => v / most);
  return html`<section>
    <h2>${t("pixels.picture.title")}</h2>
    <p class="soft">${t("pixels.picture.note", { n: r.picture.w, m: r.small.w })}</p>
    <div class="some pair">
      <${Picture} values=${shown(r.picture)} w=${r.picture.w} h=${r.picture.h} label=${t.plain("pixels.picture.label", { n: r.picture.w })} />
      <${Picture} values=${shown(r.small)} w=${r.small.w} h=${r.small.h} label=${t.plain("pixels.small.label", { n: r.small.w })} />
    </div>
  </section>`;
}

/** @param {any} props */
function Moves({ r, t }) {
  const { kept, count, smallest } = r.moves;
  return html`<section>
    <h2>${t("pixels.moves.title", { n: kept.length })}</h2>
    <p class="soft">${t("pixels.moves.note", { k: count, smallest })}</p>
    <div class="table"><${Picture} values=${kept} w=${r.picture.w} h=${r.picture.h} ink="answers" label=${t.plain("pixels.moves.label", { k: count, n: kept.length })} /></div>
    <ul class="legend"><li><i class="same"></i>${t("pixels.kept")}</li><li><i class="other"></i>${t("pixels.lost")}</li></ul>
  </section>`;
}

/** @param {any} props */
function Sums({ r, t }) {
  return html`<section>
    <h2>${t("pixels.sums.title")}</h2>
    <p class="soft">${t("pixels.sums.note")}</p>
    <table class="sums">
      <tr><td></td>${r.sums[0].values.map((/** @type {number} */ _, /** @type {number} */ i) => html`<th scope="col">${t("pixels.sums.at", { i })}</th>`)}</tr>
      ${r.sums.map((/** @type {any} */ row) => html`<tr><th scope="row">${t(`pixels.sums.${row.name}`, row.length > 1 ? { n: row.length } : {})}</th>
        ${row.values.map((/** @type {number} */ v) => html`<td>${t.value({ size: v })}</td>`)}</tr>`)}
    </table>
  </section>`;
}
