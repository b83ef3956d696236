// The thing that is moved: by pointer, by touch, by arrow keys. Every handle has sliders or buttons beside it that do the same.
import { html, useRef } from "#learn/view.js";

const FAR = 4; // cells, with Shift
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * What a key says: a step in cells, "home", or nothing.
 * @param {KeyboardEvent} event
 * @returns {[number, number] | "home" | null}
 */
export function stepOf(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  if (event.key === "Home") return "home";
  const step = STEPS[event.key];
  return step ? step.map((/** @type {number} */ v) => v * (event.shiftKey ? FAR : 1)) : null;
}

/**
 * A surface of rows x columns cells. `drag` gets the cells that the pointer has moved since it was pressed, and where the thing
 * stood then; `point` gets the cell under the pointer.
 * @param {{
 *   rows: number, columns: number, label: string, children?: any, class?: string,
 *   at?: () => any, drag?: (dy: number, dx: number, from: any) => void, point?: (row: number, column: number, first: boolean) => void,
 * }} props
 */
export function Handle({ rows, columns, label, at, drag, point, children, class: name = "" }) {
  const held = useRef(null);
  function moved(/** @type {PointerEvent} */ event, first = false) {
    if (!held.current) return;
    event.preventDefault();
    // where it was pressed: what is dragged may be the surface itself
    const box = held.current.box ?? /** @type {Element} */ (event.currentTarget).getBoundingClientRect();
    const row = ((event.clientY - box.top) / box.height) * rows;
    const column = ((event.clientX - box.left) / box.width) * columns;
    const inside = (/** @type {number} */ v, /** @type {number} */ n) => Math.max(0, Math.min(n - 1, Math.floor(v)));
    if (first) held.current = { box, row, column, from: at?.() };
    if (drag) drag(Math.round(row - held.current.row), Math.round(column - held.current.column), held.current.from);
    if (point) point(inside(row, rows), inside(column, columns), first);
  }
  function down(/** @type {PointerEvent} */ event) {
    if (event.button !== 0) return;
    const surface = /** @type {HTMLElement} */ (event.currentTarget);
    surface.setPointerCapture(event.pointerId);
    surface.focus({ preventScroll: true });
    held.current = {};
    moved(event, true);
  }
  const up = () => (held.current = null);
  return html`<div
    class="handle ${name}" data-rows=${rows} data-columns=${columns} tabindex="0" role="group" aria-label=${label}
    onpointerdown=${down} onpointermove=${moved} onpointerup=${up} onpointercancel=${up} onlostpointercapture=${up}
  >${children}</div>`;
}
