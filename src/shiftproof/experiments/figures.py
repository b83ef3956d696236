"""Figures of a record from values over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shiftproof.records import Figure, Source

CONFIDENCE = 0.95


def over_seeds(
    table: str,
    row: str,
    column: str,
    values: Sequence[float],
    *,
    unit: str = "fraction",
    published: float | None = None,
    source: Source | None = None,
    holds: bool | None = None,
) -> Figure:
    """The mean over seeds with Student's interval, mean +- t s / sqrt(n).

    Args:
        table: see `Figure`, as are row, column, unit, published, source and holds.
        row: its row.
        column: its column.
        values: one a seed; one value alone has no interval.
        unit: of the values.
        published: the published figure.
        source: where that was published.
        holds: whether it agrees with what was claimed.

    >>> f = over_seeds("accuracy", "A", "unmoved", [0.97, 0.98, 0.99])
    >>> round(f.measured, 3), round(f.low, 4), f.interval
    (0.98, 0.9552, '95 %, t over 3 seeds')
    """
    from scipy.stats import t

    n, mean = len(values), math.fsum(values) / len(values)
    low = high = None
    words = "one seed: no interval"
    if n > 1:
        s = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
        half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * s / math.sqrt(n)
        low, high, words = mean - half, mean + half, f"{CONFIDENCE:.0%}, t over {n} seeds".replace("%", " %")
    return Figure(
        table, row, column, mean, unit, [float(v) for v in values], low, high, words, published, source, holds
    )
