// The screen of "Two ways round": x, along f to the right, along g down; the last corner by both ways, and their difference.
import { Choice } from "#learn/parts/Choice.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

const FUNCTIONS = ["stride", "pool", "circular", "zeros", "symmetric", "relu", "mask", "factor", "mean", "largest", "dense"];
const CHANGES = ["move", "turn", "double"];
const HALF = 6;

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  return html`<div class="ways-choices">
      <${Choice} label=${t("ways.f")} value=${state.f} options=${FUNCTIONS} say=${(/** @type {string} */ o) => t(`ways.f.${o}`)} set=${(/** @type {string} */ v) => set({ f: v })} />
      <${Choice} label=${t("ways.g")} value=${state.g} options=${CHANGES} say=${(/** @type {string} */ o) => t(`ways.g.${o}`)} set=${(/** @type {string} */ v) => set({ g: v })} />
      <${Choice} label=${t("ways.picture")} value=${state.picture} options=${["figure", "numbers"]} say=${(/** @type {string} */ o) => t(`ways.picture.${o}`)} set=${(/** @type {string} */ v) => set({ picture: v })} />
    </div>
    <div class="stage ways">
      <${Corner} title=${t("ways.x")} m=${r.x} most=${4} label=${t.plain("ways.label.x")} />
      <${Corner} title=${t("ways.fx")} note=${"→ f"} m=${r.fx} most=${r.most} label=${t.plain("ways.label.fx")} />
      <section class="verdict" aria-live="off">
        <p class="soft">${t("ways.error")}</p>
        <p class=${!asked || r.error === null ? "error hidden" : r.error ? "error other" : "error"}>${asked ? (r.error === null ? "–" : t.value({ size: r.error })) : "?"}</p>
        <p class="soft">${told(r, t, asked)}</p>
      </section>
      <${Moved} ...${{ state, set, r, t }} />
      <${Last} title=${t("ways.fgx")} note=${"→ f"} m=${r.fgx} r=${r} label=${t.plain("ways.label.fgx")} asked=${asked} t=${t} />
      <${Last} title=${t(r.readout ? "ways.fx" : "ways.gfx")} note=${r.readout ? t("ways.nothing") : "↓ g"} m=${r.gfx} r=${r} label=${t.plain("ways.label.gfx")} asked=${asked} t=${t} />
      <${Last} title=${t("ways.difference")} note=${t("ways.difference.note")} m=${r.difference} r=${r} label=${t.plain("ways.label.difference")} asked=${asked} t=${t} />
    </div>
    <p class="soft ways-note">${t("ways.channel")}</p>`;
}

/** What stands under the number: how many moves, once there are moves. @param {any} r @param {any} t @param {boolean} asked */
function told(r, t, asked) {
  if (!asked) return t("ways.hidden");
  if (r.error === null) return t("ways.undefined");
  return r.moves && t("ways.count", { m: r.moves.held, n: r.moves.all });
}

/** A map, or the numbers of an answer: the first channel. @param {any} props */
const Corner = ({ title, note, m, most, label, children }) => html`<section class="corner">
  <h2>${title}</h2>
  <p class="soft">${note ?? "\u00a0"}</p>
  ${children ?? html`<div class=${m.h === 1 ? "shown flat" : "shown"}><${Picture} values=${m.data} w=${m.w} h=${m.h} ink="signed" most=${most} label=${label} /></div>`}
</section>`;

/** The last corner stays covered until a guess is made. @param {any} props */
const Last = ({ title, note, m, r, label, asked, t }) =>
  asked && m
    ? html`<${Corner} ...${{ title, note, m, most: r.most, label }} />`
    : html`<section class="corner"><h2>${title}</h2><p class="soft">${asked ? t("ways.undefined") : note}</p><div class="covered" aria-hidden="true">${asked ? "–" : "?"}</div></section>`;

/** g(x), which is dragged where g is a move. @param {any} props */
function Moved({ state, set, r, t }) {
  const { dy, dx } = state;
  const picture = html`<${Picture} values=${r.gx.data} w=${r.gx.w} h=${r.gx.h} ink="signed" most=${4} label=${t.plain("ways.label.gx", { dy, dx, g: { key: `ways.g.${state.g}` } })} />`;
  if (state.g !== "move") return html`<section class="corner"><h2>${t("ways.gx")}</h2><p class="soft">↓ g</p><div class="shown">${picture}</div></section>`;
  const label = t.plain("ways.label.gx", { dy, dx, g: { key: "ways.g.move" } });
  return html`<section class="corner">
    <h2>${t("ways.gx")}</h2>
    <p class="soft">↓ ${t("ways.hint")}</p>
    <${Handle} class="picture shown" rows=${r.gx.h} columns=${r.gx.w} label=${label} at=${() => ({ dy, dx })}
      drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set({ dy: from.dy + y, dx: from.dx + x })}>${picture}</${Handle}>
    <div class="sliders">
      ${["dx", "dy"].map((name) => html`<${Slider} label=${t(`ways.move.${name}`)} value=${state[name]} from=${-HALF} to=${HALF - 1}
        set=${(/** @type {number} */ v) => set({ [name]: v })} />`)}
    </div>
  </section>`;
}
