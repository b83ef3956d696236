"""Means over pictures with their intervals, by distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from shiftproof.measure import mean_interval

DIRECTIONS = {"horizontal": (0, 1), "vertical": (1, 0), "diagonal": (1, 1)}


@dataclass(frozen=True, eq=False)
class Curve:
    """A mean over pictures at each distance, with its interval.

    Args:
        mean: over pictures.
        low: lower ends of the 95 % intervals.
        high: upper ends.
    """

    mean: Float64[np.ndarray, " d"]
    low: Float64[np.ndarray, " d"]
    high: Float64[np.ndarray, " d"]


def curve(values: Float64[np.ndarray, "n d"], bounds: tuple[float, float]) -> Curve:
    """The means over pictures with Student's intervals, cut at the bounds; NaN = no value.

    An interval that uses the bounds would allow for one more picture at the far one: with 8 pictures, a photograph whose
    neighbouring pixels have correlation -1 would decide how wide it is.
    """
    cells = [mean_interval(v) for v in values.T]
    ends = (np.array([getattr(m, end) for m in cells], dtype=np.float64) for end in ("value", "low", "high"))
    return Curve(*(np.clip(end, *bounds) for end in ends))
