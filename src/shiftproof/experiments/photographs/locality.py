"""How much one pixel of a photograph says about another, by the distance between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.measure import mean_interval, partial_correlations, pixel_correlation, pixel_information
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed

DISTANCES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
IN_TABLE = (1, 2, 4, 8, 16, 32, 64, 128)  # the other distances are in the charts only
FAR_PX = 64
DIRECTIONS = {"horizontal": (0, 1), "vertical": (1, 0), "diagonal": (1, 1)}
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
    """

    album: str
    pictures: int
    curves: dict[str, dict[str, Curve]]
    shuffled: dict[str, Curve]
    direct: dict[str, Curve]
    reach: dict[str, dict[str, Reach]]
    resamples: int


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


def curve(values: Float64[np.ndarray, "n d"], bounds: tuple[float, float]) -> Curve:
    """The means over pictures with Student's intervals, cut at the bounds; NaN = no value.

    An interval that uses the bounds would allow for one more picture at the far one: with 8 pictures, a photograph whose
    neighbouring pixels have correlation -1 would decide how wide it is.
    """
    cells = [mean_interval(v) for v in values.T]
    ends = (np.array([getattr(m, end) for m in cells], dtype=np.float64) for end in ("value", "low", "high"))
    return Curve(*(np.clip(end, *bounds) for end in ends))


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
    )


def interval_in_words(n: Numbers) -> str:
    """What the intervals are."""
    return f"95 %, clustered by picture, {n.pictures} pictures"


def figures(n: Numbers) -> list[Figure]:
    """The curves at some distances, where they fall under their thresholds, and the direct dependence."""
    words, far, found = interval_in_words(n), DISTANCES.index(FAR_PX), []

    def cell(table: str, row: str, px: int, c: Curve, i: int, holds: bool | None) -> Figure:
        low, high = float(c.low[i]), float(c.high[i])
        return Figure(table, row, f"{px} px", float(c.mean[i]), "", [], low, high, words, holds=holds)

    for what in MEASURES:
        for direction, c in n.curves[what].items():
            falls = bool(c.high[far] < c.low[0])  # beyond both intervals
            for px in IN_TABLE:
                found.append(cell(what, direction, px, c, DISTANCES.index(px), falls if px == FAR_PX else None))
        c = n.shuffled[what]
        for px in IN_TABLE:
            i = DISTANCES.index(px)
            found.append(cell(what, "horizontal, shuffled", px, c, i, bool(abs(c.mean[i]) < NOTHING)))
    for what in MEASURES:
        found += [_threshold(what, direction, reach) for direction, reach in n.reach[what].items()]
    for direction, c in n.direct.items():
        for lag in LAGS_IN_TABLE:
            little = bool(abs(c.mean[lag - 1]) < LEFT * c.mean[0]) if lag in LONG_LAGS else None
            found.append(cell("direct", direction, lag, c, lag - 1, little))
    return found


def _threshold(what: str, direction: str, reach: Reach) -> Figure:
    """A distance, cut at the last one measured."""
    end = float(euclidean(direction)[-1])
    found, low, high = (min(v, end) for v in (reach.found, reach.low, reach.high))
    beyond = ", beyond the last distance" if math.isinf(reach.high) else ""
    words = f"95 %, bootstrap over pictures{beyond}"
    return Figure("threshold", direction, what, found, "px", [], low, high, words)


def claims(n: Numbers) -> list[Judged]:
    """The book's prior, and what is concluded from it about kernels."""
    far = DISTANCES.index(FAR_PX)
    correlation = n.curves["correlation"]["horizontal"]
    later = max(abs(float(c.mean[lag - 1])) for c in n.direct.values() for lag in LONG_LAGS)
    nearest = min(reach.found for by_direction in n.reach.values() for reach in by_direction.values())
    falls, direct = bool(correlation.low[0] > correlation.high[far]), later < LEFT * float(correlation.mean[0])
    wide = f"the dependence falls below its threshold at {fixed(nearest, 0)} px at the nearest"
    given = f"with the pixels in between known, a correlation of at most {fixed(later, 3)} is left at 8 and 16 px"
    return [
        judged(
            "Pixels depend mostly on nearby pixels.",
            BOOK,
            [falls, direct],
            holds=f"The correlation falls from {fixed(correlation.mean[0], 2)} at 1 px to {fixed(correlation.mean[far], 2)} "
            f"at {FAR_PX} "
            f"px; {given}.",
            in_part=f"The correlation goes from {fixed(correlation.mean[0], 2)} at 1 px to {fixed(correlation.mean[far], 2)} at "
            f"{FAR_PX} px; {given}: only one of the two shows it.",
            does_not=f"The correlation at {FAR_PX} px is not below that at 1 px; {given}.",
            rests_on=[
                ("correlation", "horizontal", f"{FAR_PX} px"),
                *(("direct", d, f"{LAGS_IN_TABLE[-1]} px") for d in n.direct),
            ],
        ),
        judged(
            f"A kernel of {KERNEL_PX} px sees what matters.",
            BOOK,
            [direct, nearest <= WIDE_PX],
            holds=f"Both ways to look say so: {wide}, and {given}.",
            in_part=f"It depends on what matters means: {wide}, and {given}.",
            does_not=f"Neither way to look says so: {wide}, and {given}.",
            rests_on=[("threshold", d, what) for what, by_direction in n.reach.items() for d in by_direction],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """Whether dependence falls with distance, how far it reaches, what shuffling leaves, and what is direct."""
    far = DISTANCES.index(FAR_PX)
    correlation, information = (n.curves[what]["horizontal"] for what in MEASURES)
    shown = [DISTANCES.index(px) for px in IN_TABLE]
    flat, bits = (float(np.abs(n.shuffled[what].mean[shown]).max()) for what in MEASURES)
    close, later = (
        max(abs(float(c.mean[lag - 1])) for c in n.direct.values() for lag in lags) for lags in (SHORT_LAGS, LONG_LAGS)
    )
    nearest = min(reach.found for by_direction in n.reach.values() for reach in by_direction.values())
    none = (
        f"After shuffling the pixels, no correlation is above {fixed(flat, 4)} and no information above {fixed(bits, 4)} bits "
        "at the distances in the tables: "
    )
    return [
        f"Neighbouring pixels of a photograph have a correlation of {fixed(correlation.mean[0], 2)} and share "
        f"{fixed(information.mean[0], 2)} bits; pixels {FAR_PX} px apart have {fixed(correlation.mean[far], 2)} and "
        f"{fixed(information.mean[far], 2)} bits.",
        Said(
            bool(correlation.low[0] > correlation.high[far]),
            yes=f"Dependence falls with distance: the correlation at {FAR_PX} px is below that at 1 px, and the intervals do "
            "not overlap.",
            no=f"Dependence is not shown to fall with distance: the intervals of the correlation at 1 px and at {FAR_PX} px "
            "overlap, or it rises.",
        ),
        *(_falls(n, what) for what in MEASURES),
        Said(
            nearest > WIDE_PX,
            yes=f"All these distances are far wider than a kernel of {KERNEL_PX} px.",
            no=f"Not all these distances are far wider than a kernel of {KERNEL_PX} px: the smallest is {fixed(nearest, 1)} px.",
        ),
        Said(
            max(flat, bits) < NOTHING,
            yes=f"{none}no dependence is left.",
            no=f"{none}some dependence is left, so it does not come from the order of the pixels alone.",
        ),
        Said(
            later < LEFT * float(correlation.mean[0]),
            yes="The direct dependence is local: if the pixels in between are known, the correlation is at most "
            f"{fixed(close, 2)} at 2 to 4 px and at most {fixed(later, 3)} at 8 and 16 px.",
            no=f"Even if the pixels in between are known, a correlation of {fixed(later, 2)} is left at 8 or 16 px.",
        ),
    ]


def _falls(n: Numbers, what: str) -> Said:
    """Where the curves of a measure fall under its threshold."""
    below = f"{THRESHOLDS[what]}{' bits' * (what == 'information')}"
    places = [f"{reach.found:.0f} px ({way})" for way, reach in n.reach[what].items() if not math.isinf(reach.found)]
    nowhere = " or ".join(way for way, reach in n.reach[what].items() if math.isinf(reach.found))
    return Said(
        not nowhere,
        yes=f"The {what} falls below {below} at {', '.join(places)}.",
        no=Said(
            bool(places),
            yes=f"The {what} falls below {below} at {', '.join(places)}, and nowhere up to {DISTANCES[-1]} px in the "
            f"direction {nowhere}.",
            no=f"The {what} does not fall below {below} up to {DISTANCES[-1]} px.",
        ),
    )


def tables(n: Numbers) -> list[Table]:
    """The curves, their thresholds and the direct dependence."""
    return [
        Table(
            "correlation",
            "Correlation of two pixels",
            "direction",
            "diagonal: that many px down and to the right",
            f"At {FAR_PX} px, less than at 1 px; after shuffling, nothing.",
        ),
        Table(
            "information",
            "Mutual information of two pixels, bits",
            "direction",
            f"{LEVELS} levels with equally many pixels each",
            f"At {FAR_PX} px, less than at 1 px; after shuffling, nothing.",
        ),
        Table(
            "threshold",
            f"Distance at which the dependence falls below {THRESHOLDS['correlation']}",
            "direction",
            f"px of Euclidean distance; 95 %, bootstrap over pictures, {n.resamples} resamples",
        ),
        Table(
            "direct",
            "Correlation that remains if the pixels in between are known",
            "direction",
            claim="Little is left at 8 px and more.",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Both measures against the distance."""
    return [
        Chart(
            "correlation",
            "Correlation of two pixels",
            "lines",
            "distance, px",
            "correlation",
            _series(n, "correlation"),
            x_log=True,
            note=interval_in_words(n),
        ),
        Chart(
            "information",
            "Mutual information of two pixels",
            "lines",
            "distance, px",
            "bits",
            _series(n, "information"),
            x_log=True,
            note=interval_in_words(n),
        ),
    ]


def _series(n: Numbers, what: str) -> list[Series]:
    """A line for each direction, and a dashed one for the shuffled pictures."""

    def line(name: str, direction: str, c: Curve, of: str = "") -> Series:
        x = [float(d) for d in euclidean(direction)]
        return Series(name, x, c.mean.tolist(), c.low.tolist(), c.high.tolist(), dashed=bool(of), of=of)

    real = [line(direction, direction, c) for direction, c in n.curves[what].items()]
    return [*real, line("horizontal, shuffled", "horizontal", n.shuffled[what], of="horizontal")]


def footnotes(n: Numbers) -> list[Said | str]:
    """How far the result reaches."""
    return [
        "The correlation is computed within each picture, about the picture's mean. Photographs have no natural scale, so the "
        "distance at which a threshold is crossed depends on the resolution of the pictures.",
        f"With only {n.pictures} pictures, intervals from a bootstrap over pictures are slightly too narrow.",
    ]


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    return {
        "pictures": f"{n.album}, luma as stored",
        "distances": list(DISTANCES),
        "shuffled": "each picture's pixels permuted, seed 0",
        "levels": LEVELS,
        "direct": f"partial correlations of each picture, from the correlations at 1..{LAGS} px (Durbin-Levinson)",
    }


EXPERIMENT = Experiment(
    name="locality",
    systems=("S14",),
    shows="correlation and mutual information of two pixels of real photographs, by their distance",
    claim="Pixels depend mostly on nearby pixels, so a small kernel sees what matters.",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
)
