"""Intervals clustered by picture: a figure is a mean (or a function of means) over pictures, and pictures are independent.

The views of one picture are not independent, so they are first made one value per picture; only then is anything averaged.
NaN in a per-picture value means that this picture gave none; it is left out of the mean and of the count.

How often these intervals cover the true figure, by the number of pictures: docs/intervals.md, made by
benchmarks/coverage.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from shiftproof.errors import MeasureError
from shiftproof.measure.ends import (
    Bounds,
    Offsets,
    bounds_of,
    columns,
    degrees_of,
    ends_of,
    level_of,
    mean_of,
    moments_of,
    moves_of,
    or_none,
    student_t,
)
from shiftproof.records import Curve, Map, Metric

INTERVALS = (
    "clustered by picture; fractions by the Bayesian bootstrap with one more picture at the far end of the range (for yes or "
    "no: Clopper and Pearson's interval); other means by Student's t and functions of means by the jackknife, with degrees of "
    "freedom from the kurtosis over pictures; the unit of the Euclidean sensitivity taken as given"
)
"""The method of the intervals in words, for `records.Protocol.intervals`."""


def mean_interval(
    per_image: Float[np.ndarray, " n"], *, confidence: float = 0.95, bounded: Bounds | None = None
) -> Metric:
    """The mean over images with its interval.

    Finite bounds (a fraction, scaled to [0, 1]): the values may all be small by chance, so one more picture is added where
    it does most harm. The upper end is the (1 + confidence)/2 quantile of

        sum_i D_i x_i + D_{n+1} * 1,    D uniform on the simplex of n + 1 weights,

    the Bayesian bootstrap of the mean with one more picture of value 1. The lower end is the same of the values seen from
    the other end of the range, with one more picture of value 0. The quantile is that of the beta distribution on
    [smallest value, 1] with this sum's mean and variance. It is exact for yes-or-no values, where it is the interval of
    Clopper and Pearson, and for values that are all equal. It never has zero width, and where all values are 0 or all are 1
    it starts there.

    Else: p ± t_nu sqrt(s^2/n) with nu = min(n - 1, 2n/(kurtosis - 1)), cut at the bounds given. No method covers the mean
    of every distribution without bounds: the interval relies on the sample showing how long the tail is.

    Args:
        per_image: one value per image, already averaged over its views; NaN = no value.
        confidence: of the two-sided interval, in (0, 1).
        bounded: the smallest and the largest value possible; an end may be infinite. None: any number.

    Returns:
        value, low, high and the number of images that gave a value.

    Raises:
        MeasureError: there is no value; a value is infinite or out of bounds; or there are no finite bounds and only one image.

    >>> mean_interval(np.zeros(100), bounded=(0, 1))
    Metric(value=0.0, low=0.0, high=0.03621..., n=100)
    >>> mean_interval(np.array([1.0, 2.0, 3.0]))
    Metric(value=2.0, low=-0.48413..., high=4.48413..., n=3)

    Reference:
        The bound with one more value at the end: Gaffke 2005, Math. Methods Stat. 14, 451-467; Learned-Miller & Thomas 2019,
        https://arxiv.org/abs/1905.06208, who conjecture that it covers for every distribution on [0, 1]. Bayesian
        bootstrap: Rubin 1981, https://doi.org/10.1214/aos/1176345338. Yes or no: Clopper & Pearson 1934,
        https://doi.org/10.1093/biomet/26.4.404. Degrees of freedom of an estimated variance by matching its own variance:
        Satterthwaite 1946, https://doi.org/10.2307/3002019. No method without bounds: Bahadur & Savage 1956,
        https://doi.org/10.1214/aoms/1177728077.

    Differs:
        The quantile is taken from a beta distribution instead of random weights, so that the same values give the same
        interval and a map of thousands of moves takes milliseconds. For unbounded means, the textbook has n - 1 degrees of
        freedom, which covers less where few pictures hold most of the sum.
    """
    level = level_of(confidence)
    if per_image.size == 0 or np.isnan(per_image).all():
        raise MeasureError("no image has a value", where="mean_interval")
    value, low, high, count = columns(per_image[:, None], level, bounded)
    if np.isnan(low[0]):
        raise MeasureError(
            "one image is not enough for an interval", where="mean", remedy="give more images, or finite bounds"
        )
    return Metric(float(value[0]), float(low[0]), float(high[0]), int(count[0]))


def moments_interval(
    mean: float,
    variance: float,
    n: int,
    *,
    kurtosis: float | None = None,
    seen: Bounds | None = None,
    confidence: float = 0.95,
    bounded: Bounds | None = None,
) -> Metric:
    """`mean_interval` from the moments of the per-image values, for values that were added up one by one (`Moments`).

    Args:
        mean: of the values.
        variance: of the values (divided by n - 1); ignored if n = 1.
        n: number of pictures.
        kurtosis: fourth central moment over the squared second (both divided by n); None: n - 1 degrees of freedom.
            Used without finite bounds.
        seen: the smallest and the largest of the values; None takes the bounds for them. Used with finite bounds.
        confidence: of the two-sided interval, in (0, 1).
        bounded: the smallest and the largest value possible; an end may be infinite. None: any number.

    Returns:
        The mean with its interval.

    Raises:
        MeasureError: there is no image; the mean is out of bounds or not finite; or there are no finite bounds and one image.

    >>> moments_interval(2.0, 1.0, 3)
    Metric(value=2.0, low=-0.48413..., high=4.48413..., n=3)

    Reference:
        As in `mean_interval`.
    """
    level, (lower, upper) = level_of(confidence), bounds_of(bounded)
    if n < 1:
        raise MeasureError("no image has a value", where="moments_interval")
    if not (math.isfinite(mean) and lower <= mean <= upper):
        raise MeasureError(f"mean {mean:g} is not a finite number in [{lower:g}, {upper:g}]", where="moments_interval")
    df = degrees_of(np.array([n]), np.array([math.nan if kurtosis is None else kurtosis]))
    variances = np.array([variance if n > 1 else math.nan], dtype=np.float64)
    least, most = (np.array([end], dtype=np.float64) for end in seen or (lower, upper))
    mean_ = np.array([mean], dtype=np.float64)
    low, high = ends_of(mean_, variances, np.array([n]), df, (least, most), level, (lower, upper))
    if np.isnan(low[0]):
        raise MeasureError(
            "one image is not enough for an interval", where="mean", remedy="give more images, or finite bounds"
        )
    return Metric(float(mean), float(low[0]), float(high[0]), int(n))


def function_interval(
    parts: Float[np.ndarray, "n p"],
    function: Callable[[np.ndarray], np.ndarray],
    *,
    confidence: float = 0.95,
    bounded: Bounds | None = None,
) -> Metric:
    """A function of means over images (a ratio, say) with its interval by the jackknife over images.

    value = g(mean); with g_i the same without image i, variance = (n-1)/n sum_i (g_i - mean g)^2 and the interval is
    value ± t_nu sqrt(variance), nu = min(n - 1, 2n/(kurtosis of g_i - 1)).

    Args:
        parts: per image the p values whose means go into the function; an image with a NaN is left out.
        function: g: (..., p) -> (...), vectorised over the leading axes; NaN or infinite where undefined.
        confidence: of the two-sided interval, in (0, 1).
        bounded: ends at which the interval is cut.

    Returns:
        value, low, high and the number of images used.

    Raises:
        MeasureError: fewer than two images, or the function is undefined for all of them or without one of them.

    >>> ratio = lambda means: means[..., 0] / means[..., 1]
    >>> function_interval(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]), ratio)
    Metric(value=0.5, low=0.5, high=0.5, n=3)

    Reference:
        Tukey 1958, Ann. Math. Stat. 29, 614; Efron & Stein 1981, https://doi.org/10.1214/aos/1176345462.
    """
    level = level_of(confidence)
    used = parts[~np.isnan(parts).any(axis=1)].astype(np.float64)
    n = len(used)
    if n < 2:
        raise MeasureError(
            f"{n} image(s) where 2 are needed for an interval", where="function_interval", remedy="give more images"
        )
    mean = mean_of(used, np.ones(used.shape, dtype=bool))
    with np.errstate(all="ignore"):
        value = float(function(mean))
        # All n means that leave one image out, at once.
        without = np.asarray(function((n * mean - used) / (n - 1)), dtype=np.float64)
    if not math.isfinite(value):
        raise MeasureError("the function is undefined at these means", where="function_interval")
    if not np.isfinite(without).all():
        raise MeasureError(
            "the function is undefined without one of the images", where="function_interval", remedy="give more images"
        )
    _, spread, df = moments_of(without[:, None], np.ones((n, 1), dtype=bool))
    # `spread` was divided by n - 1; the jackknife's variance is (n - 1) / n times the sum of squares.
    half = float(student_t(level, df)[0]) * math.sqrt((n - 1) * float(spread[0]) * (n - 1) / n)
    low, high = (value - half, value + half) if spread[0] > 0 else (value, value)
    if bounded:
        # A value that rounding put just beyond a bound stays in its own interval.
        low, high = max(low, min(bounded[0], value)), min(high, max(bounded[1], value))
    return Metric(value, low, high, n)


def map_interval(
    offsets: Offsets, per_image: Float[np.ndarray, "n m"], *, confidence: float = 0.95, bounded: Bounds | None = None
) -> Map:
    """The mean over images at each move, with its interval, and the radial curve of the same values.

    Args:
        offsets: the m moves (dy, dx) in px, in the order of the columns.
        per_image: one value per image and move; NaN = no value.
        confidence: of each interval on its own, in (0, 1).
        bounded: as in `mean_interval`.

    Returns:
        The map. A move without any value has None; without finite bounds, a move with a single image has no interval.

    Raises:
        MeasureError: the number of moves is not the number of columns, or a value is infinite or out of bounds.

    >>> m = map_interval([(0, 0), (0, 1)], np.array([[1.0, 1.0], [1.0, 0.0]]), bounded=(0, 1))
    >>> m.values, m.radial.radius_px
    ([1.0, 0.5], [0.0, 1.0])

    Reference:
        Intervals as in `mean_interval`.
    """
    level = level_of(confidence)
    moves = moves_of(offsets, per_image.shape[1])
    value, low, high, _ = columns(per_image, level, bounded)
    return Map(
        offsets_px=moves.tolist(),
        values=or_none(value),
        low=or_none(low),
        high=or_none(high),
        radial=radial(offsets, per_image, confidence=confidence, bounded=bounded),
    )


def radial(
    offsets: Offsets, per_image: Float[np.ndarray, "n m"], *, confidence: float = 0.95, bounded: Bounds | None = None
) -> Curve:
    """A map's mean over all moves of the same length, round(sqrt(dy^2 + dx^2)) px: per image first, then over images.

    Args:
        offsets: the m moves (dy, dx) in px, in the order of the columns.
        per_image: one value per image and move; NaN = no value.
        confidence: of each interval on its own, in (0, 1).
        bounded: as in `mean_interval`.

    Returns:
        The curve, by ascending length; lengths at which too few images gave a value for an interval are left out.

    Raises:
        MeasureError: the number of moves is not the number of columns, or a value is infinite or out of bounds.

    >>> radial([(0, 0), (0, 1), (-1, 0)], np.array([[1.0, 1.0, 0.0], [1.0, 0.5, 0.0]]), bounded=(0, 1)).values
    [1.0, 0.375]

    Reference:
        Kauderer-Abrams 2017, the radial translation-sensitivity function, https://arxiv.org/abs/1801.01450.
    """
    level = level_of(confidence)
    moves = moves_of(offsets, per_image.shape[1])
    length = np.rint(np.hypot(moves[:, 0], moves[:, 1]))
    lengths = np.unique(length)
    by_length = np.full((len(per_image), len(lengths)), np.nan)
    for j, r in enumerate(lengths):
        ring = per_image[:, length == r].T
        by_length[:, j] = mean_of(ring, ~np.isnan(ring))
    value, low, high, _ = columns(by_length, level, bounded)
    kept = ~np.isnan(low)
    return Curve(*(a[kept].tolist() for a in (lengths, value, low, high)))
