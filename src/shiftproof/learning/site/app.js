// The page: which exhibit is open, in which state, language and theme. Everything on screen is a function of these.
import { addressOf, opened, stateOf } from "#learn/address.js";
import { ExhibitPage, outcomeOf, played, settled } from "#learn/exhibit.js";
import { EXHIBITS } from "#learn/exhibits/index.js";
import { Landing } from "#learn/landing.js";
import { colours, forgetColours } from "#learn/parts/colours.js";
import { stepOf } from "#learn/parts/Handle.js";
import { SKIPPED } from "#learn/parts/Predict.js";
import { remember, remembered } from "#learn/settings.js";
import { html, render, useEffect, useMemo, useRef, useState } from "#learn/view.js";
import { LANGUAGES, speaker } from "#learn/words.js";

const ADDRESS_MS = 250; // browsers refuse addresses that change at every frame

/**
 * A file of the page: written into it, where it is one file, or asked of the server.
 * @param {string} name
 */
async function load(name) {
  const inside = document.getElementById(`file-${name}`);
  if (inside) return JSON.parse(inside.textContent ?? "");
  const answer = await fetch(`${name}.json`);
  if (!answer.ok) throw new Error(`${name}.json: ${answer.status}`);
  return answer.json();
}

/** @type {Map<string, Promise<any>>} */
const asked = new Map();
/** Each file is asked for once, and again if it did not come. @param {string} name */
const file = (name) => asked.get(name) ?? asked.set(name, load(name).catch((e) => (asked.delete(name), Promise.reject(e)))).get(name);

/** @type {Map<string, any>} */
const prepared = new Map();
/** What an exhibit works on. @param {any} exhibit */
async function materialOf(exhibit) {
  const names = exhibit.material;
  const held = await Promise.all(names.map((/** @type {string} */ name) => file(`material/${name}`)));
  if (!prepared.has(exhibit.id)) {
    prepared.set(exhibit.id, exhibit.prepare(Object.fromEntries(names.map((/** @type {string} */ n, /** @type {number} */ i) => [n, held[i]]))));
  }
  return prepared.get(exhibit.id);
}

/** The guess of an address, if the exhibit offers it. @param {any} exhibit @param {string | null} text */
function guessOf(exhibit, text) {
  const { guessing } = exhibit;
  if (text === null || text === SKIPPED) return text ?? "";
  if ("like" in guessing) return guessing.like.test(text) ? text : "";
  if ("options" in guessing) return guessing.options.includes(text) ? text : "";
  return Number(text) >= guessing.from && Number(text) <= guessing.to ? text : "";
}

/** The state that is given, settled. @param {any} exhibit @param {URLSearchParams} given */
function stood(exhibit, given) {
  const held = stateOf(given, exhibit.start, exhibit.within);
  return settled(exhibit, held, held);
}

/** What an address opens; `from` is the state in which the prediction is made, or was: what was said belongs to it. @param {string} hash */
function visit(hash) {
  const { id, given } = opened(hash);
  const exhibit = EXHIBITS.find((e) => e.id === id) ?? null;
  if (!exhibit) return { exhibit: null, state: {}, from: {}, guess: "", playing: false };
  const state = stood(exhibit, given);
  const guess = guessOf(exhibit, given.get("guess"));
  return { exhibit, state, from: guess ? stood(exhibit, new URLSearchParams(given.get("from") ?? "")) : state, guess, playing: false };
}

/** The language of an address, else the one chosen last, else the browser's. */
function languageNow() {
  const wanted = [opened(location.hash).given.get("lang"), remembered("language"), ...navigator.languages.map((l) => l.slice(0, 2))];
  return wanted.find((l) => l in LANGUAGES) ?? "en";
}

/** @param {string} theme "light", "dark" or "" for the device's own */
function applyTheme(theme) {
  document.documentElement.dataset.theme = theme;
  forgetColours();
}

const device = matchMedia("(prefers-color-scheme: dark)");
const opposite = (/** @type {string} */ theme) => ((theme || (device.matches ? "dark" : "light")) === "dark" ? "light" : "dark");

function App() {
  const [at, setAt] = useState(() => visit(location.hash));
  const [language, setLanguage] = useState(languageNow);
  const [theme, setTheme] = useState(() => remembered("theme") ?? "");
  const [words, setWords] = useState(null);
  const [materials, setMaterials] = useState({});
  const [gone, setGone] = useState(false);
  const lost = () => setGone(true);
  const stop = useRef(() => {});
  const { exhibit, state, guess } = at;
  const material = materials[(exhibit ?? EXHIBITS[0]).id];

  const set = (/** @type {any} */ change) =>
    setAt((a) => (a.exhibit ? { ...a, state: settled(a.exhibit, { ...a.state, ...change }, a.state) } : a));
  const choose = (/** @type {string} */ said) => {
    stop.current();
    setAt((a) => ({ ...a, guess: said, from: a.state, playing: said !== SKIPPED }));
    if (said === SKIPPED) return;
    stop.current = played(exhibit, state, set, () => setAt((a) => ({ ...a, playing: false })));
  };
  const go = (/** @type {string} */ id, /** @type {any} */ change = {}, /** @type {string} */ said = "") => {
    const found = EXHIBITS.find((e) => e.id === id);
    const held = settled(found, { ...found.start, ...change }, found.start);
    history.pushState(null, "", addressOf(id, held, found.start, { guess: said }));
    setAt({ exhibit: found, state: held, from: held, guess: said, playing: said !== "" && said !== SKIPPED });
    scrollTo(0, 0);
    if (said && said !== SKIPPED) {
      stop.current = played(found, held, set, () => setAt((a) => ({ ...a, playing: false })));
    }
  };

  useEffect(() => {
    file(`words/${language}`).then(setWords, lost);
    document.documentElement.lang = language;
    if (at.exhibit === null) document.title = "shiftproof learn";
  }, [language]);
  useEffect(() => {
    const wanted = exhibit ? [exhibit] : EXHIBITS.filter((e) => !e.live);
    for (const e of wanted) materialOf(e).then((m) => (setGone(false), setMaterials((held) => ({ ...held, [e.id]: m }))), lost);
  }, [exhibit]);
  useEffect(() => {
    const open = () => (stop.current(), setAt(visit(location.hash)), scrollTo(0, 0));
    const recoloured = () => (forgetColours(), setAt((a) => ({ ...a })));
    addEventListener("hashchange", open);
    addEventListener("popstate", open);
    device.addEventListener("change", recoloured);
    return () => (removeEventListener("hashchange", open), removeEventListener("popstate", open), device.removeEventListener("change", recoloured));
  }, []);
  useEffect(() => {
    if (!exhibit) return undefined;
    const more = opened(location.hash).given.has("lang") ? { lang: language } : {};
    const from = guess && addressOf("", at.from, exhibit.start, {}).slice(2);
    // not over an address that the reader has just chosen, of which the browser has not told yet
    const write = () => opened(location.hash).id === exhibit.id && history.replaceState(null, "", addressOf(exhibit.id, state, exhibit.start, { guess, from, ...more }));
    const timer = setTimeout(write, ADDRESS_MS);
    return () => clearTimeout(timer);
  }, [exhibit, state, guess, language]);
  useEffect(() => {
    const pressed = (/** @type {KeyboardEvent} */ event) => {
      if (!exhibit || event.defaultPrevented || event.metaKey) return;
      const beside = { "[": -1, "]": 1 }[event.key];
      const other = beside && EXHIBITS[EXHIBITS.indexOf(exhibit) + beside];
      if (other) return void (location.hash = `#${other.id}`);
      const step = /** @type {Element} */ (event.target).matches("input") ? null : stepOf(event);
      if (!step) return;
      event.preventDefault();
      stop.current();
      setAt((a) => {
        const change = step === "home" ? a.exhibit.home : a.exhibit.nudge(a.state, ...step);
        return { ...a, playing: false, state: settled(a.exhibit, { ...a.state, ...change }, a.state) };
      });
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [exhibit]);

  const t = useMemo(() => words && speaker(words, language), [words]);
  const outcome = useMemo(
    () => (exhibit && material && guess && guess !== SKIPPED ? outcomeOf(exhibit, at.from, material) : null),
    [exhibit, material, guess, at.from],
  );
  useEffect(() => {
    if (t && material) document.documentElement.dataset.ready = exhibit?.id ?? "landing";
    if (t && exhibit) document.title = `${t.plain(`${exhibit.id}.title`)} · shiftproof learn`;
  });
  if (!t || t.language !== language || (!material && !exhibit?.live && !gone)) return null;
  // the page speaks another language once its words are here
  const change = (/** @type {string} */ to) => file(`words/${to}`).then(() => (remember("language", to), setLanguage(to)), lost);
  const recolour = () => {
    const to = opposite(theme);
    applyTheme(to);
    remember("theme", to);
    setTheme(to);
  };
  return html`<header>
      <div class="wide">
        <p class="brand"><a href="#"><b lang="en">shiftproof</b> <span lang="en">learn</span></a></p>
        <div class="tools">
          ${Object.entries(LANGUAGES).filter(([code]) => code !== language).map(([code, name]) => html`<button type="button" lang=${code} onclick=${() => change(code)}>${name}</button>`)}
          <button type="button" onclick=${recolour}>${t(`theme.${opposite(theme)}`)}</button>
        </div>
      </div>
    </header>
    ${gone && html`<p class="wide failed" role="alert">${t("page.gone")}</p>`}
    ${!material
      ? html`<main class="wide"><h1>${t(`${(exhibit ?? EXHIBITS[0]).id}.title`)}</h1>${!gone && html`<p class="lead" role="status">${t("own.loading")}</p>`}</main>`
      : exhibit
      ? html`<${ExhibitPage} key=${exhibit.id} ...${{ exhibit, state, from: at.from, set, material, guess, outcome: at.playing ? null : outcome, choose, t }}
          visited=${(/** @type {any} */ taken) => remember(`seen.${exhibit.id}`, taken)} />`
      : html`<${Landing} material=${material} materials=${(/** @type {any} */ e) => materials[e.id]} go=${go} t=${t} />`}`;
}

applyTheme(remembered("theme") ?? "");
colours();
render(html`<${App} />`, document.getElementById("page"));
