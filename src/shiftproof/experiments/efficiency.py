"""S15: what sharing weights saves, in parameters, in multiply-adds, and in training pictures."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from shiftproof.data import Labelled
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.training import Training
from shiftproof.experiments.untrained import untrained
from shiftproof.layers import UnsharedConv2d
from shiftproof.records import Chart, Figure, Series, Source, Table

BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2, sparse interactions and parameter sharing; section 9.5, unshared convolution",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
KINDS = ("convolution", "unshared", "dense")
CLASSES, RATE = 10, 2e-3


@dataclass(frozen=True)
class Width:
    """The two hidden layers that all three networks have, as maps: (filters, kernel, stride) each, no padding.

    Args:
        size: height and width of a picture, in pixels.
        layers: of each: maps, height and width of a neighbourhood in cells, cells between neighbourhoods.

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
        """Pixels, and hidden units of each layer."""
        return [maps * cells**2 for maps, cells in self.shapes]


def build(kind: str, width: Width) -> nn.Sequential:
    """Hidden layers of that kind, each with ReLU, and the same dense readout of the last one's units; untrained.

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
    """(parameters, multiply-adds for one picture) of a network, hidden layers and readout together.

    A layer from c maps to F maps of P cells (H = F P hidden units), kernels k x k, D units before it: a convolution has
    F (c k^2 + 1) parameters, an unshared one P times as many, a dense one H (D + 1); multiply-adds are H c k^2, H c k^2
    and H D. The readout adds 10 (H + 1) and 10 H.

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
    """(parameters, multiply-adds for one picture) as torch counts them: an operation of its counter is half of one."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 1, size, size))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() // 2


def plan(data: Labelled) -> tuple[Width, tuple[int, ...], int]:
    """Width, sizes of the training set, steps: by the size of the pictures and how many there are."""
    small = data.pictures.shape[-1] < 20
    width = Width(data.pictures.shape[-1], ((8, 3, 1), (16, 3, 2)) if small else ((8, 5, 2), (16, 5, 2)))
    sizes = (30, 100, 300, 1000, 3000, 10_000, 60_000) if small else (100, 300, 1000, 3000, 10_000, 60_000)
    return width, (*(n for n in sizes if n < len(data)), len(data)), 300 if small else 1500


def how(pictures: int, steps: int, batch_size: int = 128) -> Training:
    """Training on so many pictures for about so many steps: whole passes, at least one.

    >>> how(100, 1500).epochs, how(60_000, 1500).epochs
    (1500, 3)
    """
    return Training(max(1, round(steps / math.ceil(pictures / batch_size))), batch_size, RATE, pictures=pictures)


def needed(sizes: list[int], accuracy: list[float], wanted: float) -> float | None:
    """The size at which a curve first reaches an accuracy, straight lines between points on a logarithmic axis.

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
            return sizes[i - 1] * (n / sizes[i - 1]) ** ((wanted - before) / (a - before))
    return None


def accuracy(model: nn.Module, data: Labelled) -> float:
    """The fraction of pictures whose largest score is their class's."""

    def right(pictures: Tensor, labels: Tensor) -> int:
        return int((model(pictures.float().div_(255)).argmax(1) == labels).sum())

    with torch.inference_mode():
        parts = zip(data.pictures.split(1000), data.labels.split(1000), strict=True)
        return sum(right(p, k) for p, k in parts) / len(data)


def measure(lab: Lab) -> Result:
    """Accuracy against the number of training pictures, and the two counts, for the three layers."""
    train, test = lab.digits("train"), lab.digits("test")
    width, sizes, steps = plan(train)
    runs = [(n, kind, seed) for n in sizes for kind in KINDS for seed in lab.seeds]
    found: dict[tuple[int, str, int], float] = {}
    for n, kind, seed in lab.each("efficiency", runs):
        model = lab.trained(f"efficiency-{kind}", functools.partial(build, kind, width), how(n, steps), seed)
        found[n, kind, seed] = accuracy(model, test)

    figures, series, curves = [], [], {}
    for kind in KINDS:
        row = [over_seeds("accuracy", kind, f"{n:,} pictures", [found[n, kind, s] for s in lab.seeds]) for n in sizes]
        figures += row
        curves[kind] = [f.measured for f in row]
        low, high = [f.low for f in row if f.low is not None], [f.high for f in row if f.high is not None]
        series.append(Series(kind, list(sizes), curves[kind], low, high))
    for kind in KINDS:
        formula, torchs = by_formula(kind, width), counted(untrained(functools.partial(build, kind, width)), width.size)
        for what, a, b in zip(("parameters", "multiply-adds"), formula, torchs, strict=True):
            figures.append(Figure("counts", kind, f"{what}, by formula", a, "count"))
            figures.append(Figure("counts", kind, f"{what}, counted by torch", b, "count", holds=a == b))
    wanted, units = curves["dense"][-1], " and ".join(f"{u:,}" for u in width.units[1:])
    fewer = {kind: needed(list(sizes), curves[kind], wanted) for kind in KINDS}
    for kind, n in fewer.items():
        if n is not None:
            figures.append(Figure("needed", kind, "training pictures", round(n), "count"))
    return Result(
        finding=_finding(sizes, curves, fewer, width),
        figures=figures,
        tables=[
            Table("accuracy", f"Accuracy on {len(test):,} test pictures", "hidden layers",
                  f"{units} hidden units in each network; mean over seeds; the training pictures are the seed's choice"),
            Table("counts", "What each network costs", "hidden layers",
                  "hidden layers and readout, biases included; multiply-adds for one picture forward, without biases"),
            Table("needed", f"Training pictures that reach {wanted:.1%}, the dense layer's best".replace("%", " %"),
                  "hidden layers", "between measured sizes on straight lines over a logarithmic axis"),
        ],
        charts=[Chart("accuracy", "How many pictures a layer needs", "lines", "training pictures", "test accuracy",
                      series, x_log=True, percent=True, note="bands: 95 % over seeds" if len(lab.seeds) > 1 else "")],
        protocol={
            "hidden layers": [f"{f} maps of {c} x {c}, neighbourhoods {k} x {k}, stride {t}; a dense layer has {f * c**2} units"
                              for (f, k, t), (_, c) in zip(width.layers, width.shapes[1:], strict=True)],
            "readout": f"ReLU, then one dense layer, {width.units[-1]} x {CLASSES}, the same for all three",
            "training": f"Adam at {RATE}, batches of at most 128, whole passes that come closest to {steps} steps, no moves",
            "training pictures": list(sizes),
            "test": f"all {len(test):,} pictures, unmoved",
        },
    )  # fmt: skip


def _finding(
    sizes: tuple[int, ...], curves: dict[str, list[float]], fewer: dict[str, float | None], width: Width
) -> list[str]:
    def percent(x: float) -> str:
        return f"{100 * x:.1f} %"

    at = {kind: ", ".join(percent(a) for a in (curves[kind][0], curves[kind][-1])) for kind in KINDS}
    ends = f"With {sizes[0]:,} and {sizes[-1]:,} training pictures: " + "; ".join(f"{k} {at[k]}" for k in KINDS) + "."
    ahead = [
        n for n, c, u, d in zip(sizes, *(curves[k] for k in KINDS), strict=True) if c > u and c > d
    ]  # sizes at which sharing wins against both
    if len(ahead) == len(sizes):
        order = "The convolution is ahead of both at every size: sharing is statistically efficient."
    elif ahead:
        order = f"The convolution is ahead of both at {len(ahead)} of {len(sizes)} sizes ({', '.join(f'{n:,}' for n in ahead)})."
    else:
        order = "The convolution is ahead of both at no size: here sharing is not statistically efficient."
    local = sum(u > d for u, d in zip(curves["unshared"], curves["dense"], strict=True))
    order += f" Locality alone, without sharing, is ahead of the dense layer at {local} of {len(sizes)}."
    reached = {k: f"{n:,.0f}" if n is not None else "more than there are" for k, n in fewer.items()}
    pictures = (
        f"To reach the dense layer's {percent(curves['dense'][-1])} the convolution needs {reached['convolution']} "
        f"pictures, the unshared layer {reached['unshared']}, the dense one {reached['dense']}."
    )
    (c, co), (u, uo), (d, do) = (by_formula(k, width) for k in KINDS)
    counts = (
        f"Parameters {c:,}, {u:,}, {d:,}; multiply-adds {co:,}, {uo:,}, {do:,}: sharing saves memory, "
        f"not operations; those are saved by locality."
    )
    return [ends, order, pictures, counts]


EXPERIMENT = Experiment(
    name="efficiency",
    systems=("S15",),
    shows="accuracy against training pictures for a convolution, an unshared and a dense layer of one width; their costs",
    claim="A convolution is far more efficient than dense multiplication in memory and in statistics: one kernel learned at "
    "all positions needs fewer training pictures than a kernel a position or a weight a pair of pixels.",
    source=BOOK,
    measure=measure,
    trains=True,
)
