// The screen of "Backwards": what one cell of delta sends to the kernel or the input; or what each step sends to the weights.
import { DELAYS, KERNEL, LEVELS, SCALES, written } from "#learn/exhibits/back.js";
import { Choice } from "#learn/parts/Choice.js";
import { Handle } from "#learn/parts/Handle.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  const choice = (/** @type {string} */ name, /** @type {any[]} */ options, say = (/** @type {any} */ o) => t(`back.${name}.${o}`)) =>
    html`<${Choice} label=${t(`back.${name}`)} value=${state[name]} options=${options} say=${say} set=${(/** @type {any} */ v) => set({ [name]: v })} />`;
  const number = (/** @type {number} */ v) => t.value({ size: v });
  const controls = state.tab === "time" ? html`${choice("scale", SCALES, number)}${choice("delay", DELAYS, number)}${choice("steps", [12, 1], number)}` : html`${choice("by", ["kernel", "input"])}${choice("places", [3, 1], (o) => number(o * o))}`;
  return html`${asked && html`<div class="controls">${choice("tab", ["space", "time"])}${controls}</div>`}
    <${state.tab === "time" ? Time : Space} ...${{ state, set, r: r[state.tab], t, asked }} />`;
}

/** Numbers in a square; what is lit is tinted, what is chosen has a ring. @param {any} props */
const Grid = ({ data, side, lit = [], ring = -1, t }) => html`<div class="numbers" style=${{ gridTemplateColumns: `repeat(${side}, 1fr)` }}>
  ${Array.from(data, (v, i) => html`<span class=${`${lit[i] ? "lit" : ""} ${ring === i ? "ringed" : ""}`}>${t.value({ size: v })}</span>`)}
</div>`;

/** @param {any} props */
function Space({ state, set, r, t, asked }) {
  const { by, cy, cx, dy, dx, places } = state;
  const pick = (/** @type {number} */ y, /** @type {number} */ x) => set({ cy: y, cx: x });
  const target = by === "kernel" ? "k" : "v";
  const chosen = (/** @type {string} */ name, /** @type {number} */ side, /** @type {any} */ lit) => {
    const label = t.plain(`back.${name}.label`, { y: cy + 1, x: cx + 1 });
    const grid = html`<${Grid} data=${r[name]} side=${side} lit=${lit} ring=${target === name ? r.cell : -1} t=${t} />`;
    return target === name && asked ? html`<${Handle} rows=${side} columns=${side} label=${label} point=${pick}>${grid}</${Handle}>` : grid;
  };
  const label = t.plain("back.d.label", { y: dy + 1, x: dx + 1, v: { size: r.d[r.at] } });
  const value = (/** @type {"v" | "k" | "d"} */ which, /** @type {number} */ at) => html`<${Slider} label=${t(`back.${which}.here`)} value=${r[which][at]} from=${-LEVELS} to=${LEVELS}
    set=${(/** @type {number} */ v) => set(written(state, which, which === "v" ? cy * 5 + cx : which === "d" ? dy * 3 + dx : at, v))} />`;
  const axis = (/** @type {string} */ name, /** @type {number} */ n) => html`<${Slider} label=${t(`back.${name}`)} value=${state[name] + 1} from=${1} to=${Math.max(2, n)} set=${(/** @type {number} */ v) => set({ [name]: v - 1 })} />`;
  return html`<div class="stage back">
    <section><h2>${t("back.v")}</h2><p class="soft">${t("back.v.note")}</p>${chosen("v", r.wide, r.patch)}</section>
    <section><h2>${t("back.k")}</h2><p class="soft">${t(asked && by === "kernel" ? "back.pick" : "back.k.note")}</p>${chosen("k", KERNEL, [])}
      <h2 class="strip-name">${t("back.z")}</h2><${Grid} data=${r.z} side=${places} ring=${r.at} t=${t} /></section>
    <section><h2>${t("back.d")}</h2><p class="soft">${t("back.d.hint")}</p>
      <${Handle} rows=${places} columns=${places} label=${label} class="lifted" at=${() => ({ dy, dx })} drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set({ dy: from.dy + y, dx: from.dx + x })}>
        <${Grid} data=${r.d} side=${places} ring=${r.at} lit=${asked ? r.sends : []} t=${t} />
      </${Handle}>
      <div class="sliders">${places > 1 && html`${axis("dy", places)}${axis("dx", places)}`}${value("d", r.at)}</div></section>
    <section><h2>${t(`back.full.${by}`)}</h2>
      ${asked
        ? html`<p class="soft">${t("back.full.note", { n: r.senders })}</p><${Grid} data=${r.full} side=${r.side} ring=${r.cell} t=${t} />
          <div class="sliders">${axis("cy", r.side)}${axis("cx", r.side)}${value(target, r.cell)}</div>`
        : html`<p class="soft">${t("back.hidden")}</p><div class="covered" aria-hidden="true">?</div>`}</section>
  </div>
  ${asked && html`<p class="terms">${r.sends.filter(Boolean).map((/** @type {any} */ s, /** @type {number} */ i) => html`${i > 0 && " + "}<span>${t.value({ size: s.delta })}·${s.by < 0 ? html`(${t.value({ size: s.by })})` : t.value({ size: s.by })}</span>`)} = <b>${t.value({ size: r.full[r.cell] })}</b></p>
    <p class="soft">${t("back.checked", { j: { size: r.cost }, b: { size: r.nudged }, c: { size: r.short[r.cell] }, e: { share: r.wrong } })} ${by === "input" && t("back.unflipped", { e: { share: r.unflipped } })}</p>`}`;
}

/** Steps as a chain; an arc from each to the end, as thick as its share of the gradient. @param {any} props */
function Time({ state, set, r, t }) {
  const n = r.shares.length;
  const [W, H, TOP] = [720, 180, 50];
  const x = (/** @type {number} */ i) => ((i + 0.5) / n) * (W - 60);
  const most = Math.max(...r.shares);
  const label = t.plain("back.chain.label", { i: r.step + 1, n, p: { share: r.shares[r.step] } });
  return html`<div class="stage"><section>
    <h2>${t("back.chain", { n })}</h2>
    <p class="soft">${t("back.chain.hint")}</p>
    <${Handle} rows=${1} columns=${n} label=${label} class="chain-of" point=${(/** @type {number} */ _, /** @type {number} */ i) => set({ dx: i })}>
      <svg viewBox="0 ${TOP} ${W} ${H}" role="img" aria-label=${label}>
        ${r.shares.map((/** @type {number} */ s, /** @type {number} */ i) => html`<path class=${i === r.step ? "arc now" : "arc"} stroke-width=${1 + (26 * s) / most} d=${`M${x(i)} 170 C${x(i)} ${150 - (n - i) * 10} ${W - 30} ${150 - (n - i) * 10} ${W - 30} 170`} />`)}
        ${r.shares.map((/** @type {number} */ s, /** @type {number} */ i) => html`<circle class=${i === r.step ? "node now" : "node"} cx=${x(i)} cy="176" r="13" /><text x=${x(i)} y="181" text-anchor="middle">${i + 1}</text><text class="share" x=${x(i)} y="214" text-anchor="middle">${t.plain("border.share", { v: { share: s } })}</text>`)}
        <rect class="end" x=${W - 44} y="164" width="28" height="26" rx="5" />
      </svg>
    </${Handle}>
    <div class="sliders"><${Slider} label=${t("back.step")} value=${r.step + 1} from=${1} to=${Math.max(2, n)} set=${(/** @type {number} */ v) => set({ dx: v - 1 })} /></div>
    <p class="soft">${t("back.last", { l: { share: r.last }, e: { size: r.off } })}</p>
    <p class="soft">${t(r.delayed === 0 ? "back.delay.same" : "back.delay.not", { k: state.delay, d: { size: r.delayed }, u: { size: r.unshared } })}</p>
  </section></div>`;
}
