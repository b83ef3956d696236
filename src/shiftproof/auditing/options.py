"""The options of an audit, checked in one place."""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace
from typing import TypedDict, get_args

from shiftproof.errors import MeasureError
from shiftproof.records import AnswerKind


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """How an audit is run. `audit` takes each field as a keyword too: `audit(..., layers=0, seed=3)`.

    Args:
        precision: stop as soon as the intervals of the headline metrics have a half-width under this fraction, in
            (0, 0.5); None uses all pictures.
        seed: of the order of the pictures and of every other random choice, at least 0.
        confidence: of every interval, in (0, 1).
        layers: number of pictures for the layer profile; 0 leaves the profile out. The profile sees those of the first
            `layers` pictures, in the run's order, that can be used.
        batch_size: views per forward pass; None measures which size is cheapest. It is halved when memory runs out.
        max_bad: number of pictures that may be skipped before the run stops.
        border_px: for models with dense outputs: cells nearer to the edge than this count as border; None is an eighth
            of the input's shorter side.
        features: name of a layer. Its output is then used for the sensitivity, instead of the model's own output.
        answer: what the model's output is: scores, probabilities, logit, embedding, mask or values
            (`shiftproof.measure.ANSWERS`); None takes what the model declares, or recognises it.

    Raises:
        MeasureError: a value that is not a number of the right kind, or is out of range.

    >>> AuditOptions(layers=0).confidence
    0.95
    >>> AuditOptions(confidence=95)
    Traceback (most recent call last):
        ...
    shiftproof.errors.MeasureError: 95 is not in (0, 1) (confidence): use e.g. 0.95
    """

    precision: float | None = None
    seed: int = 0
    confidence: float = 0.95
    layers: int = 16
    batch_size: int | None = None
    max_bad: int = 10
    border_px: int | None = None
    features: str | None = None
    answer: AnswerKind | None = None

    def __post_init__(self) -> None:
        _within("confidence", self.confidence, 1, "0.95")
        if self.precision is not None:
            _within("precision", self.precision, 0.5, "0.005")
        for name in ("seed", "layers", "max_bad"):
            at_least(name, getattr(self, name), 0)
        if self.border_px is not None:
            at_least("border_px", self.border_px, 0)
        if self.batch_size is not None:
            at_least("batch_size", self.batch_size, 1)
        if self.answer is not None and self.answer not in get_args(AnswerKind):
            raise MeasureError(
                f"{self.answer!r} is not a kind of answer",
                where="answer",
                remedy=f"the kinds are {', '.join(get_args(AnswerKind))}",
            )


class Changes(TypedDict, total=False):
    """The fields of `AuditOptions`, all optional, for type checkers and editors.

    Python has no way to say "the fields of this dataclass" in a signature, so this list repeats their names and types;
    a test holds the two lists equal. Defaults, meaning and checks are in `AuditOptions` alone.
    """

    precision: float | None
    seed: int
    confidence: float
    layers: int
    batch_size: int | None
    max_bad: int
    border_px: int | None
    features: str | None
    answer: AnswerKind | None


def changed(options: AuditOptions | None, changes: Changes) -> AuditOptions:
    """`options` (or the defaults) with some fields replaced.

    Raises:
        MeasureError: a name that is not an option, or a value out of range.
    """
    unknown = sorted(set(changes) - set(AuditOptions.__dataclass_fields__))
    if unknown:
        raise MeasureError(
            f"{unknown[0]!r} is not an option of audit",
            where="options",
            remedy=f"the options are {', '.join(AuditOptions.__dataclass_fields__)}",
        )
    return replace(options if options is not None else AuditOptions(), **changes)


def _within(name: str, value: object, most: float, example: str) -> None:
    if not isinstance(value, numbers.Real) or not 0 < float(value) < most:
        raise MeasureError(f"{value!r} is not in (0, {most})", where=name, remedy=f"use e.g. {example}")


def at_least(name: str, value: object, least: int) -> None:
    """Check that an option is a whole number, and not a smaller one.

    Args:
        name: of the option.
        value: that was given.
        least: the smallest that is allowed.

    Raises:
        MeasureError: it is not.
    """
    # NumPy's whole numbers are fine; True is a whole number for Python, but not a count.
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise MeasureError(f"{value!r} is not a whole number", where=name, remedy=f"give {least} or more")
    if value < least:
        raise MeasureError(f"{value} is less than {least}", where=name, remedy=f"give {least} or more")
