// The first page: the first exhibit, alive; under it the rooms.
import { EXHIBITS, ROOMS } from "#learn/exhibits/index.js";
import { settled, still } from "#learn/exhibit.js";
import { Predict } from "#learn/parts/Predict.js";
import { colours } from "#learn/parts/colours.js";
import { remembered } from "#learn/settings.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "#learn/view.js";

const DRIFT_MS = 260; // a pixel

/**
 * @param {{material: any, materials: (exhibit: any) => any, go: (id: string, change?: any, guess?: string) => void, t: import("#learn/words.js").Speaker}} props
 */
export function Landing({ material, materials, go, t }) {
  const [first] = EXHIBITS;
  const [state, drift] = useState(first.start);
  useEffect(() => {
    if (still()) return undefined;
    const timer = setInterval(() => drift((s) => settled(first, { ...s, dx: s.dx + 1 }, s)), DRIFT_MS);
    return () => clearInterval(timer);
  }, []);
  const seen = useMemo(() => first.seen(state, material), [state, material]);
  const asking = first.question(first.start, seen);
  const minutes = EXHIBITS.reduce((sum, e) => sum + e.minutes, 0);
  return html`<main class="wide landing">
    <h1>${t("landing.title")}</h1>
    <p class="lead">${t("landing.lead")}</p>
    <${Predict} ...${{ id: first.id, guessing: first.guessing, values: asking.values, question: asking.key, guess: "", outcome: null, t }}
      choose=${(/** @type {string} */ guess) => go(first.id, {}, guess)} />
    <${first.View} ...${{ state, seen, t, asked: false, material, brief: true }} set=${(/** @type {any} */ change) => go(first.id, change)} />
    <h2 class="rooms">${t("landing.rooms", { rooms: ROOMS.length, n: EXHIBITS.length, minutes })}</h2>
    ${ROOMS.map((room) => html`<section class="room">
      <h3>${t(`room.${room.id}`)}</h3>
      <ul>${room.exhibits.map((e) => html`<li><${Card} exhibit=${e} material=${materials(e)} t=${t} /></li>`)}</ul>
    </section>`)}
  </main>`;
}

/** An exhibit in one line: its question, and once visited the learner's own last sentence. @param {any} props */
function Card({ exhibit, material, t }) {
  const canvas = useRef(null);
  const theme = colours();
  useLayoutEffect(() => {
    if (material || exhibit.live) exhibit.thumbnail(canvas.current, material);
  }, [material, theme]);
  const last = remembered(`seen.${exhibit.id}`);
  return html`<a class="card" href="#${exhibit.id}">
    <canvas ref=${canvas} aria-hidden="true"></canvas>
    <span class="name">${t(`${exhibit.id}.title`)}</span>
    <span class="soft">${last ? said(t, last) : html`${t(`${exhibit.id}.question`)} ${t("minutes", { n: exhibit.minutes })}`}</span>
  </a>`;
}

/** What was remembered, unless another version of the page wrote it. @param {import("#learn/words.js").Speaker} t @param {any} last */
function said(t, last) {
  try {
    return t(last.key, last.values);
  } catch {
    return "";
  }
}
