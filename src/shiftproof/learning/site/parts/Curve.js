// Lines over two axes, linear or logarithmic, with a band, and a point that can be dragged along x.
import ticks from "#learn/vendor/ticks.mjs";
import { html, useRef } from "#learn/view.js";

const [W, H] = [360, 200];
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 12, 10, 40];
const TICKS = 5;

/** @typedef {{from: number, to: number, label: any, log?: boolean, say?: (v: number) => string}} Axis */
/** @typedef {{points: [number, number][], name?: any, class?: string, band?: [number, number, number][]}} Line */

/**
 * From values to pixels, and back.
 * @param {Axis} axis @param {number} start @param {number} end
 */
export function scale({ from, to, log }, start, end) {
  const f = log ? Math.log10 : (/** @type {number} */ v) => v;
  const back = log ? (/** @type {number} */ v) => 10 ** v : (/** @type {number} */ v) => v;
  const [a, b] = [f(from), f(to)];
  return {
    to: (/** @type {number} */ v) => start + ((f(v) - a) / (b - a)) * (end - start),
    from: (/** @type {number} */ p) => back(a + ((p - start) / (end - start)) * (b - a)),
  };
}

/** Where an axis has its marks: powers of ten, or round numbers. @param {Axis} axis @returns {number[]} */
export function marks({ from, to, log }) {
  if (!log) return ticks(from, to, TICKS);
  const [a, b] = [Math.ceil(Math.log10(from) - 1e-9), Math.floor(Math.log10(to) + 1e-9)];
  const step = Math.max(1, Math.ceil((b - a) / TICKS));
  return Array.from({ length: Math.floor((b - a) / step) + 1 }, (_, i) => 10 ** (a + i * step));
}

/**
 * @param {{x: Axis, y: Axis, lines: Line[], label: string, at?: [number, number], set?: (x: number) => void}} props
 * `at` is a point that is marked; with `set` it can be dragged along x
 */
export function Curve({ x, y, lines, label, at, set }) {
  const frame = useRef(null);
  const held = useRef(false);
  const across = scale(x, LEFT, W - RIGHT);
  const up = scale(y, H - BOTTOM, TOP);
  const say = (/** @type {Axis} */ axis, /** @type {number} */ v) => (axis.say ? axis.say(v) : String(v));
  const path = (/** @type {[number, number][]} */ points) => points.map(([a, b], i) => `${i ? "L" : "M"}${across.to(a)} ${up.to(b)}`).join("");
  const band = (/** @type {[number, number, number][]} */ rows) =>
    `${path(rows.map(([a, low]) => [a, low]))}${path(rows.toReversed().map(([a, , high]) => [a, high])).replace("M", "L")}Z`;
  function moved(/** @type {PointerEvent} */ event) {
    if (!set || !held.current) return;
    const box = frame.current.getBoundingClientRect();
    const v = across.from(((event.clientX - box.left) / box.width) * W);
    set(Math.max(x.from, Math.min(x.to, v)));
  }
  function down(/** @type {PointerEvent} */ event) {
    if (!set) return;
    held.current = true;
    frame.current.setPointerCapture(event.pointerId);
    moved(event);
  }
  const released = () => (held.current = false);
  return html`<figure class="curve">
    <figcaption>${y.label}${lines.some((l) => l.name) && html`<span class="names">${lines.map((l, i) => l.name && html`<span class=${`key ${l.class ?? `line${i}`}`}>${l.name}</span>`)}</span>`}</figcaption>
    <svg ref=${frame} viewBox="0 0 ${W} ${H}" role="img" aria-label=${label} class=${set ? "pulled" : ""}
      onpointerdown=${down} onpointermove=${moved} onpointerup=${released} onpointercancel=${released}>
      ${marks(y).map((v) => html`<g><line class="grid" x1=${LEFT} x2=${W - RIGHT} y1=${up.to(v)} y2=${up.to(v)} />
        <text x=${LEFT - 6} y=${up.to(v) + 4} text-anchor="end">${say(y, v)}</text></g>`)}
      ${marks(x).map((v) => html`<text x=${across.to(v)} y=${H - BOTTOM + 16} text-anchor="middle">${say(x, v)}</text>`)}
      <text class="axis" x=${(LEFT + W - RIGHT) / 2} y=${H - 4} text-anchor="middle">${x.label}</text>
      ${lines.map((l, i) => html`<g class=${`line ${l.class ?? `line${i}`}`}>${l.band && html`<path class="band" d=${band(l.band)} />`}<path d=${path(l.points)} /></g>`)}
      ${at && html`<circle class="mark" cx=${across.to(at[0])} cy=${up.to(at[1])} r="6" />`}
    </svg>
  </figure>`;
}
