"""How often small networks read moved digits right: what the pooling and the augmentation experiments share."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from shiftproof.data import Labelled
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.training import Training, draw_moves, moved
from shiftproof.experiments.untrained import untrained
from shiftproof.models import ConvNet
from shiftproof.records import Chart, Figure, Series, Source

MODELS = {"A": "c", "B": "cp", "C": "cpcp"}
CONDITIONS = ("unmoved", "moved little", "moved")
DRAWS = 5  # of moves, for each network and reach
BATCH = 250
ROUNDING = 0.0005  # of figures published with three decimals
SMALL = Training(epochs=15, rate=3e-3)  # for pictures that are small and few
MEANS = "the mean over draws of moves, then over seeds"
SPREAD = "seed of training: between networks, with the choice of moves taken out; choice of moves: the same network"


@dataclass(frozen=True)
class Setting:
    """What of the protocol depends on the size of the pictures.

    Args:
        side_px: of the pictures.
    """

    side_px: int

    @property
    def reach_px(self) -> dict[str, int]:
        """The largest move along an axis, by condition: 1 px, and a tenth of the side (at least 2 px)."""
        return dict(zip(CONDITIONS, (0, 1, max(2, round(self.side_px / 10))), strict=True))

    @property
    def farthest_px(self) -> int:
        """Where the curve ends."""
        return min(8, self.side_px // 2)

    @property
    def kernel_size(self) -> int:
        """Of the convolutions; on small pictures 2, or nothing would be left of them."""
        return 3 if self.side_px >= 28 else 2

    def training(self, *, augmented: bool, pictures: int | None = None) -> Training:
        """5 epochs; over the small pictures, of which there are few, more, and all of them."""
        moves_px = self.reach_px["moved"] if augmented else 0
        if self.side_px >= 28:
            return Training(moves_px=moves_px, pictures=pictures)
        return replace(SMALL, moves_px=moves_px)

    def build(self, pattern: str):
        """What makes the untrained network."""
        if self.side_px >= 28:
            return functools.partial(ConvNet, pattern)
        size = (1, self.side_px, self.side_px)
        return functools.partial(ConvNet, pattern, kernel_size=self.kernel_size, input_size=size)


def setting(lab: Lab) -> Setting:
    """The setting for the lab's digits."""
    return Setting(lab.digits("test").pictures.shape[-1])


def network(lab: Lab, pattern: str, *, augmented: bool, seed: int) -> nn.Module:
    """A network of that pattern, trained (once for all experiments)."""
    here = setting(lab)
    return lab.trained(pattern, here.build(pattern), here.training(augmented=augmented), seed)


@torch.inference_mode()
def answered_right(model: nn.Module, data: Labelled, moves: Int64[Tensor, "n 2"] | None = None) -> Bool[Tensor, " n"]:
    """Whether the model's answer to each picture, moved by its own whole-pixel move with zeros moved in, is right."""
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    right = []
    for at in torch.arange(len(data)).split(BATCH):
        x = data.pictures[at] if moves is None else moved(data.pictures[at], moves[at])
        right.append(model(x.float().div_(255)).argmax(1) == data.labels[at])
    return torch.cat(right)


def draw_at_distance(n: int, distance_px: int, generator: torch.Generator) -> Int64[Tensor, "n 2"]:
    """Moves (dy, dx) drawn evenly from those whose larger coordinate is exactly the distance, max(|dy|, |dx|).

    >>> draw_at_distance(100, 2, torch.Generator().manual_seed(0)).abs().amax(1).unique().tolist()
    [2]
    """
    line = range(-distance_px, distance_px + 1)
    ring = torch.tensor([(dy, dx) for dy in line for dx in line if max(abs(dy), abs(dx)) == distance_px])
    return ring[torch.randint(len(ring), (n,), generator=generator)]


def accuracies(lab: Lab, pattern: str, *, augmented: bool, seed: int) -> dict[str, list[float]]:
    """Accuracies of one network: one for each draw of moves by condition, and one for each distance under "curve"."""
    here, data = setting(lab), lab.digits("test")

    def compute() -> dict[str, list[float]]:
        model = network(lab, pattern, augmented=augmented, seed=seed)

        def accuracy(moves: Tensor | None) -> float:
            return answered_right(model, data, moves).double().mean().item()

        found = {}
        for condition, reach in here.reach_px.items():
            draws = [generator(seed, draw) for draw in range(DRAWS)] if reach else []
            found[condition] = [accuracy(draw_moves(len(data), reach, g)) for g in draws] or [accuracy(None)]
        curve = [draw_at_distance(len(data), d, generator(seed, d)) for d in range(1, here.farthest_px + 1)]
        return {**found, "curve": [*found["unmoved"], *map(accuracy, curve)]}

    key = f"{pattern}, {here}, augmented {augmented}, seed {seed}, {DRAWS} draws"
    return lab.kept(key, compute, shared=True)


def generator(seed: int, number: int) -> torch.Generator:
    """The stream of a draw of moves: the same for all networks of a seed, so that they are compared on the same moves."""
    return torch.Generator().manual_seed(10_000 + 100 * seed + number)


@dataclass(frozen=True)
class Spreads:
    """The two sources of spread of a figure, as standard deviations.

    Args:
        seeds: of training: of the means over draws, less what the draws put into these; None with one seed.
        draws: of the moves, for the same network; None where nothing is drawn.
    """

    seeds: float | None
    draws: float | None

    @property
    def both(self) -> float | None:
        """Of one run, trained once and moved once."""
        return None if self.seeds is None else math.hypot(self.seeds, self.draws or 0.0)


def spreads(values: Sequence[Sequence[float]]) -> Spreads:
    """One-way analysis of variance with random effects; `values` has a row a seed, a column a draw.

    draws^2 = mean over seeds of the variance over draws; seeds^2 = max(0, variance of the means - draws^2 / m), m draws.

    >>> spreads([[0.0, 2.0], [10.0, 12.0]])
    Spreads(seeds=7.0, draws=1.4142135623730951)

    Reference: Searle, Casella and McCulloch 1992, Variance Components, section 3.5 (the estimators from mean squares).
    """
    m = len(values[0])
    within = sum(_variance(row) for row in values) / len(values) if m > 1 else None
    between = None
    if len(values) > 1:
        between = math.sqrt(max(0.0, _variance([sum(row) / m for row in values]) - (within or 0.0) / m))
    return Spreads(between, None if within is None else math.sqrt(within))


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)


Measured = Mapping[str, Sequence[Mapping[str, Sequence[float]]]]  # model -> one a seed -> accuracies


def measure_models(lab: Lab, *, augmented: bool) -> dict[str, list[dict[str, list[float]]]]:
    """`accuracies` of models A, B, C for every seed."""
    words = "augmented networks" if augmented else "networks"
    todo = [(model, seed) for seed in lab.seeds for model in MODELS]
    found: dict[str, list[dict[str, list[float]]]] = {model: [] for model in MODELS}
    for model, seed in lab.each(words, todo):
        found[model].append(accuracies(lab, MODELS[model], augmented=augmented, seed=seed))
    return found


def mean_of(values: Sequence[float]) -> float:
    """Their mean."""
    return math.fsum(values) / len(values)


def accuracy_figures(
    table: str, measured: Measured, published: Mapping[str, Sequence[float]] | None, source: Source | None
) -> list[Figure]:
    """A figure a model and condition: over seeds, each the mean over draws of moves; `holds` as `within_spread` says."""
    figures = []
    for model, runs in measured.items():
        for i, condition in enumerate(CONDITIONS):
            said = published[model][i] if published else None
            values = [run[condition] for run in runs]
            holds = None if said is None else within_spread(said, values)
            per_seed = [mean_of(v) for v in values]
            figures.append(over_seeds(table, model, condition, per_seed, published=said, source=source, holds=holds))
    return figures


def within_spread(published: float, values: Sequence[Sequence[float]]) -> bool | None:
    """Whether a published figure, of one run, lies within one run's spread of ours: the one criterion of ticks and footnotes.

    |published - mean| <= s + 0.0005, s the spread of one run over seeds and moves (`Spreads.both`), the rest the rounding
    of figures published with three decimals; None with one seed.

    >>> within_spread(0.72, [[0.70], [0.74]]), within_spread(0.76, [[0.70], [0.74]])
    (True, False)
    """
    both = spreads(values).both
    if both is None:
        return None
    return abs(published - mean_of([mean_of(v) for v in values])) <= both + ROUNDING


def spread_figures(table: str, measured: Measured) -> list[Figure]:
    """Both sources of spread of each accuracy."""
    figures = []
    for model, runs in measured.items():
        for condition in CONDITIONS:
            found = spreads([run[condition] for run in runs])
            for column, value in (("seed of training", found.seeds), ("choice of moves", found.draws)):
                if value is not None:
                    figures.append(Figure(table, f"{model}, {condition}", column, value))
    return figures


def curves(measured: Measured) -> dict[str, list[list[float]]]:
    """Rows of seeds by model."""
    words = {"A": "A: convolution", "B": "B: with pooling", "C": "C: twice"}
    return {words[m]: [list(run["curve"]) for run in runs] for m, runs in measured.items()}


def curve_chart(name: str, title: str, series: Mapping[str, Sequence[Sequence[float]]]) -> Chart:
    """Accuracy over distance: a line for each of `series`, whose rows are seeds; with intervals over these."""
    lines = []
    for words, rows in series.items():
        points = [over_seeds("", "", "", list(column)) for column in zip(*rows, strict=True)]
        line = Series(words, list(range(len(points))), [p.measured for p in points])
        if len(rows) > 1:
            ends = [(max(0.0, p.low or 0.0), min(1.0, p.high or 1.0)) for p in points]
            line = Series(line.name, line.x, line.y, [e[0] for e in ends], [e[1] for e in ends])
        lines.append(line)
    note = "distance: the larger of |dy| and |dx|; every test picture moved once at each; bands: 95 % over seeds"
    return Chart(name, title, "lines", "distance of the move (px)", "accuracy", lines, percent=True, note=note)


def protocol(lab: Lab, *, augmented: bool) -> dict[str, Any]:
    """Everything needed to repeat it."""
    here = setting(lab)
    how = here.training(augmented=augmented)
    return {
        "models": {m: repr(untrained(here.build(p))).replace("\n", "") for m, p in MODELS.items()},
        "boundary": "zeros moved in; what leaves the picture is lost",
        "moves_px": {c: f"whole pixels, uniform in [-{r}, {r}] along each axis" for c, r in here.reach_px.items() if r},
        "training": {
            "optimiser": f"Adam, rate {how.rate}",
            "batch": how.batch_size,
            "epochs": how.epochs,
            "moves_px": how.moves_px,
            "pixels": "in [0, 1]",
        },
        "test pictures": len(lab.digits("test")),
        "draws of moves": f"{DRAWS} for each network, the same for all networks of a seed; one move a picture",
        "distance": "max(|dy|, |dx|); at each one move a picture, drawn evenly from all moves of that distance",
    }
