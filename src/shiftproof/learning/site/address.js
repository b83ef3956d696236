// The address holds the exhibit and its state (`#drag?digit=7&dx=10`), so that any moment can be linked.

/** @typedef {Record<string, string | number>} State */
/**
 * What a part of a state may be: whole numbers from one to another, one of a few words, or any text of these letters.
 * @typedef {{from: number, to: number} | {of: readonly (string | number)[]} | {like: RegExp}} Range
 */

/**
 * The value of an address if it is one that the exhibit knows, otherwise undefined.
 * @param {string} text @param {Range} range
 */
function valued(text, range) {
  if ("of" in range) return range.of.find((v) => String(v) === text);
  if ("like" in range) return range.like.test(text) ? text : undefined;
  const v = text.trim() === "" ? NaN : Number(text);
  return Number.isInteger(v) && v >= range.from && v <= range.to ? v : undefined;
}

/**
 * What an address says: the exhibit's name and what follows the question mark.
 * @param {string} hash
 */
export function opened(hash) {
  const [id, rest = ""] = hash.replace(/^#/, "").split("?");
  return { id, given: new URLSearchParams(rest) };
}

/**
 * The state of an address. What an exhibit does not know, or not with this value, is as at the start.
 * @param {URLSearchParams} given @param {State} start @param {Record<string, Range>} within
 * @returns {State}
 */
export function stateOf(given, start, within) {
  const found = { ...start };
  for (const [name, range] of Object.entries(within)) {
    const text = given.get(name);
    const value = text === null ? undefined : valued(text, range);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/**
 * The address of a state: only what differs from the start is written.
 * @param {string} id @param {State} state @param {State} start @param {Record<string, string>} more
 */
export function addressOf(id, state, start, more) {
  const held = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...state, ...more })) {
    if (value !== "" && value !== start[name]) held.set(name, String(value));
  }
  const text = held.toString();
  return `#${id}${text ? `?${text}` : ""}`;
}
