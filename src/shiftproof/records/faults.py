"""What can be wrong with a value of a record: each function gives a fault for each wrong value, and nothing otherwise."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

Fault = tuple[str, str]
"""(the field, and what is wrong with it)."""

ROUNDING = 1e-9  # so far outside its bounds a figure may lie, because floating-point numbers were added up


def out_of_bounds(where: str, value: float | None, low: float, high: float = math.inf) -> Iterator[Fault]:
    """A fault if the value is below `low` or above `high`; None is allowed.

    >>> list(out_of_bounds("interior", 1.5, 0, 1)), list(out_of_bounds("threads", -1, 0))
    ([('interior', '1.5 is not in 0 to 1')], [('threads', '-1 is below 0')])
    """
    if value is not None and not low - ROUNDING <= value <= high + ROUNDING:
        yield where, f"{value} is below {low:g}" if math.isinf(high) else f"{value} is not in {low:g} to {high:g}"


def not_positive(where: str, *values: float | None) -> Iterator[Fault]:
    """A fault for each value that is not above 0; None is allowed."""
    for value in values:
        if value is not None and value <= 0:
            yield where, f"{value} is not above 0"


def backward(where: str, low: float | None, high: float | None) -> Iterator[Fault]:
    """A fault if an interval ends before it begins, or has one end only.

    >>> list(backward("low", 0.5, 0.25)), list(backward("low", 0.5, None)), list(backward("low", None, None))
    ([('low', '0.5 is above high, 0.25')], [('low', 'the interval has one end only')], [])
    """
    if (low is None) != (high is None):
        yield where, "the interval has one end only"
    elif low is not None and high is not None and low > high:
        yield where, f"{low} is above high, {high}"


def other_length(where: str, values: Sequence[Any], length: int, what: str) -> Iterator[Fault]:
    """A fault if there are not as many values as there should be.

    >>> list(other_length("values", [1, 2], 3, "offsets_px"))
    [('values', '2 entries, but 3 of offsets_px')]
    """
    if len(values) != length:
        yield where, f"{len(values)} entries, but {length} of {what}"


def twice(where: str, values: Sequence[str]) -> Iterator[Fault]:
    """A fault if a value occurs twice.

    >>> list(twice("axes", ("y", "x", "y")))
    [('axes', "'y' occurs twice")]
    """
    for i, value in enumerate(values):
        if value in values[:i]:
            yield where, f"{value!r:.80} occurs twice"


def empty(where: str, text: str) -> Iterator[Fault]:
    """A fault if there are no words in a text."""
    if not text.strip():
        yield where, "it is empty"


def not_digest(where: str, text: str | None) -> Iterator[Fault]:
    """A fault if a text is not a SHA-256 digest; None is allowed.

    >>> list(not_digest("sha256", "zz"))
    [('sha256', "'zz' is not 64 hexadecimal digits")]
    """
    if text is not None and not re.fullmatch("[0-9a-f]{64}", text):
        yield where, f"{text!r:.80} is not 64 hexadecimal digits"


def intervals(low: Sequence[float | None], high: Sequence[float | None]) -> Iterator[Fault]:
    """The faults of several intervals, each as `backward` finds them."""
    for i, ends in enumerate(zip(low, high, strict=False)):
        yield from backward(f"low[{i}]", *ends)
