"""The part of a repair's record that holds what was measured on the user's pictures, method by method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from shiftproof.boundaries import Boundary
from shiftproof.printable import printable
from shiftproof.records.audit_parts import Metric
from shiftproof.records.metrics import metric_row
from shiftproof.records.numbers import count_words, fixed, percent, points

UNMOVED, MOVED, _, CONSISTENCY, FLIPS = MEASURES = (
    "accuracy_unmoved",
    "accuracy",
    "accuracy_worst_move",
    "consistency",
    "flip_rate",
)
"""The figures of an audit by which a repair judges, by their names in `METRICS`."""

Judge = Literal["accuracy", "agreement", "nothing"]
BY_ACCURACY, BY_AGREEMENT, BY_NOTHING = JUDGES = get_args(Judge)

Standing = Literal["picked", "passed", "too costly", "too large a drop", "no steadier", "refused"]
"""What became of a method that was tried.

- `picked`: its model is the one that is returned.
- `passed`: it would do, and another does better.
- `too costly`, `too large a drop`: above what the user allows.
- `no steadier`: under a camera that moves, its answers change as often as the original model's.
- `refused`: it cannot mend this model.
"""


@dataclass(frozen=True)
class Rung:
    """A method, tried on the user's pictures.

    Args:
        method: key of `shiftproof.repairing.METHODS`.
        standing: what became of it.
        why: the reason, in words.
        metrics: its figures by name (`MEASURES`); empty if it was refused.
        agreement: fraction of unmoved pictures that get the answer of the original model; None where there are no classes.
        cost: forward passes of the original model that one of the mended model takes.
        covered: fraction of unmoved pictures for which the guarantee holds.
    """

    method: str
    standing: Standing
    why: str
    metrics: dict[str, Metric]
    agreement: float | None = None
    cost: float | None = None
    covered: float | None = None


@dataclass(frozen=True)
class Measured:
    """What the methods do to the user's pictures.

    Args:
        data: what the user typed, or "tensor".
        fitted: number of pictures that the methods were shown; none of them is among those that were measured.
        pictures: number of pictures that were measured.
        boundary: of the moves.
        moves: number of moves.
        judged_by: what a drop is of, one of `JUDGES`: the accuracy on unmoved pictures; without labels, of the answers that
            stay as they were.
        max_drop: the largest drop that the user allows, a fraction.
        before: the figures of the original model by name (`MEASURES`).
        rungs: the methods, in the order in which they were tried.
    """

    data: str
    fitted: int
    pictures: int
    boundary: Boundary
    moves: int
    judged_by: Judge
    max_drop: float
    before: dict[str, Metric]
    rungs: tuple[Rung, ...]

    @property
    def picked(self) -> Rung | None:
        """The method whose model is returned."""
        return next((r for r in self.rungs if r.standing == "picked"), None)

    def drop(self, rung: Rung) -> float | None:
        """By how much a method lowers what it is judged by; below 0 if it raises it."""
        if self.judged_by == BY_ACCURACY and rung.metrics:
            return self.before[UNMOVED].value - rung.metrics[UNMOVED].value
        if self.judged_by == BY_AGREEMENT and rung.agreement is not None:
            return 1 - rung.agreement
        return None

    def lines(self) -> list[str]:
        """What was measured, in sentences."""
        said = [
            f"measured on {count_words(self.pictures, 'picture')} of {printable(self.data)}, {self.boundary}, "
            f"{count_words(self.moves, 'move')}; "
            f"the methods were fitted to {count_words(self.fitted, 'other picture')}",
            f"  as it is: {_figures(self.before)}",
        ]
        for r in self.rungs:
            covered = r.covered is not None and r.covered < 1
            why = f"{r.why}; the guarantee covers {percent(r.covered or 0.0)} of them" if covered else r.why
            cost = "" if r.cost is None else f", {fixed(r.cost, 2)} forward passes"
            told = f"{_figures(r.metrics)}{cost}" if r.metrics else "refused"
            said.append(f"  {r.method}: {told}; {why}")
        return said


def _figures(metrics: dict[str, Metric]) -> str:
    return ", ".join(f"{metric_row(n).head} {percent(metrics[n].value)}" for n in MEASURES if n in metrics)


def drop_words(drop: float) -> str:
    """A drop in words.

    >>> drop_words(0.838), drop_words(-0.002)
    ('a drop of 83.8 points', 'a gain of 0.2 points')
    """
    return f"a drop of {points(drop)}" if drop >= 0 else f"a gain of {points(-drop)}"
