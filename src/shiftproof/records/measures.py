"""What is said of one measure: the columns of the table of measures (`records.metrics`)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from shiftproof.records.citation import Citation

Unit = Literal["fraction", "ratio"]
"""How a value is printed: a `fraction` in per cent with two decimals, a `ratio` as a number with four decimals."""

Better = Literal["higher", "lower"]
"""Which values mean that the answer depends less on the position of the object, or is more often correct."""

Moves = Literal["all", "some", "moved", "pairs", "path"]
"""Which moves of the set the function receives, and which sets the metric needs; other sets do not report it.

- `all`: every move of any set.
- `some`: every move, of a set that has at least one move other than (0, 0).
- `moved`: only the moves other than (0, 0), of a set that has at least one.
- `pairs`: every move, of a set of at least two moves.
- `path`: every move, in order, of a set that is a path.
"""

Merge = Literal["mean", "mean_in_units", "worst_move", "whole"]
"""How the numbers per picture of all blocks become one figure with an interval.

- `mean`: the mean over pictures, with the interval of `measure.mean_interval` inside `bounds`.
- `mean_in_units`: the same, then divided by the typical distance between the outputs of two different unmoved pictures
  (`measure.typical_distance`), which is known only when all pictures have been run.
- `worst_move`: one cell of the map that the row names. The function chooses it from the map's values by move, which are
  known only when all pictures have been run.
- `whole`: one call at the end, with the numbers per picture of other metrics; the function returns the figure itself.
"""


@dataclass(frozen=True)
class Measure:
    """One metric: a figure of a whole audit.

    Args:
        name: its key in `AuditRecord.metrics`.
        words: its name for a reader.
        unit: how it is printed.
        better: which values are better; None for a name that the table does not hold.
        bounds: the smallest and the largest possible value; the interval stays inside.
        definition: one or two sentences for a reader.
        function: "module:name" of the public function that makes one number per picture (or, merged by `worst_move`, that
            chooses the move). The names of its parameters say what it receives; `auditing.tally` lists them.
        sources: where the measure was published.
        moves: which moves it is computed from.
        merge: how the numbers of all pictures become one figure.
        per_move: for a function with a parameter `per_move`: the figure per view that this row gives it.
        needs_classes: whether the cells of the output must have classes, as a mask has and a map of depth has not.
        map: for `worst_move`: the map one of whose cells it is.
        tile: whether the page may show it large; it shows the first four such metrics of a record.
        stops: whether `precision` waits for its interval.
        rounds: whether it is computed from floating-point outputs, so that a value below `numbers.ROUNDING` is rounding and
            prints as 0; a count over a count (flip rate) has no rounding.
        sentence: what the headline of a record says of it, with "{value}" for the figure. A record's headline is about the
            first of its metrics that has a sentence.
        short: its name where there is little room, as over a column; "" for `words`.
        plain: whether it is the accuracy that others publish for the model: the notes ask about the preprocessing where it
            is implausible.
        never: the headline for a figure of exactly 0, if it needs other words.
        most: the largest value that arithmetic allows, where `bounds` has no upper end. Intervals do not use it.
    """

    name: str
    words: str
    unit: Unit
    better: Better | None
    bounds: tuple[float, float]
    definition: str
    function: str
    sources: tuple[Citation, ...] = ()
    moves: Moves = "all"
    merge: Merge = "mean"
    per_move: str = ""
    needs_classes: bool = False
    map: str = ""
    tile: bool = False
    stops: bool = False
    rounds: bool = False
    sentence: str = ""
    never: str = ""
    short: str = ""
    plain: bool = False
    most: float = math.inf

    @property
    def head(self) -> str:
        """Its name over a column."""
        return self.short or self.words


@dataclass(frozen=True)
class MapMeasure:
    """One map: a figure for each move, the mean over pictures.

    Args:
        name: its key in `AuditRecord.maps`.
        words: its title.
        short: its name where there is little room, at most 12 characters.
        unit: how a value is printed.
        better: which values are better; None for a name that the table does not hold.
        bounds: the smallest and the largest possible value.
        definition: one sentence for a reader.
        view: the figure per view of which it is the mean over pictures; `auditing.tally` lists them.
        sources: where it was published.
        merge: "mean" or "mean_in_units".
        rounds: as in `Measure`.
    """

    name: str
    words: str
    short: str
    unit: Unit
    better: Better | None
    bounds: tuple[float, float]
    definition: str
    view: str
    sources: tuple[Citation, ...] = ()
    merge: Merge = "mean"
    rounds: bool = False
