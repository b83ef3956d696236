"""The charts of a map: the map itself over (dy, dx), and its radial curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from shiftproof.records import AuditRecord, Curve, Map
from shiftproof.report import chart, words
from shiftproof.report.chart import HEAT, Figure
from shiftproof.report.moves import Lie, lie
from shiftproof.report.plane import plane


@dataclass(frozen=True)
class MapFigures:
    """A map's charts and what is said beside them.

    Args:
        name: the map's key in the record.
        figure: the map itself.
        radial: the radial curve; None where all moves have one length, or lie on a line (the map is then that curve).
        extremes: the lowest and the highest value, in words.
        note: what else there is to say; may be empty.
    """

    name: str
    figure: Figure
    radial: Figure | None
    extremes: str
    note: str


def map_figures(record: AuditRecord) -> list[MapFigures]:
    """The charts of every map that has at least one move."""
    confidence = words.confidence_words(record.protocol.confidence)
    maps = ((name, record.maps[name]) for name in words.map_names(record))
    return [_map_figures(n, name, m, confidence) for n, (name, m) in enumerate(maps) if m.offsets_px]


def _map_figures(n: int, name: str, m: Map, confidence: str) -> MapFigures:
    shape = lie(m.offsets_px)
    found = [(v, o) for v, o in zip(m.values, m.offsets_px, strict=True) if v is not None and math.isfinite(v)]
    extremes = _extremes(name, found)
    title = words.map_words(name)
    note = f"At {len(m.values) - len(found)} moves no picture gave a figure." if len(found) < len(m.values) else ""
    if shape.kind == "line":
        figure = _curve_figure(
            f"map-{n}", f"{title} along the path of moves. {extremes}", name, confidence,
            at=list(shape.along_px), values=m.values, low=m.low, high=m.high,
            title=f"pixels along (dy, dx) = ({shape.direction[0]:.3g}, {shape.direction[1]:.3g})", offsets=m.offsets_px,
        )  # fmt: skip
        return MapFigures(name, figure, None, extremes, " ".join(["All moves lie on one line.", note]).strip())
    figure = _plane_figure(f"map-{n}", f"{title} at every move. {extremes}", name, m, shape, confidence)
    curve = m.radial
    if len(curve.radius_px) < 2:
        why = "All moves have (nearly) the same length, so there is no radial curve." if curve.radius_px else ""
        note = " ".join([why, note]).strip()
        return MapFigures(name, figure, None, extremes, note)
    radial = _curve_figure(
        f"radial-{n}", f"{title} against the length of the move. {_ends(name, curve)}", name, confidence,
        at=curve.radius_px, values=list(curve.values), low=list(curve.low), high=list(curve.high),
        title="length of the move, pixels", offsets=None,
    )  # fmt: skip
    return MapFigures(name, figure, radial, extremes, note)


def _extremes(name: str, found: list[tuple[float, list[float]]]) -> str:
    if not found:
        return "No picture gave a figure at any move."
    low, high = min(found, key=lambda f: f[0]), max(found, key=lambda f: f[0])
    if low[0] == high[0]:
        return f"The same at every move: {words.fixed(low[0], name)}."
    return (
        f"Lowest {words.fixed(low[0], name)} at dy {words.signed(low[1][0])}, dx {words.signed(low[1][1])}; "
        f"highest {words.fixed(high[0], name)} at dy {words.signed(high[1][0])}, dx {words.signed(high[1][1])}."
    )


def _ends(name: str, curve: Curve) -> str:
    return (
        f"From {words.fixed(curve.values[0], name)} at {curve.radius_px[0]:g} px "
        f"to {words.fixed(curve.values[-1], name)} at {curve.radius_px[-1]:g} px."
    )


def _plane_figure(id: str, description: str, name: str, m: Map, shape: Lie, confidence: str) -> Figure:
    """The map itself: cells of a lattice, or points."""
    rows = {
        "dy": [o[0] for o in m.offsets_px],
        "dx": [o[1] for o in m.offsets_px],
        "value": [chart.number(v) for v in m.values],
        "low": [chart.number(v) for v in m.low],
        "high": [chart.number(v) for v in m.high],
    }
    drawn, aspect = plane(m.offsets_px, shape, _colour(name, m))
    return Figure(id, description, chart.themed(drawn, description), rows, _tips(name, confidence), aspect=aspect)


def _tips(name: str, confidence: str, *, at: str = "") -> list[tuple[str, str, str]]:
    """The lines of a tooltip: the move (or, for a mean over moves, what `at` says), the figure, its interval."""
    move = [(at, "at", "text")] if at else [("dy", "dy", "text"), ("dx", "dx", "text")]
    kind = chart.kind(name)
    return [*move, (words.map_words(name), "value", kind), (f"{confidence} interval", "low", kind)]


def _colour(name: str, m: Map) -> Any:
    """The map's colours: best fades into the page, worst is strong."""
    import altair as alt

    domain = chart.colour_domain(name, m)
    heat = HEAT if words.high_is_bad(name) else HEAT[::-1]
    legend = alt.Legend(
        title=None,
        orient="bottom",
        direction="horizontal",
        offset=6,
        tickCount=4,
        gradientThickness=10,
        gradientStrokeWidth=0,
        gradientLength=alt.ExprRef("max(120, width)"),
        labelExpr=chart.tick_format(name, domain[1]),
    )
    scale = alt.Scale(domain=list(domain), range=[alt.ExprRef(h) for h in heat], interpolate="lab", clamp=True)
    return alt.Color("value:Q", scale=scale, legend=legend)


def _curve_figure(
    id: str,
    description: str,
    name: str,
    confidence: str,
    *,
    at: list[float],
    values: list[float | None],
    low: list[float | None],
    high: list[float | None],
    title: str,
    offsets: list[list[float]] | None,
) -> Figure:
    """A curve with its band."""
    import altair as alt

    known = [v for v in [*values, *high] if v is not None and math.isfinite(v)]
    labels = chart.tick_format(name, max(known, default=1.0))
    x_axis = alt.Axis(title=title, grid=False, tickMinStep=1, labelExpr=chart.PIXELS)
    y_axis = alt.Axis(title=None, tickCount=5, domain=False, ticks=False, labelExpr=labels)
    scale = alt.Scale(zero=words.high_is_bad(name), nice=True)
    x = alt.X("at:Q", scale=alt.Scale(nice=False, zero=False, padding=8), axis=x_axis)
    y = alt.Y("value:Q", scale=scale, axis=y_axis)
    base, accent = chart.base().transform_filter("isValid(datum.value)").encode(x=x), alt.ExprRef("accent")
    drawn = (
        base.mark_area(color=accent, opacity=0.18).encode(y=alt.Y("low:Q", scale=scale, axis=y_axis), y2="high:Q"),
        base.mark_line(color=accent, strokeWidth=2, strokeJoin="round").encode(y=y),
        base.mark_circle(color=accent, opacity=1, size=34 if len(at) <= 40 else 10).encode(y=y),
        base.mark_rule(tooltip=chart.TIP, color=accent, opacity=0, strokeWidth=max(4, min(24, 500 // len(at)))),
    )
    columns = {"at": at, "value": values, "low": low, "high": high}
    rows: dict[str, list[Any]] = {key: [chart.number(v) for v in column] for key, column in columns.items()}
    if offsets:
        rows |= {"dy": [o[0] for o in offsets], "dx": [o[1] for o in offsets]}
    spec = chart.themed(alt.layer(*drawn), description)
    return Figure(
        id, description, spec, rows, _tips(name, confidence, at="" if offsets else "length, px"), height_px=300
    )
