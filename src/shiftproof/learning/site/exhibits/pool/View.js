// The screen of "Did the pool notice?": picture, detector, pool; then every move, a curve and a row of numbers.
import { Row } from "#learn/exhibits/pool/Row.js";
import { Cells } from "#learn/parts/Cells.js";
import { Choice } from "#learn/parts/Choice.js";
import { Curve } from "#learn/parts/Curve.js";
import { Handle } from "#learn/parts/Handle.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  return html`<div class="stage pool">
      <section>
        <h2>${t("pool.picture.title")}</h2>
        <p class="soft">${t("pool.picture.hint")}</p>
        <${Stroke} ...${{ state, set, r, t }} />
        <div class="sliders">
          ${["dx", "dy"].map((name) => html`<${Slider} label=${t(`pool.move.${name}`)} value=${state[name]}
            from=${-state[name === "dx" ? "x" : "y"]} to=${r.picture.w - 3 - state[name === "dx" ? "x" : "y"]}
            set=${(/** @type {number} */ v) => set({ [name]: v })} />`)}
        </div>
      </section>
      <section>
        <h2>${t("pool.found.title")}</h2>
        <p class="soft">${t("pool.changed", { n: r.foundCount })}</p>
        <${Cells} grid=${r.found} changed=${r.foundChanged} label=${t.plain("pool.found.label", { n: r.foundCount })} />
      </section>
      <section>
        <h2>${t("pool.pooled.title", { k: r.window })}</h2>
        <p class=${asked && r.pooledCount ? "soft changed" : "soft"}>${asked ? t(r.pooledCount ? "pool.changed" : "pool.unchanged", { n: r.pooledCount }) : t("pool.hidden")}</p>
        ${asked
          ? html`<${Cells} grid=${r.pooled} changed=${r.pooledChanged} label=${t.plain("pool.pooled.label", { n: r.pooledCount })} />`
          : html`<div class="covered" aria-hidden="true">?</div>`}
      </section>
    </div>
    <${Controls} ...${{ state, set, r, t }} />
    ${asked && html`<div class="stage three">
      <${Moves} ...${{ state, set, r, t }} />
      <${Shares} ...${{ r, t }} />
      <${Row} ...${{ state, set, r, t }} />
    </div>`}`;
}

/** @param {any} props */
function Stroke({ state, set, r, t }) {
  const { dy, dx } = state;
  const label = t.plain("pool.picture.label", { dy, dx });
  return html`<${Handle} rows=${r.picture.h} columns=${r.picture.w} label=${label} at=${() => ({ dy, dx })}
    drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set({ dy: from.dy + y, dx: from.dx + x })}>
    <${Cells} grid=${r.picture} label=${label} />
  </${Handle}>`;
}

/** @param {any} props */
function Controls({ state, set, r, t }) {
  const { y, x, dy, dx } = state;
  const inside = (/** @type {number} */ v) => Math.max(3, Math.min(r.picture.w - 6, v));
  const start = { y: inside(y + dy), x: inside(x + dx), dy: 0, dx: 0 };
  return html`<div class="controls">
    <${Choice} label=${t("pool.window")} value=${state.window} options=${[2, 3, 4, 9]} say=${(/** @type {number} */ k) => t("pool.size", { k })} set=${(/** @type {number} */ window) => set({ window })} />
    <${Choice} label=${t("pool.stride")} value=${state.stride} options=${["window", "one"]} say=${(/** @type {string} */ o) => t(`pool.stride.${o}`)} set=${(/** @type {string} */ stride) => set({ stride })} />
    <${Choice} label=${t("pool.shape")} value=${state.shape} options=${["giyeok", "corner"]} say=${(/** @type {string} */ o) => t(`pool.shape.${o}`)} set=${(/** @type {string} */ shape) => set({ shape })} />
    <div class="row">
      <button type="button" onclick=${() => set({ dy: 0, dx: 0 })}>${t("pool.back")}</button>
      <button type="button" onclick=${() => set(start)}>${t("pool.start")}</button>
    </div>
  </div>`;
}

/** Every move of the table is a button that goes there. @param {any} props */
function Moves({ state, set, r, t }) {
  return html`<section>
    <h2>${t("pool.moves.title", { n: r.all })}</h2>
    <p class="soft">${t("pool.moves.note")}</p>
    <div class="seven">${r.moves.map((/** @type {any} */ m) => html`<button type="button" class=${m.n ? "noticed" : "free"}
      aria-label=${t.plain("pool.moves.label", m)} aria-pressed=${m.dy === state.dy && m.dx === state.dx}
      onclick=${() => set({ dy: m.dy, dx: m.dx })}>${m.n}</button>`)}</div>
  </section>`;
}

/** @param {any} props */
function Shares({ r, t }) {
  const share = r.curve[r.far]?.[1];
  const say = (/** @type {number} */ v) => t.plain("pool.share", { v: { share: v } });
  return html`<section>
    <h2>${t("pool.curve.title", { k: r.window })}</h2>
    <p class="soft">${t("pool.curve.note")}</p>
    <${Curve} x=${{ from: 0, to: r.curve.length - 1, label: t("pool.curve.x") }} y=${{ from: 0, to: 1, label: t("pool.curve.y"), say }}
      lines=${[{ points: r.curve }]} at=${share === undefined ? undefined : [r.far, share]}
      label=${t.plain("pool.curve.label", { k: r.window, v: { share: r.curve[1][1] } })} />
  </section>`;
}
