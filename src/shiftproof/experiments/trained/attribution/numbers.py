"""Sixteen networks with some of four stages, and how many of their answers stay when digits move."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from shiftproof.data import Labelled
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.corrections.numbers import convolutions_of
from shiftproof.experiments.trained.moved_digits import MOVED, SMALL, is_correct, setting
from shiftproof.measure import Contribution, attribute
from shiftproof.records import Citation
from shiftproof.repairing import AUGMENTATION, POOLING, READOUT, SHARING, STAGES, with_stages
from shiftproof.training import Training, train
from shiftproof.translations import TranslationSet, grid, translate

SOURCE = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning; Kauderer-Abrams 2017, Quantifying Translation-Invariance in "
    "Convolutional Neural Networks, https://arxiv.org/abs/1801.01450",
    "sections 9.2 (weight sharing makes equivariance) and 9.3 (pooling makes approximate invariance) of the book; abstract "
    "of the paper (augmentation)",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
KEPT, CORRECT, UNMOVED = "kept", "right", "unmoved"  # the scores
PICTURES = 200  # that are moved; ten times as many are read unmoved
LARGE = Training(epochs=3, batch_size=16, rate=1e-2, pictures=5000)
SETS = tuple(frozenset(s) for n in range(len(STAGES) + 1) for s in itertools.combinations(STAGES, n))
CELLS = tuple(frozenset(s) for s in ((SHARING, READOUT), (SHARING,), (READOUT,), ()))  # of the 2 x 2
OTHERS = {  # what else may be there, beside sharing and readout
    "alone": frozenset(),
    "with pooling": frozenset({POOLING}),
    "with augmentation": frozenset({AUGMENTATION}),
    "with both": frozenset({POOLING, AUGMENTATION}),
}
GIVEN = {  # (what is added, to what)
    "averaging readout, given weight sharing": (READOUT, SHARING),
    "averaging readout, without weight sharing": (READOUT, None),
    "weight sharing, given an averaging readout": (SHARING, READOUT),
    "weight sharing, without an averaging readout": (SHARING, None),
}


def network(there: frozenset[str], side_px: int) -> nn.Module:
    """The untrained network with some of the stages: convolutions around the circle, ReLU, a readout of ten scores.

    It is the network of the corrections. The pooling is 2 x 2 max pooling after the first convolution; for what each stage
    is, see `with_stages`.
    """
    layers: list[nn.Module] = []
    channels = 1
    for filters, kernel, dilation in convolutions_of(side_px):
        padding = dilation * (kernel - 1) // 2
        layers += [
            nn.Conv2d(channels, filters, kernel, padding=padding, dilation=dilation, padding_mode="circular"),
            nn.ReLU(),
            *([nn.MaxPool2d(2)] if channels == 1 else []),
        ]
        channels = filters
    dense = nn.Linear(channels * (side_px // 2) ** 2, 10, bias=False)
    return with_stages(nn.Sequential(*layers, nn.Flatten(), dense, nn.BatchNorm1d(10)), there, (1, side_px, side_px))


def attribute_invariance(
    model: nn.Module,
    train_on: Labelled,
    test_on: Labelled,
    *,
    reach_px: int,
    how: Training | None = None,
    seed: int = 0,
) -> list[Contribution]:
    """How much of a network's invariance each stage brings, from all sixteen networks with some of the stages.

    The stages are weight sharing (without it, layers are unshared), pooling (without it, there is none), an averaging
    readout (without it, a dense layer on all positions) and augmentation (without it, training on unmoved pictures). Each
    network is trained from new weights; the score is "kept" of `scores`.

    Args:
        model: a network that `with_stages` takes apart, with or without branches. Its weights are not used.
        train_on: pictures that the networks are trained on.
        test_on: pictures that are moved and classified.
        reach_px: the largest move along an axis, in whole pixels with zeros moved in; of the augmentation too.
        how: the training, without its moves; None for 5 epochs of Adam.
        seed: of everything random.

    Returns:
        What each stage brings, in the order of `STAGES`; see `shiftproof.measure.attribute`.

    Raises:
        ModelError: the model cannot be taken apart.
    """
    c, h, w = train_on.pictures.shape[1:]
    moves = grid(reach_px, "zero")

    def kept(there: frozenset[str]) -> float:
        training = replace(how or Training(), moves_px=reach_px if AUGMENTATION in there else 0)
        trained = train(functools.partial(with_stages, model, there, (c, h, w)), train_on, training, seed=seed)
        return scores(trained, test_on, moves)[KEPT]

    return attribute(STAGES, kept)


def training(there: frozenset[str], side_px: int, moves_px: int) -> Training:
    """How a network with these stages is trained: with augmentation, on moved pictures."""
    how = LARGE if side_px >= 28 else replace(SMALL, epochs=2 * SMALL.epochs)
    return replace(how, moves_px=moves_px if AUGMENTATION in there else 0)


@torch.inference_mode()
def scores(model: nn.Module, data: Labelled, moves: TranslationSet) -> dict[str, float]:
    """How well a network's answers survive moves, over all pictures and all moves but (0, 0).

    Returns:
        "kept": (a - c) / (1 - c), a the fraction of moved pictures with the same answer as the unmoved one, c the fraction
        that would have it by chance, if the answers to moved and to unmoved pictures kept their frequencies and were
        independent (Cohen's kappa); a network that always gives the same answer scores 0, not 1. "right": fraction of
        correct answers to moved pictures. "unmoved": fraction of correct answers to unmoved ones.

    Reference: Cohen 1960, A coefficient of agreement for nominal scales, https://doi.org/10.1177/001316446002000104
    """
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # The unmoved picture keeps its answer whatever the network: it would raise every score.
    offsets = [move for move in moves.offsets if move != (0, 0)]
    first = model(data.pictures.float().div_(255)).argmax(1)
    answers = torch.stack(
        [model(translate(x[None], offsets, "zero")[0].float().div_(255)).argmax(1) for x in data.pictures]
    )
    same, correct = (
        (answers == first[:, None]).double().mean().item(),
        (answers == data.labels[:, None]).double().mean(),
    )
    classes = int(torch.maximum(answers.amax(), first.amax())) + 1
    p, q = (torch.bincount(a.flatten(), minlength=classes).double() / a.numel() for a in (first, answers))
    chance = (p * q).sum().item()
    beyond = (same - chance) / (1 - chance) if chance < 1 else 0.0
    return {KEPT: beyond, CORRECT: correct.item(), UNMOVED: (first == data.labels).double().mean().item()}


@dataclass(frozen=True)
class Numbers:
    """The scores of the sixteen networks.

    Args:
        side_px: side of the digits.
        reach_px: the largest move along an axis.
        pictures: how many test digits were moved.
        unmoved: how many were read unmoved.
        scores: by score ("kept", "right", "unmoved"), the networks in the order of `SETS`.
    """

    side_px: int
    reach_px: int
    pictures: int
    unmoved: int
    scores: Mapping[str, Float64[np.ndarray, "seeds sets"]]

    def of(self, there: frozenset[str], score: str) -> list[float]:
        """A score of the network with exactly these stages, by seed."""
        return self.scores[score][:, SETS.index(there)].tolist()

    def mean(self, there: frozenset[str], score: str) -> float:
        """The same, the mean over seeds."""
        return over_seeds("networks", listed(there), score, self.of(there, score)).measured

    def contributions(self) -> list[list[Contribution]]:
        """What each stage brings to the answers kept, by seed."""
        rows = self.scores[KEPT].tolist()
        return [attribute(STAGES, lambda there, row=row: row[SETS.index(there)]) for row in rows]

    def added(self, stage: str, given: frozenset[str]) -> list[float]:
        """What a stage adds to the answers kept of the network with exactly these stages, by seed."""
        more, less = self.of(given | {stage}, KEPT), self.of(given, KEPT)
        return [m - n for m, n in zip(more, less, strict=True)]


def mean_by_seed(rows: list[list[float]]) -> list[float]:
    """The mean of the rows, for each seed."""
    return [math.fsum(values) / len(rows) for values in zip(*rows, strict=True)]


def measure(lab: Lab) -> Numbers:
    """All sixteen networks for every seed."""
    side, reach = setting(lab).side_px, setting(lab).reach_px[MOVED]
    todo = [(there, seed) for seed in lab.seeds for there in SETS]
    found = [
        lab.kept(trained_scores, lab, there, training(there, side, reach), reach, PICTURES, seed)
        for there, seed in lab.each("networks with some of the stages", todo)
    ]
    by_score = {s: np.array([f[s] for f in found]).reshape(len(lab.seeds), len(SETS)) for s in (KEPT, CORRECT, UNMOVED)}
    tests = len(lab.digits("test"))
    return Numbers(side, reach, min(PICTURES, tests), min(10 * PICTURES, tests), by_score)


def trained_scores(
    lab: Lab, there: frozenset[str], how: Training, reach_px: int, pictures: int, seed: int
) -> dict[str, float]:
    """The scores of the trained network with these stages, on test digits that are the same for all networks."""
    data = lab.digits("test")
    # Drawn, because the first half of MNIST's test set is easier than the second (LeCun's page says so).
    chosen = data[torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[: 10 * pictures]]
    build = functools.partial(network, there, setting(lab).side_px)
    model = lab.trained(listed(there).replace(" ", "-"), build, how, seed)
    found = scores(model, chosen[torch.arange(min(pictures, len(chosen)))], grid(reach_px, "zero"))
    return {**found, UNMOVED: is_correct(model, chosen).double().mean().item()}


def listed(there: frozenset[str]) -> str:
    """The stages in their order, in words."""
    return ", ".join(s for s in STAGES if s in there) or "none"
