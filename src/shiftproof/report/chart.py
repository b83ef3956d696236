"""The common parts of all charts of a page: a Vega-Lite specification (Altair) that is separate from its rows, and the palette.

A specification names its data `rows` and its colours by parameters (`ink`, `rule`, ...), which the page sets from its
own theme: one specification serves light and dark. Names from the user (layers, files, classes) are only in the rows, because
Vega does not evaluate rows as expressions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from shiftproof.records import Map
from shiftproof.records.colours import PALETTE
from shiftproof.records.measures import MapMeasure, Unit

FONT = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif'
MOST_SVG_MARKS = 12_000  # with more rows than this a chart is drawn on a canvas, which is faster than SVG
PIXELS = "format(datum.value, '~g')"  # the `format` of an axis would show too few digits
DIGITS = 8  # significant digits of a figure that is drawn or stands in a tooltip


@dataclass(frozen=True)
class Figure:
    """One chart of the page.

    Args:
        id: id of its HTML element.
        description: what it shows, in words, for screen readers.
        spec: Vega-Lite specification; its data are named `rows`.
        columns: the rows, by column.
        tips: the tooltip's lines: (label, column, kind); `low` stands for the interval. The kind is "percent", "number" or
            "text".
        aspect: height of the plotting area over its width; None: `height_px`.
        height_px: height of the plotting area if `aspect` is None.
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
    """A finite number for a chart, rounded to the digits that are shown."""
    # JSON has no NaN, and fewer digits make smaller pages.
    return None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


def colour_domain(measure: MapMeasure, m: Map) -> tuple[float, float]:
    """Ends of the colour scale: the range of the values, widened to a typical interval so that noise does not look strong.

    >>> from shiftproof.records import Curve
    >>> from shiftproof.records.metrics import map_row
    >>> curve = Curve([0.0], [0.9], [0.8], [1.0])
    >>> flat = Map([[0, 0], [0, 1]], [0.9, 0.9], [0.85, 0.85], [0.95, 0.95], curve)
    >>> [round(end, 3) for end in colour_domain(map_row("accuracy"), flat)]
    [0.85, 0.95]
    """
    values = [v for v in m.values if v is not None and math.isfinite(v)]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    widths = sorted(b - a for a, b in zip(m.low, m.high, strict=True) if a is not None and b is not None)
    # The median width: one move with few pictures must not wash out the whole map.
    least = (widths[len(widths) // 2] if widths else 0.0) or 1e-3 * max(abs(high), 1e-3)
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
        if measure.unit == "fraction":
            # Shifted and not cut, so that the scale keeps its width; no fraction lies below 0 or above 1.
            low, high = (0.0, least) if low < 0 else (1.0 - least, 1.0) if high > 1 >= middle else (low, high)
        elif low < 0 <= middle:
            low, high = 0.0, least
    return low, high


TIP: dict[str, Any] = {"content": "data"}  # a mark's tooltip: its row, which the page's script puts into words


def kind(unit: Unit) -> str:
    """How the page's script writes a figure, as `numbers.in_unit` does: "percent" or "number"."""
    return "percent" if unit == "fraction" else "number"


def tick_format(unit: Unit, reach: float) -> str:
    """A Vega expression for axis and legend labels; `reach` is the largest value shown."""
    if unit != "fraction":
        return "format(datum.value, '~g')"
    # Vega's ` r` would label all ticks of such an axis "0 %".
    if reach and reach < 1e-3:
        return "datum.value == 0 ? '0' : format(100*datum.value, '.1~e') + ' %'"
    return "format(100*datum.value, '~r') + ' %'"


def themed(drawn: Any, description: str) -> dict[str, Any]:
    """The finished specification: colours are parameters, and it holds no data and no web address."""
    import altair as alt

    ink, soft, rule = alt.ExprRef("ink"), alt.ExprRef("soft"), alt.ExprRef("rule")
    drawn = (
        drawn.add_params(*(alt.param(name=name, value=light) for name, (light, _) in PALETTE.items()))
        .properties(description=description, background="transparent", padding=4)
        .configure(font=FONT, aria=False)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=soft,
            titleColor=soft,
            gridColor=rule,
            domainColor=rule,
            tickColor=rule,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=8,
            labelPadding=5,
        )
        .configure_legend(labelColor=soft, titleColor=soft, labelFontSize=12)
        .configure_text(color=ink, fontSize=12)
    )
    spec = drawn.to_dict()
    # A web address, which the page neither needs nor may load.
    spec.pop("$schema", None)
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    return spec


def base() -> Any:
    """An empty chart on the rows."""
    import altair as alt

    return alt.Chart(alt.NamedData(name="rows"))
