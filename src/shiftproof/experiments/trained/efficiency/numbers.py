"""Accuracy by number of training pictures, for centred and for moved digits, and what each kind of layer costs."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from shiftproof.data import Labelled
from shiftproof.experiments.lab import Lab
from shiftproof.layers import UnsharedConv2d
from shiftproof.records import Citation
from shiftproof.training import Training, draw_moves, moved, untrained

BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2, sparse interactions and parameter sharing; section 9.5, unshared convolution",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
KINDS = CONVOLUTION, UNSHARED, DENSE = ("convolution", "unshared", "dense")
CONDITIONS = CENTRED, MOVED = ("centred", "moved")  # the digits, in training and in tests
CLASSES, RATE = 10, 2e-3


@dataclass(frozen=True)
class Width:
    """The hidden layers that all three networks have, without padding.

    Args:
        size: height and width of a picture, in pixels.
        layers: (filters, kernel, stride) of each layer: its maps, the height and width of a neighbourhood in cells, and the
            cells from one neighbourhood to the next.

    >>> Width(28, ((8, 5, 2), (16, 5, 2))).shapes
    [(1, 28), (8, 12), (16, 4)]
    """

    size: int
    layers: tuple[tuple[int, int, int], ...]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(maps, height and width of a map) of the picture and of each layer, (size - kernel) / stride + 1."""
        found = [(1, self.size)]
        for filters, kernel, stride in self.layers:
            found.append((filters, (found[-1][1] - kernel) // stride + 1))
        return found

    @property
    def units(self) -> list[int]:
        """How many pixels, and how many hidden units each layer has."""
        return [maps * cells**2 for maps, cells in self.shapes]


def build(kind: str, width: Width) -> nn.Sequential:
    """An untrained network: hidden layers of that kind, each with ReLU, and a dense readout, the same for every kind.

    Args:
        kind: "convolution", "unshared" or "dense".
        width: of the hidden layers.
    """
    layers: list[nn.Module] = [nn.Flatten()] if kind == "dense" else []
    for i, (filters, kernel, stride) in enumerate(width.layers):
        maps, cells = width.shapes[i]
        if kind == "convolution":
            layers.append(nn.Conv2d(maps, filters, kernel, stride))
        elif kind == "unshared":
            layers.append(UnsharedConv2d(maps, filters, kernel, stride, input_size=cells))
        else:
            layers.append(nn.Linear(width.units[i], width.units[i + 1]))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, *([] if kind == "dense" else [nn.Flatten()]), nn.Linear(width.units[-1], CLASSES))


def by_formula(kind: str, width: Width) -> tuple[int, int]:
    """(parameters, multiply-adds per picture) of a network, hidden layers and readout together.

    Take a layer from c maps, D units in all, to F maps of P cells, H = F P units in all, with k x k kernels. A convolution
    has F (c k^2 + 1) parameters, an unshared layer P times as many, a dense layer H (D + 1). Multiply-adds are H c k^2,
    H c k^2 and H D. The readout adds 10 (H + 1) parameters and 10 H multiply-adds.

    >>> by_formula("convolution", Width(28, ((8, 5, 2), (16, 5, 2))))
    (5994, 82560)
    """
    parameters = operations = 0
    for i, (filters, kernel, _) in enumerate(width.layers):
        before, hidden = width.units[i], width.units[i + 1]
        seen = before if kind == "dense" else width.shapes[i][0] * kernel**2
        parameters += (filters if kind == "convolution" else hidden) * (seen + 1)
        operations += hidden * seen
    return parameters + CLASSES * (width.units[-1] + 1), operations + CLASSES * width.units[-1]


def counted(model: nn.Module, size: int) -> tuple[int, int]:
    """(parameters, multiply-adds per picture) as torch counts them; its counter takes a multiply-add for two operations."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 1, size, size))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


def plan(data: Labelled) -> tuple[Width, tuple[int, ...], int, int]:
    """The width, the sizes of the training set, the steps and the reach of the moves that suit the pictures."""
    small = data.pictures.shape[-1] < 20
    width = Width(data.pictures.shape[-1], ((8, 3, 1), (16, 3, 2)) if small else ((8, 5, 2), (16, 5, 2)))
    sizes = (30, 100, 300, 1000, 3000, 10_000, 60_000) if small else (100, 300, 1000, 3000, 10_000, 60_000)
    steps, reach_px = (300, 1) if small else (1500, 6)
    return width, (*(n for n in sizes if n < len(data)), len(data)), steps, reach_px


def placed(data: Labelled, reach_px: int, number: int) -> Labelled:
    """The digits, each moved once by whole pixels, uniform up to the reach along each axis, with zeros moved in.

    Args:
        data: the digits.
        reach_px: the largest move.
        number: of the draw of moves; training and test digits have different ones.
    """
    # Once and for all: with other places in every epoch, few pictures would become many.
    moves = draw_moves(len(data), reach_px, torch.Generator().manual_seed(number))
    return Labelled(moved(data.pictures, moves), data.labels, f"{data.word}, moved by up to {reach_px} px")


def how(pictures: int, steps: int, batch_size: int = 128) -> Training:
    """Training on so many pictures for about so many steps, in whole passes, at least one.

    >>> how(100, 1500).epochs, how(60_000, 1500).epochs
    (1500, 3)
    """
    # As many steps whatever the number of pictures: with as many passes, few pictures would mean little training.
    return Training(max(1, round(steps / math.ceil(pictures / batch_size))), batch_size, RATE, pictures=pictures)


def needed(sizes: Sequence[int], accuracy: Sequence[float], wanted: float) -> float | None:
    """The size at which a curve first reaches an accuracy, on straight lines over a logarithmic axis; None if it never does.

    >>> needed([100, 1000], [0.5, 0.7], 0.6)
    316.2...
    >>> needed([100, 1000], [0.5, 0.7], 0.8) is None
    True
    """
    for i, (n, a) in enumerate(zip(sizes, accuracy, strict=True)):
        if a >= wanted:
            if i == 0:
                return float(n)
            before = accuracy[i - 1]
            # A straight line over log n: accuracy rises by about as much with every doubling.
            return sizes[i - 1] * (n / sizes[i - 1]) ** ((wanted - before) / (a - before))
    return None


def accuracy(model: nn.Module, data: Labelled) -> float:
    """The fraction of pictures whose class has the largest score."""

    def right(pictures: Tensor, labels: Tensor) -> int:
        return int((model(pictures.float().div_(255)).argmax(1) == labels).sum())

    with torch.inference_mode():
        parts = zip(data.pictures.split(1000), data.labels.split(1000), strict=True)
        return sum(right(p, k) for p, k in parts) / len(data)


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        width: of the networks.
        sizes: how many training pictures.
        steps: of the training, about.
        reach_px: the largest move of a moved digit along an axis.
        tests: how many test pictures.
        accuracy: condition -> kind -> accuracy at each size with each seed.
        formula: kind -> (parameters, multiply-adds per picture) by formula.
        torchs: kind -> the same as torch counts them.
    """

    width: Width
    sizes: tuple[int, ...]
    steps: int
    reach_px: int
    tests: int
    accuracy: dict[str, dict[str, Float64[np.ndarray, "n s"]]]
    formula: dict[str, tuple[int, int]]
    torchs: dict[str, tuple[int, int]]

    def curve(self, condition: str, kind: str) -> list[float]:
        """Accuracy at each size, the mean over seeds."""
        return [math.fsum(row) / len(row) for row in self.accuracy[condition][kind].tolist()]

    def wanted(self, condition: str) -> float:
        """The dense network's accuracy with all training pictures."""
        return self.curve(condition, DENSE)[-1]

    def needed(self, condition: str, kind: str) -> list[float | None]:
        """How many training pictures bring a kind to the accuracy wanted, by seed; None if there are too few."""
        wanted = self.wanted(condition)
        return [needed(self.sizes, curve, wanted) for curve in self.accuracy[condition][kind].T.tolist()]

    def margin(self, condition: str, rival: str) -> list[float]:
        """The accuracy of the convolution minus that of a rival, the mean over all sizes, by seed."""
        by_kind = self.accuracy[condition]
        differences = (by_kind[CONVOLUTION] - by_kind[rival]).T.tolist()
        return [math.fsum(row) / len(row) for row in differences]


def measure(lab: Lab, *, training: Callable[[int, int], Training] = how) -> Numbers:
    """Accuracy against the number of training pictures, and both counts, for the three kinds of layers.

    Args:
        lab: seeds, digits and trained networks.
        training: from training pictures and steps, how to train.
    """
    train, test = lab.digits("train"), lab.digits("test")
    width, sizes, steps, reach = plan(train)
    digits = {CENTRED: (train, test), MOVED: (placed(train, reach, 0), placed(test, reach, 1))}
    found: dict[tuple[str, str, int, int], float] = {}
    runs = [(c, n, kind, seed) for c in CONDITIONS for n in sizes for kind in KINDS for seed in lab.seeds]
    for condition, n, kind, seed in lab.each("efficiency", runs):
        given, asked = digits[condition]
        build_it = functools.partial(build, kind, width)
        model = lab.trained(f"efficiency-{kind}-{condition}", build_it, training(n, steps), seed, data=given)
        found[condition, kind, n, seed] = accuracy(model, asked)
    return Numbers(
        width=width,
        sizes=sizes,
        steps=steps,
        reach_px=reach,
        tests=len(test),
        accuracy={
            c: {k: np.array([[found[c, k, n, seed] for seed in lab.seeds] for n in sizes]) for k in KINDS}
            for c in CONDITIONS
        },
        formula={kind: by_formula(kind, width) for kind in KINDS},
        torchs={k: counted(untrained(functools.partial(build, k, width)), width.size) for k in KINDS},
    )
