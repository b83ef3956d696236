// Lets node find what the page's import map names: `node --import ./tests/exhibits/resolve.js --test tests/exhibits/*.test.js`.
import { register } from "node:module";

// SHIFTPROOF_SITE names another copy of the site, such as the one that is sent.
const site = process.env.SHIFTPROOF_SITE ?? new URL("../../src/shiftproof/learning/site/", import.meta.url).href;
const vendored = { preact: "preact.mjs", "preact/hooks": "hooks.mjs", htm: "htm.mjs" };
const hook = `
  const site = ${JSON.stringify(site)}, vendored = ${JSON.stringify(vendored)};
  export async function resolve(name, context, next) {
    if (name.startsWith("#learn/")) return next(site + name.slice(7), context);
    if (name in vendored) return next(site + "vendor/" + vendored[name], context);
    return next(name, context);
  }`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
