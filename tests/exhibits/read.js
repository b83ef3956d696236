// Files that the tests compare with.
import { readFileSync } from "node:fs";

/** @param {string} path from the root of the checkout */
export const read = (path) => JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), "utf-8"));
/** @param {string} name */
export const golden = (name) => read(`tests/exhibits/golden/${name}.json`);
/** @param {string} name */
export const weights = (name) => read(`src/shiftproof/learning/weights/${name}.json`);
/** @param {string} language */
export const words = (language) => read(`src/shiftproof/learning/site/words/${language}.json`);
