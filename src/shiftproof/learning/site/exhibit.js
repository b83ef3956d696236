// The page of an exhibit: the question, the prediction, the screen, and the sentence.
import { Predict } from "#learn/parts/Predict.js";
import { Take } from "#learn/parts/Take.js";
import { EXHIBITS } from "#learn/exhibits/index.js";
import { html, useEffect, useMemo } from "#learn/view.js";

const PLAYED_MS = 450;

/** Whether the reader wants nothing to move by itself. */
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/**
 * What comes out when the move of the question is made from this state.
 * @param {any} exhibit @param {any} state @param {any} material
 */
export function outcomeOf(exhibit, state, material) {
  const change = exhibit.play(state, 1);
  return exhibit.outcome(exhibit.seen(settled(exhibit, { ...state, ...change }, state), material), material);
}

/** @param {any} exhibit @param {any} next @param {any} before */
export const settled = (exhibit, next, before) => (exhibit.settle ? exhibit.settle(next, before) : next);

/**
 * The move of the question, played so that its cause is seen. It returns what stops it.
 * @param {any} exhibit @param {any} from @param {(change: any) => void} set @param {() => void} done
 */
export function played(exhibit, from, set, done) {
  if (still()) {
    set(exhibit.play(from, 1));
    done();
    return () => {};
  }
  let frame = 0;
  const start = performance.now();
  const step = (/** @type {number} */ now) => {
    const share = Math.max(0, Math.min(1, (now - start) / PLAYED_MS)); // a frame may have begun before
    set(exhibit.play(from, share));
    if (share < 1) frame = requestAnimationFrame(step);
    else done();
  };
  frame = requestAnimationFrame(step);
  return () => cancelAnimationFrame(frame);
}

/**
 * @param {{exhibit: any, state: any, from: any, set: (change: any) => void, material: any, guess: string, outcome: string | null,
 *   choose: (guess: string) => void, t: import("#learn/words.js").Speaker, visited: (taken: any) => void}} props
 */
export function ExhibitPage({ exhibit, state, from, set, material, guess, outcome, choose, t, visited }) {
  const { id } = exhibit;
  const seen = useMemo(() => exhibit.seen(state, material), [exhibit, state, material]);
  const asked = guess !== "";
  const taken = asked ? exhibit.take(seen, state) : null;
  const asking = useMemo(
    () => (asked ? exhibit.question(from, exhibit.seen(from, material)) : exhibit.question(state, seen)),
    [asked ? from : seen],
  );
  const at = EXHIBITS.indexOf(exhibit);
  const next = EXHIBITS[at + 1]?.id ?? null;
  const see = exhibit.see
    .filter((/** @type {string} */ other) => EXHIBITS.some((e) => e.id === other))
    .map((/** @type {string} */ other) => ({ id: other, title: `${other}.title` }));
  useEffect(() => {
    if (taken && Object.keys(taken.values).length > 0) visited(taken);
  }, [taken?.key, JSON.stringify(taken?.values)]);
  return html`<main class="wide">
    <p class="step">${t("step", { n: at + 1, all: EXHIBITS.length })}</p>
    <h1>${t(`${id}.title`)}</h1>
    <p class="lead">${t(`${id}.question`)}</p>
    ${!(exhibit.live && seen.error) && html`<${Predict} ...${{ id, guessing: exhibit.guessing, values: asking.values, question: asking.key, guess, outcome, choose, t }} />`}
    <${exhibit.View} ...${{ state, set, seen, t, asked, material, guess }} />
    <${Take} ...${{ id, taken, own: exhibit.own, see, next, t }} />
  </main>`;
}
