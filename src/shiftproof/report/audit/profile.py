"""The chart of the layer profile: error by depth, stacked by cause, with each layer's local error as a mark."""

from __future__ import annotations

import math
from typing import Any

from shiftproof.records import AuditRecord, Layer
from shiftproof.records.numbers import confidence_words, count_words, percent, without_rounding
from shiftproof.report import chart, words
from shiftproof.report.chart import Figure


def stride_marks(layers: list[Layer], most: int = 9) -> list[tuple[int, str]]:
    """Where the cumulative stride changes, as (first layer from 1, words); nothing if it changes too often to read."""
    marks: list[tuple[int, str]] = []
    for number, layer in enumerate(layers, 1):
        text = "not a map" if layer.stride is None else f"÷{words.stride_words(layer.stride)}"
        if not marks or marks[-1][1] != text:
            marks.append((number, text))
    return marks if len(marks) <= most else []


def layer_figure(record: AuditRecord) -> Figure | None:
    """The error by depth, stacked by cause, the local error as a mark on every bar; None without layers."""
    import altair as alt

    layers = record.layers
    if not layers:
        return None
    rows = _layer_rows(layers)
    top = max((v for key in ("high", "local", "total") for v in rows[key] if v is not None), default=0.0) or 1e-12
    labels = chart.tick_format("fraction", top)
    x_axis = alt.Axis(title="layer, in the order in which they ran", grid=False, tickMinStep=1, labelExpr=chart.PIXELS)
    y_axis = alt.Axis(title=None, tickCount=5, domain=False, ticks=False, labelExpr=labels)
    x_scale = alt.Scale(domain=[0.3, len(layers) + 0.7], nice=False, zero=False)
    # Room for the words at the top edge, which mark where the stride changes.
    y_scale = alt.Scale(domain=[0, 1.08 * top], nice=False)

    def x(field: str) -> alt.X:
        return alt.X(field + ":Q", scale=x_scale, axis=x_axis)

    def y(field: str) -> alt.Y:
        return alt.Y(field + ":Q", scale=y_scale, axis=y_axis)

    half = 0.42 if len(layers) > 12 else 0.3
    edges = {"x0": -half, "x1": half, "h0": -0.5, "h1": 0.5}
    base = chart.base().transform_calculate(**{k: f"datum.number + {v}" for k, v in edges.items()})
    bars, floor = [], "0"
    for cause in words.causes(layers):
        ceiling = f"{floor} + datum.{cause}"
        # Stacked by hand: Vega's own stack would put each layer's parts in alphabetical order.
        bar = base.transform_calculate(bottom=floor, top=ceiling).mark_rect(color=alt.ExprRef(cause))
        bars.append(bar.encode(x=x("x0"), x2="x1:Q", y=y("bottom"), y2="top:Q"))
        floor = ceiling
    ink, soft = alt.ExprRef("ink"), alt.ExprRef("soft")
    whisker = base.mark_rule(color=ink, opacity=0.45, strokeWidth=1).encode(x=x("number"), y=y("low"), y2="high:Q")
    local = base.transform_filter("isValid(datum.local)").encode(x=x("x0"), x2="x1:Q", y=y("local"))
    # So that the dark line can be seen on every colour of a bar.
    halo = local.mark_rule(color=alt.ExprRef("paper"), strokeWidth=4)
    line = local.mark_rule(color=ink, strokeWidth=2)
    # The whole column answers to the pointer: the bars of good layers are too low to hit.
    hover = base.mark_rect(tooltip=chart.TIP, color=ink, opacity=0).encode(
        x=x("h0"), x2="h1:Q", y=alt.value(0), y2=alt.value(alt.ExprRef("height"))
    )
    marks = base.transform_filter("datum.mark != ''").encode(x=x("h0"))
    edge = marks.mark_rule(color=soft, opacity=0.6, strokeDash=[2, 3])
    label = marks.mark_text(align="left", baseline="top", dx=4, dy=1, color=soft, fontSize=11)
    label = label.encode(y=alt.value(0), text="mark:N")
    description = _layer_description(layers)
    spec = chart.themed(alt.layer(edge, *bars, whisker, halo, line, label, hover), description)
    tips = _tips(confidence_words(record.protocol.confidence), words.causes(layers))
    return Figure("layer-profile", description, spec, rows, tips, height_px=320)


def _tips(confidence: str, causes: list[str]) -> list[tuple[str, str, str]]:
    figures = {"propagated": "total", f"{confidence} interval": "low", "local": "local"}
    return [
        *((label, label, "text") for label in ("layer", "operator", "stride", "interior")),
        *((label, column, "percent") for label, column in figures.items()),
        *((cause, cause, "percent") for cause in causes),
    ]


def _layer_rows(layers: list[Layer]) -> dict[str, list[Any]]:
    marks = dict(stride_marks(layers))
    errors = [layer.error for layer in layers]
    return {
        "number": list(range(1, len(layers) + 1)),
        "layer": [layer.name for layer in layers],
        "operator": [layer.operator for layer in layers],
        "stride": [words.stride_words(layer.stride) for layer in layers],
        "interior": [percent(layer.interior, 0) for layer in layers],
        "mark": [marks.get(number, "") for number in range(1, len(layers) + 1)],
        "total": [_drawn(e.total.value) for e in errors],
        "low": [_drawn(e.total.low) for e in errors],
        "high": [_drawn(e.total.high) for e in errors],
        "local": [_drawn(e.local.value) if e.local else None for e in errors],
        **{cause: [_drawn(getattr(e, cause).value) or 0.0 for e in errors] for cause in words.causes(layers)},
    }


def _drawn(error: float) -> float | None:
    """The error as the chart shows it: a value within rounding becomes 0, as in the table."""
    return chart.number(without_rounding(error))


def _layer_description(layers: list[Layer]) -> str:
    """The chart in words, without the names of layers: those come from the user and are only in the rows and the table."""
    totals = [layer.error.total.value for layer in layers]
    worst = max(range(len(layers)), key=lambda i: totals[i] if math.isfinite(totals[i]) else -1.0)
    return (
        f"Relative equivariance error of {count_words(len(layers), 'layer')}. Highest {words.error_words(totals[worst])} at "
        f"layer {worst + 1}; last layer {words.error_words(totals[-1])}."
    )
