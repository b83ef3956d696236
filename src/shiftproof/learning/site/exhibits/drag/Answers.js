// Trying every move, a few at a time, so that the page stays alive.
import { movesIn, outward, withMoves } from "#learn/parts/moves.js";
import { html, useEffect, useState } from "#learn/view.js";

const SIDE = 28;
const SLICE = 4; // moves a frame: a few milliseconds
const ORDER = outward(SIDE);

/** @param {any} props */
export function Answers({ state, set, r, t }) {
  const [running, run] = useState(false);
  const whole = r.tried === SIDE ** 2;
  useEffect(() => {
    if (!running) return undefined;
    if (whole) return run(false);
    const frame = requestAnimationFrame(() => {
      const done = new Set(movesIn(state.tried, SIDE));
      const next = ORDER.filter((i) => !done.has(i)).slice(0, SLICE);
      set({ tried: withMoves(state.tried, next, SIDE) });
    });
    return () => cancelAnimationFrame(frame);
  }, [running, state, whole]);
  const digit = r.first[0] === r.first[1] ? "drag.legend.same" : "drag.legend.each";
  return html`<div class="under">
    <button type="button" class="main" disabled=${running || whole} onclick=${() => run(true)}>
      ${t(running ? "drag.trying" : "drag.try", { n: SIDE ** 2 })}
    </button>
    <button type="button" onclick=${() => (run(false), set({ tried: "", dy: 0, dx: 0 }))}>${t("drag.clear")}</button>
    <ul class="legend">
      <li><i class="same"></i>${t(digit, { digit: r.first[0] })}</li>
      <li><i class="other"></i>${t("drag.legend.other")}</li>
      <li><i class="untried"></i>${t("drag.legend.untried")}</li>
    </ul>
  </div>`;
}
