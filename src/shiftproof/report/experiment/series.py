"""The charts of an experiment: lines, points, bars and maps, from the record's data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from shiftproof.records import Chart, Series
from shiftproof.records.colours import HEAT, LINES, TWO_SIDED
from shiftproof.records.numbers import MISSING, from_to, shortest, written
from shiftproof.report import chart
from shiftproof.report.chart import Figure
from shiftproof.report.moves import lie
from shiftproof.report.plane import DOWN, RIGHT, plane

BAR_PX, NAME_PX, GAP_PX = 15, 21, 11  # height of a bar, of the name above its group, of the gap between groups
Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Scale:
    """Ends of a shared colour scale, in words.

    Args:
        low: its low end.
        middle: its middle.
        high: its high end.
        two_sided: whether its middle is 0, from which the colours go two ways.
    """

    low: str
    middle: str
    high: str
    two_sided: bool = False


@dataclass(frozen=True)
class Drawn:
    """A chart as the page shows it.

    Args:
        chart: titles and note.
        figures: one figure, or for maps one per series, each with its name and its extremes in words.
        legend: (colour, name, dashed) of every series; empty if there is only one.
        scale: the colour scale of maps.
    """

    chart: Chart
    figures: list[tuple[Figure, str, str]]
    legend: list[tuple[str, str, bool]]
    scale: Scale | None


def drawn(number: int, c: Chart) -> Drawn:
    """Prepare a chart for the page.

    Args:
        number: number of the chart on the page.
        c: the chart.
    """
    if c.kind == "maps":
        return _maps(number, c)
    figure = _bars(number, c) if c.kind == "bars" else _lines(number, c)
    colours = series_colours(c.series)
    legend = [(colour, s.name, s.dashed) for colour, s in zip(colours, c.series, strict=True)]
    return Drawn(c, [(figure, "", "")], legend if len(c.series) > 1 else [], None)


def series_colours(series: list[Series]) -> list[str]:
    """One colour per series; a series of another takes that one's colour.

    >>> series_colours([Series("A", [], []), Series("B", [], []), Series("B, published", [], [], dashed=True, of="B")])
    ['line0', 'line1', 'line1']
    """
    alone = sum(s.dashed and not s.of for s in series) == 1
    # A single theory or chance level beside what was measured is not one more competitor.
    own = [s for s in series if not s.of and not (s.dashed and alone)]
    taken = {s.name: LINES[i % len(LINES)] for i, s in enumerate(sorted(own, key=lambda s: s.dashed))}
    return [taken.get(s.of or s.name, "soft") for s in series]


def _words(value: Any, c: Chart) -> str:
    """A height in words."""
    return MISSING if value is None else written(value, "fraction" if c.percent else "")


def _at(value: Any) -> str:
    """A position in words."""
    return shortest(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _long(c: Chart, *, x_log: bool, y_log: bool) -> Columns:
    """One row per point. A logarithmic axis leaves out points that it cannot show and cuts intervals that reach below it."""
    kept: Columns = {key: [] for key in ("s", "x", "y", "low", "high", "name", "at", "value", "interval", "dashed")}
    least = min((v for s in c.series for v in (*s.y, *s.low) if v > 0), default=1.0)
    for i, s in enumerate(c.series):
        for j, (x, y) in enumerate(zip(s.x, s.y, strict=True)):
            low, high = (s.low[j], s.high[j]) if s.low and s.high else (None, None)
            if (x_log and isinstance(x, int | float) and x <= 0) or (y_log and y <= 0) or not math.isfinite(y):
                continue
            ends = "" if low is None else from_to(_words(low, c), _words(high, c))
            # An interval that reaches 0 has no lower end on a logarithmic axis:
            # it is drawn to just below the lowest value.
            low = max(low, least / 2) if y_log and low is not None else low
            row = (
                i,
                x,
                chart.number(y),
                chart.number(low),
                chart.number(high),
                s.name,
                _at(x),
                _words(y, c),
                ends,
                s.dashed,
            )
            for column, cell in zip(kept.values(), row, strict=True):
                column.append(cell)
    return kept


def _tips(c: Chart, *, intervals: bool) -> list[tuple[str, str, str]]:
    return [
        *([("series", "name", "text")] if len(c.series) > 1 else []),
        (c.x_label if c.kind != "bars" and c.x_label else "at", "at", "text"),
        (c.y_label or "value", "value", "text"),
        *([("interval", "interval", "text")] if intervals else []),
    ]


def _ticks(percent: bool, values: list[float]) -> str:
    """A Vega expression for the labels of an axis."""
    reach = max((abs(v) for v in values), default=0.0)
    if percent:
        return chart.tick_format("fraction", reach)
    return "format(datum.value, '~s')" if reach >= 10_000 else "format(datum.value, '~g')"


def _axis(values: list[Any], *, log: bool, ticks: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scale and axis options: from the smallest to the largest value, with round numbers on a logarithmic axis."""
    known = [v for v in values if v is not None] or [1.0]
    low, high = min(known), max(known)
    # One value gives no range: room is made on either side of it.
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - 0.5 * abs(low or 1), high + 0.5 * abs(high or 1))
    if not log:
        return {"domain": [low, high], "zero": False}, {"tickCount": ticks}
    return {"type": "log", "domain": [low, high]}, {"values": _round_numbers(low, high)}


def _round_numbers(low: float, high: float) -> list[float]:
    """Powers of ten between the ends; if there are few, also their multiples by 2 and 5, or by 2 to 9.

    >>> _round_numbers(90, 60000), _round_numbers(0.02, 0.3)
    ([100.0, 1000.0, 10000.0], [0.02, 0.05, 0.1, 0.2])
    """
    for digits in ((1,), (1, 2, 5), range(1, 10)):
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [float(f"{d}e{e}") for e in exponents for d in digits if low <= float(f"{d}e{e}") <= high]
        if len(found) >= 3:
            return found
    return [low, high]


def _described(c: Chart) -> str:
    """The chart in words: what it shows, and the ends of each series."""
    parts = []
    for s in c.series[:8]:
        known = [v for v in s.y if math.isfinite(v)]
        if known:
            name = f"{s.name}: " if s.name else ""
            parts.append(f"{name}{len(known)} values from {_words(min(known), c)} to {_words(max(known), c)}")
    return f"{c.title}. {c.y_label} by {c.x_label}. {'; '.join(parts)}."


def _colour(c: Chart) -> Any:
    """The colour of each series by its number, because names from a record are only in the rows."""
    import altair as alt

    scale = alt.Scale(domain=list(range(len(c.series))), range=[alt.ExprRef(name) for name in series_colours(c.series)])
    return alt.Color("s:N", scale=scale, legend=None)


def _lines(number: int, c: Chart) -> Figure:
    """Lines with bands, or points with intervals; a dashed series is a line in both."""
    import altair as alt

    rows = _long(c, x_log=c.x_log, y_log=c.y_log)
    in_words = any(isinstance(x, str) for s in c.series for x in s.x)
    if in_words:
        rows["x"] = [str(x) for x in rows["x"]]
        x = alt.X(
            "x:N",
            sort=None,
            scale=alt.Scale(type="point", padding=0.3),
            axis=alt.Axis(title=c.x_label, grid=False, labelAngle=0, labelOverlap="parity", labelLimit=110),
        )
    else:
        rows["x"] = [chart.number(x) for x in rows["x"]]
        scale, axis = _axis(rows["x"], log=c.x_log, ticks=8)
        if not c.x_log and all(float(x).is_integer() for x in rows["x"]):
            axis |= {"tickMinStep": 1}
        x = alt.X(
            "x:Q",
            scale=alt.Scale(nice=False, padding=8, **scale),
            axis=alt.Axis(title=c.x_label, grid=False, labelExpr=_ticks(False, rows["x"]), labelOverlap=True, **axis),
        )
    known = [v for key in ("y", "low", "high") for v in rows[key] if v is not None]
    scale, axis = _axis(known, log=c.y_log, ticks=5)
    y_scale = alt.Scale(nice=not c.y_log, padding=4, **scale)
    y_axis = alt.Axis(title=None, domain=False, ticks=False, labelExpr=_ticks(c.percent, known), **axis)

    def y(field: str) -> Any:
        return alt.Y(f"{field}:Q", scale=y_scale, axis=y_axis)

    base = chart.base().transform_filter("isValid(datum.y)").encode(x=x, color=_colour(c))
    banded = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    full, dashed = base.transform_filter("!datum.dashed"), base.transform_filter("datum.dashed")
    many = max((len(s.x) for s in c.series), default=0) > 40
    layers = []
    if any(v is not None for v in rows["low"]):
        if c.kind == "lines" and not in_words:
            layers.append(banded.mark_area(opacity=0.16).encode(y=y("low"), y2="high:Q"))
        else:
            layers.append(banded.mark_rule(strokeWidth=1.5, opacity=0.6).encode(y=y("low"), y2="high:Q"))
    if c.kind == "lines":
        layers.append(full.mark_line(strokeWidth=2, strokeJoin="round").encode(y=y("y")))
    if any(rows["dashed"]):
        layers.append(dashed.mark_line(strokeWidth=1.5, strokeDash=[5, 4]).encode(y=y("y")))
    small = 8 if many else 30
    layers.append(full.mark_circle(opacity=1, size=small if c.kind == "lines" else small + 15).encode(y=y("y")))
    # Invisible and large, for the pointer.
    layers.append(base.mark_circle(tooltip=chart.TIP, opacity=0, size=90 if many else 260).encode(y=y("y")))
    description = _described(c)
    spec = chart.themed(alt.layer(*layers), description)
    tips = _tips(c, intervals=any(s.low for s in c.series))
    return Figure(f"chart-{number}", description, spec, rows, tips, height_px=300)


def _bars(number: int, c: Chart) -> Figure:
    """Horizontal bars in groups, with a name above each group; a dashed series is a mark across its row."""
    import altair as alt

    log = c.x_log or c.y_log
    rows = _long(c, x_log=False, y_log=log)
    names = list(dict.fromkeys(rows["at"]))
    series = len(c.series)
    pitch = NAME_PX + series * BAR_PX + GAP_PX
    tops = [names.index(at) * pitch for at in rows["at"]]
    # Reversed, so that the first row of each name stays: the name is drawn once, above its group.
    firsts = {at: i for i, at in reversed(list(enumerate(rows["at"])))}
    rows["top"] = tops
    rows["y0"] = [top + NAME_PX + s * BAR_PX + 1.5 for top, s in zip(tops, rows["s"], strict=True)]
    rows["y1"] = [y0 + BAR_PX - 3 for y0 in rows["y0"]]
    rows["label"] = [at if firsts[at] == i else "" for i, at in enumerate(rows["at"])]
    known = [v for key in ("y", "low", "high") for v in rows[key] if v is not None] or [1.0]
    # Bars begin at 0, or their lengths would not be in proportion.
    low, high = min(*known, 0.0), max(*known, 0.0)
    room = 0.04 * (high - low or 1.0)
    domain = [low - room if low < 0 else 0.0, high + room if high > 0 else 0.0]
    if log:
        domain = [10.0 ** math.floor(math.log10(min(known)) - 0.3), 1.3 * max(known)]
    floor = domain[0] if log else 0.0
    rows["floor"] = [floor] * len(tops)
    options, axis = _axis(domain, log=log, ticks=6)
    scale = alt.Scale(nice=False, **options)
    labels = _ticks(c.percent, known)
    x_axis = alt.Axis(title=c.y_label, domain=False, ticks=False, labelExpr=labels, labelOverlap=True, **axis)
    height = len(names) * pitch - GAP_PX + 4
    y_scale = alt.Scale(domain=[0, height], reverse=True, nice=False, zero=False)

    def x(field: str) -> Any:
        return alt.X(f"{field}:Q", scale=scale, axis=x_axis)

    def y(field: str) -> Any:
        return alt.Y(f"{field}:Q", scale=y_scale, axis=None)

    base = chart.base().transform_calculate(middle="(datum.y0 + datum.y1) / 2")
    full, dashed = base.transform_filter("!datum.dashed"), base.transform_filter("datum.dashed")
    banded = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    layers = [
        full.mark_rect(cornerRadius=1.5, opacity=0.8).encode(
            x=x("floor"), x2="y:Q", y=y("y0"), y2="y1:Q", color=_colour(c)
        )
    ]
    if any(rows["dashed"]):
        line = dashed.mark_rule(strokeWidth=1.5, strokeDash=[3, 2])
        layers.append(line.encode(x=x("floor"), x2="y:Q", y=y("middle"), color=_colour(c)))
        layers.append(dashed.mark_rule(strokeWidth=3).encode(x=x("y"), y=y("y0"), y2="y1:Q", color=_colour(c)))
    if any(v is not None for v in rows["low"]):
        whisker = banded.mark_rule(color=alt.ExprRef("ink"), strokeWidth=1.5)
        layers.append(whisker.encode(x=x("low"), x2="high:Q", y=y("middle")))
    layers.append(base.mark_rule(color=alt.ExprRef("soft"), strokeWidth=1).encode(x=x("floor")))
    name = {"align": "left", "baseline": "top", "dy": 3, "limit": alt.ExprRef("width")}
    named = base.transform_filter("datum.label != ''").encode(y=y("top"), x=alt.value(0), text="label:N")
    paper = {"stroke": alt.ExprRef("paper"), "strokeWidth": 4, "strokeJoin": "round", "color": alt.ExprRef("paper")}
    # Twice: the wide outline in the page's colour keeps a name readable across a bar.
    layers += [named.mark_text(**name, **paper), named.mark_text(**name, color=alt.ExprRef("ink"))]
    hover = base.mark_rect(tooltip=chart.TIP, opacity=0)
    layers.append(hover.encode(x=alt.value(0), x2=alt.value(alt.ExprRef("width")), y=y("y0"), y2="y1:Q"))
    description = _described(c)
    tips = [
        (c.x_label or "row", "at", "text"),
        *(t for t in _tips(c, intervals=any(s.low for s in c.series)) if t[1] != "at"),
    ]
    return Figure(
        f"chart-{number}", description, chart.themed(alt.layer(*layers), description), rows, tips, height_px=height
    )


def _maps(number: int, c: Chart) -> Drawn:
    """One heat map per series, all on one colour scale: high values have strong colours; values on both sides of 0, two."""
    import altair as alt

    known = [v for s in c.series for v in s.y if math.isfinite(v) and (v > 0 or not c.y_log)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if low == high:
        low, high = low - 0.5 * abs(low or 1), high + 0.5 * abs(high or 1)
    two_sided = low < 0 < high
    if two_sided:
        low, high = -max(-low, high), max(-low, high)
    # The geometric mean is the middle of a logarithmic scale.
    middle = math.sqrt(low * high) if c.y_log else (low + high) / 2
    scale = alt.Scale(
        type="log" if c.y_log else "linear",
        domain=[low, 0.0, high] if two_sided else [low, high],
        range=[alt.ExprRef(h) for h in (TWO_SIDED if two_sided else HEAT)],
        interpolate="lab",
        clamp=True,
    )
    colour = alt.Color("value:Q", scale=scale, legend=None)
    figures = []
    for i, s in enumerate(s for s in c.series if s.x):
        values = [chart.number(v) if not c.y_log or v > 0 else None for v in s.y]
        at = list(range(len(values)))
        rows: Columns = {
            "dy": [s.x[j][0] for j in at],
            "dx": [s.x[j][1] for j in at],
            "value": values,
            "shown": [_words(v, c) for v in values],
        }
        found = [(v, s.x[j]) for j, v in enumerate(values) if v is not None]
        extremes = _extremes(found, c)
        layers, aspect = plane(s.x, lie(s.x), colour, down=c.y_label or DOWN, right=c.x_label or RIGHT)
        description = f"{c.title}. {s.name}: {extremes}"
        tips = [("dy", "dy", "text"), ("dx", "dx", "text"), ("value", "shown", "text")]
        if any(s.low):
            rows["interval"] = [f"{_words(a, c)} – {_words(b, c)}" for a, b in zip(s.low, s.high, strict=True)]
            tips.append(("interval", "interval", "text"))
        spec = chart.themed(layers, description)
        figures.append((Figure(f"chart-{number}-{i}", description, spec, rows, tips, aspect=aspect), s.name, extremes))
    return Drawn(c, figures, [], Scale(_words(low, c), _words(middle, c), _words(high, c), two_sided))


def _extremes(found: list[tuple[float, list[float]]], c: Chart) -> str:
    """The lowest and the highest value, and where."""
    if not found:
        return "No value."
    low, high = min(found, key=lambda f: f[0]), max(found, key=lambda f: f[0])
    if low[0] == high[0]:
        return f"The same everywhere: {_words(low[0], c)}."
    ends = [f"{_words(v, c)} at ({_at(at[0])}, {_at(at[1])})".replace("-", "−") for v, at in (low, high)]
    return f"Lowest {ends[0]}; highest {ends[1]}."
