// A set of the moves of a picture of n x n, as a short text: it can stand in an address.

/**
 * @param {string} text @param {number} n @returns {Uint8Array} one bit for each move, by row and column
 */
function bits(text, n) {
  const found = new Uint8Array(Math.ceil((n * n) / 8));
  if (!text) return found;
  const raw = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  for (let i = 0; i < Math.min(found.length, raw.length); i++) found[i] = raw.charCodeAt(i);
  return found;
}

/** @param {Uint8Array} held */
const written = (held) => btoa(String.fromCharCode(...held)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

/** The index of the move (dy, dx), each from -n / 2 up to n / 2 - 1. @param {number} dy @param {number} dx @param {number} n */
export const indexOf = (dy, dx, n) => (dy + n / 2) * n + dx + n / 2;

/** @param {number} index @param {number} n @returns {[number, number]} */
export const moveOf = (index, n) => [Math.floor(index / n) - n / 2, (index % n) - n / 2];

/** The set with these moves too. @param {string} text @param {number[]} indices @param {number} n */
export function withMoves(text, indices, n) {
  const held = bits(text, n);
  for (const i of indices) held[i >> 3] |= 1 << (i & 7);
  return written(held);
}

/** The moves of a set. @param {string} text @param {number} n @returns {number[]} */
export function movesIn(text, n) {
  const held = bits(text, n);
  const found = [];
  for (let i = 0; i < n * n; i++) if (held[i >> 3] & (1 << (i & 7))) found.push(i);
  return found;
}

/** All moves, those near no move first. @param {number} n @returns {number[]} */
export function outward(n) {
  const far = (/** @type {number} */ i) => Math.hypot(...moveOf(i, n));
  return Array.from({ length: n * n }, (_, i) => i).sort((a, b) => far(a) - far(b) || a - b);
}
