// What the page remembers on this device. A page that may not remember works all the same, and nothing is ever sent.

const PLACE = "shiftproof.learn";

/** @returns {Record<string, any>} */
function held() {
  try {
    const found = JSON.parse(localStorage.getItem(PLACE) ?? "{}");
    return found && typeof found === "object" ? found : {};
  } catch {
    return {};
  }
}

/** @param {string} name */
export const remembered = (name) => held()[name];

/** @param {string} name @param {unknown} value */
export function remember(name, value) {
  try {
    localStorage.setItem(PLACE, JSON.stringify({ ...held(), [name]: value }));
  } catch {
    // forgotten when the page is closed
  }
}
