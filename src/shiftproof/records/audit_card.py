"""An audit's record as a card for a notebook: readable from a width of 300 px, on a light or a dark background."""

from __future__ import annotations

import html
import math
from itertools import pairwise

from shiftproof.records.audit_parts import AuditParts, Map
from shiftproof.records.colours import HEAT, PALETTE, heat
from shiftproof.records.measures import MapMeasure
from shiftproof.records.metrics import MAPS, in_order, map_row
from shiftproof.records.numbers import confidence_words, signed
from shiftproof.records.plain import printable_record
from shiftproof.records.printing import Row, few_words, headline, in_words, rows, title

MOST_CELLS = 4096  # a map of more moves is not drawn: each is an element with a tooltip
LINE = "1px solid rgba(128,128,128,.25)"


def notebook_html(record: AuditParts) -> str:
    """The headline, the figures with their intervals, and the first map with its legend."""
    record = printable_record(record)
    found = rows(record)
    notes = "".join(f"<div style='margin-top:.3em'><b>Note:</b> {html.escape(n.text)}</div>" for n in record.notes)
    name = next(iter(in_order(record.maps, MAPS)), None)
    few = html.escape(few_words(found))
    return (
        "<div style='max-width:52em;box-sizing:border-box;border:1px solid rgba(128,128,128,.45);border-radius:8px;"
        "padding:.7em .9em;line-height:1.4;overflow-wrap:anywhere'>"
        f"<div><b>{html.escape(title(record))}</b></div>{notes}"
        f"<div style='margin:.3em 0 .6em'>{html.escape(headline(record))}</div>"
        "<div style='display:flex;flex-wrap:wrap;gap:.8em 1.6em;align-items:flex-start'>"
        f"{_map(record.maps[name], map_row(name)) if name else ''}"
        f"<div style='flex:1 1 17em;min-width:0'>{''.join(map(_figure, found))}"
        f"<div style='opacity:.75;margin-top:.3em'>Below each figure: its {confidence_words(record.protocol.confidence)} "
        f"interval.{f' {few}' if few else ''}</div></div></div></div>"
    )


def _figure(row: Row) -> str:
    return (
        f"<div style='display:flex;gap:.8em;justify-content:space-between;padding:.15em 0;border-top:{LINE}'>"
        f"<span>{html.escape(row.measure.words)}</span><span style='text-align:right;white-space:nowrap'>"
        f"<b>{html.escape(row.value)}</b><br><span style='opacity:.75'>{html.escape(row.interval)}{row.mark}</span></span></div>"
    )


def _map(m: Map, measure: MapMeasure) -> str:
    """The map as small squares at (dx, dy) in the colours of the page, each with its figure as a tooltip, and its legend."""
    cells = zip(m.offsets_px, m.values, strict=True)
    drawn = [(dy, dx, v) for (dy, dx), v in cells if v is not None and math.isfinite(v)]
    if not drawn or len(drawn) > MOST_CELLS:
        return ""
    # A square about the unmoved picture, whatever the set: maps of different sets can be compared by eye.
    reach = max(max(abs(dy), abs(dx)) for dy, dx, _ in drawn) or 1
    step = _step(drawn)
    low, high = min(v for *_, v in drawn), max(v for *_, v in drawn)
    # For a measure of unknown direction high values are strong, and nothing is called worst.
    best, worst = (high, low) if measure.better == "higher" else (low, high)
    span = (worst - best) or 1
    squares = "".join(
        f"<rect x='{dx - step / 2:g}' y='{dy - step / 2:g}' width='{step:g}' height='{step:g}' fill='{heat((v - best) / span)}'>"
        f"<title>dy {dy:g}, dx {dx:g}: {in_words(v, measure)}</title></rect>"
        for dy, dx, v in drawn
    )
    side = 2 * reach + step
    box = f"{-reach - step / 2:g} {-reach - step / 2:g} {side:g} {side:g}"
    ink = PALETTE["ink"][0]
    unmoved = (
        f"<rect x='{-step / 2:g}' y='{-step / 2:g}' width='{step:g}' height='{step:g}' fill='none' stroke='{ink}' "
        f"stroke-width='{side / 120:g}'/>"
    )
    ramp = ",".join(PALETTE[name][0] for name in HEAT)
    ends = [in_words(v, measure) for v in (best, worst)]
    called = ("best", "worst") if measure.better else ("lowest", "highest")
    return (
        "<figure style='margin:0;flex:0 0 auto;width:190px;max-width:100%'>"
        f"<svg width='190' height='190' viewBox='{box}' role='img' aria-label='{html.escape(measure.words)} by move'>"
        f"{squares}{unmoved}</svg>"
        f"<div style='height:.6em;border-radius:2px;background:linear-gradient(to right,{ramp})'></div>"
        f"<div style='display:flex;justify-content:space-between'><span>{ends[0]} {called[0]}</span>"
        f"<span style='text-align:right'>{ends[1]} {called[1]}</span></div>"
        f"<figcaption style='opacity:.75'>{html.escape(measure.words)} by move, {signed(-reach)} to {signed(reach)} px: "
        "down is down, right is right; the outline is the unmoved picture</figcaption></figure>"
    )


def _step(drawn: list[tuple[float, float, float]]) -> float:
    """The side of a cell: the smallest distance between two moves along an axis, 1 px if there is none."""
    gaps = [b - a for k in (0, 1) for at in [sorted({d[k] for d in drawn})] for a, b in pairwise(at)]
    return min(gaps, default=1.0)
