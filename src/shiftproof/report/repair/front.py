"""The methods of a repair as points: what each costs, and what it keeps. On the front are those that no other beats in both."""

from __future__ import annotations

from shiftproof.records.metrics import metric_row
from shiftproof.records.numbers import count_words, percent
from shiftproof.records.repair_measured import CONSISTENCY, MOVED, Measured, Rung
from shiftproof.report import chart
from shiftproof.report.chart import Figure

ORIGINAL = "as it is"


def shown_metric(measured: Measured) -> str:
    """The figure that the chart shows: under a camera the consistency, else the accuracy over all moves, if there are labels."""
    return MOVED if MOVED in measured.before and measured.boundary != "crop" else CONSISTENCY


def on_front(measured: Measured) -> list[str]:
    """The methods, the original model among them, that no other beats in cost and in the figure that is shown."""
    sign = -1 if metric_row(shown_metric(measured)).better == "lower" else 1
    points = [(name, cost, sign * value) for name, cost, value, _ in _points(measured)]
    return [
        name
        for name, cost, value in points
        if not any((c <= cost and v > value) or (c < cost and v >= value) for _, c, v in points)
    ]


def front_figure(measured: Measured) -> Figure | None:
    """Cost against what is kept; None if fewer than two points are there."""
    import altair as alt

    name, points = shown_metric(measured), _points(measured)
    if name not in measured.before or len(points) < 2:
        return None
    front, picked = on_front(measured), measured.picked
    rows = {
        "method": [p[0] for p in points],
        "cost": [chart.number(p[1]) for p in points],
        "value": [chart.number(p[2]) for p in points],
        "low": [chart.number(p[3][0]) for p in points],
        "high": [chart.number(p[3][1]) for p in points],
        "kind": [
            "picked" if picked and p[0] == picked.method else "front" if p[0] in front else "beaten" for p in points
        ],
    }
    words, most = metric_row(name).words, max(p[1] for p in points)
    x = alt.X(
        "cost:Q",
        scale=alt.Scale(domain=[0, 1.35 * most], nice=False),
        axis=alt.Axis(title="forward passes of the original model", tickCount=6, grid=False, labelExpr=chart.PIXELS),
    )
    labels = chart.tick_format(metric_row(name).unit, 1.0)
    axis = alt.Axis(title=words, tickCount=5, domain=False, ticks=False, labelExpr=labels)
    low, high = min(p[3][0] for p in points), max(p[3][1] for p in points)
    scale = alt.Scale(domain=[max(0.0, low - 0.02), min(1.0, high + 0.04)], nice=False, zero=False)
    y = alt.Y("value:Q", scale=scale, axis=axis)
    base = chart.base()
    ink, soft, accent = alt.ExprRef("ink"), alt.ExprRef("soft"), alt.ExprRef("accent")
    whisker = base.mark_rule(color=soft, opacity=0.6).encode(x=x, y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q")
    line = base.transform_filter("datum.kind != 'beaten'").mark_line(
        color=soft, strokeDash=[3, 3], interpolate="step-after"
    )
    line = line.encode(x=x, y=y, order="cost:Q")
    dots = base.mark_circle(size=90, color=soft, opacity=1).encode(x=x, y=y)
    best = (
        base.transform_filter("datum.kind == 'picked'").mark_circle(size=170, color=accent, opacity=1).encode(x=x, y=y)
    )
    names = base.mark_text(align="left", dx=9, dy=-9, color=ink).encode(x=x, y=y, text="method:N")
    hover = base.mark_circle(size=900, opacity=0, tooltip=chart.TIP).encode(x=x, y=y)
    description = f"{count_words(len(points), 'point')}: cost in forward passes against {words}. " + "; ".join(
        f"{n} {percent(v)}" for n, _, v, _ in points
    )
    spec = chart.themed(alt.layer(line, whisker, dots, best, names, hover), description)
    tips = [("method", "method", "text"), ("forward passes", "cost", "number"), (words, "value", "percent")]
    return Figure("front", description, spec, rows, [*tips, ("interval", "low", "percent")], height_px=300)


def _points(measured: Measured) -> list[tuple[str, float, float, tuple[float, float]]]:
    """(method, cost, figure, interval), the original model first."""
    name = shown_metric(measured)
    if name not in measured.before:
        return []

    def point(word: str, cost: float, rung: Rung | None) -> tuple[str, float, float, tuple[float, float]]:
        m = (rung.metrics if rung else measured.before)[name]
        return word, cost, m.value, (m.low, m.high)

    rungs = [r for r in measured.rungs if name in r.metrics and r.cost is not None]
    return [point(ORIGINAL, 1.0, None), *(point(r.method, r.cost or 0.0, r) for r in rungs)]
