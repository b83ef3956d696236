"""Intervals clustered by image: a figure is a mean (or a function of means) over images, and images are independent.

The views of one picture are not, so they are first made one value per image; only then is anything averaged. NaN in a
per-image value means that this image gave none; it is left out of the mean and of the count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from jaxtyping import Bool, Float, Int

from shiftproof.errors import MeasureError
from shiftproof.records import Curve, Map, Metric

INTERVALS = (
    "clustered by image; fractions by Wilson's score interval with the effective sample size of the images' variance, "
    "other means by Student's t, functions of means by the jackknife; degrees of freedom from the kurtosis over images; "
    "the unit of the Euclidean sensitivity taken as given"
)
"""The method of the intervals in words, for `records.Protocol.intervals`."""

Bounds = tuple[float, float]
Offsets = Sequence[tuple[float, float]] | Float[np.ndarray, "m 2"]


def mean_interval(
    per_image: Float[np.ndarray, " n"], *, confidence: float = 0.95, bounded: Bounds | None = None
) -> Metric:
    """The mean over images with its interval.

    With p the mean, v = s^2/n the variance of the mean and nu = min(n - 1, 2n/(kurtosis - 1)) its degrees of freedom:

    - finite bounds (a fraction, scaled to [0, 1]): Wilson's (p + q/2 ± sqrt(p(1-p)q + q^2/4)) / (1 + q), with
      q = z^2/n_eff and the effective number of images n_eff = max(n, (z/t_nu)^2 p(1-p)/v). No variable in [0, 1] has a
      variance above p(1-p), so n images never count as fewer than n, and yes-or-no values get the textbook's interval.
      Values that are all equal count as n images, so the interval never has zero width.
    - else: p ± t_nu sqrt(v), cut at the bounds given.

    Args:
        per_image: one value per image, already averaged over its views; NaN = no value.
        confidence: of the two-sided interval, in (0, 1).
        bounded: the smallest and the largest value possible; an end may be infinite. None: any number.

    Returns:
        value, low, high and the number of images that gave a value.

    Raises:
        MeasureError: no value at all; one that is infinite or out of bounds; or, without finite bounds, one image only.

    >>> mean_interval(np.zeros(100), bounded=(0, 1))
    Metric(value=0.0, low=0.0, high=0.03699..., n=100)
    >>> mean_interval(np.array([1.0, 2.0, 3.0]))
    Metric(value=2.0, low=-0.48413..., high=4.48413..., n=3)

    Reference:
        Wilson 1927, Probable inference, J. Am. Stat. Assoc. 22, https://doi.org/10.1080/01621459.1927.10502953.
        Effective sample size with the factor (z/t)^2: Korn & Graubard 1998, Survey Methodology 24(2), 193-201; Dean &
        Pagano 2015, J. Surv. Stat. Methodol. 3(4), https://doi.org/10.1093/jssam/smv024. Degrees of freedom of an
        estimated variance by matching its own variance: Satterthwaite 1946, https://doi.org/10.2307/3002019.

    Differs:
        The surveys take n - 1 degrees of freedom. Where few images flip at all, that covers less than 90 % instead of 95 %
        in simulation, this 92 to 98 % (tests/unit/measure/test_statistics.py).
    """
    level = _level(confidence)
    if per_image.size == 0 or np.isnan(per_image).all():
        raise MeasureError("no image gave a value", where="mean_interval")
    value, low, high, count = _columns(per_image[:, None], level, bounded)
    if np.isnan(low[0]):
        raise MeasureError("one image gives no interval", where="mean", remedy="give more images, or finite bounds")
    return Metric(float(value[0]), float(low[0]), float(high[0]), int(count[0]))


def moments_interval(
    mean: float,
    variance: float,
    n: int,
    *,
    kurtosis: float | None = None,
    confidence: float = 0.95,
    bounded: Bounds | None = None,
) -> Metric:
    """`mean_interval` from the moments of the per-image values, for whoever adds them up one by one.

    Args:
        mean: of the values.
        variance: of the values (divided by n - 1); anything if n = 1.
        n: number of images.
        kurtosis: fourth central moment over the squared second (both divided by n); None: n - 1 degrees of freedom.
        confidence: of the two-sided interval, in (0, 1).
        bounded: the smallest and the largest value possible; an end may be infinite. None: any number.

    Returns:
        The mean with its interval.

    Raises:
        MeasureError: no image; a mean out of bounds or not finite; or, without finite bounds, one image only.

    >>> moments_interval(2.0, 1.0, 3)
    Metric(value=2.0, low=-0.48413..., high=4.48413..., n=3)

    Reference:
        As in `mean_interval`.
    """
    level, (lower, upper) = _level(confidence), _bounds(bounded)
    if n < 1:
        raise MeasureError("no image gave a value", where="moments_interval")
    if not (math.isfinite(mean) and lower <= mean <= upper):
        raise MeasureError(f"mean {mean:g} is not a finite number in [{lower:g}, {upper:g}]", where="moments_interval")
    df = _degrees(np.array([n]), np.array([math.nan if kurtosis is None else kurtosis]))
    variances = np.array([variance if n > 1 else math.nan], dtype=np.float64)
    low, high = _ends(np.array([mean], dtype=np.float64), variances, np.array([n]), df, level, (lower, upper))
    if np.isnan(low[0]):
        raise MeasureError("one image gives no interval", where="mean", remedy="give more images, or finite bounds")
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
    level = _level(confidence)
    used = parts[~np.isnan(parts).any(axis=1)].astype(np.float64)
    n = len(used)
    if n < 2:
        raise MeasureError(f"{n} image(s) give no interval", where="function_interval", remedy="give more images")
    mean = _mean(used, np.ones(used.shape, dtype=bool))
    with np.errstate(all="ignore"):
        value = float(function(mean))
        without = np.asarray(function((n * mean - used) / (n - 1)), dtype=np.float64)
    if not math.isfinite(value):
        raise MeasureError("the function is undefined at these means", where="function_interval")
    if not np.isfinite(without).all():
        raise MeasureError(
            "the figure rests on one image", where="function_interval", remedy="give more images: without it, undefined"
        )
    _, spread, df = _moments(without[:, None], np.ones((n, 1), dtype=bool))
    half = _t(level, int(df[0])) * math.sqrt((n - 1) * float(spread[0]) * (n - 1) / n)
    low, high = (value - half, value + half) if spread[0] > 0 else (value, value)
    if bounded:
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
        The map. A move at which no image gave a value has None; without finite bounds, one with one image no interval.

    Raises:
        MeasureError: another number of moves than of columns; an infinite value or one out of bounds.

    >>> m = map_interval([(0, 0), (0, 1)], np.array([[1.0, 1.0], [1.0, 0.0]]), bounded=(0, 1))
    >>> m.values, m.radial.radius_px
    ([1.0, 0.5], [0.0, 1.0])

    Reference:
        Intervals as in `mean_interval`.
    """
    level = _level(confidence)
    moves = _moves(offsets, per_image.shape[1])
    value, low, high, _ = _columns(per_image, level, bounded)
    return Map(
        offsets_px=moves.tolist(),
        values=_or_none(value),
        low=_or_none(low),
        high=_or_none(high),
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
        MeasureError: another number of moves than of columns; an infinite value or one out of bounds.

    >>> radial([(0, 0), (0, 1), (-1, 0)], np.array([[1.0, 1.0, 0.0], [1.0, 0.5, 0.0]]), bounded=(0, 1)).values
    [1.0, 0.375]

    Reference:
        Kauderer-Abrams 2017, the radial translation-sensitivity function, https://arxiv.org/abs/1801.01450.
    """
    level = _level(confidence)
    moves = _moves(offsets, per_image.shape[1])
    length = np.rint(np.hypot(moves[:, 0], moves[:, 1]))
    lengths = np.unique(length)
    by_length = np.full((len(per_image), len(lengths)), np.nan)
    for j, r in enumerate(lengths):
        ring = per_image[:, length == r].T
        by_length[:, j] = _mean(ring, ~np.isnan(ring))
    value, low, high, _ = _columns(by_length, level, bounded)
    kept = ~np.isnan(low)
    return Curve(*(a[kept].tolist() for a in (lengths, value, low, high)))


# ---- columns of per-image values ------------------------------------------------------------------------------------


def _columns(
    x: Float[np.ndarray, "n m"], level: float, bounded: Bounds | None
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], Float[np.ndarray, " m"], Int[np.ndarray, " m"]]:
    """Mean, low, high and count of each column; NaN where there is none."""
    x = x.astype(np.float64)
    here = ~np.isnan(x)
    lower, upper = bounds = _bounds(bounded)
    seen = x[here]
    if np.isinf(seen).any() or (seen < lower).any() or (seen > upper).any():
        raise MeasureError(
            f"values from {seen.min():g} to {seen.max():g} are not finite numbers in [{lower:g}, {upper:g}]",
            where="per-image values",
        )
    mean, variance, df = _moments(x, here)
    count = here.sum(axis=0)
    return mean, *_ends(mean, variance, count, df, level, bounds), count


def _bounds(bounded: Bounds | None) -> Bounds:
    """The bounds, infinite where there are none."""
    lower, upper = bounded or (-math.inf, math.inf)
    if not lower < upper:
        raise MeasureError(f"bounds ({lower}, {upper}) leave no room", where="bounded", remedy="give (least, largest)")
    return lower, upper


def _ends(
    mean: np.ndarray, variance: np.ndarray, n: np.ndarray, df: np.ndarray, level: float, bounds: Bounds
) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the intervals of several means; NaN where there is none."""
    lower, upper = bounds
    t = np.array([_t(level, int(d)) if d >= 1 else np.nan for d in df])
    if math.isinf(lower) or math.isinf(upper):
        with np.errstate(invalid="ignore", divide="ignore"):
            half = t * np.sqrt(variance / n)
        return np.maximum(mean - half, lower), np.minimum(mean + half, upper)
    scale = upper - lower
    low, high = _wilson((mean - lower) / scale, variance / scale**2, n, t, _z(level))
    # rounding never puts the mean outside its own interval
    return np.minimum(lower + scale * low, mean), np.maximum(lower + scale * high, mean)


def _wilson(
    p: np.ndarray, variance: np.ndarray, n: np.ndarray, t: np.ndarray, z: float
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's ends for means p of n values in [0, 1] of the given variance (of one value, not of the mean)."""
    pq = p * (1 - p)
    with np.errstate(invalid="ignore", divide="ignore"):
        q = np.where((variance > 0) & (pq > 0), t**2 * (variance / n) / pq, np.inf)
        q = np.fmin(q, z**2 / n)  # n_eff >= n; fmin: a single image has no variance of its own
        centre, half = (p + q / 2) / (1 + q), np.sqrt(pq * q + q**2 / 4) / (1 + q)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def _mean(x: Float[np.ndarray, "n m"], here: Bool[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
    """The mean of each column's values; NaN where it has none; exact where they are all equal."""
    count = here.sum(axis=0)
    if not x.size:
        return np.full(x.shape[1], np.nan)
    least = np.where(here, x, np.inf).min(axis=0)
    least = np.where(count > 0, least, np.nan)
    with np.errstate(invalid="ignore"):
        return least + np.where(here, x - least, 0.0).sum(axis=0) / np.maximum(count, 1)


def _moments(x: Float[np.ndarray, "n m"], here: Bool[np.ndarray, "n m"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance (divided by n - 1) and the variance's degrees of freedom, of each column."""
    count = here.sum(axis=0)
    mean = _mean(x, here)
    off = np.where(here, x - mean, 0.0)
    peak = np.abs(off).max(axis=0, initial=0.0)
    unit = off / np.where(peak > 0, peak, 1)  # fourth powers of tiny values would underflow
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.where(count > 1, (off**2).sum(axis=0) / (count - 1), np.nan)
        kurtosis = count * (unit**4).sum(axis=0) / (unit**2).sum(axis=0) ** 2
    return mean, variance, _degrees(count, kurtosis)


def _degrees(n: np.ndarray, kurtosis: np.ndarray) -> Int[np.ndarray, " m"]:
    """min(n - 1, 2n / (kurtosis - 1)) as a whole number, at least 1; n - 1 where the kurtosis is NaN; 0 where n < 2.

    The variance of s^2 is about s^4 (kurtosis - 1) / n, that of a chi-square over nu degrees of freedom 2 s^4 / nu.
    """
    df = np.floor(
        2 * n / np.maximum(kurtosis - 1, 1e-12) + 1e-9
    )  # what rounding took from a whole number is given back
    df = np.where(np.isnan(df), n - 1, np.clip(df, 1, np.maximum(n - 1, 1)))
    return np.where(n > 1, df, 0).astype(np.int64)


def _moves(offsets: Offsets, m: int) -> Float[np.ndarray, "m 2"]:
    """The offsets as an array of m rows."""
    moves = np.asarray([(float(dy), float(dx)) for dy, dx in offsets], dtype=np.float64).reshape(-1, 2)
    if len(moves) != m:
        raise MeasureError(f"{len(moves)} moves for {m} columns of values", where="offsets")
    return moves


def _or_none(a: np.ndarray) -> list[float | None]:
    return [None if math.isnan(v) else v for v in a.tolist()]


# ---- quantiles ------------------------------------------------------------------------------------------------------


def _level(confidence: float) -> float:
    """The confidence, if it is one."""
    if not 0 < confidence < 1:
        raise MeasureError(f"confidence {confidence} is not in (0, 1)", where="confidence", remedy="use 0.95, say")
    return confidence


def _z(level: float) -> float:
    """The normal quantile of a two-sided interval."""
    return NormalDist().inv_cdf((1 + level) / 2)


@lru_cache(maxsize=4096)
def _t(level: float, df: int) -> float:
    """Student's quantile of a two-sided interval.

    Abramowitz & Stegun 1964: up to 40 by 26.7.3-4 (finite series for whole degrees of freedom, solved by bisection),
    above by 26.7.5 (expansion around the normal quantile).
    """
    if df > 40:
        z = _z(level)
        terms = (
            (z**3 + z) / 4,
            (5 * z**5 + 16 * z**3 + 3 * z) / 96,
            (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
            (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
        )
        return z + sum(term / df ** (k + 1) for k, term in enumerate(terms))
    low, high = 0.0, math.pi / 2  # the angle theta = atan(t / sqrt(df))
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_inside(middle, df) < level else (low, middle)
    return math.tan((low + high) / 2) * math.sqrt(df)


def _t_inside(theta: float, df: int) -> float:
    """P(|T| <= sqrt(df) tan(theta)), Abramowitz & Stegun 26.7.3 (odd) and 26.7.4 (even)."""
    sine, square = math.sin(theta), math.cos(theta) ** 2
    term, total = (math.cos(theta), 0.0) if df % 2 else (1.0, 0.0)
    for k in range(df // 2):
        total += term
        step = 2 * k + (2 if df % 2 else 1)
        term *= square * step / (step + 1)
    return (theta + sine * total) * 2 / math.pi if df % 2 else sine * total
