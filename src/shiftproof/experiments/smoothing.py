"""S21: convolution as a weighted average over time, what it does to noise, and which way round the weights stand."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float64

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.measure import mean_interval
from shiftproof.records import Chart, Figure, Series, Source, Table

STEPS, RUNS, NOISE_M, SPEED = 400, 400, 1.0, 0.05
CONFIDENCE = 0.999  # several windows are judged at once
BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.1, equations 9.1 to 9.6",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
WINDOWS: dict[str, list[float]] = {
    "none": [1.0],
    "2 equal": [1 / 2] * 2,
    "5 equal": [1 / 5] * 5,
    "15 equal": [1 / 15] * 15,
    "45 equal": [1 / 45] * 45,
    "binomial, 5": [math.comb(4, k) / 16 for k in range(5)],
    "recent counts more, 15": [0.8**k * 0.2 / (1 - 0.8**15) for k in range(15)],
}


def smoothed(x: Float64[np.ndarray, "n t"], w: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, "n s"]:
    """s(t) = sum over a of x(a) w(t - a), where all of the window lies inside: t = k - 1 ... T - 1.

    w(0) weighs the present, w(1) the step before: the past only.

    Args:
        x: one series a row.
        w: the weights.

    >>> smoothed(np.array([[1.0, 0.0, 0.0, 5.0]]), np.array([0.5, 0.3, 0.2])).round(3).tolist()
    [[0.2, 2.5]]
    """
    windows = np.lib.stride_tricks.sliding_window_view(x, len(w), axis=1)
    return windows @ w[::-1]


def measure(lab: Lab) -> Result:
    """Noise before and after each window, against the sum of squared weights; and the flip."""
    t = np.arange(STEPS)
    position = SPEED * t + 3 * np.sin(2 * np.pi * t / 120)
    figures, ratios, theory, intervals = [], [], [], []
    rng = np.random.default_rng(0)
    x = position + NOISE_M * rng.standard_normal((RUNS, STEPS))
    errors, biases, variances = [], [], []
    for name, weights in WINDOWS.items():
        w = np.array(weights)
        predicted = float((w**2).sum())
        truth = smoothed(position[None], w)[0]  # the smoothed position: what is left is noise
        noise = smoothed(x, w) - truth
        per_run = (noise**2).mean(axis=1) / NOISE_M**2
        found = mean_interval(per_run, confidence=CONFIDENCE, bounded=(0, math.inf))
        ratios.append(found.value)
        theory.append(predicted)
        intervals.append((found.low, found.high))
        inside = found.low <= predicted <= found.high  # type: ignore[operator]
        words = f"99.9 %, t over {RUNS} series"
        figures += [
            Figure(
                "noise", name, "variance, measured", found.value, "", [], found.low, found.high, words, holds=inside
            ),
            Figure("noise", name, "sum of squared weights", predicted, ""),
        ]
        now = position[len(w) - 1 :]
        bias = float(((truth - now) ** 2).mean())
        error = float(((smoothed(x, w) - now) ** 2).mean())
        biases.append(bias)
        variances.append(found.value * NOISE_M**2)
        errors.append(error)
        figures += [
            Figure("noise", name, "lag: squared error without noise", bias, ""),
            Figure("noise", name, "squared error, all", error, ""),
        ]
    flips, flip_findings = _flip()
    names = list(WINDOWS)
    agree = [f.row for f in figures if f.holds]
    best = names[int(np.argmin(errors))]
    return Result(
        finding=[
            f"The noise falls by the sum of squared weights: {len(agree)} of {len(WINDOWS)} windows agree with it within "
            f"the 99.9 % interval of {RUNS} series"
            + (
                "."
                if len(agree) == len(WINDOWS)
                else f"; outside it: {', '.join(n for n in names if n not in agree)}."
            ),
            f"From {names[0]} to {names[-3]} the variance goes from {ratios[0]:.3f} to {ratios[-3]:.3f}; but a window over "
            f"the past lags behind: the whole error is least with {best} ({min(errors):.3f}).",
            *flip_findings,
        ],
        figures=figures + flips,
        tables=[
            Table("noise", "A noisy position, averaged", "window", "variance in units of the noise's own"),
            Table("flip", "Convolution and cross-correlation", "with weights 0.5, 0.3, 0.2", "largest absolute difference"),
        ],
        charts=[
            Chart("noise", "Noise that a window leaves", "points", "sum of squared weights", "variance, measured", [
                Series("measured", theory, ratios, [a for a, _ in intervals], [b for _, b in intervals]),  # type: ignore[misc]
                Series("theory", sorted(theory), sorted(theory), dashed=True),
            ], x_log=True, y_log=True, note=f"interval: 99.9 % over {RUNS} series"),
            Chart("error", "Less noise, more lag", "bars", "window", "squared error", [
                Series("noise", names, variances), Series("lag", names, biases),
            ]),
            Chart("signal", "The position, measured and averaged", "lines", "step", "position", [
                Series("measured", t[:200].tolist(), x[0, :200].tolist()),
                Series("15 equal", t[14:200].tolist(), smoothed(x[:1], np.array(WINDOWS["15 equal"]))[0, :186].tolist()),
                Series("true", t[:200].tolist(), position[:200].tolist(), dashed=True),
            ]),
        ],
        protocol={
            "position": f"{SPEED} t + 3 sin(2 pi t / 120), {STEPS} steps", "noise": f"normal, sd {NOISE_M}, independent",
            "series": RUNS, "seed": 0, "windows": "over the past, only where all of the window lies inside the series",
        },
    )  # fmt: skip


def _flip() -> tuple[list[Figure], list[str]]:
    """Convolution flips its kernel, cross-correlation does not, and torch's conv1d is the latter; in whole numbers."""
    rng = np.random.default_rng(1)
    x = rng.integers(-9, 10, 50).astype(np.float64)
    w, even = np.array([5.0, 3.0, 2.0]), np.array([2.0, 3.0, 2.0])

    def torch_conv(signal: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        return torch.nn.functional.conv1d(torch.tensor(signal)[None, None], torch.tensor(kernel)[None, None])[
            0, 0
        ].numpy()

    def gap(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a - b).max())

    convolved, correlated = np.convolve(x, w, "valid"), np.correlate(x, w, "valid")
    rows = {
        "s(t) by its definition and numpy.convolve": (gap(smoothed(x[None], w)[0], convolved), True),
        "convolution and cross-correlation": (gap(convolved, correlated), False),
        "convolution and cross-correlation with the weights flipped": (
            gap(convolved, np.correlate(x, w[::-1], "valid")), True),
        "torch's conv1d and cross-correlation": (gap(torch_conv(x, w), correlated), True),
        "torch's conv1d and convolution": (gap(torch_conv(x, w), convolved), False),
        "with even weights (2, 3, 2): convolution and cross-correlation": (
            gap(np.convolve(x, even, "valid"), np.correlate(x, even, "valid")), True),
        "x * w and w * x (convolution commutes)": (gap(np.convolve(x, w), np.convolve(w, x)), True),
        "x with w and w with x (cross-correlation)": (gap(np.correlate(x, w, "full"), np.correlate(w, x, "full")), False),
    }  # fmt: skip
    figures = [
        Figure("flip", row, "difference", value, "", holds=(value == 0) == same) for row, (value, same) in rows.items()
    ]
    torch_is = "cross-correlation" if rows["torch's conv1d and cross-correlation"][0] == 0 else "not cross-correlation"
    return figures, [
        f"With uneven weights convolution and cross-correlation differ (by up to {figures[1].measured:g}, where no value is "
        f"above {np.abs(convolved).max():g}), and flipping the weights makes them "
        + ("equal" if figures[2].measured == 0 else f"differ by {figures[2].measured:g}")
        + f"; torch's conv1d is {torch_is}."
    ]


EXPERIMENT = Experiment(
    name="smoothing",
    systems=("S21",),
    shows="a weighted average lowers noise by the sum of squared weights; convolution flips, cross-correlation does not",
    claim="A noisy position x(t) is smoothed by s(t) = sum over a of x(a) w(t - a).",
    source=BOOK,
    measure=measure,
)
