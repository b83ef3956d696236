"""What every chart of the page shares: a Vega-Lite specification (Altair) apart from its rows, and the palette.

A specification names its data `rows` and its colours by parameters (`ink`, `rule`, ...), which the page sets from its
own theme: one specification serves light and dark. What the user named (layers, files, classes) stands in rows only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from shiftproof.records import Map
from shiftproof.report import words

PALETTE = {  # name -> (light, dark); the page's CSS custom properties and the charts' parameters are both made from it
    "paper": ("#fcfbf9", "#15171c"),
    "raised": ("#f4f1ec", "#1e2128"),
    "rule": ("#dfdad1", "#343944"),
    "soft": ("#5c6069", "#a3a9b5"),
    "ink": ("#1c1e23", "#eceae5"),
    "accent": ("#245a8d", "#7fb2e5"),
    "good": ("#2f6f4f", "#7cc7a0"),
    "bad": ("#b03a2e", "#f08a76"),
    "aliasing": ("#c4502e", "#ec7a55"),
    "border": ("#e0a52c", "#e8bd5e"),
    "position": ("#4f83b5", "#679fd6"),
    "line0": ("#245a8d", "#7fb2e5"),
    "line1": ("#c4502e", "#ec7a55"),
    "line2": ("#2f7d5b", "#7cc7a0"),
    "line3": ("#a67500", "#e8bd5e"),
    "line4": ("#7a4fa3", "#b99ae0"),
    "line5": ("#b8457f", "#ea8fbb"),
    "line6": ("#23808f", "#6fcbdc"),
    "line7": ("#5c6069", "#a3a9b5"),
    "heat0": ("#f3efe6", "#232831"),
    "heat1": ("#f5d08c", "#523052"),
    "heat2": ("#ea8c48", "#a83d52"),
    "heat3": ("#bd3a3f", "#ee8148"),
    "heat4": ("#5e1740", "#fde6a8"),
}
HEAT = [f"heat{i}" for i in range(5)]
LINES = [f"line{i}" for i in range(8)]  # one a series
FONT = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif'
MOST_SVG_MARKS = 12_000  # beyond this a chart is drawn on a canvas
PIXELS = "format(datum.value, '~g')"  # an axis' `format` would be given too few digits
DIGITS = 8  # significant digits of a figure that is drawn or stands in a tooltip


@dataclass(frozen=True)
class Figure:
    """One chart of the page.

    Args:
        id: of its element.
        description: what it shows, in words, for those who cannot see it.
        spec: Vega-Lite; its data are called `rows`.
        columns: the rows, by column.
        tips: the tooltip's lines: (label, column, kind); a kind of `words.fixed`, or "text"; `low` stands for the interval.
        aspect: height of the plotting area over its width; None: `height_px`.
        height_px: of the plotting area, where there is no aspect.
    """

    id: str
    description: str
    spec: dict[str, Any]
    columns: dict[str, list[Any]]
    tips: list[tuple[str, str, str]]
    aspect: float | None = None
    height_px: int = 280

    def payload(self) -> dict[str, Any]:
        """What the page's script needs."""
        many = max((len(c) for c in self.columns.values()), default=0) > MOST_SVG_MARKS
        return {
            "id": self.id,
            "spec": self.spec,
            "columns": self.columns,
            "tips": self.tips,
            "aspect": self.aspect,
            "height": self.height_px,
            "renderer": "canvas" if many else "svg",
        }


def number(value: float | None) -> float | None:
    """A figure for a chart: finite, shortened."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


def colour_domain(name: str, m: Map) -> tuple[float, float]:
    """Ends of the colour scale: the values' own, but at least a typical interval apart, so that noise looks like noise.

    >>> from shiftproof.records import Curve
    >>> curve = Curve([0.0], [0.9], [0.8], [1.0])
    >>> flat = Map([[0, 0], [0, 1]], [0.9, 0.9], [0.85, 0.85], [0.95, 0.95], curve)
    >>> [round(end, 3) for end in colour_domain("accuracy", flat)]
    [0.85, 0.95]
    """
    values = [v for v in m.values if v is not None and math.isfinite(v)]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    widths = sorted(b - a for a, b in zip(m.low, m.high, strict=True) if a is not None and b is not None)
    least = (widths[len(widths) // 2] if widths else 0.0) or 1e-3 * max(abs(high), 1e-3)
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
        if words.is_fraction(name):
            low, high = (0.0, least) if low < 0 else (1.0 - least, 1.0) if high > 1 >= middle else (low, high)
        elif low < 0 <= middle:
            low, high = 0.0, least
    return low, high


TIP: dict[str, Any] = {"content": "data"}  # a mark's tooltip: its row, which the page's script puts into words


def kind(name: str) -> str:
    """How the page's script writes a figure of the named metric, as `words.fixed` does: "percent" or "number"."""
    return "percent" if words.is_fraction(name) else "number"


def tick_format(name: str, reach: float) -> str:
    """A Vega expression for axis and legend labels; `reach` is the largest value shown."""
    if not words.is_fraction(name):
        return "format(datum.value, '~g')"
    if reach and reach < 1e-3:
        return "datum.value == 0 ? '0' : format(100*datum.value, '.1~e') + ' %'"
    return "format(100*datum.value, '~r') + ' %'"


def themed(drawn: Any, description: str) -> dict[str, Any]:
    """The finished specification: colours by parameter, no data, no web address."""
    import altair as alt

    ink, soft, rule = alt.ExprRef("ink"), alt.ExprRef("soft"), alt.ExprRef("rule")
    drawn = (
        drawn.add_params(*(alt.param(name=name, value=light) for name, (light, _) in PALETTE.items()))
        .properties(description=description, background="transparent", padding=4)
        .configure(font=FONT, aria=False)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=soft, titleColor=soft, gridColor=rule, domainColor=rule, tickColor=rule,
            labelFontSize=12, titleFontSize=12, titleFontWeight="normal", titlePadding=8, labelPadding=5,
        )
        .configure_legend(labelColor=soft, titleColor=soft, labelFontSize=12)
        .configure_text(color=ink, fontSize=12)
    )  # fmt: skip
    spec = drawn.to_dict()
    spec.pop("$schema", None)
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return spec


def base() -> Any:
    """An empty chart on the rows."""
    import altair as alt

    return alt.Chart(alt.NamedData(name="rows"))
