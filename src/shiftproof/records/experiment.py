"""What an experiment found: measured figures beside the published ones, tables, charts and pictures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shiftproof.errors import RecordError
from shiftproof.records.audit import Environment
from shiftproof.records.plain import from_plain, to_plain

EXPERIMENT_SCHEMA = "shiftproof.experiment/1"


@dataclass(frozen=True)
class Source:
    """Where a claim or a figure was published.

    Args:
        paper: authors, year, title.
        where: table, row, figure or equation.
        url: its address, or "" where it has none.
    """

    paper: str
    where: str
    url: str = ""


@dataclass(frozen=True)
class Figure:
    """One measured number, beside the published one if there is one.

    Args:
        table: name of the `Table` it stands in.
        row: its row there.
        column: its column there.
        measured: the figure; the mean where there are several seeds.
        unit: "fraction" (printed in per cent), "count" (whole), "px", or "" for a plain number.
        values: one a seed, in the order of `ExperimentRecord.seeds`; empty where nothing is random.
        low: lower end of the interval; None for an exact figure.
        high: upper end.
        interval: what the interval is, in words, e.g. "95 %, t over 3 seeds"; "exact" where there is none.
        published: the published figure.
        source: where that was published.
        holds: whether the measurement agrees with what was claimed; None where nothing was.
    """

    table: str
    row: str
    column: str
    measured: float
    unit: str = "fraction"
    values: list[float] = field(default_factory=list)
    low: float | None = None
    high: float | None = None
    interval: str = "exact"
    published: float | None = None
    source: Source | None = None
    holds: bool | None = None

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds; None with fewer than two."""
        if len(self.values) < 2:
            return None
        mean = math.fsum(self.values) / len(self.values)
        return math.sqrt(math.fsum((v - mean) ** 2 for v in self.values) / (len(self.values) - 1))

    @property
    def deviation(self) -> float | None:
        """(measured - published) in units of the spread over seeds; None without either, or with no spread."""
        if self.published is None or not self.spread:
            return None
        return (self.measured - self.published) / self.spread


@dataclass(frozen=True)
class Table:
    """How figures are laid out: rows and columns in the order in which the figures stand in the record.

    Args:
        name: what `Figure.table` says.
        title: one line above it.
        corner: heading of the column of row names.
        note: one line below it.
    """

    name: str
    title: str
    corner: str = ""
    note: str = ""


@dataclass(frozen=True)
class Series:
    """One line, row of bars or set of points of a chart.

    Args:
        name: in the legend.
        x: positions, numbers or words.
        y: heights.
        low: lower ends of the intervals; empty without.
        high: upper ends.
        dashed: a theory or a published line beside measured ones.
    """

    name: str
    x: list[Any]
    y: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """A plot, as data.

    Args:
        name: file name without ending.
        title: one line above.
        kind: "lines", "points", "bars" (horizontal, a row a name) or "maps" (one square heat map a series, whose x are
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


@dataclass(frozen=True)
class ExperimentRecord:
    """A published experiment, run again.

    Printed, it is its claim, its finding and its tables; in a notebook likewise, as HTML.

    Args:
        name: as on the command line.
        systems: rows of the specification it makes runnable, e.g. ["S10"].
        claim: what was claimed, in a sentence or two.
        source: where.
        finding: what came out, sentences made from the figures below.
        figures: every number.
        tables: their layout.
        charts: plots, as data.
        pictures: captions of the pictures.
        footnotes: what explains a difference to a published figure, or limits the result.
        protocol: everything needed to repeat it: boundary, moves, epochs, batch size, optimiser, pictures ...
        seeds: in the order of `Figure.values`.
        data: the data, in words.
        command: the command that makes this record.
        seconds: wall clock of all sessions together, trained models that were found ready included as they cost then.
        environment: versions, hardware, date.
        images: the pictures' PNGs by name; not in the JSON.
    """

    name: str
    systems: list[str]
    claim: str
    source: Source
    finding: list[str]
    figures: list[Figure]
    tables: list[Table]
    charts: list[Chart]
    pictures: list[Picture]
    footnotes: list[str]
    protocol: dict[str, Any]
    seeds: list[int]
    data: str
    command: str
    seconds: float
    environment: Environment
    images: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, as JSON has them; every figure carries its deviation and spread."""
        plain = {f.name: to_plain(getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "images"}
        for figure, row in zip(self.figures, plain["figures"], strict=True):
            row["spread"], row["deviation"] = figure.spread, figure.deviation
        return {"schema": EXPERIMENT_SCHEMA, **plain}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ExperimentRecord:
        """The record that `to_dict` made.

        Raises:
            RecordError: another schema, or a key missing or of the wrong kind.
        """
        found = plain.get("schema") if isinstance(plain, Mapping) else None
        if found != EXPERIMENT_SCHEMA:
            raise RecordError(
                f"schema {found!r} is not {EXPERIMENT_SCHEMA!r}",
                remedy="read it with the version of shiftproof that wrote it",
            )
        try:
            rows = [{k: v for k, v in f.items() if k not in ("spread", "deviation")} for f in plain["figures"]]
            return from_plain(cls, {k: v for k, v in plain.items() if k != "schema"} | {"figures": rows})
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise RecordError(f"not a valid record: {e}") from e

    def figure(self, table: str, row: str, column: str) -> Figure:
        """The figure at that place.

        Raises:
            KeyError: there is none.
        """
        for f in self.figures:
            if (f.table, f.row, f.column) == (table, row, column):
                return f
        raise KeyError((table, row, column))

    def __str__(self) -> str:
        from shiftproof.records.experiment_printing import lines

        return "\n".join(lines(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from shiftproof.records.experiment_printing import notebook_html

        return notebook_html(self)
