"""How accurate small networks are on moved digits: what the pooling and the augmentation experiments share."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor, nn

from shiftproof.data import Labelled
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.models import ConvNet
from shiftproof.records import Chart, Citation, Figure, Series
from shiftproof.training import Training, draw_moves, moved

REPORTED = "Unattributed table of accuracies"  # the figures are known, the text that printed them is not
MODELS = {"A": "c", "B": "cp", "C": "cpcp"}
LEGENDS = {"A": "A: convolution", "B": "B: with pooling", "C": "C: twice"}
CONDITIONS = UNMOVED, LITTLE, MOVED = ("unmoved", "moved little", "moved")
DRAWS = 5  # of moves, for each network and reach
BATCH = 250
ROUNDING = 0.0005  # of figures published with three decimals
SMALL = Training(epochs=15, rate=3e-3)  # for pictures that are small and few


@dataclass(frozen=True)
class Setting:
    """The parts of the protocol that depend on the size of the pictures.

    Args:
        side_px: side of the square pictures.
    """

    side_px: int

    @property
    def reach_px(self) -> dict[str, int]:
        """The largest move along an axis, by condition: 0, 1 px, and a tenth of the side (at least 2 px)."""
        return dict(zip(CONDITIONS, (0, 1, max(2, round(self.side_px / 10))), strict=True))

    @property
    def farthest_px(self) -> int:
        """The largest distance of the curve over distance."""
        return min(8, self.side_px // 2)

    @property
    def kernel_size(self) -> int:
        """Of the convolutions: 3, or 2 on small pictures, whose maps would otherwise become empty."""
        return 3 if self.side_px >= 28 else 2

    def training(self, *, augmented: bool, pictures: int | None = None) -> Training:
        """5 epochs; on small pictures, of which there are few, more epochs over all of them."""
        moves_px = self.reach_px[MOVED] if augmented else 0
        if self.side_px >= 28:
            return Training(moves_px=moves_px, pictures=pictures)
        return replace(SMALL, moves_px=moves_px)

    def build(self, pattern: str):
        """The function that makes the untrained network of that pattern, see `ConvNet`."""
        if self.side_px >= 28:
            return functools.partial(ConvNet, pattern)
        size = (1, self.side_px, self.side_px)
        return functools.partial(ConvNet, pattern, kernel_size=self.kernel_size, input_size=size)


def setting(lab: Lab) -> Setting:
    """The setting for the lab's digits."""
    return Setting(lab.digits("test").pictures.shape[-1])


def network(lab: Lab, pattern: str, how: Training, seed: int) -> nn.Module:
    """The trained network of that pattern; all experiments share it."""
    return lab.trained(pattern, setting(lab).build(pattern), how, seed)


@torch.inference_mode()
def is_correct(model: nn.Module, data: Labelled, moves: Int64[Tensor, "n 2"] | None = None) -> Bool[Tensor, " n"]:
    """Whether the model's answer is correct for each picture, moved by its own whole-pixel move with zeros moved in."""
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    correct = []
    for at in torch.arange(len(data)).split(BATCH):
        x = data.pictures[at] if moves is None else moved(data.pictures[at], moves[at])
        correct.append(model(x.float().div_(255)).argmax(1) == data.labels[at])
    return torch.cat(correct)


def draw_at_distance(n: int, distance_px: int, generator: torch.Generator) -> Int64[Tensor, "n 2"]:
    """Moves (dy, dx) drawn evenly from those whose larger coordinate is exactly the distance, max(|dy|, |dx|).

    >>> draw_at_distance(100, 2, torch.Generator().manual_seed(0)).abs().amax(1).unique().tolist()
    [2]
    """
    line = range(-distance_px, distance_px + 1)
    ring = torch.tensor([(dy, dx) for dy in line for dx in line if max(abs(dy), abs(dx)) == distance_px])
    return ring[torch.randint(len(ring), (n,), generator=generator)]


def generator(seed: int, number: int) -> torch.Generator:
    """The random numbers of a draw of moves: the same for all networks of a seed, which are compared on the same moves."""
    return torch.Generator().manual_seed(10_000 + 100 * seed + number)


def accuracies(lab: Lab, pattern: str, how: Training, seed: int) -> dict[str, list[float]]:
    """`accuracies_of` the trained network of that pattern, on the test digits."""
    return accuracies_of(network(lab, pattern, how, seed), lab.digits("test"), seed)


def accuracies_of(model: nn.Module, data: Labelled, seed: int) -> dict[str, list[float]]:
    """Accuracies of one network: one per draw of moves by condition, and one per distance under "curve".

    Args:
        model: names the class of a picture.
        data: square test pictures.
        seed: of the moves.
    """
    here = Setting(data.pictures.shape[-1])

    def accuracy(moves: Tensor | None) -> float:
        return is_correct(model, data, moves).double().mean().item()

    found = {}
    for condition, reach in here.reach_px.items():
        draws = [generator(seed, draw) for draw in range(DRAWS)] if reach else []
        found[condition] = [accuracy(draw_moves(len(data), reach, g)) for g in draws] or [accuracy(None)]
    curve = [draw_at_distance(len(data), d, generator(seed, d)) for d in range(1, here.farthest_px + 1)]
    return {**found, "curve": [*found[UNMOVED], *map(accuracy, curve)]}


@dataclass(frozen=True)
class Accuracies:
    """Accuracies of one model, a row per seed.

    Args:
        drawn: by condition, a column per draw of moves (a single one where nothing moves).
        curve: a column per distance of the move, 0, 1, ... px.

    >>> a = Accuracies({"moved": np.array([[0.5, 0.7], [0.8, 0.8]])}, np.zeros((2, 0)))
    >>> a.by_seed("moved"), a.mean("moved")
    ([0.6, 0.8], 0.7)
    """

    drawn: Mapping[str, Float64[np.ndarray, "seeds draws"]]
    curve: Float64[np.ndarray, "seeds distances"]

    def by_seed(self, condition: str) -> list[float]:
        """The mean over draws for each seed."""
        return [mean_of(draws) for draws in self.drawn[condition].tolist()]

    def mean(self, condition: str) -> float:
        """The mean over draws, then over seeds."""
        return mean_of(self.by_seed(condition))


ByModel = Mapping[str, Accuracies]


def measure_models(lab: Lab, *, augmented: bool, models: Mapping[str, str] = MODELS) -> dict[str, Accuracies]:
    """Accuracies of models A, B and C, or of others by their patterns, for every seed."""
    how, stage = setting(lab).training(augmented=augmented), "augmented networks" if augmented else "networks"
    todo = [(model, seed) for seed in lab.seeds for model in models]
    found: dict[str, list[dict[str, list[float]]]] = {model: [] for model in models}
    for model, seed in lab.each(stage, todo):
        found[model].append(lab.kept(accuracies, lab, models[model], how, seed, shared=True))
    return {model: collected(runs) for model, runs in found.items()}


def collected(runs: Sequence[Mapping[str, list[float]]]) -> Accuracies:
    """What `accuracies_of` gave for each seed, as arrays."""
    return Accuracies({c: np.array([r[c] for r in runs]) for c in CONDITIONS}, np.array([r["curve"] for r in runs]))


@dataclass(frozen=True)
class Spreads:
    """The two sources of spread of an accuracy, as standard deviations.

    Args:
        seeds: between networks trained with other seeds, without what the draws add; None with one seed.
        draws: between draws of moves, for the same network; None where nothing is drawn.
    """

    seeds: float | None
    draws: float | None

    @property
    def both(self) -> float | None:
        """Of one run, trained once and moved once; None with one seed."""
        return None if self.seeds is None else math.hypot(self.seeds, self.draws or 0.0)


def spreads(values: Float64[np.ndarray, "seeds draws"]) -> Spreads:
    """One-way analysis of variance with random effects.

    draws^2 = mean over seeds of the variance over draws; seeds^2 = max(0, variance of the means - draws^2 / m), m draws.

    >>> spreads(np.array([[0.0, 2.0], [10.0, 12.0]]))
    Spreads(seeds=7.0, draws=1.4142135623730951)

    Reference: Searle, Casella and McCulloch 1992, Variance Components, section 3.5 (the estimators from mean squares).
    """
    rows = values.tolist()
    m = len(rows[0])
    within = sum(_variance(row) for row in rows) / len(rows) if m > 1 else None
    between = None
    if len(rows) > 1:
        # The means over m draws vary by the seeds, and by 1 / m of what the draws vary.
        # By chance the difference can be negative.
        between = math.sqrt(max(0.0, _variance([sum(row) / m for row in rows]) - (within or 0.0) / m))
    return Spreads(between, None if within is None else math.sqrt(within))


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)


def mean_of(values: Sequence[float]) -> float:
    """Their mean."""
    return math.fsum(values) / len(values)


def within_spread(published: float, values: Float64[np.ndarray, "seeds draws"]) -> bool | None:
    """Whether a published figure, from one run, lies within the spread of one run here; decides ticks and footnotes alike.

    |published - mean| <= s + 0.0005, s the spread of one run over seeds and moves (`Spreads.both`), the rest the rounding
    of figures published with three decimals; None with one seed.

    >>> within_spread(0.72, np.array([[0.70], [0.74]])), within_spread(0.76, np.array([[0.70], [0.74]]))
    (True, False)
    """
    both = spreads(values).both
    if both is None:
        return None
    return abs(published - mean_of([mean_of(v) for v in values.tolist()])) <= both + ROUNDING


@dataclass(frozen=True)
class Published:
    """The published accuracies of the models.

    Args:
        by_model: one per condition, in the order of `CONDITIONS`.
        source: where they were published.
    """

    by_model: Mapping[str, Sequence[float]]
    source: Citation

    def at(self, model: str, condition: str) -> float:
        """The accuracy of a model in a condition."""
        return self.by_model[model][CONDITIONS.index(condition)]


def accuracy_figures(measured: ByModel, published: Published | None) -> list[Figure]:
    """A figure per model and condition: over seeds, each the mean over draws; `holds` is `within_spread`."""
    figures = []
    for model, found in measured.items():
        for condition in CONDITIONS:
            values = found.by_seed(condition)
            if published is None:
                figures.append(over_seeds("accuracy", model, condition, values))
                continue
            said = published.at(model, condition)
            holds = within_spread(said, found.drawn[condition])
            figures.append(
                over_seeds("accuracy", model, condition, values, published=said, source=published.source, holds=holds)
            )
    return figures


def spread_figures(measured: ByModel) -> list[Figure]:
    """Both sources of spread of each accuracy."""
    figures = []
    for model, found in measured.items():
        for condition in CONDITIONS:
            each = spreads(found.drawn[condition])
            for column, value in (("seed of training", each.seeds), ("choice of moves", each.draws)):
                if value is not None:
                    figures.append(Figure("spread", f"{model}, {condition}", column, value))
    return figures


def curve_chart(title: str, rows: Mapping[str, Float64[np.ndarray, "seeds distances"]]) -> Chart:
    """Accuracy over distance: a line for each of `rows` by its legend, with intervals over seeds."""
    lines = []
    for legend, values in rows.items():
        points = [over_seeds("distance", legend, "accuracy", column) for column in values.T.tolist()]
        line = Series(legend, list(range(len(points))), [p.measured for p in points])
        if len(values) > 1:
            # Student's interval knows no bounds; an accuracy does.
            ends = [(max(0.0, p.low or 0.0), min(1.0, p.high or 1.0)) for p in points]
            line = replace(line, low=[e[0] for e in ends], high=[e[1] for e in ends])
        lines.append(line)
    note = "distance: the larger of |dy| and |dx|; each test picture is moved once per distance; bands: 95 % over seeds"
    return Chart("distance", title, "lines", "distance of the move (px)", "accuracy", lines, percent=True, note=note)


def protocol(here: Setting, *, test_pictures: int, augmented: bool) -> dict[str, Any]:
    """Everything needed to repeat it but the networks."""
    how = here.training(augmented=augmented)
    return {
        "boundary": "zeros moved in; what leaves the picture is lost",
        "moves_px": {c: f"whole pixels, uniform in [-{r}, {r}] along each axis" for c, r in here.reach_px.items() if r},
        "training": {
            "optimiser": f"Adam, rate {how.rate}",
            "batch": how.batch_size,
            "epochs": how.epochs,
            "moves_px": how.moves_px,
            "pixels": "in [0, 1]",
        },
        "test pictures": test_pictures,
        "draws of moves": f"{DRAWS} per network, the same for all networks of a seed; one move per picture",
        "distance": "max(|dy|, |dx|); one move per picture and distance, drawn evenly from all moves of that distance",
    }
