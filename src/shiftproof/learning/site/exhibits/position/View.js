// The screen of "When position matters": a board of cells with a digit, and six networks that say in which it is.
import { CELLS, FARTHEST, NETS } from "#learn/exhibits/position.js";
import { Choice } from "#learn/parts/Choice.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  const { dy, dx } = state;
  const [row, column] = [Math.floor(r.cell / CELLS), r.cell % CELLS];
  const label = t.plain("position.label", { i: row + 1, j: column + 1 });
  const now = r.nets.find((/** @type {any} */ n) => n.name === state.net);
  const slide = (/** @type {string} */ name, /** @type {number} */ from, /** @type {number} */ to, /** @type {number} */ add = 0) =>
    html`<${Slider} label=${t(`position.${name}`)} value=${state[name] + add} from=${from} to=${to} set=${(/** @type {number} */ v) => set({ [name]: v - add })} />`;
  return html`<div class="stage position">
    <section>
      <h2>${t("position.board")}</h2><p class="soft">${t("position.hint")}</p>
      <div class="pair"><${Handle} rows=${CELLS + 1} columns=${CELLS + 1} label=${label} class="picture" at=${() => ({ dy, dx })} drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set({ dy: from.dy + y, dx: from.dx + x })}>
        <${Picture} values=${r.picture.data} w=${r.picture.w} h=${r.picture.h} label=${label} />
      </${Handle}><div class="glance" aria-hidden="true"><span>${t(`position.net.${state.net}`)}</span><b class=${asked ? (now.answer === r.cell ? "" : "other") : "hidden"}>${!asked ? "?" : now.hits ? now.answer + 1 : "–"}</b></div></div>
      <div class="sliders">${slide("dy", 1, CELLS, row + 1 - dy)}${slide("dx", 1, CELLS, column + 1 - dx)}${slide("digit", 0, 9)}${slide("margin", 0, FARTHEST)}</div>
    </section>
    <section>
      <h2>${t("position.nets")}</h2>
      ${asked
        ? html`<p class="soft">${t("position.nets.note", { c: { share: r.chance } })}</p>
          <${Choice} label=${t("position.net")} value=${state.net} options=${NETS} say=${(/** @type {string} */ o) => t(`position.net.${o}`)} set=${(/** @type {string} */ net) => set({ net })} />
          <div class="six">${r.nets.map((/** @type {any} */ n) => html`<div class=${n.name === state.net ? "now" : ""}><h3>${t(`position.net.${n.name}`)}</h3>
            ${n.hits ? html`<${Picture} values=${n.hits} w=${CELLS} h=${CELLS} ink="answers" label=${t.plain("position.hits", { h: n.right, cells: CELLS ** 2 })} />
              <p class=${n.answer === r.cell ? "soft" : "soft changed"}>${t("position.says", { c: r.cell + 1, g: n.answer + 1 })}</p>` : html`<p class="soft">${t("position.size")}</p>`}
            <p class="soft">${t("position.recorded", { a: { share: n.recorded } })}</p></div>`)}</div>
          <p class="soft">${t("position.leak", { m: r.margin, l: { share: r.leak } })} ${t("record.from")} <code class="inline">shiftproof reproduce position</code></p>`
        : html`<p class="soft">${t("position.hidden")}</p><div class="covered wide-cover" aria-hidden="true">?</div>`}
    </section>
  </div>`;
}
