"""How well trained networks name the cell of a digit, and how small moves change what they read."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, UInt8

from shiftproof.checking import check
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.position.cells import (
    KINDS,
    LAYERS,
    LEAKY,
    STEP_PX,
    answers,
    judged,
    keeps,
    map_change,
    network,
    placed,
    reader,
    same_answers,
    shrunk,
    task,
)
from shiftproof.training import Training, untrained
from shiftproof.translations import grid

SHOWN_PX = 3  # how far the curve of the small moves goes


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Args:
        kinds: which of `KINDS` name the cell.
        margins_px: distances of the outermost digits from the border.
        pools: sizes of the max pooling; 1 for none.
        placed: test digits that are put in all cells.
        read: test digits that are read, moved.
        epochs: of every training; None for what suits the digits.
    """

    kinds: tuple[str, ...] = tuple(KINDS)
    margins_px: tuple[int, ...] = (0, 1, 2, 3, 4)
    pools: tuple[int, ...] = (1, 2, 4)
    placed: int = 500
    read: int = 500
    epochs: int | None = None


PLAN, FEW = Plan(), 5000  # training digits


def locating(small: bool, plan: Plan) -> Training:
    """How a network that names the cell is trained."""
    return Training(epochs=plan.epochs or (20 if small else 8), rate=3e-3)


def reading(small: bool, plan: Plan, digits: int) -> Training:
    """How a network that reads digits is trained."""
    return Training(epochs=plan.epochs or (20 if small else 3), rate=3e-3, pictures=min(FEW, digits))


@dataclass(frozen=True)
class Located:
    """How well networks name the cell.

    Args:
        right: the fraction of cells named correctly, for each seed.
        depends: the fraction of digits whose answer is not the same in all cells, for each seed.
    """

    right: tuple[float, ...]
    depends: tuple[float, ...]

    @property
    def mean_right(self) -> float:
        """Over seeds."""
        return sum(self.right) / len(self.right)

    @property
    def blind(self) -> bool:
        """Whether no answer depends on the cell, with any seed."""
        return not any(self.depends)


@dataclass(frozen=True, eq=False)
class Read:
    """How small moves change what a layer's network reads.

    Args:
        right: the fraction of unmoved digits read correctly, for each seed.
        change: relative change of the maps by moves of 1 px, for each seed.
        same: the fraction of answers that stay, for each seed and moves of 0 .. `SHOWN_PX` pixels.
    """

    right: tuple[float, ...]
    change: tuple[float, ...]
    same: Float64[np.ndarray, "s r"]

    @property
    def mean_change(self) -> float:
        """Over seeds."""
        return sum(self.change) / len(self.change)

    def mean_same(self, px: int) -> float:
        """Over seeds."""
        return float(self.same[:, px].mean())


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        plan: how much was measured.
        digits: how many training digits.
        large: whether they are large (28 x 28), which decides how long networks are trained.
        tests: (in all cells, read) how many test digits.
        canvas_px: side of the canvas without a margin.
        located: kind of network -> how well it names the cell.
        invariant: kind -> whether the check proves the untrained network invariant to every circular move.
        keeps: kind -> whether `assert_keeps_position` passes, for the untrained network.
        leak: margin in px -> how well the network with zero padding names the cell.
        enough_px: the distance to the border from which the check proves that position does not leak; None for no distance.
        read: (layer, pooling) -> how small moves change what is read.
        digit: a test digit as the task shows it.
    """

    plan: Plan
    digits: int
    large: bool
    tests: tuple[int, int]
    canvas_px: int
    located: dict[str, Located]
    invariant: dict[str, bool]
    keeps: dict[str, bool]
    leak: dict[int, Located]
    enough_px: int | None
    read: dict[tuple[str, int], Read]
    digit: UInt8[np.ndarray, "h w"]


def named(lab: Lab, kind: str, margin: int, plan: Plan, seed: int) -> dict[str, float]:
    """How well a trained network names the cells, see `judged`."""
    train, test = lab.digits("train"), lab.digits("test")
    pictures, digits = task(train[:FEW], margin, seed), shrunk(test.pictures[: plan.placed])
    training = locating(train.pictures.shape[-1] < 20, plan)
    build = functools.partial(network, kind, pictures.pictures.shape[-1])
    name = f"position-{kind}".replace(",", "").replace(" ", "-")
    return judged(answers(lab.trained(name, build, training, seed, data=pictures), digits, margin))


def moved_and_read(lab: Lab, layer: str, pool: int, plan: Plan, seed: int) -> dict[str, Any]:
    """What a trained network reads in moved digits: {"right": ..., "same": [...], "change": ...}, see `Read`."""
    train, test = lab.digits("train"), lab.digits("test")
    size, pictures = train.pictures.shape[-1], test.pictures[: plan.read]
    build = functools.partial(reader, layer, pool, size)
    model = lab.trained(f"{layer}-pool{pool}", build, reading(size < 20, plan, len(train)), seed)
    with torch.inference_mode():
        right = (model(pictures.float().div_(255)).argmax(1) == test.labels[: plan.read]).double().mean().item()
    same, change = same_answers(model, pictures, SHOWN_PX), map_change(model, pictures)  # type: ignore[arg-type]
    return {"right": right, "same": same, "change": change}


def measure(lab: Lab, *, plan: Plan = PLAN) -> Numbers:
    """Who names the right cell, how the leak depends on the distance to the border, and pooling behind unshared layers.

    Args:
        lab: seeds, digits and trained networks.
        plan: how much is measured.
    """
    train, test = lab.digits("train"), lab.digits("test")
    digits, size = shrunk(test.pictures[: plan.placed]), task(train[:1], 0, 0).pictures.shape[-1]

    def located(kind: str, margin: int) -> Located:
        runs = [lab.kept(named, lab, kind, margin, plan, seed) for seed in lab.seeds]
        return Located(tuple(r["right"] for r in runs), tuple(r["depends"] for r in runs))

    def read(layer: str, pool: int) -> Read:
        runs = [lab.kept(moved_and_read, lab, layer, pool, plan, seed) for seed in lab.seeds]
        same = np.array([r["same"] for r in runs])
        return Read(tuple(r["right"] for r in runs), tuple(r["change"] for r in runs), same)

    canvas = placed(digits[:4], torch.tensor([0, 3, 5, 15])).double() / 255
    by_kind: dict[str, Located] = {}
    invariant, kept = {}, {}
    for kind in lab.each("naming the cell", plan.kinds):
        by_kind[kind] = located(kind, 0)
        # Random weights are not tied by chance: what is proved of them is proved by the structure.
        model = untrained(functools.partial(network, kind, size)).double()
        proved = check(model, (1, size, size)).circular
        invariant[kind] = proved.status == "proved" and proved.step == (1, 1)
        kept[kind] = keeps(model, canvas, grid(STEP_PX, boundary="circular"))
    leak = {margin: located(LEAKY, margin) for margin in lab.each("leak of zero padding", plan.margins_px)}
    # On the widest canvas of the experiment; narrower ones have no room for the distance.
    wide = size + 2 * max(plan.margins_px)
    enough = check(untrained(functools.partial(network, LEAKY, wide)), (1, wide, wide)).canvas.distance_px
    pairs = [(layer, pool) for layer in LAYERS for pool in plan.pools]
    return Numbers(
        plan=plan,
        digits=len(train),
        large=train.pictures.shape[-1] >= 20,
        tests=(len(digits), len(test.pictures[: plan.read])),
        canvas_px=size,
        located=by_kind,
        invariant=invariant,
        keeps=kept,
        leak=leak,
        enough_px=enough,
        read={(layer, pool): read(layer, pool) for layer, pool in lab.each("pooling after a layer", pairs)},
        digit=digits[0, 0].numpy(),
    )
