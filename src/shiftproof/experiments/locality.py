"""S14: how much a pixel tells of another, against their distance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.measure import mean_interval, partial_correlations, pixel_correlation, pixel_information
from shiftproof.records import Chart, Figure, Series, Source, Table

DISTANCES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
DIRECTIONS = {"horizontal": (0, 1), "vertical": (1, 0), "diagonal": (1, 1)}
LAGS = 16
NOTHING = 0.01  # a correlation, or bits, below this are none
LEFT = 0.2  # of the neighbours' correlation: what may be left where a small kernel no longer reaches
THRESHOLDS = {"correlation": 0.5, "information": 0.5}
RESAMPLES = 2000
ROW = Source(
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


def _curves(pictures: list[np.ndarray], lab: Lab, stage: str) -> dict[str, dict[str, list[list[float]]]]:
    """For each direction the correlation and the information of each picture at each distance."""
    found = {d: {"correlation": [], "information": []} for d in DIRECTIONS}
    for grey in lab.each(stage, pictures):
        for direction, (y, x) in DIRECTIONS.items():
            reached = [d for d in DISTANCES if d * y < grey.shape[0] / 2 and d * x < grey.shape[1] / 2]
            blank = [math.nan] * (len(DISTANCES) - len(reached))
            moves = [(d * y, d * x) for d in reached]
            found[direction]["correlation"].append([pixel_correlation(grey, *m) for m in moves] + blank)
            found[direction]["information"].append([pixel_information(grey, *m) for m in moves] + blank)
    return found


def measure(lab: Lab) -> Result:
    """Correlation and mutual information of two pixels against their distance; the same with the pixels shuffled."""
    album = lab.photographs()
    pictures = [p.grey for p in album.photographs]
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(g.ravel()).reshape(g.shape) for g in pictures]
    key = f"{DISTANCES}, {LAGS} lags"
    real = lab.kept(f"curves: {key}", lambda: _curves(pictures, lab, "photographs"))
    none = lab.kept(f"shuffled: {key}", lambda: _curves(shuffled, lab, "shuffled"))
    words = f"95 %, clustered by picture, {len(pictures)} pictures"
    figures: list[Figure] = []
    series: dict[str, list[Series]] = {"correlation": [], "information": []}
    for what in series:
        bounds = (-1.0, 1.0) if what == "correlation" else (-math.inf, math.inf)
        for kind, curves in (("photographs", real), ("shuffled", none)):
            for direction, (y, x) in DIRECTIONS.items():
                if kind == "shuffled" and direction != "horizontal":
                    continue
                values = np.array(curves[direction][what])
                cells = [mean_interval(v, bounded=bounds) for v in values.T]
                row = f"{direction}, shuffled" if kind == "shuffled" else direction
                for distance, m in zip(DISTANCES, cells, strict=True):
                    if distance in (1, 2, 4, 8, 16, 32, 64, 128):
                        figures.append(
                            Figure(what, row, f"{distance} px", m.value, "", [], m.low, m.high, words)
                        )  # fmt: skip
                length = math.hypot(y, x)
                series[what].append(
                    Series(row, [d * length for d in DISTANCES], [m.value for m in cells],
                           [float(m.low or 0) for m in cells], [float(m.high or 0) for m in cells],
                           dashed=kind == "shuffled")
                )  # fmt: skip
    reaches, edges = _thresholds(real)
    figures += edges
    figures += _direct(pictures, words)
    figures = _with_claims(figures)
    by = {(f.table, f.row, f.column): f for f in figures}
    near, far = by["correlation", "horizontal", "1 px"], by["correlation", "horizontal", "64 px"]
    flat = max(abs(f.measured) for f in figures if f.row.endswith("shuffled") and f.table == "correlation")
    bits = max(abs(f.measured) for f in figures if f.row.endswith("shuffled") and f.table == "information")
    local = near.low > far.high  # type: ignore[operator]
    close = max(abs(f.measured) for f in figures if f.table == "direct" and f.column in ("2 px", "3 px", "4 px"))
    later = max(abs(f.measured) for f in figures if f.table == "direct" and f.column in ("8 px", "16 px"))
    return Result(
        finding=[
            f"Two neighbouring pixels of a photograph correlate by {near.measured:.2f} and share "
            f"{by['information', 'horizontal', '1 px'].measured:.2f} bits; 64 px apart "
            f"{far.measured:.2f} and {by['information', 'horizontal', '64 px'].measured:.2f} bits. "
            + ("Dependence falls with distance." if local else "No fall with distance beyond the intervals."),
            "The correlation falls under "
            + f"{THRESHOLDS['correlation']} at "
            + ", ".join(f"{_px(reaches['correlation', d])} ({d})" for d in DIRECTIONS)
            + f"; the information under {THRESHOLDS['information']} bits at "
            + ", ".join(f"{_px(reaches['information', d])} ({d})" for d in DIRECTIONS)
            + (": far wider than a kernel of 3 px." if min(reaches.values()) > 6 else "."),
            f"With the pixels shuffled no correlation is above {flat:.4f} and no information above {bits:.4f} bits"
            + (": nothing is left." if max(flat, bits) < NOTHING else ": something is left, so it is not the order alone."),
            f"What is local is the direct dependence: once the pixels in between are known, the correlation at 2 to 4 px "
            f"is {close:.2f} at most, and at 8 and 16 px {later:.3f} at most."
            if later < LEFT * near.measured
            else f"Even once the pixels in between are known, a correlation of {later:.2f} is left at 8 or 16 px.",
        ],
        figures=figures,
        tables=[
            Table("correlation", "Correlation of two pixels", "direction", "diagonal: so many px down and to the right"),
            Table("information", "Mutual information of two pixels, bits", "direction", "16 levels of equally many pixels"),
            Table("threshold", "The distance at which it falls under 0.5", "direction",
                  f"px of Euclidean distance; 95 %, bootstrap over pictures, {RESAMPLES} resamples"),
            Table("direct", "Correlation that is left when the pixels in between are known", "direction"),
        ],
        charts=[
            Chart("correlation", "Correlation of two pixels", "lines", "distance, px", "correlation", series["correlation"],
                  x_log=True, note=words),
            Chart("information", "Mutual information of two pixels", "lines", "distance, px", "bits", series["information"],
                  x_log=True, note=words),
        ],
        footnotes=[
            "Correlation within each picture, about its own mean. Photographs have no scale of their own: the fall is slow and "
            "has no edge, so the distance under a threshold follows the resolution of the pictures.",
            f"{len(pictures)} pictures: a bootstrap over so few is too narrow by a little.",
        ],
        protocol={
            "pictures": f"{album.word}, luma as stored", "distances": list(DISTANCES),
            "shuffled": "each picture's pixels permuted, seed 0", "levels": 16,
            "direct": f"partial correlations from those at 1..{LAGS} px (Durbin-Levinson), of each picture",
        },
    )  # fmt: skip


def _with_claims(figures: list[Figure]) -> list[Figure]:
    """The figures with what is claimed of them.

    Photographs: at 64 px less, beyond both intervals, than at 1 px; shuffled: nothing at any distance; directly, at 8 and
    16 px: less than `LEFT` of the neighbours' correlation.
    """
    at = {(f.table, f.row, f.column): f for f in figures}

    def holds(f: Figure) -> bool | None:
        first = at.get((f.table, f.row, "1 px"))
        if first is None or f.table == "threshold":
            return None
        if f.row.endswith("shuffled"):
            return abs(f.measured) < NOTHING
        if f.table == "direct":
            return abs(f.measured) < LEFT * first.measured if f.column in ("8 px", "16 px") else None
        if f.column != "64 px" or f.high is None or first.low is None:
            return None
        return f.high < first.low

    return [replace(f, holds=holds(f)) for f in figures]


def _thresholds(real: dict[str, dict[str, list[list[float]]]]) -> tuple[dict[tuple[str, str], float], list[Figure]]:
    """Where the mean curves fall under their thresholds, by a bootstrap over pictures."""
    rng, reaches, figures = np.random.default_rng(1), {}, []
    for what, threshold in THRESHOLDS.items():
        for direction, (y, x) in DIRECTIONS.items():
            values = np.array(real[direction][what])
            distances = np.array(DISTANCES) * math.hypot(y, x)
            found = falls_under(distances, np.nanmean(values, axis=0), threshold)
            draws = rng.integers(len(values), size=(RESAMPLES, len(values)))
            again = sorted(falls_under(distances, np.nanmean(values[d], axis=0), threshold) for d in draws)
            low, high = again[int(0.025 * RESAMPLES)], again[int(0.975 * RESAMPLES) - 1]
            reaches[what, direction] = found
            end = float(distances[-1])
            open_ended = ", beyond the last distance" if math.isinf(high) else ""
            figures.append(
                Figure("threshold", direction, what, min(found, end), "px", [], min(low, end), min(high, end),
                       f"95 %, bootstrap over pictures{open_ended}")
            )  # fmt: skip
    return reaches, figures


def _direct(pictures: list[np.ndarray], words: str) -> list[Figure]:
    """Partial correlations along rows and columns."""
    figures = []
    for direction in ("horizontal", "vertical"):
        y, x = DIRECTIONS[direction]
        lines = [partial_correlations(np.array([pixel_correlation(g, y * k, x * k) for k in range(1, LAGS + 1)]))
                 for g in pictures]  # fmt: skip
        for lag in (1, 2, 3, 4, 8, 16):
            m = mean_interval(np.array([line[lag - 1] for line in lines]), bounded=(-1, 1))
            figures.append(Figure("direct", direction, f"{lag} px", m.value, "", [], m.low, m.high, words))
    return figures


def _px(distance: float) -> str:
    return f"more than {DISTANCES[-1]} px" if math.isinf(distance) else f"{distance:.0f} px"


EXPERIMENT = Experiment(
    name="locality",
    systems=("S14",),
    shows="correlation and mutual information of two pixels of real photographs against their distance",
    claim="Pixels depend on pixels nearby, so that a small kernel sees what matters.",
    source=ROW,
    measure=measure,
)
