"""Why a published accuracy differs from ours: other readings of its protocol, measured on the same networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from shiftproof.data.memory import Labelled
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.moved_digits import (
    CONDITIONS,
    MODELS,
    Measured,
    accuracies,
    answered_right,
    generator,
    mean_of,
    network,
    setting,
    spreads,
)
from shiftproof.experiments.training import draw_moves, moved
from shiftproof.records import Figure

LITTLE, MOVED = CONDITIONS[1:]
READINGS = {  # what "moved little" and "moved" might have meant; the first is ours
    LITTLE: ("whole pixels, 1 px", "whole pixels, 1 px along one axis only", "fractions of a pixel, 1 px"),
    MOVED: (
        "whole pixels, 3 px",
        "whole pixels, 3 px, digits of which nothing leaves the picture",
        "whole pixels, 2 px",
        "fractions of a pixel, 2.8 px",
    ),
}
OTHER = "the largest move along an axis, uniform; distance: root mean square over A, B, C"


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


def readings(lab: Lab, pattern: str, *, augmented: bool, seed: int) -> dict[str, list[float]]:
    """Accuracies of one network by condition, in the order of `READINGS`; one draw of moves each."""
    data = lab.digits("test")

    def compute() -> dict[str, list[float]]:
        model, n = network(lab, pattern, augmented=augmented, seed=seed), len(data)

        def right(moves: Tensor) -> Tensor:
            return answered_right(model, data, moves).double()

        def between(reach_px: float) -> float:
            moves = (2 * torch.rand(n, 2, generator=generator(seed, 50)) - 1) * reach_px
            views = Labelled(moved_between(data.pictures, moves), data.labels, data.word)
            return answered_right(model, views).double().mean().item()

        one, two, three = (draw_moves(n, reach, generator(seed, 0)) for reach in (1, 2, 3))
        ink = data.pictures.sum((1, 2, 3), dtype=torch.int64)
        here = moved(data.pictures, three).sum((1, 2, 3), dtype=torch.int64) == ink
        sides = torch.tensor([(0, 1), (1, 0), (0, -1), (-1, 0)])
        side = sides[torch.randint(4, (n,), generator=generator(seed, 51))]
        far = right(three)
        return {
            LITTLE: [right(one).mean().item(), right(side).mean().item(), between(1)],
            MOVED: [far.mean().item(), far[here].mean().item(), right(two).mean().item(), between(2.8)],
        }

    side_px = setting(lab).side_px
    return lab.kept(f"{pattern}, {side_px} px, augmented {augmented}, seed {seed}, {READINGS}", compute, shared=True)


def other_protocols(lab: Lab, published: Mapping[str, Sequence[float]], *, augmented: bool) -> list[Figure]:
    """Accuracy by reading and model, and each reading's distance to the published row (root mean square)."""
    todo = [(model, seed) for seed in lab.seeds for model in MODELS]
    found = {job: readings(lab, MODELS[job[0]], augmented=augmented, seed=job[1]) for job in lab.each("readings", todo)}
    figures = []
    for condition, words in READINGS.items():
        for i, reading in enumerate(words):
            row, off = f"{condition}: {reading}", []
            for model in MODELS:
                said = published[model][CONDITIONS.index(condition)]
                values = [found[model, seed][condition][i] for seed in lab.seeds]
                figures.append(over_seeds("other", row, model, values, published=said))
                off.append(figures[-1].measured - said)
            figures.append(Figure("other", row, DISTANCE, math.sqrt(mean_of([d * d for d in off]))))
    return figures


DISTANCE = "distance to the published"


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
    for condition in READINGS:
        head = f"{condition}: "
        distance = {
            f.row.removeprefix(head): f.measured for f in other if f.column == DISTANCE and f.row.startswith(head)
        }
        if distance and any(f.column == condition for f, _ in off):
            best, ours = min(distance, key=distance.__getitem__), READINGS[condition][0]
            words = ", ".join(f"{d:.1%} for {reading}" for reading, d in distance.items())
            verdict = (
                "no other reading of the moves comes nearer, so the moves are not the cause"
                if best == ours
                else f"part of the difference goes away if the published moves were: {best}"
            )
            notes.append(
                f"{condition.capitalize()}, root mean square distance from the published row: {words}; {verdict}."
            )
    unmoved = [f for f, _ in off if f.column == CONDITIONS[0]]
    if unmoved:
        notes.append(
            f"{'/'.join(f.row for f in unmoved)} differ on unmoved digits too, which no choice of moves can change: the "
            "published networks were trained otherwise than these, in a way that is not stated."
        )
    return notes


def longer(lab: Lab, model: str, published: Sequence[float]) -> tuple[list[Figure], list[str]]:
    """An augmented network trained twice as long, for the first seed: does that explain the published figures?"""
    here, data, seed = setting(lab), lab.digits("test"), lab.seeds[0]
    usual = accuracies(lab, MODELS[model], augmented=True, seed=seed)
    how = here.training(augmented=True)
    twice = replace(how, epochs=2 * how.epochs)

    def compute() -> list[float]:
        trained = lab.trained(MODELS[model], here.build(MODELS[model]), twice, seed)
        moves = [draw_moves(len(data), r, generator(seed, 0)) if r else None for r in here.reach_px.values()]
        return [answered_right(trained, data, m).double().mean().item() for m in moves]

    after = lab.kept(f"{MODELS[model]}, {twice}, seed {seed}, longer", compute)
    before = [usual[c][0] for c in CONDITIONS]
    figures = []
    for epochs, row in ((how.epochs, before), (twice.epochs, after)):
        for c, value, said in zip(CONDITIONS, row, published, strict=True):
            figures.append(Figure("longer", f"{model}, {epochs} epochs", c, value, published=said))
    gap, gained = published[-1] - before[-1], after[-1] - before[-1]
    if gap <= 0:
        return figures, []
    verdict = (
        "a longer training, such as on the pictures and their moved copies, would explain most of the difference"
        if gained > gap / 2
        else "so the length of the training alone is not the cause"
    )
    note = (
        f"{model} trained twice as long gains {gained:+.1%} on moved digits, of {gap:+.1%} that lie between: {verdict}."
    )
    return figures, [note]
