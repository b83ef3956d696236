"""How often the 95 % intervals cover the true figure, and how wide they are, by the number of pictures.

    python benchmarks/coverage.py                  # minutes; prints the tables, writes benchmarks/results/coverage.json
    python benchmarks/coverage.py --populations    # first measures the real populations again, an hour on two cores

From populations whose mean is known, samples of 5 to 100 pictures are drawn, and each method makes an interval from each
sample. Simulated populations: each picture says yes at a rate of its own, in 33 views. Yes or no: one view per picture, at
the rate at which the method does worst. Real populations: the figures per picture of audits of real models on real pictures
(the runs of tests/golden/make.py), from which pictures are drawn with replacement.

The method in use was chosen by these tables: the narrowest that never covers less than two points below its confidence, here
and for yes or no at 90 % and 99 %. docs/intervals.md shows them.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.special import betaincinv, gammaln, stdtrit

from measuring import RESULTS, environment, write
from shiftproof import measure

Samples = np.ndarray  # (repeats, n): values per picture
Ends = tuple[np.ndarray, np.ndarray]  # the ends of the intervals of those samples
Method = Callable[[Samples, float], Ends]

PICTURES = (5, 8, 10, 20, 30, 50, 100)
VIEWS = 33
REPEATS, SLOW_REPEATS = 2000, 400
CONFIDENCE, SLACK = 0.95, 0.02
POPULATIONS = RESULTS / "coverage_populations.json"
RUNS = ("onnx-mnist-circular", "onnx-mnist-crop", "mobilenet1-imagenet-zero", "mobilenet1-imagenet-crop")
NEAR_PX = 2  # flips are rare for short moves
MOST_KEPT = 300  # pictures of a real population
YES_OR_NO = "yes or no, at the method's worst rate"


# ---- populations ---------------------------------------------------------------------------------------------------


def clustered(rng: np.random.Generator, size: tuple[int, ...], mean: float, icc: float, share: float = 1.0) -> Samples:
    """Per-picture fractions of yes among `VIEWS` views: a share of the pictures says yes, each at a beta-distributed rate."""
    top = mean / share
    rate = rng.beta(top * (1 - icc) / icc, (1 - top) * (1 - icc) / icc, size) * (rng.random(size) < share)
    return rng.binomial(VIEWS, rate) / VIEWS


SIMULATED = {  # mean, intra-picture correlation, share of the pictures that can say yes
    "half, alike": (0.5, 0.1, 1.0),
    "half, nearly yes or no": (0.5, 0.9, 1.0),
    "often, uneven": (0.9, 0.3, 1.0),
    "seldom, uneven": (0.1, 0.5, 1.0),
    "seldom, few pictures": (0.1, 0.1, 0.2),
    "rare, uneven": (0.03, 0.5, 1.0),
    "rare, few pictures": (0.03, 0.3, 0.2),
    "very rare, alike": (0.01, 0.1, 1.0),
}


def real() -> dict[str, list[float]]:
    """The real populations: 'figure, run' -> one value per picture."""
    return json.loads(POPULATIONS.read_text())["populations"] if POPULATIONS.exists() else {}


def measure_populations() -> None:
    """Run the audits of `RUNS` again and keep their figures per picture."""
    root = Path(__file__).parents[1]
    sys.path.insert(0, str(root / "tests/golden"))
    import make

    found = {}
    for name in RUNS:
        with tempfile.TemporaryDirectory() as out:
            command = [
                sys.executable,
                "-m",
                "shiftproof",
                "audit",
                *make.commands()[name],
                "--layers",
                "0",
                "--out",
                out,
            ]
            subprocess.run(command, cwd=root, check=True)
            figures = per_picture(Path(out) / "views.parquet")
        found |= {f"{figure}, {name}": np.round(v[:MOST_KEPT], 5).tolist() for figure, v in figures.items()}
    POPULATIONS.write_text(json.dumps({**environment(), "populations": found}, separators=(",", ":")) + "\n")


def per_picture(views: Path) -> dict[str, np.ndarray]:
    """The figures per picture of an audit's views, for pictures in the audit's random order."""
    import pyarrow.parquet as pq

    table = pq.read_table(views)
    columns = {name: table[name].to_numpy() for name in ("dy", "dx", "answer", "label", "distance", "distance_cosine")}
    moves = len(set(zip(columns["dy"], columns["dx"], strict=True)))
    v = {name: column.reshape(-1, moves) for name, column in columns.items()}
    moved = (v["dy"][0] != 0) | (v["dx"][0] != 0)
    answers, labels = v["answer"].astype(int), v["label"][:, 0].astype(int)
    figures = {
        "consistency": measure.consistency(answers),
        "accuracy": measure.accuracy(answers, labels),
        "correct at every move": measure.accuracy_every_move(answers, labels),
        "sensitivity": v["distance"][:, moved].astype(float).mean(axis=1),
        "sensitivity (cosine)": v["distance_cosine"][:, moved].astype(float).mean(axis=1),
    }
    if not moved.all():  # the unmoved picture is among the moves
        near = moved & (np.maximum(abs(v["dy"][0]), abs(v["dx"][0])) <= NEAR_PX)
        for name, chosen in (("flip rate", moved), (f"flip rate within {NEAR_PX} px", near)):
            figures[name] = measure.flip_rate(answers[:, chosen], answers[:, ~moved][:, 0])
    return figures


# ---- methods for fractions -----------------------------------------------------------------------------------------


def in_use(x: Samples, level: float) -> Ends:
    """`measure.mean_interval`, for all samples at once."""
    found = measure.map_interval(np.zeros((len(x), 2)), x.T, confidence=level, bounded=(0, 1))
    return np.array(found.low), np.array(found.high)


def added(weight: float) -> Method:
    """The method in use, with `weight` pictures added at the far end instead of one."""

    def upper(x: Samples, level: float) -> np.ndarray:
        least = x.min(axis=1)
        room = np.maximum(1 - least, 1e-300)
        y = (x - least[:, None]) / room[:, None]
        total = x.shape[1] + weight
        mean = (y.sum(axis=1) + weight) / total
        variance = (((y**2).sum(axis=1) + weight) / total - mean**2) / (total + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            size = mean * (1 - mean) / variance - 1
            end = least + room * betaincinv(mean * size, (1 - mean) * size, (1 + level) / 2)
        return np.where(least < 1, end, 1.0)

    return lambda x, level: (1 - upper(1 - x, level), upper(x, level))


def wilson(x: Samples, q: np.ndarray) -> Ends:
    """Wilson's ends, from q = z^2 / n_eff of each sample."""
    p = x.mean(axis=1)
    centre, half = (p + q / 2) / (1 + q), np.sqrt(p * (1 - p) * q + q**2 / 4) / (1 + q)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def of_pictures(x: Samples, level: float) -> Ends:
    """Wilson's interval with the number of pictures."""
    return wilson(x, np.full(len(x), z(level) ** 2 / x.shape[1]))


def effective(x: Samples, level: float) -> Ends:
    """Wilson's interval with the effective sample size of the variance between pictures, at least the number of pictures."""
    q = _q(x, level, _degrees(x))
    return wilson(x, np.fmin(np.where(np.isfinite(q), q, np.inf), z(level) ** 2 / x.shape[1]))


def floored(x: Samples, level: float) -> Ends:
    """The same with Student's t of n - 1 degrees of freedom, and never narrower than Wilson's of the pictures."""
    q = _q(x, level, np.full(len(x), x.shape[1] - 1))
    return wilson(x, np.fmax(np.where(np.isfinite(q), q, 0.0), z(level) ** 2 / x.shape[1]))


def beta_binomial(x: Samples, level: float) -> Ends:
    """Equal-tailed interval of the mean's posterior, if each picture's rate is beta distributed; flat in mean and correlation."""
    means = (np.arange(200) + 0.5) / 200
    icc = (np.arange(20) + 0.5) / 20
    a, b = (np.outer(m, (1 - icc) / icc).ravel()[:, None] for m in (means, 1 - means))
    k = np.arange(VIEWS + 1)

    def log_beta(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return gammaln(p) + gammaln(q) - gammaln(p + q)

    each = log_beta(k + a, VIEWS - k + b) - log_beta(a, b)  # (mean x correlation, count)
    counts = np.stack([(np.rint(x * VIEWS) == j).sum(axis=1) for j in k])  # (count, repeats)
    log = each @ counts
    weight = np.exp(log - log.max(axis=0)).reshape(len(means), len(icc), -1).sum(axis=1)
    below = np.cumsum(weight, axis=0) / weight.sum(axis=0)
    low, high = ((below < tail).sum(axis=0) for tail in ((1 - level) / 2, (1 + level) / 2))
    return means[low] - 0.5 / len(means), means[np.minimum(high, len(means) - 1)] + 0.5 / len(means)


def bootstrap_t(x: Samples, level: float) -> Ends:
    """The studentised bootstrap over pictures, and never narrower than Wilson's interval of the pictures."""
    rng, n = np.random.default_rng(1), x.shape[1]
    low, high = np.empty(len(x)), np.empty(len(x))
    for i, row in enumerate(x):
        drawn = row[rng.integers(0, n, (399, n))]
        error = drawn.std(axis=1, ddof=1)
        t = (drawn.mean(axis=1) - row.mean())[error > 0] / error[error > 0]
        ends = np.quantile(t, [(1 - level) / 2, (1 + level) / 2]) if len(t) else np.zeros(2)
        low[i], high[i] = np.clip(row.mean() - ends[::-1] * row.std(ddof=1), 0, 1)
    floor = of_pictures(x, level)
    return np.minimum(low, floor[0]), np.maximum(high, floor[1])


def z(level: float) -> float:
    """The normal quantile of a two-sided interval."""
    return NormalDist().inv_cdf((1 + level) / 2)


def _degrees(x: Samples) -> np.ndarray:
    """min(n - 1, 2n / (kurtosis - 1)) of each sample."""
    n, off = x.shape[1], x - x.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        kurtosis = n * (off**4).sum(axis=1) / (off**2).sum(axis=1) ** 2
        df = np.floor(2 * n / np.maximum(kurtosis - 1, 1e-12) + 1e-9)
    return np.where(np.isnan(df), n - 1, np.clip(df, 1, n - 1))


def _q(x: Samples, level: float, df: np.ndarray) -> np.ndarray:
    p = x.mean(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return stdtrit(df, (1 + level) / 2) ** 2 * x.var(axis=1, ddof=1) / x.shape[1] / (p * (1 - p))


METHODS: dict[str, Method] = {
    "one more picture at the far end (in use)": in_use,
    "three quarters of one": added(0.75),
    "half of one": added(0.5),
    "Wilson, effective number of pictures (until 0.1)": effective,
    "Wilson, number of pictures": of_pictures,
    "Student's t, at least Wilson": floored,
    "beta-binomial posterior": beta_binomial,
    "bootstrap-t, at least Wilson": bootstrap_t,
}
SLOW = ("beta-binomial posterior", "bootstrap-t, at least Wilson")


# ---- coverage ------------------------------------------------------------------------------------------------------


def covered(method: Method, x: Samples, truth: float, level: float = CONFIDENCE) -> tuple[float, float]:
    """Which fraction of the samples (repeats, n) has an interval that covers the truth, and the intervals' mean width."""
    low, high = method(x, level)
    rounding = 1e-12
    return float(((low - rounding <= truth) & (truth <= high + rounding)).mean()), float((high - low).mean())


def simulated(name: str, n: int, repeats: int = REPEATS) -> tuple[Samples, float]:
    """Samples of a simulated population, and its mean."""
    mean, *how = SIMULATED[name]
    return clustered(np.random.default_rng([n, sum(map(ord, name))]), (repeats, n), mean, *how), mean


def drawn(values: list[float], n: int, repeats: int = REPEATS) -> tuple[Samples, float]:
    """Samples of a real population, and its mean."""
    x = np.array(values)
    return x[np.random.default_rng(n).integers(0, len(x), (repeats, n))], float(x.mean())


def worst_yes_or_no(method: Method, n: int, level: float = CONFIDENCE) -> tuple[float, float]:
    """The lowest coverage over all rates of yes, computed without drawing, and the mean width at that rate."""
    x = (np.arange(n)[None] < np.arange(n + 1)[:, None]).astype(float)  # k pictures say yes, k = 0..n
    low, high = method(x, level)
    rate = np.linspace(1e-4, 1 - 1e-4, 4001)
    k = np.arange(n + 1)[:, None]
    log = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + k * np.log(rate) + (n - k) * np.log1p(-rate)
    probability = np.exp(log)
    inside = (low[:, None] - 1e-12 <= rate) & (rate <= high[:, None] + 1e-12)
    coverage = (probability * inside).sum(axis=0)
    worst = int(coverage.argmin())
    return float(coverage[worst]), float(probability[:, worst] @ (high - low))


def fractions() -> list[dict[str, Any]]:
    """Every method on every population of fractions: coverage and width by the number of pictures."""
    populations = {f"simulated: {name}": (lambda n, r, name=name: simulated(name, n, r)) for name in SIMULATED}
    for name, values in real().items():
        if not name.startswith("sensitivity"):
            populations[f"real: {name}"] = lambda n, r, values=values: drawn(values, n, r)
    rows = []
    for method, function in METHODS.items():
        repeats = SLOW_REPEATS if method in SLOW else REPEATS
        for population, draw in populations.items():
            found = [covered(function, *draw(n, repeats)) for n in PICTURES]
            rows.append(_row(method, population, found))
        rows.append(_row(method, YES_OR_NO, [worst_yes_or_no(function, n) for n in PICTURES]))
    return rows


def other_confidences() -> list[dict[str, Any]]:
    """The lowest coverage of yes or no at other confidences."""
    weights = list(METHODS)[:3]
    return [
        {"method": m, "confidence": level, "coverage": [worst_yes_or_no(METHODS[m], n, level)[0] for n in PICTURES]}
        for m in weights
        for level in (0.9, 0.99)
    ]


def _row(method: str, population: str, found: list[tuple[float, float]]) -> dict[str, Any]:
    coverage, width = ([round(v, 4) for v in column] for column in zip(*found, strict=True))
    return {"method": method, "population": population, "coverage": coverage, "width": width}


# ---- figures without finite bounds ---------------------------------------------------------------------------------


def unbounded() -> list[dict[str, Any]]:
    """Means without finite bounds (Student's t) and functions of means (the jackknife): coverage by the number of pictures."""
    rows = []
    long_tails = {"gamma 4": (4.0, 0.25), "gamma 1": (1.0, 1.0)}
    for name, (shape, scale) in long_tails.items():
        draws = [np.random.default_rng(n).gamma(shape, scale, (REPEATS, n)) for n in PICTURES]
        rows.append(_row("mean", f"simulated: {name}", [covered(_free, x, shape * scale) for x in draws]))
    for name, values in real().items():
        if name.startswith("sensitivity"):
            rows.append(_row("mean", f"real: {name}", [covered(_free, *drawn(values, n)) for n in PICTURES]))
    for run in RUNS:
        c, a = (np.array(real().get(f"{figure}, {run}", [])) for figure in ("consistency", "accuracy"))
        if len(c):
            found = [_adjusted(c, a, n, classes=1000 if "imagenet" in run else 10) for n in PICTURES]
            rows.append(_row("consistency, adjusted", f"real: {run}", found))
    return rows


def _free(x: Samples, level: float) -> Ends:
    found = measure.map_interval(np.zeros((len(x), 2)), x.T, confidence=level)
    return np.array(found.low), np.array(found.high)


def _adjusted(c: np.ndarray, a: np.ndarray, n: int, classes: int) -> tuple[float, float]:
    chance = measure.chance_agreement(a.mean(), classes)
    truth = (c.mean() - chance) / (1 - chance)
    rng = np.random.default_rng(n)
    chosen = (rng.integers(0, len(c), n) for _ in range(SLOW_REPEATS))
    made = [measure.adjusted_consistency(c[i], a[i], classes=classes) for i in chosen]
    known = [m for m in made if m is not None]
    inside = sum(m.low <= truth <= m.high for m in known)
    return inside / max(len(known), 1), float(np.median([m.high - m.low for m in known])) if known else math.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--populations", action="store_true")
    if parser.parse_args().populations:
        measure_populations()
    bounded, free, others = fractions(), unbounded(), other_confidences()
    for row in [*bounded, *free]:
        cells = "  ".join(f"{c:.3f} {w:.3f}" for c, w in zip(row["coverage"], row["width"], strict=True))
        print(f"{row['method'][:34]:<34} {row['population'][:44]:<44} {cells}")
    for row in others:
        print(
            f"{row['method'][:34]:<34} {100 * row['confidence']:.0f} %  {'  '.join(f'{c:.3f}' for c in row['coverage'])}"
        )
    result = {"pictures": PICTURES, "fractions": bounded, "others": others, "unbounded": free, **environment()}
    write("coverage", result)
    print(
        json.dumps(
            {"lowest coverage in use": min(min(r["coverage"]) for r in bounded if r["method"] == next(iter(METHODS)))}
        )
    )


if __name__ == "__main__":
    main()
