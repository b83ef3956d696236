"""S13: are the statistics of photographs and of series the same at every position?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64

from shiftproof.data import bundled_textures
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.measure import cell_means, position_test
from shiftproof.records import Chart, Figure, Series, Source, Table

SIDE, GRID, BINS, DRAWS, LEVEL = 256, 8, 8, 999, 0.05
LENGTH, RUNS, TRIALS = 512, 60, 100
STATISTICS = ("mean", "variance", "filter responses")
BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.4: a convolution as the prior that the same is useful at every position",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
Stack = Float64[np.ndarray, "n h w"]


def statistics(stack: Stack, grid: tuple[int, int]) -> dict[str, Float64[np.ndarray, "n gy gx b"]]:
    """Mean, variance and filter-response histogram of each cell of each picture or series (series: w = 1).

    mean: of the grey level. variance: squared deviation from the one mean of all pictures and positions; not from the mean
    at that position, which would tie the pictures to one another and make the test err.
    Filter responses: x minus its neighbour along the last axis longer than 1, as the part of the cell's responses in each
    of 8 bins; every picture has its own bins, equally full over all of it.

    Args:
        stack: of one size.
        grid: cells along y and x.
    """
    deviation = (stack - stack.mean()) ** 2
    found: dict[str, list[np.ndarray]] = {name: [] for name in STATISTICS}
    for x, d in zip(stack, deviation, strict=True):
        response = responses(x)
        edges = np.quantile(response, np.arange(1, BINS) / BINS)
        onehot = np.searchsorted(edges, response, side="right")[..., None] == np.arange(BINS)
        found["mean"].append(cell_means(x, grid))
        found["variance"].append(cell_means(d, grid))
        found["filter responses"].append(cell_means(onehot.astype(np.float64), grid))
    return {name: np.stack(cells) for name, cells in found.items()}


def responses(x: Float64[np.ndarray, "h w"]) -> Float64[np.ndarray, "i j"]:
    """Each pixel minus its left neighbour; of a series (w = 1), each step minus the one before."""
    return np.diff(x, axis=1 if x.shape[1] > 1 else 0)


def peakedness(stack: Stack) -> Float64[np.ndarray, " n"]:
    """Kurtosis of each picture's filter responses: 3 for normal ones, well above for a photograph's."""
    found = []
    for x in stack:
        r = responses(x).ravel()
        r = r - r.mean()
        found.append(float((r**4).mean() / (r**2).mean() ** 2))
    return np.array(found)


def fields(n: int, rng: np.random.Generator, side: int = 64) -> Stack:
    """Stationary pictures with long-range correlations: noise of power 1 / f^2, cut from one of twice the side."""
    fy, fx = np.fft.fftfreq(2 * side)[:, None], np.fft.rfftfreq(2 * side)[None]
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 0.5 / side)
    noise = rng.standard_normal((n, *amplitude.shape)) + 1j * rng.standard_normal((n, *amplitude.shape))
    return np.fft.irfft2(noise * amplitude, s=(2 * side, 2 * side))[:, :side, :side]


# ---- pictures: what is done to them ---------------------------------------------------------------------------------


def squared(grey: Float64[np.ndarray, "h w"]) -> Float64[np.ndarray, "s s"]:
    """The whole picture at SIDE x SIDE, antialiased: a position is a fraction of the frame."""
    from PIL import Image

    image = Image.fromarray(grey.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float64)


def vignetted(x: Stack, rng: np.random.Generator) -> Stack:
    """Darkened towards the corners: times 1 - 0.7 r^2, r = 1 at the corner."""
    y = np.linspace(-1, 1, x.shape[1])
    return x * (1 - 0.7 * (y[:, None] ** 2 + y[None] ** 2) / 2)


def rolled(x: Stack, rng: np.random.Generator) -> Stack:
    """Each moved by its own random amount, what leaves on one side coming in on the other."""
    h, w = x.shape[1:]
    return np.stack([np.roll(p, (int(rng.integers(h)), int(rng.integers(w))), (0, 1)) for p in x])


def pixels_shuffled(x: Stack, rng: np.random.Generator) -> Stack:
    """Every pixel somewhere else in its picture."""
    return np.stack([rng.permutation(p.ravel()).reshape(p.shape) for p in x])


def left_half_shuffled(x: Stack, rng: np.random.Generator) -> Stack:
    """Every pixel of the left half somewhere else in the left half."""
    half = x.shape[2] // 2
    return np.concatenate([pixels_shuffled(x[:, :, :half], rng), x[:, :, half:]], axis=2)


def patches_by_brightness(x: Stack, rng: np.random.Generator) -> Stack:
    """The patches of each picture in order of brightness, darkest at the top left."""
    side = x.shape[1] // GRID
    out = np.empty_like(x)
    for p, o in zip(x, out, strict=True):
        patches = p.reshape(GRID, side, GRID, side).swapaxes(1, 2).reshape(-1, side, side)
        order = np.argsort(patches.mean(axis=(1, 2)))
        o[:] = patches[order].reshape(GRID, GRID, side, side).swapaxes(1, 2).reshape(p.shape)
    return out


PICTURES: Mapping[str, tuple[Callable[[Stack, np.random.Generator], Stack], tuple[str, ...] | None]] = {
    # row -> what is done, and which statistics must then differ by position (None: a question, nothing is expected)
    "photographs": (lambda x, rng: x, None),
    "rolled by a random amount": (rolled, ()),
    "vignetted": (vignetted, ("mean",)),
    "left half's pixels shuffled": (left_half_shuffled, ("filter responses",)),
    "patches in order of brightness": (patches_by_brightness, ("mean",)),
    "all pixels shuffled": (pixels_shuffled, ()),
}


# ---- series ---------------------------------------------------------------------------------------------------------


def autoregressive(rng: np.random.Generator) -> Stack:
    """x(t) = 0.9 x(t - 1) + noise, begun in its stationary law."""
    x = np.empty((RUNS, LENGTH))
    noise = rng.standard_normal((RUNS, LENGTH))
    x[:, 0] = noise[:, 0] / np.sqrt(1 - 0.81)
    for t in range(1, LENGTH):
        x[:, t] = 0.9 * x[:, t - 1] + noise[:, t]
    return x[..., None]


SERIES: Mapping[str, tuple[Callable[[np.random.Generator], Stack], tuple[str, ...]]] = {
    "AR(1), 0.9": (autoregressive, ()),
    "random walk": (lambda rng: rng.standard_normal((RUNS, LENGTH)).cumsum(1)[..., None], ("variance",)),
    "AR(1) plus a trend": (lambda rng: autoregressive(rng) + np.linspace(0, 3, LENGTH)[:, None], ("mean",)),
    "AR(1) that grows": (
        lambda rng: autoregressive(rng) * np.linspace(0.5, 2, LENGTH)[:, None],
        ("variance", "filter responses"),
    ),
}


def judged(stack: Stack, grid: tuple[int, int]) -> dict[str, dict[str, Any]]:
    """Each statistic's test, as plain numbers."""
    found = {}
    for name, cells in statistics(stack, grid).items():
        test = position_test(cells, draws=DRAWS)
        found[name] = {"p": test.p, "explained": test.explained, "map": test.map[..., 0].tolist()}
    return found


def measure(lab: Lab) -> Result:
    """The test on photographs as they are and changed, on textures and on series; and how often it errs."""
    album = lab.photographs(many=True)
    stack = np.stack([squared(p.grey) for p in album.photographs])
    textures = np.stack([
        t.grey[y : y + SIDE, x : x + SIDE] for t in bundled_textures().photographs for y in (0, SIDE) for x in (0, SIDE)
    ])  # fmt: skip
    textures = (textures - textures.mean((1, 2), keepdims=True)) / textures.std((1, 2), keepdims=True)
    rows: dict[str, tuple[str, dict[str, dict[str, Any]], tuple[str, ...] | None, int]] = {}
    cells = (GRID, GRID)
    for name, (change, broken) in lab.each("pictures", PICTURES.items()):
        changed = change(stack, np.random.default_rng(1))
        rows[name] = ("pictures", judged(changed, cells), broken, len(changed))
    rows["textures from above"] = ("pictures", judged(textures, cells), None, len(textures))
    for name, (make, broken) in lab.each("series", SERIES.items()):
        rows[name] = ("series", judged(make(np.random.default_rng(2)), (2 * GRID, 1)), broken, RUNS)
    lines = stack[:, SIDE // 2, :, None]
    rows["middle rows of the photographs"] = ("series", judged(lines, (2 * GRID, 1)), None, len(lines))
    bar = LEVEL / len(STATISTICS)
    figures, wrong = [], []
    for row, (table, tests, broken, n) in rows.items():
        words = f"{n} pictures or series, {DRAWS} draws"
        for name in STATISTICS:
            fails = tests[name]["p"] <= bar
            holds = None if broken is None else (fails if name in broken else not fails or bool(broken))
            if holds is False:
                wrong.append(f"{row}: {name}")
            figures += [
                Figure(
                    table, row, f"{name}: explained by position", tests[name]["explained"], "fraction", interval=words
                ),
                Figure(table, row, f"{name}: p", tests[name]["p"], "", interval=words, holds=holds),
            ]
    kurtosis = {
        "photographs": peakedness(stack),
        "all pixels shuffled": peakedness(pixels_shuffled(stack, np.random.default_rng(1))),
    }
    above = kurtosis["photographs"] > kurtosis["all pixels shuffled"]
    from scipy.stats import binomtest

    sign_p = float(binomtest(int(above.sum()), len(above)).pvalue)
    for row, values in kurtosis.items():
        figures.append(Figure("peaked", row, "median kurtosis of the filter responses", float(np.median(values)), ""))
    figures.append(Figure("peaked", "pictures that lose by shuffling", "fraction", float(above.mean()),
                          interval=f"sign test, p = {sign_p:.2g}",
                          holds=bool(above.mean() > 0.5 and sign_p <= LEVEL)))  # fmt: skip
    errs = lab.kept(f"size: {TRIALS} {len(stack)} {GRID} {LEVEL}", lambda: size_of_test(len(stack), lab))
    figures += [Figure("size", "simulated stationary pictures", name, e, "fraction", interval=f"{TRIALS} albums of {len(stack)}")
                for name, e in errs.items()]  # fmt: skip
    return Result(
        finding=_finding(rows, bar, kurtosis, sign_p, errs, wrong),
        figures=figures,
        tables=[
            Table("pictures", "Do statistics of a picture differ by position?", "pictures",
                  f"p: of a share at least as large where each picture is moved round by chance; {bar:.3f} or less: they differ"),
            Table("series", "Do statistics of a series differ by position?", "series", f"{bar:.3f} or less: they differ"),
            Table("peaked", "Shuffled all over, a photograph is the same everywhere, and no photograph", ""),
            Table("size", f"How often the test says “differs” at {LEVEL:.0%} where nothing does", "", "should be 5 %"),
        ],
        charts=[
            Chart("maps", "The mean at each position, minus the mean of all", "maps", "cells", "grey level", [
                _as_map(row, rows[row][1]["mean"]["map"]) for row in PICTURES
            ], note=f"{GRID} x {GRID} cells of the frame; grey levels in [0, 1]"),
            Chart("variance", "The variance at each position, minus the mean of all", "maps", "cells",
                  "squared grey level", [_as_map(r, rows[r][1]["variance"]["map"]) for r in ("photographs", "vignetted")]),
            Chart("series", "The variance over series, along the series", "lines", "part of the series", "variance", [
                Series(row, list(range(2 * GRID)), [v[0] for v in rows[row][1]["variance"]["map"]])
                for row in ("AR(1), 0.9", "random walk", "AR(1) that grows")
            ], note="minus the mean of all"),
        ],
        footnotes=[
            "“Shuffled” has two readings. Shuffled all over, a picture's pixels are alike everywhere: it is stationary, more so "
            "than any photograph, and what it fails is being a photograph (its filter responses lose their peak). "
            "Shuffled in one half, or its patches put in order, it fails stationarity itself.",
            "The mean of a random walk is the same at every step; what grows is its variance over walks.",
            "The variance is about one mean for all positions: where the mean differs by position, the variance does too.",
            "No real series in time ships with the packages used: the middle rows of photographs are real, but run in space.",
            "A statistic that is not significant is not thereby the same everywhere: few pictures find large differences only.",
            "Textures: four quarters each of three photographs, brought to one mean and variance; the quarters of one are alike.",
        ],
        protocol={
            "pictures": f"{album.word}, luma, the whole frame at {SIDE} x {SIDE}", "cells": f"{GRID} x {GRID}",
            "filter": "pixel minus left neighbour, 8 bins, equally full over each picture", "draws": DRAWS,
            "null": "pictures independent, each one's law unchanged by moves round the torus",
            "seed": "draws 0, pictures 1, series 2",
            "level": f"{LEVEL} a row, Bonferroni over {len(STATISTICS)} statistics", "series": f"{RUNS} of {LENGTH} steps",
        },
    )  # fmt: skip


def size_of_test(n: int, lab: Lab) -> dict[str, float]:
    """How often each statistic is said to differ at the level, on stationary pictures that do not wrap."""
    hits: dict[str, int] = dict.fromkeys(STATISTICS, 0)
    for trial in lab.each("size of the test", range(TRIALS)):
        for name, cells in statistics(fields(n, np.random.default_rng((7, trial))), (GRID, GRID)).items():
            hits[name] += position_test(cells, draws=99, seed=trial).p <= LEVEL
    return {name: k / TRIALS for name, k in hits.items()}


def _as_map(row: str, values: list[list[float]]) -> Series:
    rows, columns = len(values), len(values[0])
    x = [[i - rows // 2, j - columns // 2] for i in range(rows) for j in range(columns)]
    return Series(row, x, [v for line in values for v in line])


def _finding(rows, bar: float, kurtosis, sign_p: float, errs: dict[str, float], wrong: list[str]) -> list[str]:
    def verdict(row: str) -> str:
        tests = rows[row][1]
        words = [f"{n} (p {tests[n]['p']:.3f}, {tests[n]['explained']:.0%} explained)" for n in STATISTICS]
        differ = [w for w, n in zip(words, STATISTICS, strict=True) if tests[n]["p"] <= bar]
        return f"{', '.join(differ)} differ by position" if differ else "no statistic is found to differ by position"

    broken = [row for row, (_, _, expected, _) in rows.items() if expected]
    caught = [row for row in broken if all(rows[row][1][n]["p"] <= bar for n in rows[row][2])]
    median = {k: float(np.median(v)) for k, v in kurtosis.items()}
    return [
        f"{rows['photographs'][3]} photographs: {verdict('photographs')}. Textures from above: {verdict('textures from above')}.",
        f"{len(caught)} of {len(broken)} made to be unequal are found so ({', '.join(caught)})"
        + (f"; not: {', '.join(set(broken) - set(caught))}." if len(caught) < len(broken) else ".")
        + (f" Against expectation: {'; '.join(wrong)}." if wrong else ""),
        f"With all pixels shuffled {verdict('all pixels shuffled')}; but the filter responses lose their peak, kurtosis "
        f"{median['photographs']:.1f} to {median['all pixels shuffled']:.1f} (sign test over pictures, p = {sign_p:.2g}).",
        f"On simulated stationary pictures the test errs in {min(errs.values()):.0%} to {max(errs.values()):.0%} at {LEVEL:.0%}.",
    ]


EXPERIMENT = Experiment(
    name="stationarity",
    systems=("S13",),
    shows="are mean, variance and filter responses of photographs and series the same at every position? A test and a map",
    claim="The statistics of natural signals are the same at every position, so that one kernel serves all positions.",
    source=BOOK,
    measure=measure,
)
