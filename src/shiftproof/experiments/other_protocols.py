"""Why a published accuracy differs from ours: other readings of its protocol, measured on the same networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.moved_digits import (
    CONDITIONS,
    MODELS,
    Measured,
    answered_right,
    generator,
    mean_of,
    network,
    setting,
    spreads,
)
from shiftproof.experiments.training import draw_moves, moved
from shiftproof.records import Figure

OURS = "whole pixels, 3 px"
WHOLE = "whole pixels, 3 px, digits of which nothing leaves the picture"
TENTH = "fractions of a pixel, 2.8 px"
OTHER = "accuracy on moved digits; the largest move along an axis, uniform; distance: root mean square over A, B, C"
TWO = "whole pixels, 2 px"


def moved_between(pictures: UInt8[Tensor, "n 1 h w"], moves: Float[Tensor, "n 2"]) -> UInt8[Tensor, "n 1 h w"]:
    """Each picture moved by its own fraction of a pixel, zeros moved in: the weighted mean of the four whole moves around.

    With (y, x) = floor(move) and (a, b) the rest: (1-a)(1-b) T(y,x) + a(1-b) T(y+1,x) + (1-a)b T(y,x+1) + ab T(y+1,x+1),
    rounded to whole grey values. It blurs, as Keras's width_shift_range and torchvision's affine do, where
    `shiftproof.translate` keeps fine waves.

    >>> moved_between(torch.tensor([[[[0, 100, 0]]]], dtype=torch.uint8), torch.tensor([[0.0, 0.25]]))[0, 0].tolist()
    [[0, 75, 25]]
    """
    corner = moves.floor().long()
    rest = moves - corner
    total = torch.zeros(pictures.shape)
    for down in (0, 1):
        for right in (0, 1):
            a = rest[:, 0] if down else 1 - rest[:, 0]
            b = rest[:, 1] if right else 1 - rest[:, 1]
            total += (a * b)[:, None, None, None] * moved(pictures, corner + torch.tensor([down, right]))
    return total.round().to(torch.uint8)


def readings(lab: Lab, pattern: str, *, augmented: bool, seed: int) -> dict[str, float]:
    """Accuracy of one network by what "moved" might have meant; the first draw of moves of the main measurement."""
    data = lab.digits("test")

    def compute() -> dict[str, float]:
        model = network(lab, pattern, augmented=augmented, seed=seed)
        moves = draw_moves(len(data), 3, generator(seed, 0))
        right = answered_right(model, data, moves).double()
        ink = data.pictures.sum((1, 2, 3), dtype=torch.int64)
        here = moved(data.pictures, moves).sum((1, 2, 3), dtype=torch.int64) == ink
        between = (2 * torch.rand(len(data), 2, generator=generator(seed, 50)) - 1) * 2.8
        tenth = type(data)(moved_between(data.pictures, between), data.labels, data.word)
        two = draw_moves(len(data), 2, generator(seed, 0))
        return {
            OURS: right.mean().item(),
            WHOLE: right[here].mean().item(),
            TENTH: answered_right(model, tenth).double().mean().item(),
            TWO: answered_right(model, data, two).double().mean().item(),
        }

    side = setting(lab).side_px
    return lab.kept(f"{pattern}, {side} px, augmented {augmented}, seed {seed}, readings", compute, shared=True)


def other_protocols(lab: Lab, published: Mapping[str, Sequence[float]], *, augmented: bool) -> list[Figure]:
    """Accuracy on moved digits by reading and model, and each reading's distance to the published row (root mean square)."""
    todo = [(model, seed) for seed in lab.seeds for model in MODELS]
    found = {job: readings(lab, MODELS[job[0]], augmented=augmented, seed=job[1]) for job in lab.each("readings", todo)}
    figures = []
    for reading in (OURS, WHOLE, TENTH, TWO):
        off = []
        for model in MODELS:
            values = [found[model, seed][reading] for seed in lab.seeds]
            figures.append(over_seeds("other", reading, model, values, published=published[model][2]))
            off.append(figures[-1].measured - published[model][2])
        figures.append(Figure("other", reading, "distance to the published", math.sqrt(mean_of([d * d for d in off]))))
    return figures


def explain(figures: Sequence[Figure], measured: Measured, other: Sequence[Figure]) -> list[str]:
    """Footnotes on the accuracies that lie further from the published ones than one run's spread; none where none does."""
    off = []
    for f in figures:
        both = spreads([run[f.column] for run in measured[f.row]]).both
        if f.published is not None and both is not None and abs(f.measured - f.published) > both + 0.0005:
            off.append((f, both))
    if not off:
        return []
    listed = "; ".join(
        f"{f.row} {f.column}: {f.measured:.1%} against {f.published:.1%}, spread of one run {both:.1%}"
        for f, both in off
    )
    notes = [f"Further from the published figure than one run's spread: {listed}."]
    distance = {f.row: f.measured for f in other if f.column == "distance to the published"}
    if any(f.column == "moved" for f, _ in off) and distance:
        best = min(distance, key=distance.__getitem__)
        words = ", ".join(f"{d:.1%} for {reading}" for reading, d in distance.items())
        verdict = (
            "so the reading of the moves is not the cause"
            if best == OURS
            else f"so part of the difference may be that the published moves were: {best}"
        )
        notes.append(f"Root mean square distance from the published row on moved digits: {words}; {verdict}.")
    unmoved = [f for f, _ in off if f.column == CONDITIONS[0]]
    if unmoved:
        notes.append(
            f"{'/'.join(f.row for f in unmoved)} differ on unmoved digits too, which no choice of moves can change: the "
            "published networks were trained otherwise than these (initial weights, rate, order), in a way that is not stated."
        )
    return notes
