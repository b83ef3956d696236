"""Why a published accuracy differs from ours: other readings of its protocol, measured on the same networks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from shiftproof.data import Labelled
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.moved_digits import (
    CONDITIONS,
    MODELS,
    ROUNDING,
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
from shiftproof.records import Figure, Source

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
WHOLE = {"train": 60_000, "test": 10_000}  # MNIST's digits by split
FOUND = "A cause that suffices, for it brings our figure within the spread of one run"
IN_PART = "Part of the cause, for at least half of the difference goes with it"
NOT_FOUND = "Cause not found"
LONGER = "the first seed and its first draw of moves"
DISTANCE = "distance to the published"
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


def other_protocols(
    lab: Lab, published: Mapping[str, Sequence[float]], *, augmented: bool, source: Source
) -> list[Figure]:
    """Accuracy by reading and model, and each reading's distance to the published row (root mean square)."""
    todo = [(model, seed) for seed in lab.seeds for model in MODELS]
    found = {j: readings(lab, MODELS[j[0]], augmented=augmented, seed=j[1]) for j in lab.each("readings", todo)}
    figures = []
    for condition, words in READINGS.items():
        for i, reading in enumerate(words):
            row, off = f"{condition}: {reading}", []
            for model in MODELS:
                said = published[model][CONDITIONS.index(condition)]
                values = [found[model, seed][condition][i] for seed in lab.seeds]
                figures.append(over_seeds("other", row, model, values, published=said, source=source))
                off.append(figures[-1].measured - said)
            figures.append(Figure("other", row, DISTANCE, math.sqrt(mean_of([d * d for d in off]))))
    return figures


def longer(
    lab: Lab, models: Sequence[str], published: Mapping[str, Sequence[float]], *, augmented: bool, source: Source
) -> list[Figure]:
    """Networks trained twice as long, beside the usual ones, for the first seed and its first draw of moves."""
    here, data, seed = setting(lab), lab.digits("test"), lab.seeds[0]
    how = here.training(augmented=augmented)
    twice, figures = replace(how, epochs=2 * how.epochs), []
    for model in lab.each("twice as long", models):
        pattern = MODELS[model]

        def compute(pattern: str = pattern) -> list[float]:
            trained = lab.trained(pattern, here.build(pattern), twice, seed)
            moves = [draw_moves(len(data), r, generator(seed, 0)) if r else None for r in here.reach_px.values()]
            return [answered_right(trained, data, m).double().mean().item() for m in moves]

        usual = accuracies(lab, pattern, augmented=augmented, seed=seed)
        after = lab.kept(f"{pattern}, {twice}, seed {seed}, longer", compute)
        for epochs, row in ((how.epochs, [usual[c][0] for c in CONDITIONS]), (twice.epochs, after)):
            for c, value, said in zip(CONDITIONS, row, published[model], strict=True):
                figures.append(Figure("longer", f"{model}, {epochs} epochs", c, value, published=said, source=source))
    return figures


def only_a_part(lab: Lab) -> list[str]:
    """A footnote where the digits are not all of MNIST's, as the published ones were; none where they are."""
    found = {split: len(lab.digits(split)) for split in WHOLE}
    if found == WHOLE:
        return []
    return [
        f"Trained on {found['train']:,} and tested on {found['test']:,} digits; the published figures are of MNIST's whole "
        f"{WHOLE['train']:,} and {WHOLE['test']:,}, and are not to be compared with these."
    ]


def explain(
    figures: Sequence[Figure], measured: Measured, other: Sequence[Figure], again: Sequence[Figure]
) -> list[str]:
    """Footnotes on the accuracies that lie further from the published ones than one run's spread; none where none does.

    Args:
        figures: accuracies; what `within_spread` refused is explained.
        measured: what they are made of.
        other: of `other_protocols`.
        again: of `longer`.
    """
    off = [(f, spreads([run[f.column] for run in measured[f.row]]).both or 0.0) for f in figures if f.holds is False]
    if not off:
        return []
    listed = "; ".join(
        f"{f.row} {f.column}: {f.measured:.1%} against {f.published:.1%}, spread of one run {both:.1%}"
        for f, both in off
    )
    notes = [f"Further from the published figure than one run's spread: {listed}."]
    for condition in dict.fromkeys(f.column for f, _ in off):
        notes += _nearest_reading(condition, other)
    return notes + _causes(off, other, again)


def _nearest_reading(condition: str, other: Sequence[Figure]) -> list[str]:
    """How far each reading of a condition's moves is from the published row; nothing where none was measured."""
    head = f"{condition}: "
    distance = {r.row.removeprefix(head): r.measured for r in other if r.column == DISTANCE and r.row.startswith(head)}
    if not distance:
        return []
    best, words = min(distance, key=distance.__getitem__), ", ".join(f"{d:.1%} for {r}" for r, d in distance.items())
    verdict = (
        "no other reading of the moves comes nearer, so the moves are not the cause"
        if best == READINGS[condition][0]
        else f"the nearest is {best}"
    )
    return [f"{condition.capitalize()}, root mean square distance from the published row: {words}; {verdict}."]


def _causes(off: Sequence[tuple[Figure, float]], other: Sequence[Figure], again: Sequence[Figure]) -> list[str]:
    """For each figure that is off: what would bring it within the spread, what half of the way, or that nothing did."""
    kinds: dict[str, list[str]] = {FOUND: [], IN_PART: [], NOT_FOUND: []}
    for f, both in off:
        would_be = _by_protocol(f, other, again)
        left = {words: abs(value - (f.published or 0.0)) for words, value in would_be.items()}
        best = min(left, key=left.__getitem__, default=None)
        if best is None:
            kinds[NOT_FOUND].append(f"{f.row} {f.column} (no other protocol was measured)")
        elif left[best] <= both + ROUNDING:
            kinds[FOUND].append(f"{f.row} {f.column}, {best}: {would_be[best]:.1%}")
        elif left[best] <= abs(f.measured - (f.published or 0.0)) / 2:
            kinds[IN_PART].append(f"{f.row} {f.column}, {best}: {would_be[best]:.1%}")
        else:
            excluded = ", ".join(f"{words} {value:.1%}" for words, value in would_be.items())
            kinds[NOT_FOUND].append(f"{f.row} {f.column} (excluded: {excluded})")
    notes = [f"{kind}: {'; '.join(listed)}." for kind, listed in kinds.items() if listed]
    if any(f.column == CONDITIONS[0] for f, _ in off):
        notes.append("On unmoved digits no reading of the moves in the test can change anything.")
    return notes


def _by_protocol(f: Figure, other: Sequence[Figure], again: Sequence[Figure]) -> dict[str, float]:
    """What an accuracy would be under each other protocol that was measured, ours left out."""
    head = f"{f.column}: "
    found = {r.row.removeprefix(head): r.measured for r in other if r.column == f.row and r.row.startswith(head)}
    found.pop(READINGS.get(f.column, ("",))[0], None)
    epochs = [a.measured for a in again if a.row.startswith(f"{f.row}, ") and a.column == f.column]
    if epochs:
        found["trained twice as long"] = f.measured + epochs[1] - epochs[0]
    return found
