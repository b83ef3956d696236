"""What sharing weights saves: parameters, multiply-adds and training pictures."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from shiftproof.data import Labelled
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import line_over_seeds, over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.layers import UnsharedConv2d
from shiftproof.records import Chart, Citation, Figure, Judged, Table
from shiftproof.records.numbers import percent
from shiftproof.training import Training, untrained

BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2, sparse interactions and parameter sharing; section 9.5, unshared convolution",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
KINDS = CONVOLUTION, UNSHARED, DENSE = ("convolution", "unshared", "dense")
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


def plan(data: Labelled) -> tuple[Width, tuple[int, ...], int]:
    """The width, the sizes of the training set and the steps that suit the pictures: their size and number."""
    small = data.pictures.shape[-1] < 20
    width = Width(data.pictures.shape[-1], ((8, 3, 1), (16, 3, 2)) if small else ((8, 5, 2), (16, 5, 2)))
    sizes = (30, 100, 300, 1000, 3000, 10_000, 60_000) if small else (100, 300, 1000, 3000, 10_000, 60_000)
    return width, (*(n for n in sizes if n < len(data)), len(data)), 300 if small else 1500


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
        tests: how many test pictures.
        accuracy: kind -> accuracy at each size with each seed.
        formula: kind -> (parameters, multiply-adds per picture) by formula.
        torchs: kind -> the same as torch counts them.
    """

    width: Width
    sizes: tuple[int, ...]
    steps: int
    tests: int
    accuracy: dict[str, Float64[np.ndarray, "n s"]]
    formula: dict[str, tuple[int, int]]
    torchs: dict[str, tuple[int, int]]

    def curve(self, kind: str) -> list[float]:
        """Accuracy at each size, the mean over seeds."""
        return [math.fsum(row) / len(row) for row in self.accuracy[kind].tolist()]

    @property
    def wanted(self) -> float:
        """The dense network's accuracy with all training pictures."""
        return self.curve(DENSE)[-1]

    def needed(self, kind: str) -> float | None:
        """How many training pictures bring a kind to the accuracy wanted; None if there are too few."""
        return needed(self.sizes, self.curve(kind), self.wanted)


def measure(lab: Lab, *, training: Callable[[int, int], Training] = how) -> Numbers:
    """Accuracy against the number of training pictures, and both counts, for the three kinds of layers.

    Args:
        lab: seeds, digits and trained networks.
        training: from training pictures and steps, how to train.
    """
    train, test = lab.digits("train"), lab.digits("test")
    width, sizes, steps = plan(train)
    found: dict[tuple[str, int, int], float] = {}
    runs = [(n, kind, seed) for n in sizes for kind in KINDS for seed in lab.seeds]
    for n, kind, seed in lab.each("efficiency", runs):
        model = lab.trained(f"efficiency-{kind}", functools.partial(build, kind, width), training(n, steps), seed)
        found[kind, n, seed] = accuracy(model, test)
    return Numbers(
        width=width,
        sizes=sizes,
        steps=steps,
        tests=len(test),
        accuracy={k: np.array([[found[k, n, seed] for seed in lab.seeds] for n in sizes]) for k in KINDS},
        formula={kind: by_formula(kind, width) for kind in KINDS},
        torchs={k: counted(untrained(functools.partial(build, k, width)), width.size) for k in KINDS},
    )


def figures(n: Numbers) -> list[Figure]:
    """Accuracies, counts, and the training pictures needed."""
    found = []
    for kind in KINDS:
        for size, values in zip(n.sizes, n.accuracy[kind].tolist(), strict=True):
            found.append(over_seeds("accuracy", kind, f"{size:,} pictures", values))
    for kind in KINDS:
        for what, ours, torchs in zip(("parameters", "multiply-adds"), n.formula[kind], n.torchs[kind], strict=True):
            found += [
                Figure("counts", kind, f"{what}, by formula", ours, "count"),
                Figure("counts", kind, f"{what}, counted by torch", torchs, "count", holds=ours == torchs),
            ]
    enough = {kind: n.needed(kind) for kind in KINDS}
    found += [Figure("needed", k, "training pictures", round(m), "count") for k, m in enough.items() if m is not None]
    return found


def claims(n: Numbers) -> list[Judged]:
    """The book's sentence in its two halves."""
    curves = {kind: n.curve(kind) for kind in KINDS}
    ahead = [c > max(u, d) for c, u, d in zip(*(curves[kind] for kind in KINDS), strict=True)]
    (c, co), (u, _), (d, do) = (n.formula[kind] for kind in KINDS)
    return [
        judged(
            "A convolution is far more efficient than dense multiplication in memory.",
            BOOK,
            [c < u < d, co < do],
            holds=f"{c:,} parameters against {u:,} and {d:,}; {co:,} multiply-adds against {do:,} of the dense layer.",
            in_part=f"{c:,} parameters against {u:,} and {d:,}, and {co:,} multiply-adds against {do:,}: not all are fewer.",
            does_not=f"{c:,} parameters against {u:,} and {d:,}, and {co:,} multiply-adds against {do:,}.",
            rests_on=[
                ("counts", kind, f"{what}, by formula") for kind in KINDS for what in ("parameters", "multiply-adds")
            ],
        ),
        judged(
            "One kernel learned at all positions needs fewer training pictures than a kernel per position or a weight per "
            "pair of "
            "pixels.",
            BOOK,
            ahead,
            holds=f"The convolution is ahead of both others at all {len(ahead)} sizes.",
            in_part=f"The convolution is ahead of both others at {sum(ahead)} of {len(ahead)} sizes. These digits are "
            "centred, so that a "
            "kernel for each position loses little.",
            does_not="The convolution is not ahead of both others at any size. These digits are centred, so that a kernel "
            "for each "
            "position loses little.",
            rests_on=[("accuracy", kind, f"{size:,} pictures") for kind in KINDS for size in (n.sizes[0], n.sizes[-1])],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """Which layers learn from fewer pictures, and what sharing and locality save."""
    curves, count = {kind: n.curve(kind) for kind in KINDS}, len(n.sizes)
    both = zip(n.sizes, *(curves[kind] for kind in KINDS), strict=True)
    ahead = [f"{size:,}" for size, c, u, d in both if c > u and c > d]  # sharing wins against both
    local = sum(u > d for u, d in zip(curves[UNSHARED], curves[DENSE], strict=True))
    ends = "; ".join(f"{kind} {percent(curves[kind][0], 1)}, {percent(curves[kind][-1], 1)}" for kind in KINDS)
    names = {CONVOLUTION: "the convolution", UNSHARED: "the unshared layer", DENSE: "the dense layer"}
    enough = {names[kind]: n.needed(kind) for kind in KINDS}
    short = " or ".join(name for name, m in enough.items() if m is None)
    needs = [f"{name} needs {m:,.0f} pictures" for name, m in enough.items() if m is not None]
    (c, co), (u, uo), (d, do) = (n.formula[kind] for kind in KINDS)
    counts = f"The layers have {c:,}, {u:,} and {d:,} parameters, and {co:,}, {uo:,} and {do:,} multiply-adds: "
    return [
        f"With {n.sizes[0]:,} and with {n.sizes[-1]:,} training pictures, the accuracies are: {ends}.",
        Said(
            len(ahead) == count,
            yes="The convolution is more accurate than both others at every size: sharing is statistically efficient.",
            no=Said(
                ahead,
                yes=f"The convolution is more accurate than both others at {len(ahead)} of {count} sizes ({', '.join(ahead)}).",
                no="The convolution is not more accurate than both others at any size: here sharing is not statistically "
                "efficient.",
            ),
        ),
        Said(
            local == count,
            yes="With locality alone, without sharing, the layer is more accurate than the dense layer at every size.",
            no="With locality alone, without sharing, the layer is more accurate than the dense layer at "
            f"{local} of {count} sizes.",
        ),
        Said(
            not short,
            yes=f"To reach the dense layer's {percent(n.wanted, 1)}, {', '.join(needs[:-1])}, and {needs[-1]}.",
            no=f"The dense layer's {percent(n.wanted, 1)} is not reached by {short} with the pictures available; "
            f"{' and '.join(needs)}.",
        ),
        Said(
            c < u and co == uo < do,
            yes=f"{counts}sharing saves memory, not operations; locality saves operations.",
            no=f"{counts}sharing does not save memory only, or locality does not save operations.",
        ),
        Said(
            n.formula == n.torchs,
            yes="Torch counts the same numbers.",
            no="Torch counts other numbers; see the table.",
        ),
    ]


def tables(n: Numbers) -> list[Table]:
    """Accuracies, counts and pictures needed."""
    units = " and ".join(f"{u:,}" for u in n.width.units[1:])
    return [
        Table(
            "accuracy",
            f"Accuracy on {n.tests:,} test pictures",
            "hidden layers",
            f"{units} hidden units in each network; mean over seeds; the seed chooses the training pictures",
        ),
        Table(
            "counts",
            "Cost of each network",
            "hidden layers",
            "hidden layers and readout, with biases; multiply-adds of a forward pass per picture, without biases",
            "Torch counts the same.",
        ),
        Table(
            "needed",
            f"Training pictures needed for {percent(n.wanted, 1)}, the dense layer's accuracy with all pictures",
            "hidden layers",
            "interpolated between measured sizes, linearly over a logarithmic axis",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Accuracy against training pictures."""
    seeds = n.accuracy[DENSE].shape[1]
    series = [line_over_seeds(kind, n.sizes, n.accuracy[kind].tolist()) for kind in KINDS]
    return [
        Chart(
            "accuracy",
            "Test accuracy by number of training pictures",
            "lines",
            "training pictures",
            "test accuracy",
            series,
            x_log=True,
            percent=True,
            note="bands: 95 % over seeds" if seeds > 1 else "",
        )
    ]


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    maps = zip(n.width.layers, n.width.shapes[1:], strict=True)
    return {
        "hidden layers": [
            f"{f} maps of {c} x {c}, neighbourhoods {k} x {k}, stride {t}; a dense layer has {f * c**2} units"
            for (f, k, t), (_, c) in maps
        ],
        "readout": f"ReLU, then one dense layer, {n.width.units[-1]} x {CLASSES}, the same for all three",
        "training": f"Adam at {RATE}, batches of at most 128, the whole number of epochs closest to {n.steps} steps, no moves",
        "training pictures": list(n.sizes),
        "test": f"all {n.tests:,} pictures, unmoved",
    }


EXPERIMENT = Experiment(
    name="efficiency",
    systems=("S15",),
    shows="accuracy by number of training pictures for a convolution, an unshared and a dense layer of equal width; their costs",
    claim="A convolution is far more efficient than dense multiplication in memory and in statistics: one kernel learned at "
    "all positions needs fewer training pictures than a kernel per position or a weight per pair of pixels.",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    protocol=protocol,
    claims=claims,
    trains=True,
)
