"""The pooling and the augmentation experiments again: the same networks on digits and on photographs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn

from shiftproof.data import Labelled
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.moved_digits import MOVED, Accuracies, ByModel, Setting, accuracies_of, collected
from shiftproof.training import Training, untrained

DIGITS, PHOTOGRAPHS = KINDS = ("digits", "photographs")
STRIDE, POOL = "stride 2", "max 2 x 2"
MODELS = {"A": (STRIDE, STRIDE), "B": (POOL, STRIDE), "C": (POOL, POOL)}  # how a network halves its maps, twice
FILTERS = (16, 32, 64)  # of both convolutions of a stage
CLASSES = 10
EPOCHS = {DIGITS: 2, PHOTOGRAPHS: 5}
MOST = 30_000  # training pictures of a kind


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured on one kind of pictures.

    Args:
        setting: the size of the pictures.
        channels: 1 for grey, 3 for colours.
        trained: how many training pictures.
        tests: how many test pictures.
        plain: accuracies by model, trained on unmoved pictures.
        augmented: trained on moved pictures; the same seeds and test moves.
        multiply_adds: of one picture, by model.
        weights: how many numbers are learned, by model.
        picture: a test picture.
    """

    setting: Setting
    channels: int
    trained: int
    tests: int
    plain: ByModel
    augmented: ByModel
    multiply_adds: Mapping[str, int]
    weights: Mapping[str, int]
    picture: UInt8[np.ndarray, "h w c"]


Numbers = Mapping[str, Measured]  # by kind


def build(model: str, channels: int, side_px: int) -> nn.Sequential:
    """An untrained network: three stages of two convolutions, between which the maps are halved, and a dense layer.

    The maps are halved by a 2 x 2 max pooling in front of a stage, or by stride 2 of its first convolution. Either way this
    convolution computes the same number of cells with the same weights: all models have equal depth, width and cost.

    Args:
        model: one of `MODELS`.
        channels: of the pictures.
        side_px: of the pictures; divisible by 4.
    """
    layers: list[nn.Module] = []
    into = channels
    for filters, halved in zip(FILTERS, ("", *MODELS[model]), strict=True):
        layers += [nn.MaxPool2d(2)] if halved == POOL else []
        for stride in (2 if halved == STRIDE else 1, 1):
            # Without a bias: the normalisation behind it has one.
            layers += [nn.Conv2d(into, filters, 3, stride, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
            into = filters
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(into * (side_px // 4) ** 2, CLASSES))


def multiply_adds(network: nn.Sequential, channels: int, side_px: int) -> int:
    """How often a network multiplies and adds for one picture, in its convolutions and dense layers.

    >>> multiply_adds(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 5)), 1, 4)
    112
    """
    total, maps = 0, torch.zeros(1, channels, side_px, side_px)
    with torch.inference_mode():
        for layer in network:
            maps = layer(maps)
            if isinstance(layer, nn.Conv2d | nn.Linear):
                total += layer.weight.numel() * maps[0, 0].numel()  # each weight once per cell
    return total


def pictures(lab: Lab, kind: str, split: str) -> Labelled:
    """The pictures of a kind."""
    return lab.digits(split) if kind == DIGITS else lab.labelled_photographs(split)


def training(kind: str, side_px: int, count: int, *, augmented: bool) -> Training:
    """How a network is trained on a kind of pictures.

    Args:
        kind: one of `KINDS`.
        side_px: of the pictures.
        count: how many there are; at most `MOST` are used.
        augmented: whether they are moved, as far as the test pictures are.
    """
    moves_px = Setting(side_px).reach_px[MOVED] if augmented else 0
    return Training(epochs=EPOCHS[kind], moves_px=moves_px, pictures=min(MOST, count))


def accuracies(lab: Lab, kind: str, model: str, how: Training, seed: int) -> dict[str, list[float]]:
    """`accuracies_of` a network that was trained on pictures of a kind."""
    train, test = (pictures(lab, kind, split) for split in ("train", "test"))
    _, channels, side_px, _ = train.pictures.shape
    made = functools.partial(build, model, channels, side_px)
    return accuracies_of(lab.trained(f"{kind}-{model}", made, how, seed, data=train), test, seed)


def measure(lab: Lab) -> Numbers:
    """Trains every network on both kinds of pictures, with and without moves, and moves the test pictures."""
    for kind in reversed(KINDS):  # what is missing is said before anything is trained
        pictures(lab, kind, "train")
    return {kind: measured(lab, kind) for kind in KINDS}


def measured(lab: Lab, kind: str) -> Measured:
    """The same on one kind of pictures."""
    train, test = (pictures(lab, kind, split) for split in ("train", "test"))
    count, channels, side_px, _ = train.pictures.shape
    networks = {model: untrained(functools.partial(build, model, channels, side_px)) for model in MODELS}
    return Measured(
        setting=Setting(side_px),
        channels=channels,
        trained=min(MOST, count),
        tests=len(test),
        plain=by_model(lab, kind, training(kind, side_px, count, augmented=False)),
        augmented=by_model(lab, kind, training(kind, side_px, count, augmented=True)),
        multiply_adds={model: multiply_adds(n, channels, side_px) for model, n in networks.items()},
        weights={model: sum(p.numel() for p in n.parameters()) for model, n in networks.items()},
        picture=test.pictures[0].permute(1, 2, 0).numpy(),
    )


def by_model(lab: Lab, kind: str, how: Training) -> dict[str, Accuracies]:
    """The accuracies of every model, for every seed."""
    stage = f"networks for {'moved ' if how.moves_px else ''}{kind}"
    todo = [(model, seed) for seed in lab.seeds for model in MODELS]
    runs: dict[str, list[dict[str, list[float]]]] = {model: [] for model in MODELS}
    for model, seed in lab.each(stage, todo):
        runs[model].append(lab.kept(accuracies, lab, kind, model, how, seed))
    return {model: collected(found) for model, found in runs.items()}
