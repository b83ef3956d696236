"""The charts of a map: the map itself over (dy, dx), and its radial curve."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from shiftproof.records import MAPS, AuditRecord, Curve, Map, MapMeasure
from shiftproof.records.colours import HEAT
from shiftproof.records.metrics import in_order, map_row
from shiftproof.records.numbers import confidence_words, signed, without_rounding
from shiftproof.records.printing import in_words
from shiftproof.report import chart
from shiftproof.report.chart import Figure
from shiftproof.report.moves import Lie, lie
from shiftproof.report.plane import plane


@dataclass(frozen=True)
class MapFigures:
    """The charts of a map and the text beside them.

    Args:
        measure: the map's row in the table of measures.
        figure: the chart of the map.
        radial: the radial curve; None where all moves have one length, or lie on a line (the map is then that curve).
        extremes: the lowest and the highest value, in words.
        note: further text; may be empty.
    """

    measure: MapMeasure
    figure: Figure
    radial: Figure | None
    extremes: str
    note: str


def map_figures(record: AuditRecord) -> list[MapFigures]:
    """The charts of every map that has at least one move."""
    confidence = confidence_words(record.protocol.confidence)
    maps = ((map_row(name), record.maps[name]) for name in in_order(record.maps, MAPS))
    return [_map_figures(n, measure, m, confidence) for n, (measure, m) in enumerate(maps) if m.offsets_px]


def _map_figures(n: int, measure: MapMeasure, m: Map, confidence: str) -> MapFigures:
    m = shown(m, measure)
    shape = lie(m.offsets_px)
    found = [(v, o) for v, o in zip(m.values, m.offsets_px, strict=True) if v is not None and math.isfinite(v)]
    extremes = _extremes(measure, found)
    title = measure.words
    note = f"At {len(m.values) - len(found)} moves no picture gave a figure." if len(found) < len(m.values) else ""
    if measure.better is None:
        note = " ".join(
            ["This version does not know whether high or low values are better; strong colours are high values.", note]
        ).strip()
    if shape.kind == "line":
        figure = _curve_figure(
            f"map-{n}",
            f"{title} along the path of moves. {extremes}",
            measure,
            confidence,
            at=list(shape.along_px),
            values=m.values,
            low=m.low,
            high=m.high,
            title=f"pixels along (dy, dx) = ({shape.direction[0]:.3g}, {shape.direction[1]:.3g})",
            offsets=m.offsets_px,
        )
        return MapFigures(measure, figure, None, extremes, " ".join(["All moves lie on one line.", note]).strip())
    figure = _plane_figure(f"map-{n}", f"{title} at every move. {extremes}", measure, m, shape, confidence)
    curve = m.radial
    if len(curve.radius_px) < 2:
        why = "All moves have (nearly) the same length, so there is no radial curve." if curve.radius_px else ""
        note = " ".join([why, note]).strip()
        return MapFigures(measure, figure, None, extremes, note)
    radial = _curve_figure(
        f"radial-{n}",
        f"{title} against the length of the move. {_ends(measure, curve)}",
        measure,
        confidence,
        at=curve.radius_px,
        values=list(curve.values),
        low=list(curve.low),
        high=list(curve.high),
        title="length of the move, pixels",
        offsets=None,
    )
    return MapFigures(measure, figure, radial, extremes, note)


def shown(m: Map, measure: MapMeasure) -> Map:
    """The map as it is drawn: values within rounding become 0."""
    if not measure.rounds:
        return m

    def cut(values: list[Any]) -> list[Any]:
        return [v if v is None else without_rounding(v) for v in values]

    curve = m.radial
    radial = replace(curve, values=cut(curve.values), low=cut(curve.low), high=cut(curve.high))
    return replace(m, values=cut(m.values), low=cut(m.low), high=cut(m.high), radial=radial)


def _extremes(measure: MapMeasure, found: list[tuple[float, list[float]]]) -> str:
    if not found:
        return "There is no figure for any move."
    low, high = min(found, key=lambda f: f[0]), max(found, key=lambda f: f[0])
    if low[0] == high[0]:
        return f"The same at every move: {in_words(low[0], measure)}."
    return (
        f"Lowest {in_words(low[0], measure)} at dy {signed(low[1][0])}, dx {signed(low[1][1])}; "
        f"highest {in_words(high[0], measure)} at dy {signed(high[1][0])}, dx {signed(high[1][1])}."
    )


def _ends(measure: MapMeasure, curve: Curve) -> str:
    return (
        f"From {in_words(curve.values[0], measure)} at {curve.radius_px[0]:g} px "
        f"to {in_words(curve.values[-1], measure)} at {curve.radius_px[-1]:g} px."
    )


def _plane_figure(id: str, description: str, measure: MapMeasure, m: Map, shape: Lie, confidence: str) -> Figure:
    """The chart of the map: cells of a lattice, or points."""
    rows = {
        "dy": [o[0] for o in m.offsets_px],
        "dx": [o[1] for o in m.offsets_px],
        "value": [chart.number(v) for v in m.values],
        "low": [chart.number(v) for v in m.low],
        "high": [chart.number(v) for v in m.high],
    }
    drawn, aspect = plane(m.offsets_px, shape, _colour(measure, m))
    return Figure(id, description, chart.themed(drawn, description), rows, _tips(measure, confidence), aspect=aspect)


def _tips(measure: MapMeasure, confidence: str, *, at: str = "") -> list[tuple[str, str, str]]:
    """The lines of a tooltip: the move (or, for a mean over moves, what `at` says), the figure, its interval."""
    move = [(at, "at", "text")] if at else [("dy", "dy", "text"), ("dx", "dx", "text")]
    kind = chart.kind(measure.unit)
    return [*move, (measure.words, "value", kind), (f"{confidence} interval", "low", kind)]


def _colour(measure: MapMeasure, m: Map) -> Any:
    """The map's colours: the best is close to the background, the worst is strong."""
    import altair as alt

    domain = chart.colour_domain(measure, m)
    # The ramp begins near the page's own colour, so that what is good recedes.
    heat = HEAT[::-1] if measure.better == "higher" else HEAT
    legend = alt.Legend(
        title=None,
        orient="bottom",
        direction="horizontal",
        offset=6,
        tickCount=4,
        gradientThickness=10,
        gradientStrokeWidth=0,
        gradientLength=alt.ExprRef("max(120, width)"),
        labelExpr=chart.tick_format(measure.unit, domain[1]),
    )
    # In Lab, where equal steps look equal.
    scale = alt.Scale(domain=list(domain), range=[alt.ExprRef(h) for h in heat], interpolate="lab", clamp=True)
    return alt.Color("value:Q", scale=scale, legend=legend)


def _curve_figure(
    id: str,
    description: str,
    measure: MapMeasure,
    confidence: str,
    *,
    at: list[float],
    values: list[float | None],
    low: list[float | None],
    high: list[float | None],
    title: str,
    offsets: list[list[float]] | None,
) -> Figure:
    """The chart of a radial curve with its interval as a band."""
    import altair as alt

    known = [v for v in [*values, *high] if v is not None and math.isfinite(v)]
    labels = chart.tick_format(measure.unit, max(known, default=1.0))
    x_axis = alt.Axis(title=title, grid=False, tickMinStep=1, labelExpr=chart.PIXELS)
    y_axis = alt.Axis(title=None, tickCount=5, domain=False, ticks=False, labelExpr=labels)
    # Errors are judged by their distance from 0. An accuracy near 1 would be a flat line on an axis from 0.
    scale = alt.Scale(zero=measure.better == "lower", nice=True)
    x = alt.X("at:Q", scale=alt.Scale(nice=False, zero=False, padding=8), axis=x_axis)
    y = alt.Y("value:Q", scale=scale, axis=y_axis)
    base, accent = chart.base().transform_filter("isValid(datum.value)").encode(x=x), alt.ExprRef("accent")
    drawn = (
        base.mark_area(color=accent, opacity=0.18).encode(y=alt.Y("low:Q", scale=scale, axis=y_axis), y2="high:Q"),
        base.mark_line(color=accent, strokeWidth=2, strokeJoin="round").encode(y=y),
        base.mark_circle(color=accent, opacity=1, size=34 if len(at) <= 40 else 10).encode(y=y),
        # Invisible and wide: a pointer need not hit the dot to show its figure.
        base.mark_rule(tooltip=chart.TIP, color=accent, opacity=0, strokeWidth=max(4, min(24, 500 // len(at)))),
    )
    columns = {"at": at, "value": values, "low": low, "high": high}
    rows: dict[str, list[Any]] = {key: [chart.number(v) for v in column] for key, column in columns.items()}
    if offsets:
        rows |= {"dy": [o[0] for o in offsets], "dx": [o[1] for o in offsets]}
    spec = chart.themed(alt.layer(*drawn), description)
    return Figure(
        id, description, spec, rows, _tips(measure, confidence, at="" if offsets else "length, px"), height_px=300
    )
