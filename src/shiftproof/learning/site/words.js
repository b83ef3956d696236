// From a key and values to a sentence in the reader's language. A sentence holds no number that somebody typed.
import { html } from "#learn/view.js";

/** The languages, by the names that their speakers give them. A new one is a file in words/ and a line here. */
export const LANGUAGES = { en: "English", ko: "한국어" };

/**
 * A value of a sentence: a whole number or text as it is; a share of 1; a size that may be exactly zero or only rounding; or
 * the key of other words, or of several in an order.
 * @typedef {string | number | {share: number} | {size: number} | {key: string} | {keys: string[], by?: string}} Value
 */
/** @typedef {(string | {power: number})[]} Parts */

/** Below this a difference of sums of a few thousand doubles is rounding. */
const ROUNDING = 1e-9;
const DIGITS = 3;

/** Making a format costs far more than using it, and a page says a hundred numbers at each move. @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/**
 * A number as the language writes it.
 * @param {number} v @param {string} language @param {Intl.NumberFormatOptions} [how]
 */
function written(v, language, how) {
  const name = language + JSON.stringify(how);
  if (!formats.has(name)) formats.set(name, new Intl.NumberFormat(language, how));
  return formats.get(name).format(v);
}

/**
 * A share: 0 % and 100 % only where they are exact.
 * @param {number} share @param {string} language
 */
function percent(share, language) {
  const shown = (/** @type {number} */ v) => written(v, language, { style: "percent", maximumFractionDigits: 1 });
  if (share && Math.abs(share) < 0.001) return share > 0 ? `<${shown(0.001)}` : `>${shown(-0.001)}`;
  if (share < 1 && share > 0.999) return `>${shown(0.999)}`;
  return shown(share);
}

/**
 * A size: 0 only for exact zero, and rounding as its power of ten.
 * @param {number} size @param {string} language
 * @returns {Parts}
 */
function magnitude(size, language) {
  const plain = written(size, language, { maximumSignificantDigits: DIGITS });
  if (size === 0 || (Math.abs(size) >= 1e-3 && Math.abs(size) < 1e6)) return [plain];
  const [front, power] = size.toExponential(Math.abs(size) < ROUNDING ? 0 : 1).split("e");
  return [`${written(Number(front), language)}\u00a0×\u00a010`, { power: Number(power) }];
}

/** @param {number} size */
export const isRounding = (size) => size !== 0 && Math.abs(size) < ROUNDING;

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
/** @param {number} power */
const raised = (power) => [...String(power)].map((c) => RAISED[c]).join("");

/** What is written in another script than the page's: its language is said, so that it is read aloud rightly. */
const FOREIGN = { en: /([ㄱ-ㅎ가-힣]+)/, ko: /([A-Za-z][A-Za-z0-9'’-]*(?: [A-Za-z][A-Za-z0-9'’-]*)*)/ };
const OF = { en: "ko", ko: "en" };

/**
 * @param {string} text @param {string} language
 */
const marked = (text, language) =>
  text.split(FOREIGN[language]).map((part, i) => (i % 2 ? html`<span lang=${OF[language]}>${part}</span>` : part));

/**
 * The page's voice: `t(key, values)` for HTML, `t.plain(key, values)` for labels and titles.
 * @param {Record<string, string>} words @param {string} language
 */
export function speaker(words, language) {
  /** @param {string} key */
  function sentence(key) {
    if (!(key in words)) throw new Error(`no words for ${key} in ${language}`);
    return words[key];
  }
  /** @param {Value} value @returns {Parts} */
  function said(value) {
    if (typeof value === "string") return [value];
    if (typeof value === "number") return [written(value, language)];
    if ("key" in value) return parts(value.key, {});
    if ("keys" in value) return value.keys.flatMap((k, i) => [...(i ? [value.by ?? " > "] : []), ...parts(k, {})]);
    if ("share" in value) return [percent(value.share, language)];
    const size = magnitude(value.size, language);
    return isRounding(value.size) ? parts("number.rounding", {}, { v: size }) : size;
  }
  /** @param {string} key @param {Record<string, Value>} values @param {Record<string, Parts>} [made] @returns {Parts} */
  function parts(key, values, made = {}) {
    return sentence(key)
      .split(/\{(\w+)\}/)
      .flatMap((part, i) => {
        if (i % 2 === 0) return [part];
        if (part in made) return made[part];
        if (!(part in values)) throw new Error(`no value for {${part}} of ${key}`);
        return said(values[part]);
      });
  }
  const shown = (/** @type {Parts} */ found) =>
    found.map((p) => (typeof p === "string" ? marked(p, language) : html`<sup>${written(p.power, language).replace("-", "−")}</sup>`));
  const flat = (/** @type {Parts} */ found) => found.map((p) => (typeof p === "string" ? p : raised(p.power))).join("");
  /** @param {string} key @param {Record<string, Value>} [values] */
  const t = (key, values = {}) => shown(parts(key, values));
  t.plain = (/** @type {string} */ key, /** @type {Record<string, Value>} */ values = {}) => flat(parts(key, values));
  t.value = (/** @type {Value} */ value) => shown(said(value));
  t.number = (/** @type {number} */ v) => written(v, language);
  t.language = language;
  return t;
}
/** @typedef {ReturnType<typeof speaker>} Speaker */
