"""What an experiment is: a claim with its source, and a function that measures it in a `Lab`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Figure, Source, Table


@dataclass(frozen=True)
class Result:
    """What an experiment's function gives back; `run` makes the record of it.

    Args:
        finding: what came out, sentences made from the figures (never written beforehand).
        figures: every number.
        tables: their layout.
        charts: plots, as data.
        pictures: (PNG, caption) by file name.
        footnotes: what explains a difference to a published figure, or limits the result.
        protocol: everything needed to repeat it.

    >>> figure = Figure("counts", "a row", "a column", 3, "count")
    >>> Result([f"It is {figure.measured}."], [figure], [Table("counts", "What was counted")]).finding
    ['It is 3.']
    """

    finding: list[str]
    figures: list[Figure]
    tables: list[Table]
    charts: list[Chart] = field(default_factory=list)
    pictures: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    footnotes: list[str] = field(default_factory=list)
    protocol: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """A published claim, and how it is measured here.

    Args:
        name: on the command line.
        systems: rows of the specification, e.g. ("S10",).
        shows: what it shows, one line.
        claim: what was claimed, a sentence or two.
        source: where.
        measure: the experiment; uses the package's public functions only.
        trains: whether it trains on digits (`--data` and `--seeds` then matter).

    >>> here = Source("Somebody 2017", "table 1")
    >>> mine = Experiment("mine", (), "what it shows", "It is.", here, lambda lab: Result(["It was."], [], []))
    >>> mine.trains
    False
    """

    name: str
    systems: tuple[str, ...]
    shows: str
    claim: str
    source: Source
    measure: Callable[[Lab], Result]
    trains: bool = False
