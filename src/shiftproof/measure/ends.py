"""The ends of intervals of means, column by column: what `measure.statistics` computes with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import betaincinv, stdtrit

from shiftproof.errors import MeasureError

Bounds = tuple[float, float]
Offsets = Sequence[tuple[float, float]] | Float[np.ndarray, "m 2"]


def columns(
    x: Float[np.ndarray, "n m"], level: float, bounded: Bounds | None
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], Float[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Mean, low, high and count of each column; NaN where there is none."""
    x = x.astype(np.float64)
    here = ~np.isnan(x)
    lower, upper = bounds = bounds_of(bounded)
    seen = x[here]
    if np.isinf(seen).any() or (seen < lower).any() or (seen > upper).any():
        raise MeasureError(
            f"values from {seen.min():g} to {seen.max():g} are not finite numbers in [{lower:g}, {upper:g}]",
            where="per-image values",
        )
    mean, variance, df = moments_of(x, here)
    count = here.sum(axis=0)
    ends = (
        np.where(here, x, np.inf).min(axis=0, initial=np.inf),
        np.where(here, x, -np.inf).max(axis=0, initial=-np.inf),
    )
    return mean, *ends_of(mean, variance, count, df, ends, level, bounds), count


def bounds_of(bounded: Bounds | None) -> Bounds:
    """The bounds, infinite where there are none."""
    lower, upper = bounded or (-math.inf, math.inf)
    if not lower < upper:
        raise MeasureError(f"bounds ({lower}, {upper}) leave no room", where="bounded", remedy="give (least, largest)")
    return lower, upper


def ends_of(
    mean: np.ndarray,
    variance: np.ndarray,
    n: np.ndarray,
    df: np.ndarray,
    seen: tuple[np.ndarray, np.ndarray],
    level: float,
    bounds: Bounds,
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the intervals of several means; NaN where there is none."""
    lower, upper = bounds
    if math.isinf(lower) or math.isinf(upper):
        with np.errstate(invalid="ignore", divide="ignore"):
            half = student_t(level, df) * np.sqrt(variance / n)
        return np.maximum(mean - half, lower), np.minimum(mean + half, upper)
    scale = upper - lower
    p, least, most = ((v - lower) / scale for v in (mean, *seen))
    square = np.where(n > 1, variance * (n - 1) / scale**2, 0.0)  # one picture has no variance, and needs none here
    low, high = 1 - _upper_end(1 - p, square, n, 1 - most, level), _upper_end(p, square, n, least, level)
    # Rounding could put the mean just outside its own interval, and at a low confidence the end is near it.
    return np.minimum(lower + scale * low, mean), np.maximum(lower + scale * high, mean)


def _upper_end(p: np.ndarray, square: np.ndarray, n: np.ndarray, least: np.ndarray, level: float) -> np.ndarray:
    """The upper ends for means p of n values in [least, 1], from the sums of their squared deviations; NaN where n is 0.

    With one more value of 1, a weighted sum with weights uniform on the simplex has the mean of the n + 1 values, and their
    variance (divided by n + 1) over n + 2: the moments of a Dirichlet distribution with all parameters 1.
    """
    room = 1 - least
    with np.errstate(invalid="ignore", divide="ignore"):
        y = np.clip((p - least) / room, 0, 1)
        mean, rest = (n * y + 1) / (n + 1), n * (1 - y) / (n + 1)
        spread = (square / room**2 + n * (mean - y) ** 2 + rest**2) / (n + 1)
        size = mean * rest * (n + 2) / spread - 1
        end = least + room * betaincinv(mean * size, rest * size, (1 + level) / 2)
    return np.where(n > 0, np.where(room > 0, np.clip(end, 0, 1), 1.0), np.nan)


def mean_of(x: Float[np.ndarray, "n m"], here: Bool[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
    """The mean of each column's values; NaN where it has none; exact where they are all equal."""
    count = here.sum(axis=0)
    if not x.size:
        return np.full(x.shape[1], np.nan)
    least = np.where(here, x, np.inf).min(axis=0)
    least = np.where(count > 0, least, np.nan)
    with np.errstate(invalid="ignore"):
        # As least + mean of the rest: the mean of equal values is that value,
        # where sum / n may differ in the last digit.
        return least + np.where(here, x - least, 0.0).sum(axis=0) / np.maximum(count, 1)


def moments_of(x: Float[np.ndarray, "n m"], here: Bool[np.ndarray, "n m"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance (divided by n - 1) and the variance's degrees of freedom, of each column."""
    count = here.sum(axis=0)
    mean = mean_of(x, here)
    off = np.where(here, x - mean, 0.0)
    peak = np.abs(off).max(axis=0, initial=0.0)
    unit = off / np.where(peak > 0, peak, 1)  # fourth powers of tiny values would underflow
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.where(count > 1, (off**2).sum(axis=0) / (count - 1), np.nan)
        kurtosis = count * (unit**4).sum(axis=0) / (unit**2).sum(axis=0) ** 2
    return mean, variance, degrees_of(count, kurtosis)


def degrees_of(n: np.ndarray, kurtosis: np.ndarray) -> Int[np.ndarray, " m"]:
    """min(n - 1, 2n / (kurtosis - 1)) as a whole number, at least 1; n - 1 where the kurtosis is NaN; 0 where n < 2.

    The variance of s^2 is about s^4 (kurtosis - 1) / n, that of a chi-square over nu degrees of freedom 2 s^4 / nu.
    """
    # The 1e-9 keeps a whole number that rounding took just below itself.
    df = np.floor(2 * n / np.maximum(kurtosis - 1, 1e-12) + 1e-9)
    df = np.where(np.isnan(df), n - 1, np.clip(df, 1, np.maximum(n - 1, 1)))
    return np.where(n > 1, df, 0).astype(np.int64)


def moves_of(offsets: Offsets, m: int) -> Float[np.ndarray, "m 2"]:
    """The offsets as an array of m rows."""
    moves = np.asarray([(float(dy), float(dx)) for dy, dx in offsets], dtype=np.float64).reshape(-1, 2)
    if len(moves) != m:
        raise MeasureError(f"{len(moves)} moves for {m} columns of values", where="offsets")
    return moves


def or_none(a: np.ndarray) -> list[float | None]:
    """The numbers, None for NaN."""
    return [None if math.isnan(v) else v for v in a.tolist()]


def level_of(confidence: float) -> float:
    """The confidence, if it is one."""
    if not 0 < confidence < 1:
        raise MeasureError(f"confidence {confidence} is not in (0, 1)", where="confidence", remedy="use 0.95, say")
    return confidence


def student_t(level: float, df: Int[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Student's quantile of a two-sided interval, for each number of degrees of freedom; NaN where that is below 1."""
    return stdtrit(np.where(df >= 1, df, np.nan), (1 + level) / 2)
