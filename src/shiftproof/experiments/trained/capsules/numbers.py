"""The capsule network, a plain one of equal size and C, trained and tested, and what the decoder draws."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor, nn

from shiftproof.data import Labelled
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.capsules.decoder import (
    BATCH,
    Further,
    explained,
    redrawn,
    tiled,
    train_further,
    turned,
)
from shiftproof.experiments.trained.deformation import affine
from shiftproof.models import CapsuleNet, ConvNet, capsule_loss
from shiftproof.records import Citation
from shiftproof.training import Training, cross_entropy, draw_moves, moved, untrained

PAPER, ADDRESS = "Sabour, Frosst and Hinton 2017, Dynamic routing between capsules", "https://arxiv.org/abs/1710.09829"
TABLE = Citation(PAPER, "table 1: CapsNet, 3 routings, with reconstruction, test error 0.25 %", ADDRESS)
AFFINE = Citation(PAPER, "section 5.2: affNIST, 79 % against 66 % of a convolutional network", ADDRESS)
NETWORKS = CAPSULES, PLAIN, CONVOLUTIONS = ("capsules", "plain of equal size", "C")
UNMOVED, AFFINE_COLUMN = "unmoved", "turned, sheared, scaled, moved"
PUBLISHED = 0.9975  # the fraction of MNIST's unmoved test digits that the capsule network reads correctly
AFFNIST = {CAPSULES: 0.79, CONVOLUTIONS: 0.66}  # of another test, hence in sentences only
COMPASS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
FEW = 500  # test digits for the curve and for what the decoder draws
ENOUGH = 0.5  # of the variance of unmoved digits: the least that the decoder must explain before it is judged
GOES_WITH = 0.5  # of what is explained of unmoved digits: the least that must be explained of moved ones
LONGEST_PX = 8
FURTHER = Further()


def build(network: str, size: int) -> nn.Module:
    """The untrained network for pictures of that size: a small capsule network, a plain one, or C.

    Args:
        network: one of `NETWORKS`.
        size: height and width of a picture, in pixels.
    """
    small, input_size = size < 20, (1, size, size)
    if network == PLAIN:
        # Hidden units so that it has as many weights as the capsule network without its decoder.
        return plain(2, 560, size) if small else plain(3, 156, size)
    if network == CONVOLUTIONS:
        return ConvNet("cpcp", kernel_size=2 if small else 3, input_size=input_size)
    if small:
        return CapsuleNet(16, 3, 8, hidden=(64, 128), input_size=input_size)
    return CapsuleNet(32, 9, 4, hidden=(128, 256), input_size=input_size)


def plain(kernel: int, hidden: int, size: int) -> nn.Sequential:
    """Two convolutions with pooling and a hidden dense layer, which holds most of the weights."""
    maps = (((size - kernel + 1) // 2) - kernel + 1) // 2
    return nn.Sequential(
        *(nn.Conv2d(1, 32, kernel), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, kernel), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(64 * maps**2, hidden), nn.ReLU(), nn.Linear(hidden, 10)),
    )


def how(size: int) -> Training:
    """How all are trained: with small moves, as in the paper, but on fewer pictures, so that it takes minutes."""
    if size < 20:
        return Training(epochs=30, rate=3e-3, moves_px=1)
    return Training(epochs=10, moves_px=2, pictures=12_000)


def right(model: nn.Module, pictures: Float[Tensor, "n 1 h w"], labels: Tensor) -> float:
    """The fraction of pictures whose class has the largest score."""
    with torch.inference_mode():
        parts = zip(pictures.split(BATCH), labels.split(BATCH), strict=True)
        return sum(int((model(x).argmax(1) == k).sum()) for x, k in parts) / len(labels)


def tested(model: nn.Module, test: Labelled, reach_px: int, seed: int) -> dict[str, float]:
    """The fraction read correctly under each condition; the seed draws the moves."""
    generator, x = torch.Generator().manual_seed(1000 + seed), test.pictures
    found = {UNMOVED: right(model, x.float() / 255, test.labels)}
    for reach in (reach_px, 2 * reach_px):
        found[f"moved, {reach} px"] = right(
            model, moved(x, draw_moves(len(x), reach, generator)).float() / 255, test.labels
        )
    found[AFFINE_COLUMN] = right(model, affine(x.float() / 255, reach_px, generator), test.labels)
    return found


def by_distance(model: nn.Module, test: Labelled, farthest_px: int) -> list[float]:
    """The fraction read correctly after moves of 0 .. farthest_px pixels, along the axes and the diagonals."""
    found = [right(model, test.pictures.float() / 255, test.labels)]
    for r in range(1, farthest_px + 1):
        moves = torch.tensor(COMPASS) * r
        rights = [right(model, moved(test.pictures, m.expand(len(test), 2)).float() / 255, test.labels) for m in moves]
        found.append(sum(rights) / len(rights))
    return found


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        size: height and width of a digit, in pixels.
        training: of all networks.
        further: of the decoder alone.
        digits: (training, test, test for curve and decoder) digits that were used.
        mnist: whether the digits are MNIST's.
        reach_px: largest move in training.
        right: network -> condition -> the fraction read correctly, for each seed.
        curve: network -> the fraction read correctly after moves of 0, 1, ... pixels, for each seed.
        drawn: condition -> what the decoder explains of the pixels' variance, for each seed.
        before: what it explained of unmoved digits before it was trained further, for each seed.
        parameters: network -> how many.
        reading: how many of the capsule network's are not the decoder's.
        published_parameters: of the capsule network of the paper.
        structure: of the capsule network, as torch prints it.
        shown: digits, what the decoder draws, the digits moved, and what it draws then: four rows, a column per class.
        turned: what it draws if one number of a capsule is turned: a row per number.
    """

    size: int
    training: Training
    further: Further
    digits: tuple[int, int, int]
    mnist: bool
    reach_px: int
    right: dict[str, dict[str, tuple[float, ...]]]
    curve: dict[str, Float64[np.ndarray, "s r"]]
    drawn: dict[str, tuple[float, ...]]
    before: tuple[float, ...]
    parameters: dict[str, int]
    reading: int
    published_parameters: int
    structure: str
    shown: UInt8[np.ndarray, "i j"]
    turned: UInt8[np.ndarray, "k l"]

    def mean(self, network: str, condition: str) -> float:
        """The fraction read correctly, over seeds."""
        return _mean(self.right[network][condition])


def trained(lab: Lab, network: str, size: int, training: Training, seed: int) -> Any:
    """The trained network. C has a file of its own: other experiments train that structure on all pictures."""
    loss = capsule_loss if network == CAPSULES else cross_entropy
    word = f"capsules-{network.replace(' ', '-')}"
    return lab.trained(word, functools.partial(build, network, size), training, seed, loss=loss)


def examined(lab: Lab, network: str, training: Training, seed: int) -> dict[str, Any]:
    """{"right": {condition: fraction}, "curve": [...]}."""
    test = lab.digits("test")
    size, reach = test.pictures.shape[-1], training.moves_px
    few, model = test[:FEW], trained(lab, network, size, training, seed)
    curve = by_distance(model, few, min(LONGEST_PX, size // 2))
    return {"right": tested(model, test, reach, seed), "curve": curve}


def decoded(lab: Lab, training: Training, further: Further, seed: int) -> dict[str, Any]:
    """What the decoder explains before and after it is trained further, and what it draws then."""
    train, few = lab.digits("train"), lab.digits("test")[:FEW]
    model = trained(lab, CAPSULES, few.pictures.shape[-1], training, seed)
    reach, x = training.moves_px, few.pictures.float() / 255
    before = explained(x, redrawn(model, x))
    train_further(model, train, training, further, seed)
    y = shifted(few, reach).float() / 255
    return {
        "before": before,
        "drawn": {UNMOVED: explained(x, redrawn(model, x)), moved_by(reach): explained(y, redrawn(model, y))},
        "shown": rows_of_digits(model, few, reach).tolist(),
        "turned": turned(model, x[:1]).tolist(),
    }


def moved_by(reach_px: int) -> str:
    """The condition, in words."""
    return f"moved, {reach_px} px"


def shifted(data: Labelled, reach_px: int) -> UInt8[Tensor, "n 1 h w"]:
    """All pictures moved down and left by so many pixels."""
    return moved(data.pictures, torch.tensor([[reach_px, -reach_px]]).expand(len(data), 2))


def measure(lab: Lab, *, training: Callable[[int], Training] = how, further: Further = FURTHER) -> Numbers:
    """All networks trained alike; correct answers by condition and by distance; what the decoder draws.

    Args:
        lab: seeds, digits and trained networks.
        training: how all are trained, from the height of a digit in pixels.
        further: how the decoder is trained further.
    """
    train, test = lab.digits("train"), lab.digits("test")
    size = test.pictures.shape[-1]
    plan = training(size)
    runs: dict[str, list[dict[str, Any]]] = {network: [] for network in NETWORKS}
    for network, seed in lab.each("capsules", [(n, s) for n in NETWORKS for s in lab.seeds]):
        runs[network].append(lab.kept(examined, lab, network, plan, seed))
    draws = [lab.kept(decoded, lab, plan, further, seed) for seed in lab.each("decoder", lab.seeds)]
    conditions, drawn = runs[CAPSULES][0]["right"], draws[0]["drawn"]
    models = {network: untrained(functools.partial(build, network, size)) for network in NETWORKS}
    return Numbers(
        size=size,
        training=plan,
        further=further,
        digits=(plan.pictures or len(train), len(test), len(test[:FEW])),
        mnist=not lab.stand_in,
        reach_px=plan.moves_px,
        right={n: {c: tuple(r["right"][c] for r in runs[n]) for c in conditions} for n in NETWORKS},
        curve={n: np.array([r["curve"] for r in runs[n]]) for n in NETWORKS},
        drawn={c: tuple(d["drawn"][c] for d in draws) for c in drawn},
        before=tuple(d["before"] for d in draws),
        parameters={n: count(model) for n, model in models.items()},
        reading=count(models[CAPSULES]) - count(models[CAPSULES].get_submodule("decoder")),
        published_parameters=count(untrained(CapsuleNet)),
        structure=str(models[CAPSULES]),
        shown=np.array(draws[0]["shown"], np.uint8),
        turned=np.array(draws[0]["turned"], np.uint8),
    )


def count(model: nn.Module) -> int:
    """The parameters of a network."""
    return sum(p.numel() for p in model.parameters())


def rows_of_digits(model: CapsuleNet, few: Labelled, reach_px: int) -> UInt8[np.ndarray, "i j"]:
    """Digits, their reconstructions, the digits moved, their reconstructions; a column per class."""
    first = torch.stack([(few.labels == k).nonzero()[0, 0] for k in few.labels.unique()])
    rows = []
    for pictures in (few.pictures, shifted(few, reach_px)):
        x = pictures[first].float() / 255
        rows += [x, redrawn(model, x)]
    return tiled(rows)


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)
