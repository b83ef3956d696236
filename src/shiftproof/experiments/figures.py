"""Figures of a record from values over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from scipy.special import stdtrit

from shiftproof.records import Citation, Figure, Series, Unit
from shiftproof.records.numbers import confidence_words

CONFIDENCE = 0.95


def over_seeds(
    table: str,
    row: str,
    column: str,
    values: Sequence[float],
    *,
    unit: Unit = "fraction",
    published: float | None = None,
    source: Citation | None = None,
    holds: bool | None = None,
) -> Figure:
    """The mean over seeds with Student's interval, mean +- t s / sqrt(n).

    Args:
        table: see `Figure`, as are row, column, unit, published, source and holds.
        row: its row.
        column: its column.
        values: one per seed; a single value has no interval.
        unit: of the values.
        published: the published figure.
        source: where that was published.
        holds: whether it agrees with what was claimed.

    >>> f = over_seeds("accuracy", "A", "unmoved", [0.97, 0.98, 0.99])
    >>> round(f.measured, 3), round(f.low, 4), f.interval
    (0.98, 0.9552, '95 %, t over 3 seeds')
    """
    n, mean = len(values), math.fsum(values) / len(values)
    low = high = None
    words = "one seed: no interval"
    if n > 1:
        s = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
        # For 3 seeds t is 4.3: an interval of 1.96 standard errors would be less than half as wide as it must be.
        half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * s / math.sqrt(n)
        low, high, words = mean - half, mean + half, f"{confidence_words(CONFIDENCE)}, t over {n} seeds"
    return Figure(
        table, row, column, mean, unit, [float(v) for v in values], low, high, words, published, source, holds
    )


def line_over_seeds(name: str, x: Sequence[float | str], values: Iterable[Sequence[float]]) -> Series:
    """A line of a chart through the means over seeds, with a band of their intervals; one seed gives no band.

    Args:
        name: of the line.
        x: where its points are.
        values: for each point, one value per seed.

    >>> line_over_seeds("A", [1, 2], [[0.25, 0.75], [1.0, 1.0]]).y
    [0.5, 1.0]
    """
    points = [over_seeds("", "", "", v) for v in values]
    low, high = [p.low for p in points if p.low is not None], [p.high for p in points if p.high is not None]
    return Series(name, list(x), [p.measured for p in points], low, high)
