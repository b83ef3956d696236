"""What an experiment's record is made of: figures, their tables, charts and pictures, as data."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any, Literal

from shiftproof.records.citation import Citation

Unit = Literal["fraction", "count", "px", ""]
"""What a figure counts in; it decides how the figure is printed."""


@dataclass(frozen=True)
class Figure:
    """One measured number, beside the published one if there is one.

    Args:
        table: name of its `Table`.
        row: its row there.
        column: its column there.
        measured: the figure; the mean where there are several seeds.
        unit: "fraction" (printed in per cent), "count" (whole), "px", or "" for a plain number.
        values: one per seed, in the order of `ExperimentRecord.seeds`; empty where nothing is random.
        low: lower end of the interval; None for an exact figure.
        high: upper end.
        interval: the kind of interval, in words, e.g. "95 %, t over 3 seeds"; "exact" if there is none.
        published: the published figure.
        source: where that was published.
        holds: whether the measurement agrees with the claim under which it stands, `Table.claim`; None if nothing was claimed.
    """

    table: str
    row: str
    column: str
    measured: float
    unit: Unit = "fraction"
    values: list[float] = field(default_factory=list)
    low: float | None = None
    high: float | None = None
    interval: str = "exact"
    published: float | None = None
    source: Citation | None = None
    holds: bool | None = None

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds; None with fewer than two."""
        if len(self.values) < 2:
            return None
        # Computed in fractions, so that equal values have a spread of exactly 0.
        return statistics.stdev(self.values)

    @property
    def deviation(self) -> float | None:
        """(measured - published) in units of the spread over seeds; None without a published figure or without a spread."""
        # With a spread of 0 the difference in units of it would be infinite.
        if self.published is None or not self.spread:
            return None
        return (self.measured - self.published) / self.spread


@dataclass(frozen=True)
class Table:
    """How figures are laid out: rows and columns in the order of the figures in the record.

    Args:
        name: what `Figure.table` says.
        title: one line above it.
        corner: heading of the column of row names.
        note: one line below it.
        claim: what a ✓ in it says, in a sentence; needed if one of its figures has a sign.
    """

    name: str
    title: str
    corner: str = ""
    note: str = ""
    claim: str = ""


@dataclass(frozen=True)
class Series:
    """One line, row of bars or set of points of a chart.

    Args:
        name: in the legend.
        x: positions, numbers or words.
        y: heights.
        low: lower ends of the intervals; empty without.
        high: upper ends.
        dashed: whether the line is dashed: a theory or a published line beside measured ones.
        of: the name of the series that it belongs to and takes its colour from; "" for none.
    """

    name: str
    x: list[Any]
    y: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    dashed: bool = False
    of: str = ""


@dataclass(frozen=True)
class Chart:
    """A plot, as data.

    Args:
        name: file name without ending.
        title: one line above.
        kind: "lines", "points", "bars" (horizontal, one row per name) or "maps" (one square heat map per series, whose x are
            [dy, dx] pairs in pixels).
        x_label: of `Series.x`, with its unit (bars: what the rows are; maps: of the axis to the right).
        y_label: of `Series.y`, with its unit (maps: of the axis down; the title says what the colours are).
        series: what is drawn.
        x_log: logarithmic x axis.
        y_log: logarithmic y axis.
        percent: y is a fraction, printed in per cent.
        note: one line below.
    """

    name: str
    title: str
    kind: Literal["lines", "points", "bars", "maps"]
    x_label: str
    y_label: str
    series: list[Series]
    x_log: bool = False
    y_log: bool = False
    percent: bool = False
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture of the run, kept as PNG beside the record.

    Args:
        name: its file name, ending in .png.
        caption: one or two sentences.
    """

    name: str
    caption: str
