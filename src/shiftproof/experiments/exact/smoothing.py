"""Convolution as a weighted average over time: what it does to noise, and which way round the weights stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64

from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.measure import mean_interval
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed

STEPS, RUNS, NOISE_M, SPEED = 400, 400, 1.0, 0.05
CONFIDENCE = 0.999  # several windows are judged at once, and together they should rarely fail by chance
BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.1, equations 9.1 to 9.6",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
NONE, LONG, LONGEST = "none", "15 equal", "45 equal"
WINDOWS: dict[str, list[float]] = {
    NONE: [1.0],
    "2 equal": [1 / 2] * 2,
    "5 equal": [1 / 5] * 5,
    LONG: [1 / 15] * 15,
    LONGEST: [1 / 45] * 45,
    "binomial, 5": [math.comb(4, k) / 16 for k in range(5)],
    "recent counts more, 15": [0.8**k * 0.2 / (1 - 0.8**15) for k in range(15)],
}
DIFFER = "convolution and cross-correlation"
FLIPPED = "convolution and cross-correlation with the weights flipped"
TORCH = "torch's conv1d and cross-correlation"
SAME = {  # which of them are equal by their definitions
    "s(t) by its definition and numpy.convolve": True,
    DIFFER: False,
    FLIPPED: True,
    TORCH: True,
    "torch's conv1d and convolution": False,
    "with even weights (2, 3, 2): convolution and cross-correlation": True,
    "x * w and w * x (convolution commutes)": True,
    "x with w and w with x (cross-correlation)": False,
}


@dataclass(frozen=True)
class Window:
    """What one window leaves of noise and adds of lag.

    Args:
        predicted: the sum of its squared weights.
        variance: of what is left of the noise, over that of the noise.
        low: lower end of the variance's interval.
        high: upper end.
        lag: mean squared error without noise.
        error: mean squared error in all.
    """

    predicted: float
    variance: float
    low: float
    high: float
    lag: float
    error: float

    @property
    def agrees(self) -> bool:
        """Whether the prediction lies within the interval."""
        return self.low <= self.predicted <= self.high


@dataclass(frozen=True)
class Numbers:
    """What was measured.

    Args:
        windows: by name.
        gaps: the largest difference between two ways to compute, by the names in `SAME`.
        largest: the largest value of the convolution that was compared.
        position: the true position at each step.
        measured: the position of the first series, with noise.
        averaged: the same, averaged with the window `LONG`.
    """

    windows: dict[str, Window]
    gaps: dict[str, float]
    largest: float
    position: Float64[np.ndarray, " t"]
    measured: Float64[np.ndarray, " t"]
    averaged: Float64[np.ndarray, " s"]


def smoothed(x: Float64[np.ndarray, "n t"], w: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, "n s"]:
    """s(t) = sum over a of x(a) w(t - a), where the whole window lies inside: t = k - 1 ... T - 1.

    w(0) weighs the present and w(1) the step before, so only the past counts.

    Args:
        x: one series per row.
        w: the weights.

    >>> smoothed(np.array([[1.0, 0.0, 0.0, 5.0]]), np.array([0.5, 0.3, 0.2])).round(3).tolist()
    [[0.2, 2.5]]
    """
    windows = np.lib.stride_tricks.sliding_window_view(x, len(w), axis=1)
    return windows @ w[::-1]


def measure(lab: Lab) -> Numbers:
    """Noise before and after each window, against the sum of squared weights; and the flip."""
    t = np.arange(STEPS)
    position = SPEED * t + 3 * np.sin(2 * np.pi * t / 120)
    x = position + NOISE_M * np.random.default_rng(0).standard_normal((RUNS, STEPS))
    gaps, largest = compared()
    return Numbers(
        windows={name: _window(x, position, np.array(weights)) for name, weights in WINDOWS.items()},
        gaps=gaps,
        largest=largest,
        position=position,
        measured=x[0],
        averaged=smoothed(x[:1], np.array(WINDOWS[LONG]))[0],
    )


def _window(x: Float64[np.ndarray, "n t"], position: Float64[np.ndarray, " t"], w: Float64[np.ndarray, " k"]) -> Window:
    truth = smoothed(position[None], w)[0]  # the smoothed position: what differs from it is noise
    now = position[len(w) - 1 :]
    # One number per series: neighbouring steps of an average share noise, and are not independent.
    per_run = ((smoothed(x, w) - truth) ** 2).mean(axis=1) / NOISE_M**2
    found = mean_interval(per_run, confidence=CONFIDENCE, bounded=(0, math.inf))
    return Window(
        predicted=float((w**2).sum()),
        variance=found.value,
        low=found.low,  # type: ignore[arg-type]
        high=found.high,  # type: ignore[arg-type]
        lag=float(((truth - now) ** 2).mean()),
        error=float(((smoothed(x, w) - now) ** 2).mean()),
    )


def compared() -> tuple[dict[str, float], float]:
    """The largest difference between two ways to compute, in whole numbers, and the largest value of the convolution.

    Convolution flips its kernel, cross-correlation does not, and torch's conv1d is the latter.
    """
    rng = np.random.default_rng(1)
    x = rng.integers(-9, 10, 50).astype(np.float64)
    w, even = np.array([5.0, 3.0, 2.0]), np.array([2.0, 3.0, 2.0])
    by_torch = torch.nn.functional.conv1d(torch.tensor(x)[None, None], torch.tensor(w)[None, None])[0, 0].numpy()
    convolved, correlated = np.convolve(x, w, "valid"), np.correlate(x, w, "valid")
    pairs = [
        (smoothed(x[None], w)[0], convolved),
        (convolved, correlated),
        (convolved, np.correlate(x, w[::-1], "valid")),
        (by_torch, correlated),
        (by_torch, convolved),
        (np.convolve(x, even, "valid"), np.correlate(x, even, "valid")),
        (np.convolve(x, w), np.convolve(w, x)),
        (np.correlate(x, w, "full"), np.correlate(w, x, "full")),
    ]
    gaps = [float(np.abs(a - b).max()) for a, b in pairs]
    return dict(zip(SAME, gaps, strict=True)), float(np.abs(convolved).max())


def figures(n: Numbers) -> list[Figure]:
    """Variance, lag and error of each window, and the differences between ways to compute."""
    found = []
    for name, w in n.windows.items():
        words = f"99.9 %, t over {RUNS} series"
        found += [
            Figure("noise", name, "variance, measured", w.variance, "", [], w.low, w.high, words, holds=w.agrees),
            Figure("noise", name, "sum of squared weights", w.predicted, ""),
            Figure("noise", name, "lag: squared error without noise", w.lag, ""),
            Figure("noise", name, "squared error, all", w.error, ""),
        ]
    for row, gap in n.gaps.items():
        found.append(Figure("flip", row, "difference", gap, ""))
    return found


def claims(n: Numbers) -> list[Judged]:
    """The book's equation, and its remark on what libraries call convolution."""
    agree = sum(w.agrees for w in n.windows.values())
    return [
        judged(
            "A noisy position x(t) is smoothed by s(t) = sum over a of x(a) w(t - a).",
            BOOK,
            [w.agrees for w in n.windows.values()],
            holds=f"For all {agree} windows, the variance of the noise is multiplied by the sum of squared weights, as "
            "theory says. "
            "The price is the lag, which grows with the window.",
            in_part=f"The variance of the noise is multiplied by the sum of squared weights for {agree} of {len(n.windows)} "
            "windows.",
            does_not="For no window is the variance of the noise multiplied by the sum of squared weights.",
            rests_on=[("noise", name, "variance, measured") for name in n.windows],
        ),
        judged(
            "Many libraries call cross-correlation, without the flip of the kernel, convolution.",
            BOOK,
            [n.gaps[TORCH] == 0, n.gaps[DIFFER] > 0],
            holds="torch's conv1d is cross-correlation, and with weights that are not symmetric that is not convolution.",
            in_part="Only one of the two is so: torch's conv1d is cross-correlation, or the two differ.",
            does_not="torch's conv1d is not cross-correlation, and the two do not differ.",
            rests_on=[("flip", TORCH, "difference"), ("flip", DIFFER, "difference")],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    outside = [name for name, w in n.windows.items() if not w.agrees]
    agree = len(n.windows) - len(outside)
    counted = f"{agree} of {len(n.windows)} windows agree with it within the 99.9 % interval of {RUNS} series"
    first, last = n.windows[NONE].variance, n.windows[LONGEST].variance
    best = min(n.windows, key=lambda name: n.windows[name].error)
    least, longest = n.windows[best].error, n.windows[LONGEST]
    return [
        Said(
            not outside,
            yes=f"Smoothing multiplies the noise by the sum of squared weights: {counted}.",
            no=Said(
                agree > 0,
                yes=f"Smoothing does not always multiply the noise by the sum of squared weights: {counted}; outside are "
                f"{', '.join(outside)}.",
                no=f"Smoothing does not multiply the noise by the sum of squared weights: {counted}.",
            ),
        ),
        Said(
            last < first,
            yes=f"From no averaging to the window {LONGEST}, the variance falls from {fixed(first, 3)} to {fixed(last, 3)}.",
            no=f"From no averaging to the window {LONGEST}, the variance does not fall: it goes from "
            f"{fixed(first, 3)} to {fixed(last, 3)}.",
        ),
        Said(
            longest.lag > 0,
            yes=f"The window {LONGEST}, over the past, lags behind: without noise, its squared error is {fixed(longest.lag, 3)}.",
            no=f"The window {LONGEST}, over the past, does not lag behind: without noise, its squared error is 0.",
        ),
        Said(
            best != LONGEST,
            yes=f"The total squared error is smallest with the window {best} ({fixed(least, 3)}); with {LONGEST}, it is "
            f"{fixed(longest.error, 3)}.",
            no=f"The total squared error is smallest with the longest window, {LONGEST} ({fixed(least, 3)}).",
        ),
        Said(
            n.gaps[DIFFER] > 0,
            yes=f"With asymmetric weights, convolution and cross-correlation differ by up to {n.gaps[DIFFER]:g}; the largest "
            f"value is {n.largest:g}.",
            no="With asymmetric weights, convolution and cross-correlation are equal.",
        ),
        Said(
            n.gaps[FLIPPED] == 0,
            yes="Flipping the weights makes them equal.",
            no=f"Flipping the weights does not make them equal: they differ by up to {n.gaps[FLIPPED]:g}.",
        ),
        Said(
            n.gaps[TORCH] == 0,
            yes="torch's conv1d is cross-correlation.",
            no=f"torch's conv1d is not cross-correlation: they differ by up to {n.gaps[TORCH]:g}.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    best = min(n.windows, key=lambda name: n.windows[name].error)
    least, longest = n.windows[NONE], n.windows[LONGEST]
    return Said(
        longest.variance < least.variance and longest.lag > least.lag,
        yes=f"A long average removes noise and lags behind. Of the windows tried, “{best}” has the smallest total error.",
        no=f"From no averaging to the longest window, the noise goes from {fixed(least.variance, 2)} to "
        f"{fixed(longest.variance, 2)} and the lag from {fixed(least.lag, 2)} to {fixed(longest.lag, 2)}.",
    )


def tables(n: Numbers) -> list[Table]:
    """The windows, and the flip."""
    return [
        Table(
            "noise",
            "A noisy position, averaged",
            "window",
            "variance in units of the variance of the noise",
            "It is the sum of squared weights.",
        ),
        Table("flip", "Convolution and cross-correlation", "with weights 5, 3, 2", "largest absolute difference"),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Measured variance against theory, noise against lag, and one series."""
    names, found = list(n.windows), list(n.windows.values())
    theory, shown = [w.predicted for w in found], list(range(200))
    measured = Series("measured", theory, [w.variance for w in found], [w.low for w in found], [w.high for w in found])
    late = len(n.position) - len(n.averaged)
    return [
        Chart(
            "noise",
            "Noise after smoothing",
            "points",
            "sum of squared weights",
            "variance, measured",
            [measured, Series("theory", sorted(theory), sorted(theory), dashed=True)],
            x_log=True,
            y_log=True,
            note=f"interval: 99.9 % over {RUNS} series",
        ),
        Chart(
            "error",
            "Noise and lag of each window",
            "bars",
            "window",
            "squared error",
            [
                Series("noise", names, [w.variance * NOISE_M**2 for w in found]),
                Series("lag", names, [w.lag for w in found]),
            ],
        ),
        Chart(
            "signal",
            "The position, measured and averaged",
            "lines",
            "step",
            "position",
            [
                Series("measured", shown, n.measured[:200].tolist()),
                Series(LONG, shown[late:], n.averaged[: 200 - late].tolist()),
                Series("true", shown, n.position[:200].tolist(), dashed=True),
            ],
        ),
    ]


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {
        "position": f"{SPEED} t + 3 sin(2 pi t / 120), {STEPS} steps",
        "noise": f"normal, sd {NOISE_M}, independent",
        "series": RUNS,
        "seed": 0,
        "windows": "over the past, only where the whole window lies inside the series",
    }


EXPERIMENT = Experiment(
    name="smoothing",
    systems=("S21",),
    title="Averaging away noise",
    definition="Convolution over time: every output is a weighted average of the inputs just before it.",
    shows="smoothing multiplies noise by the sum of squared weights; convolution flips the weights, cross-correlation does not",
    claim="A noisy position x(t) is smoothed by s(t) = sum over a of x(a) w(t - a).",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
