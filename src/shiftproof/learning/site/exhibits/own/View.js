// The screen of the learner's own network: the picture, the answer, the moves, and what the check found.
import { ask, useAnswers } from "#learn/exhibits/own/server.js";
import { Choice } from "#learn/parts/Choice.js";
import { Handle } from "#learn/parts/Handle.js";
import { Picture } from "#learn/parts/Picture.js";
import { Slider } from "#learn/parts/Slider.js";
import { html, useEffect, useLayoutEffect, useRef } from "#learn/view.js";

/** Where a kind of finding can be touched, in the state that fits. */
const SHOWN = { T1: "pixels?stride=2", T2: "border?padding=zero", T3: "pixels?stride=2", T4: "position?net=coordinates", T5: "forgets", T6: "one?tied=no", T9: "pixels?stride=2" };

/** @param {any} props see "To add an exhibit" in CONTRIBUTING.md */
export function View({ state, set, seen: r, t, asked, material: m }) {
  useAnswers(m, r, set);
  useEffect(() => {
    if (!r.error && (state.dy !== r.dy || state.dx !== r.dx)) set({ dy: r.dy, dx: r.dx }); // no farther than this network is moved
  });
  if (r.error) return html`<p class="failed" role="alert">${t("own.failed")} <span lang="en">${r.error}</span></p>`;
  const named = (/** @type {any} */ said) => (said ? (m.names[said[0]] ?? said[0]) : "…");
  const answer = html`<b class=${r.now && r.home && r.now[0] !== r.home[0] ? "other" : ""} lang="en">${named(r.now)}</b>${r.now && html`<span>${t.value({ share: r.now[1] })}</span>`}`;
  const label = t.plain("own.label", { name: m.pictures[r.picture].name, dy: r.dy, dx: r.dx });
  return html`<p class="soft about" translate="no">${t("own.of", { model: m.model, data: m.data })} ${m.random && html`<b>${t("own.random")}</b>`} ${!m.live && t("own.stored")} ${m.notes.map((/** @type {string} */ n) => html`<span lang="en">${n} </span>`)}</p>
    ${(m.gone || m.failed) && html`<p class="failed" role="alert">${t(m.gone ? "page.gone" : "own.failed")} <span lang="en">${m.failed}</span></p>`}
    <div class="stage own">
      <section>
        <h2>${t("own.picture")}</h2>
        <p class="soft">${t("own.hint")}</p>
        <div class="pair"><${Handle} class="picture" rows=${m.size[1]} columns=${m.size[2]} label=${label} at=${() => r}
          drag=${(/** @type {number} */ y, /** @type {number} */ x, /** @type {any} */ from) => set({ dy: from.dy + y, dx: from.dx + x })}>
          <${Colour} values=${r.values} size=${m.size} label=${label} />
        </${Handle}>
        <div class="glance" aria-hidden="true">${asked ? answer : html`<b class="hidden">?</b>`}</div></div>
        <div class="sliders">
          ${["dx", "dy"].map((name) => html`<${Slider} label=${t(`drag.move.${name}`)} value=${r[name]} from=${-r.far} to=${r.far} set=${(/** @type {number} */ v) => set({ [name]: v })} />`)}
        </div>
        <${Choice} label=${t("own.pictures")} value=${r.picture} options=${m.pictures.map((/** @type {any} */ _, /** @type {number} */ k) => k)} say=${(/** @type {number} */ k) => k + 1} set=${(/** @type {number} */ picture) => set({ picture, dy: 0, dx: 0 })} />
        <${Choice} label=${t("drag.edge")} value=${r.edge} options=${m.edges} say=${(/** @type {string} */ o) => t(`own.edge.${o}`)} set=${(/** @type {string} */ edge) => set({ edge, dy: 0, dx: 0 })} />
      </section>
      <section>
        <h2>${t("own.says")}</h2>
        ${asked
          ? html`<p class="answer">${answer}</p>
            <p class="soft">${t("own.unmoved", { name: named(r.home) })}</p>
            <h2 class="pooled">${t("own.here", { k: r.kept, n: r.known })}</h2>
            <${Moves} ...${{ r, set, values: r.painted, ink: "answers", label: t.plain("own.here", { k: r.kept, n: r.known }) }} />
            <${Audit} ...${{ m, r, set, t }} />`
          : html`<div class="covered" aria-hidden="true">?</div>`}
      </section>
      <section>
        <h2>${t("own.check")}</h2>
        ${asked ? html`<p class="soft" lang="en">${m.check.sentence}</p>
          <ul class="findings">${m.check.findings.map((/** @type {any} */ f) => html`<li><span lang="en"><b>${f.code}</b> ${f.name} × ${f.count}: <code>${f.where}</code> → ${f.fix}</span>${" "}
            ${SHOWN[f.code] && html`<a href="#${SHOWN[f.code]}">${t("own.show", { exhibit: { key: `${SHOWN[f.code].split("?")[0]}.title` } })}</a>`}</li>`)}</ul>
          <${Repair} ...${{ state, m, r, set, t }} />` : html`<p class="soft">${t("seam.hidden")}</p>`}
      </section>
    </div>`;
}

/** All moves; dragging goes to one. @param {any} props */
const Moves = ({ r, set, values, ink, label }) => html`<${Handle} class="map" rows=${r.side} columns=${r.side} label=${label}
  point=${(/** @type {number} */ row, /** @type {number} */ column) => set({ dy: row - r.far, dx: column - r.far })}>
  <${Picture} values=${values} w=${r.side} h=${r.side} ink=${ink} label=${label} />
</${Handle}>`;

/** The audit of all pictures at all moves, and its map. @param {any} props */
function Audit({ m, r, set, t }) {
  const { auditing: job, changed } = r;
  const found = r.audits[r.mended];
  if (changed) {
    const label = t.plain("own.map", { a: { share: found.share }, n: found.pictures });
    return html`<h2 class="pooled">${t("own.audit")}</h2><p class="soft">${label}</p>
      <${Moves} ...${{ r, set, values: changed, ink: "heat", label }} />
      ${found.page && html`<p><a href=${found.page} target="_blank">${t("own.page")}</a></p>`}`;
  }
  if (!m.live) return null;
  if (job?.busy) return html`<p class="soft"><progress value=${job.done ?? 0} max=${job.total || 1}></progress> ${job.total && t("own.auditing", { n: job.done, all: job.total })}</p>`;
  return html`${job?.error && html`<p class="failed" lang="en">${job.error}</p>`}
    <p><button type="button" class="main" onclick=${() => ask(m, r, set, "audit")}>${t("own.run", { n: m.pictures.length, moves: r.side ** 2 })}</button></p>`;
}

/** The repaired network beside the one as it is. @param {any} props */
function Repair({ m, r, set, t }) {
  const job = r.repair;
  if (!m.live) return null;
  if (job?.method) {
    return html`<${Choice} label=${t("own.which")} value=${r.mended} options=${[0, 1]} say=${(/** @type {number} */ o) => t(`own.which.${o}`)} set=${(/** @type {number} */ mended) => set({ mended })} />
      <p class="soft" lang="en">${job.method}: ${job.guarantee}</p>`;
  }
  if (job?.busy) return html`<p class="soft">${t("own.repairing")}</p>`;
  return html`${job?.error && html`<p class="failed" lang="en">${job.error}</p>`}
    <p><button type="button" onclick=${() => ask(m, r, set, "repair")}>${t("own.repair", { edge: { key: `own.edge.${r.edge}` } })}</button></p>`;
}

/** A picture (h, w, c) in colour or grey. @param {any} props */
function Colour({ values, size: [c, h, w], label }) {
  const canvas = useRef(null);
  useLayoutEffect(() => {
    const { current: to } = canvas;
    if (to.width !== w || to.height !== h) Object.assign(to, { width: w, height: h });
    const image = to.getContext("2d").createImageData(w, h);
    for (let i = 0; i < w * h * 4; i++) image.data[i] = i % 4 === 3 ? 255 : values[(i >> 2) * c + (c < 3 ? 0 : i % 4)] * 255;
    to.getContext("2d").putImageData(image, 0, 0);
  }, [values]);
  return html`<canvas ref=${canvas} role="img" aria-label=${label}></canvas>`;
}
