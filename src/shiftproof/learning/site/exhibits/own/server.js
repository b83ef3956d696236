// What the page asks of Python. One question is under way at a time, and the newest is asked next.
import { useEffect } from "#learn/view.js";

const POLL_MS = 400;

/** @param {string} where @param {Record<string, any>} given @param {string} [method] */
async function json(where, given, method = "GET") {
  const reply = await fetch(`own/${where}.json?${new URLSearchParams(given)}`, { method });
  const found = await reply.json();
  if (found.error) throw new Error(found.error);
  return found;
}

/** @param {any} m @param {(change: any) => void} set @param {Error} error */
function failed(m, set, error) {
  m.gone = error instanceof TypeError; // which `fetch` raises where nobody answers
  m.failed = m.gone ? "" : error.message;
  set({});
}

/**
 * The answers that are wanted here and not yet known, and how far the work beside is.
 * @param {any} m @param {any} r @param {(change: any) => void} set
 */
export function useAnswers(m, r, set) {
  const name = (/** @type {number[]} */ [y, x]) => `${r.edge} ${r.mended} ${r.picture} ${y} ${x}`;
  const wanted = m.live && !r.error ? r.wanted.find((/** @type {number[]} */ move) => !m.refused.has(name(move))) : undefined;
  useEffect(() => {
    if (!wanted || m.asking) return;
    m.asking = true;
    const [dy, dx] = wanted;
    json("answer", { picture: r.picture, edge: r.edge, mended: r.mended, dy, dx })
      .finally(() => (m.asking = false))
      .then(
        (found) => {
          m.said.set(name(wanted), found.said);
          m.names[found.said[0]] = found.name;
          Object.assign(m, { gone: false, failed: "" });
          set({});
        },
        (error) => (m.refused.add(name(wanted)), failed(m, set, error)),
      );
  });
  const busy = Object.values(m.jobs).some((/** @type {any} */ job) => job.busy);
  useEffect(() => {
    if (!busy) return undefined;
    const timer = setTimeout(() => !m.starting && json("work", {}).then((jobs) => m.starting || ((m.jobs = jobs), set({})), (error) => (ended(m), failed(m, set, error))), POLL_MS);
    return () => clearTimeout(timer);
  });
}

/** Of the work that is under way nothing is heard any more. @param {any} m */
const ended = (m) => (m.jobs = Object.fromEntries(Object.entries(m.jobs).filter(([, job]) => !job.busy)));

/** Starts an audit or a repair. @param {any} m @param {any} r @param {(change: any) => void} set @param {"audit" | "repair"} what */
export function ask(m, r, set, what) {
  m.jobs[what === "audit" ? `audit ${r.edge} ${r.mended}` : `repair ${r.edge}`] = { busy: true };
  m.starting = true; // an answer to an older question may not know of it
  set({});
  json(what, { edge: r.edge, mended: r.mended }, "POST")
    .finally(() => (m.starting = false))
    .then((jobs) => ((m.jobs = jobs), set({})), (error) => (ended(m), failed(m, set, error)));
}
