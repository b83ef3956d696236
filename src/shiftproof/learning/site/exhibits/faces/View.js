// The screen of "The scrambled face": a face with four parts that can be dragged, part maps, and what four networks say.
import { keysOf, NAMES, scrambled, SIDE, SIZE, whole } from "#learn/exhibits/faces.js";
import { Choice } from "#learn/parts/Choice.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { Slider } from "#learn/parts/Slider.js";
import { html } from "#learn/view.js";

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked }) {
  const keys = keysOf(state.which);
  const handle = (/** @type {string} */ which, /** @type {number} */ rows, /** @type {number} */ columns, /** @type {any} */ children = null) => {
    const [y, x] = keysOf(which);
    const label = t.plain("faces.handle", { which: { key: `faces.which.${which}` }, dy: state[y], dx: state[x] });
    return html`<${Handle} rows=${rows} columns=${columns} label=${label} class=${which} at=${() => (set({ which }), { y: state[y], x: state[x] })}
      drag=${(/** @type {number} */ dy, /** @type {number} */ dx, /** @type {any} */ from) => set({ [y]: from.y + dy, [x]: from.x + dx })}>${children}</${Handle}>`;
  };
  const part = (/** @type {number} */ v) => `${(100 * v) / SIDE}%`;
  const at = (/** @type {number} */ v, /** @type {number} */ d) => (((v + d) % SIDE) + SIDE) % SIDE;
  const most = Math.max(...r.parts.data);
  return html`<div class="stage three faces">
      <section>
        <h2>${t("faces.picture")}</h2><p class="soft">${t("faces.hint")}</p>
        <div class="pair"><div class="album">
          ${handle("face", SIDE, SIDE, html`<${Picture} values=${r.picture.data} w=${SIDE} h=${SIDE} label=${t.plain("faces.picture")} />`)}
          ${NAMES.map((n, i) => html`<div class=${`over ${n === state.which ? "now" : ""}`} style=${{ top: part(at(r.boxes[i][0], state.fy)), left: part(at(r.boxes[i][1], state.fx)), width: part(SIZE[1]), height: part(SIZE[0]) }}>${handle(n, SIZE[0], SIZE[1])}</div>`)}
        </div><div class="glance" aria-hidden="true">${r.nets.map((/** @type {any} */ n) => html`<span>${t(`faces.predict.${n.name}`)} <b class=${asked ? (n.says ? "yes" : "no") : ""}>${asked ? t(n.says ? "faces.says" : "faces.not") : "?"}</b></span>`)}</div></div>
        <${Choice} label=${t("faces.which")} value=${state.which} options=${[...NAMES, "face"]} say=${(/** @type {string} */ o) => t(`faces.which.${o}`)} set=${(/** @type {string} */ which) => set({ which })} />
        <div class="sliders">${keys.map((/** @type {string} */ key, /** @type {number} */ i) => html`<${Slider} label=${t(`drag.move.${i ? "dx" : "dy"}`)} value=${state[key]} from=${-SIDE} to=${SIDE} set=${(/** @type {number} */ v) => set({ [key]: v })} />`)}</div>
        ${asked && html`<div class="row">${Object.entries({ scramble: scrambled, back: whole }).map(([name, to]) => html`<button type="button" onclick=${() => set(to)}>${t(`faces.${name}`)}</button>`)}</div>`}
      </section>
      <section>
        <h2>${t("faces.maps")}</h2><p class="soft">${t("faces.maps.note")}</p>
        <div class="some">${NAMES.map((n, i) => html`<figure><${Picture} values=${r.parts.data.slice(i * SIDE ** 2, (i + 1) * SIDE ** 2)} w=${SIDE} h=${SIDE} ink="heat" most=${most} label=${t.plain(`faces.which.${n}`)} /><figcaption class="soft">${t(`faces.which.${n}`)}</figcaption></figure>`)}</div>
        ${asked && html`<p class="soft">${t("faces.moved", { e: { size: r.mapsMoved } })}</p>`}
      </section>
      <section>
        <h2>${t("faces.verdicts")}</h2>
        ${asked
          ? html`<p class="soft">${t("faces.verdicts.note")}</p><table class="counts">
            <tr><td></td><th scope="col">${t("faces.here")}</th>${["whole", "parts exchanged", "moved by 3 px"].map((c, i) => html`<th scope="col">${t(`faces.rate.${["whole", "exchanged", "moved"][i]}`)}</th>`)}</tr>
            ${r.nets.map((/** @type {any} */ net) => html`<tr><th scope="row">${t(`faces.predict.${net.name}`)}</th><td class=${net.says ? "yes" : "no"}>${t(net.says ? "faces.says" : "faces.not")} (${t.value({ size: net.score })})</td>
              ${["whole", "parts exchanged", "moved by 3 px"].map((c) => html`<td>${t.value({ share: net.recorded[c][0] })}</td>`)}</tr>`)}</table>
            <p class="soft">${t(r.exchanged[0] < r.exchanged[1] ? "faces.capsules.better" : "faces.capsules.not", { a: { share: r.exchanged[0] }, b: { share: r.exchanged[1] } })} ${t("record.from")} <code class="inline">shiftproof reproduce scrambled-face</code></p>
            <h2 class="strip-name">${t("faces.digits")}</h2><table class="counts"><tr><td></td>${["unmoved", "two", "four"].map((c) => html`<th scope="col">${t(`faces.digits.${c}`)}</th>`)}</tr>
            ${r.distances.map((/** @type {any} */ d) => html`<tr><th scope="row">${t(d.name === "C" ? "faces.predict.deep" : "faces.predict.capsules")}</th>${["unmoved", "moved, 2 px", "moved, 4 px"].map((c) => html`<td>${t.value({ share: d.row[c][0] })}</td>`)}</tr>`)}</table>`
          : html`<p class="soft">${t("faces.hidden")}</p><div class="covered" aria-hidden="true">?</div>`}
      </section>
    </div>`;
}
