"""Correlation and information of two pixels of photographs, by distance and direction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from shiftproof.experiments.lab import Lab
from shiftproof.experiments.photographs.locality.boxes import Boxes, compared
from shiftproof.experiments.photographs.locality.curves import DIRECTIONS, Curve, curve
from shiftproof.measure import partial_correlations, pixel_correlation, pixel_information
from shiftproof.records import Citation

DISTANCES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
IN_TABLE = (1, 2, 4, 8, 16, 32, 64, 128)  # the other distances are in the charts only
FAR_PX = 64
STRAIGHT = ("horizontal", "vertical")
MEASURES = ("correlation", "information")
LAGS = 16
LAGS_IN_TABLE, SHORT_LAGS, LONG_LAGS = (1, 2, 3, 4, 8, 16), (2, 3, 4), (8, 16)
LEVELS = 16
NOTHING = 0.01  # a correlation, or bits, below this count as none
LEFT = 0.2  # of the neighbours' correlation: what may be left where a small kernel no longer reaches
THRESHOLDS = {"correlation": 0.5, "information": 0.5}
KERNEL_PX, WIDE_PX = 3, 6  # dependence beyond WIDE_PX is called far wider than a kernel of KERNEL_PX
RESAMPLES = 2000
BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2 (sparse interactions) and 9.4 (the prior of local interactions)",
    "https://www.deeplearningbook.org/contents/convnets.html",
)


def falls_under(distances: Float64[np.ndarray, " d"], curve: Float64[np.ndarray, " d"], threshold: float) -> float:
    """The distance at which a curve first falls under a threshold, linear in the logarithm of the distance.

    The first distance if it begins under it, infinity if it never falls under it.

    >>> falls_under(np.array([1.0, 2.0, 4.0]), np.array([0.9, 0.6, 0.4]), 0.5).__round__(3)
    2.828
    """
    under = np.nonzero(curve < threshold)[0]
    if not len(under):
        return math.inf
    i = int(under[0])
    if i == 0:
        return float(distances[0])
    part = (curve[i - 1] - threshold) / (curve[i - 1] - curve[i])
    return float(np.exp(np.log(distances[i - 1]) + part * np.log(distances[i] / distances[i - 1])))


@dataclass(frozen=True)
class Reach:
    """The distance at which a mean curve falls under its threshold, in pixels; infinite where it never does.

    Args:
        found: of the mean over all pictures.
        low: lower end of the bootstrap interval.
        high: upper end.
    """

    found: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        album: the photographs, in words.
        pictures: how many.
        curves: measure -> direction -> its curve over `DISTANCES`.
        shuffled: measure -> the horizontal curve after each picture's pixels were shuffled.
        direct: direction -> the partial correlation over 1 .. `LAGS` px.
        reach: measure -> direction -> where the curve falls under its threshold.
        resamples: of the bootstrap that gives its interval.
        boxes: correlations of two boxes.
    """

    album: str
    pictures: int
    curves: dict[str, dict[str, Curve]]
    shuffled: dict[str, Curve]
    direct: dict[str, Curve]
    reach: dict[str, dict[str, Reach]]
    resamples: int
    boxes: Boxes


def measured(pictures: list[np.ndarray], lab: Lab, stage: str) -> dict[str, dict[str, list[list[float]]]]:
    """Measure -> direction -> the value of each picture at each distance; NaN where the picture is too small for it."""
    found: dict[str, dict[str, list[list[float]]]] = {what: {d: [] for d in DIRECTIONS} for what in MEASURES}
    for grey in lab.each(stage, pictures):
        for direction, (y, x) in DIRECTIONS.items():
            # Beyond half the picture few pairs are left, and all of them lie at opposite borders.
            moves = [(d * y, d * x) for d in DISTANCES if d * y < grey.shape[0] / 2 and d * x < grey.shape[1] / 2]
            blank = [math.nan] * (len(DISTANCES) - len(moves))
            found["correlation"][direction].append([pixel_correlation(grey, *m) for m in moves] + blank)
            found["information"][direction].append([pixel_information(grey, *m, levels=LEVELS) for m in moves] + blank)
    return found


def reaches(values: dict[str, dict[str, list[list[float]]]], resamples: int) -> dict[str, dict[str, Reach]]:
    """Where the mean curves fall under their thresholds, with a bootstrap over pictures."""
    rng = np.random.default_rng(1)
    found: dict[str, dict[str, Reach]] = {what: {} for what in MEASURES}
    for what, threshold in THRESHOLDS.items():
        for direction in DIRECTIONS:
            cells, distances = np.array(values[what][direction]), euclidean(direction)
            # Whole pictures are drawn again: pairs of pixels of one picture are not independent.
            draws = rng.integers(len(cells), size=(resamples, len(cells)))
            again = sorted(falls_under(distances, np.nanmean(cells[d], axis=0), threshold) for d in draws)
            middle = falls_under(distances, np.nanmean(cells, axis=0), threshold)
            found[what][direction] = Reach(middle, again[int(0.025 * resamples)], again[int(0.975 * resamples) - 1])
    return found


def euclidean(direction: str) -> Float64[np.ndarray, " d"]:
    """`DISTANCES` along a direction, in pixels of Euclidean distance."""
    return np.array(DISTANCES) * math.hypot(*DIRECTIONS[direction])


def measure(lab: Lab, *, resamples: int = RESAMPLES) -> Numbers:
    """Correlation and mutual information of two pixels against their distance; the same with the pixels shuffled.

    Args:
        lab: where the photographs come from.
        resamples: of the bootstrap over pictures.
    """
    album = lab.photographs()
    pictures = [p.grey for p in album.photographs]
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(g.ravel()).reshape(g.shape) for g in pictures]
    real = lab.kept(measured, pictures, lab, "photographs")
    none = lab.kept(measured, shuffled, lab, "shuffled")
    # The bias that is taken off can leave an estimate of information just below 0.
    limits = {"correlation": (-1.0, 1.0), "information": (-math.inf, math.inf)}
    direct = {}
    for direction in STRAIGHT:
        y, x = DIRECTIONS[direction]
        along = [np.array([pixel_correlation(g, y * k, x * k) for k in range(1, LAGS + 1)]) for g in pictures]
        direct[direction] = curve(np.array([partial_correlations(r) for r in along]), limits["correlation"])
    return Numbers(
        album=album.word,
        pictures=len(pictures),
        curves={what: {d: curve(np.array(real[what][d]), limits[what]) for d in DIRECTIONS} for what in MEASURES},
        shuffled={what: curve(np.array(none[what]["horizontal"]), limits[what]) for what in MEASURES},
        direct=direct,
        reach=reaches(real, resamples),
        resamples=resamples,
        boxes=compared(pictures),
    )


def interval_in_words(n: Numbers) -> str:
    """What the intervals are."""
    return f"95 %, clustered by picture, {n.pictures} pictures"
