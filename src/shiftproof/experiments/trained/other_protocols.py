"""Why a published accuracy differs from ours: other readings of its protocol, measured on the same networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from shiftproof.data import Labelled
from shiftproof.experiments.experiment import Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.moved_digits import (
    CONDITIONS,
    LITTLE,
    MODELS,
    MOVED,
    ROUNDING,
    UNMOVED,
    Accuracies,
    ByModel,
    Published,
    accuracies,
    generator,
    is_correct,
    mean_of,
    network,
    setting,
    spreads,
    within_spread,
)
from shiftproof.records import Figure, Table
from shiftproof.records.numbers import percent, points
from shiftproof.training import Training, draw_moves, moved

READINGS = {  # possible meanings of "moved little" and "moved"; the first of each is ours
    LITTLE: ("whole pixels, 1 px", "whole pixels, 1 px along one axis only", "fractions of a pixel, 1 px"),
    MOVED: (
        "whole pixels, 3 px",
        "whole pixels, 3 px, only digits that stay inside the picture",
        "whole pixels, 2 px",
        "fractions of a pixel, 2.8 px",
    ),
}
WHOLE = {"train": 60_000, "test": 10_000}  # MNIST's digits by split
FOUND = "These changes bring our figure within the spread of one run"
IN_PART = "These changes account for at least half of the difference"
NOT_FOUND = "These differences have no known cause"
DISTANCE = "distance to the published row"


def moved_between(pictures: UInt8[Tensor, "n 1 h w"], moves: Float[Tensor, "n 2"]) -> UInt8[Tensor, "n 1 h w"]:
    """Each picture moved by its own fraction of a pixel, zeros moved in: the weighted mean of the four whole moves around.

    With (y, x) = floor(move) and (a, b) the rest: (1-a)(1-b) T(y,x) + a(1-b) T(y+1,x) + (1-a)b T(y,x+1) + ab T(y+1,x+1),
    rounded to whole grey values. It blurs, as Keras's width_shift_range and torchvision's affine do, whereas
    `shiftproof.translate` preserves fine detail.

    >>> moved_between(torch.tensor([[[[0, 100, 0]]]], dtype=torch.uint8), torch.tensor([[0.0, 0.25]]))[0, 0].tolist()
    [[0, 75, 25]]
    """
    # Down for negative moves too, so that the rest lies in [0, 1).
    corner = moves.floor().long()
    rest = moves - corner
    total = torch.zeros(pictures.shape)
    for down in (0, 1):
        for right in (0, 1):
            a = rest[:, 0] if down else 1 - rest[:, 0]
            b = rest[:, 1] if right else 1 - rest[:, 1]
            total += (a * b)[:, None, None, None] * moved(pictures, corner + torch.tensor([down, right]))
    return total.round().to(torch.uint8)


@dataclass(frozen=True)
class OtherProtocols:
    """Accuracies of the same networks under other readings of the published protocol, and of networks trained longer.

    Args:
        readings: by condition; the first axis in the order of `READINGS`, the second in that of `MODELS`.
        longer: by model, for the first seed and its first draw of moves: trained as usual, and twice as long; a column per
            condition. Models that were not trained longer are missing.
        epochs: of the usual training.
    """

    readings: Mapping[str, Float64[np.ndarray, "readings models seeds"]]
    longer: Mapping[str, Float64[np.ndarray, "2 conditions"]]
    epochs: int

    def by_model(self, condition: str, reading: int) -> dict[str, list[float]]:
        """Accuracy over seeds, by model."""
        return dict(zip(MODELS, self.readings[condition][reading].tolist(), strict=True))

    def distances(self, condition: str, published: Published) -> dict[str, float]:
        """How far each reading is from the published row: root mean square over the models."""
        found = {}
        for i, reading in enumerate(READINGS[condition]):
            means = {m: mean_of(values) for m, values in self.by_model(condition, i).items()}
            found[reading] = math.sqrt(mean_of([(a - published.at(m, condition)) ** 2 for m, a in means.items()]))
        return found

    def would_be(self, model: str, condition: str, ours: float) -> dict[str, float]:
        """The accuracy of a model under each other protocol that was measured, without ours; `ours` is our accuracy."""
        others = list(enumerate(READINGS.get(condition, ())))[1:]
        found = {reading: mean_of(self.by_model(condition, i)[model]) for i, reading in others}
        if model in self.longer:
            usual, longer = self.longer[model][:, CONDITIONS.index(condition)].tolist()
            # Measured for one seed and one draw, where both are the same; the difference is added to the mean over all.
            found["trained twice as long"] = ours + longer - usual
        return found


def readings(lab: Lab, pattern: str, how: Training, seed: int) -> dict[str, list[float]]:
    """Accuracies of one network by condition, in the order of `READINGS`; one draw of moves each."""
    data, model = lab.digits("test"), network(lab, pattern, how, seed)
    n = len(data)

    def correct(moves: Tensor) -> Tensor:
        return is_correct(model, data, moves).double()

    def between(reach_px: float) -> float:
        moves = (2 * torch.rand(n, 2, generator=generator(seed, 50)) - 1) * reach_px
        views = Labelled(moved_between(data.pictures, moves), data.labels, data.word)
        return is_correct(model, views).double().mean().item()

    one, two, three = (draw_moves(n, reach, generator(seed, 0)) for reach in (1, 2, 3))
    ink = data.pictures.sum((1, 2, 3), dtype=torch.int64)
    # As much ink as before: nothing of the digit has left the picture.
    whole = moved(data.pictures, three).sum((1, 2, 3), dtype=torch.int64) == ink
    sides = torch.tensor([(0, 1), (1, 0), (0, -1), (-1, 0)])
    side = sides[torch.randint(4, (n,), generator=generator(seed, 51))]
    far = correct(three)
    return {
        LITTLE: [correct(one).mean().item(), correct(side).mean().item(), between(1)],
        MOVED: [far.mean().item(), far[whole].mean().item(), correct(two).mean().item(), between(2.8)],
    }


def first_draws(lab: Lab, pattern: str, how: Training, seed: int) -> list[float]:
    """Accuracies of one network by condition, for its first draw of moves."""
    data, model = lab.digits("test"), network(lab, pattern, how, seed)
    reaches = setting(lab).reach_px.values()
    moves = [draw_moves(len(data), reach, generator(seed, 0)) if reach else None for reach in reaches]
    return [is_correct(model, data, m).double().mean().item() for m in moves]


def measure_other_protocols(lab: Lab, *, augmented: bool, longer: Sequence[str]) -> OtherProtocols:
    """Every reading for every seed, and networks trained twice as long for the first seed.

    Args:
        lab: where it is done.
        augmented: whether the networks are trained on moved digits.
        longer: the models that are trained twice as long.
    """
    how, first = setting(lab).training(augmented=augmented), lab.seeds[0]
    todo = [(model, seed) for seed in lab.seeds for model in MODELS]
    found = {
        (model, seed): lab.kept(readings, lab, MODELS[model], how, seed, shared=True)
        for model, seed in lab.each("readings", todo)
    }
    by_condition = {
        condition: np.array(
            [[[found[m, s][condition][i] for s in lab.seeds] for m in MODELS] for i in range(len(words))]
        )
        for condition, words in READINGS.items()
    }
    twice, again = replace(how, epochs=2 * how.epochs), {}
    for model in lab.each("twice as long", longer):
        usual = lab.kept(accuracies, lab, MODELS[model], how, first, shared=True)
        after = lab.kept(first_draws, lab, MODELS[model], twice, first, shared=True)
        again[model] = np.array([[usual[c][0] for c in CONDITIONS], after])
    return OtherProtocols(by_condition, again, how.epochs)


def other_figures(other: OtherProtocols, published: Published) -> list[Figure]:
    """Accuracy by reading and model with each reading's distance to the published row, and the longer training."""
    figures = []
    for condition in READINGS:
        for i, (reading, distance) in enumerate(other.distances(condition, published).items()):
            row = f"{condition}: {reading}"
            for model, values in other.by_model(condition, i).items():
                said = published.at(model, condition)
                figures.append(over_seeds("other", row, model, values, published=said, source=published.source))
            figures.append(Figure("other", row, DISTANCE, distance))
    for model, rows in other.longer.items():
        for epochs, row in zip((other.epochs, 2 * other.epochs), rows.tolist(), strict=True):
            for condition, value in zip(CONDITIONS, row, strict=True):
                said = published.at(model, condition)
                where = "longer", f"{model}, {epochs} epochs", condition
                figures.append(Figure(*where, value, published=said, source=published.source))
    return figures


def other_tables(longer: str) -> list[Table]:
    """How `other_figures` are laid out; `longer` is the title of the networks that were trained longer."""
    note = "uniform moves up to the given size along each axis; distance: root mean square over A, B, C"
    return [
        Table("other", "The same networks under other interpretations of the published protocol", "moves", note),
        Table("longer", longer, "model", "first seed, with its first draw of moves"),
    ]


def only_a_part(train: int, test: int) -> str:
    """A footnote that says so if the digits are not all of MNIST, as for the published figures; empty if they are.

    Args:
        train: number of training digits.
        test: number of test digits.
    """
    return Said(
        {"train": train, "test": test} == WHOLE,
        yes="",
        no=f"These networks were trained on {train:,} and tested on {test:,} digits. The published figures are for all of "
        f"MNIST, {WHOLE['train']:,} and {WHOLE['test']:,} digits, and cannot be compared with these.",
    )


@dataclass(frozen=True)
class Difference:
    """An accuracy that lies further from the published one than the spread of one run.

    Args:
        model: of `MODELS`.
        condition: of `CONDITIONS`.
        ours: our accuracy.
        published: the published one.
        spread: of one run, as a standard deviation.
    """

    model: str
    condition: str
    ours: float
    published: float
    spread: float


def differences(measured: ByModel, published: Published) -> list[Difference]:
    """The accuracies that `within_spread` refuses."""

    def of(model: str, condition: str, found: Accuracies) -> Difference:
        both = spreads(found.drawn[condition]).both or 0.0
        return Difference(model, condition, found.mean(condition), published.at(model, condition), both)

    return [
        of(model, condition, found)
        for model, found in measured.items()
        for condition in CONDITIONS
        if within_spread(published.at(model, condition), found.drawn[condition]) is False
    ]


def explain(measured: ByModel, published: Published, other: OtherProtocols | None) -> list[Said | str]:
    """Footnotes on the accuracies that lie further from the published ones than the spread of one run.

    With one seed that spread is unknown, and every note is empty.

    Args:
        measured: the accuracies.
        published: what they are compared with.
        other: what else was measured; None for nothing.
    """
    off = differences(measured, published)
    listed = "; ".join(
        f"{d.model} {d.condition}, {percent(d.ours, 1)} instead of {percent(d.published, 1)}, spread of one run "
        f"{points(d.spread)}"
        for d in off
    )
    within = "Every accuracy equals the published one within the spread of one run."
    several = all(len(found.curve) > 1 for found in measured.values())
    return [
        Said(
            bool(off),
            yes=f"These accuracies differ from the published ones by more than the spread of one run: {listed}.",
            no=Said(several, yes=within, no=""),
        ),
        *(nearest_reading(condition, off, published, other) for condition in READINGS),
        *causes(off, other),
    ]


def nearest_reading(
    condition: str, off: Sequence[Difference], published: Published, other: OtherProtocols | None
) -> Said:
    """How far each reading of a condition's moves is from the published row, and whether another is nearer than ours.

    Empty where no accuracy of that condition is off, or no other reading was measured.
    """
    ours = READINGS[condition][0]
    distances = other.distances(condition, published) if other is not None else {ours: 0.0}
    best = min(distances, key=distances.__getitem__)
    listed = ", ".join(f"{points(distance)} for {reading}" for reading, distance in distances.items())
    start = f"{condition.capitalize()}: the root mean square distance from the published row is {listed}"
    return Said(
        other is not None and any(d.condition == condition for d in off),
        yes=Said(
            best == ours,
            yes=f"{start}; no other interpretation of the moves is nearer, so the moves are not the cause.",
            no=f"{start}; the nearest is {best}.",
        ),
        no="",
    )


def causes(off: Sequence[Difference], other: OtherProtocols | None) -> list[Said | str]:
    """For each difference: a change that brings it within the spread, or half of the way there, or that none does."""
    kinds: dict[str, list[str]] = {FOUND: [], IN_PART: [], NOT_FOUND: []}
    for d in off:
        would_be = other.would_be(d.model, d.condition, d.ours) if other is not None else {}
        left = {protocol: abs(value - d.published) for protocol, value in would_be.items()}
        best = min(left, key=left.__getitem__, default=None)
        if best is None:
            kinds[NOT_FOUND].append(f"{d.model} {d.condition} (no other protocol was measured)")
        elif left[best] <= d.spread + ROUNDING:
            kinds[FOUND].append(f"{d.model} {d.condition}, {best}: {percent(would_be[best], 1)}")
        elif left[best] <= abs(d.ours - d.published) / 2:
            kinds[IN_PART].append(f"{d.model} {d.condition}, {best}: {percent(would_be[best], 1)}")
        else:
            excluded = ", ".join(f"{protocol} {percent(value, 1)}" for protocol, value in would_be.items())
            kinds[NOT_FOUND].append(f"{d.model} {d.condition} (excluded: {excluded})")
    unmoved = any(d.condition == UNMOVED for d in off)
    no_effect = "The moves in the test cannot explain differences on unmoved digits."
    return [
        *(Said(bool(listed), yes=f"{kind}: {'; '.join(listed)}.", no="") for kind, listed in kinds.items()),
        Said(unmoved, yes=no_effect, no=""),
    ]
