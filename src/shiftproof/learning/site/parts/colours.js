// The page's own colours, for canvases. They are the palette of all reports, in the theme that is on.

const LEVELS = 256;
const HEAT = 5;
const BLACK = [16, 17, 22];
const WHITE = [250, 247, 240];

/** @typedef {[number, number, number]} Colour */

/** @param {string} text #rrggbb @returns {Colour} */
const parsed = (text) => /** @type {Colour} */ ([1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16)));

/** @param {number[]} a @param {number[]} b @param {number} share of b @returns {Colour} */
const between = (a, b, share) => /** @type {Colour} */ (a.map((v, i) => Math.round(v + (b[i] - v) * share)));

/** @param {number[][]} stops */
const ramp = (stops) =>
  Array.from({ length: LEVELS }, (_, i) => {
    const at = (i / (LEVELS - 1)) * (stops.length - 1);
    const n = Math.min(Math.floor(at), stops.length - 2);
    return between(stops[n], stops[n + 1], at - n);
  });

/** @type {Colours | null} */
let kept = null;

/**
 * @typedef {{
 *   of: (name: string) => Colour, grey: Colour[], heat: Colour[], signed: Colour[], other: Colour,
 * }} Colours
 */

/** The colours of the theme that is on: the same object until it changes. @returns {Colours} */
export function colours() {
  if (kept) return kept;
  const style = getComputedStyle(document.documentElement);
  /** @type {Record<string, Colour>} */
  const read = {};
  const of = (/** @type {string} */ name) => (read[name] ??= parsed(style.getPropertyValue(`--${name}`).trim()));
  const light = style.colorScheme.includes("light");
  kept = {
    of,
    grey: ramp([BLACK, WHITE]),
    heat: ramp(Array.from({ length: HEAT }, (_, i) => of(`heat${i}`))),
    signed: ramp([of("accent"), of("paper"), of("aliasing")]),
    other: between(of("paper"), of("aliasing"), light ? 0.65 : 0.8), // so that it differs from accent in lightness too
  };
  return kept;
}

/** The theme has changed. */
export function forgetColours() {
  kept = null;
}

/** @param {Colour[]} levels @param {number} share in [0, 1] */
export const level = (levels, share) => levels[Math.max(0, Math.min(LEVELS - 1, Math.round(share * (LEVELS - 1))))];

/** @param {Colour} colour */
export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;
