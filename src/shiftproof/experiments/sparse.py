"""S17: which inputs reach which outputs, by gradient: dense, convolution, and stacks of convolutions."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from shiftproof.experiments.drawing import side_by_side
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.untrained import untrained
from shiftproof.records import Chart, Figure, Series, Source, Table

INPUTS, KERNELS, DEPTHS = 129, (2, 3, 5, 7), tuple(range(1, 11))
BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2, figures 9.2 to 9.4",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
ROW = Source("Project's source documents (specification row S17)", "the reach grows with depth as 1 + L (k - 1)")


def dense(n: int, layers: int) -> nn.Module:
    """Dense layers of n inputs and n outputs."""
    return untrained(lambda: nn.Sequential(*(nn.Linear(n, n, bias=False) for _ in range(layers))))


def convolutions(kernel: int, layers: int, *, stride: int = 1, dilate: bool = False) -> nn.Module:
    """Convolutions in one dimension, no padding; dilated 1, 2, 4, ... if asked."""
    steps = [2**i if dilate else 1 for i in range(layers)]
    return untrained(lambda: nn.Sequential(*(nn.Conv1d(1, 1, kernel, stride, dilation=d, bias=False) for d in steps)))


def reach(model: nn.Module, inputs: int) -> Float64[np.ndarray, "outputs inputs"]:
    """The number of ways by which each input reaches each output.

    d output / d input with every weight 1: a sum over all paths, each of which counts 1. No two paths cancel, so it is 0
    exactly where nothing connects the two.

    Args:
        model: linear layers without bias, of one channel; its weights are overwritten.
        inputs: how many.

    >>> reach(convolutions(3, 1), 5).astype(int).tolist()
    [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1]]
    """
    ones = model.double().requires_grad_(False)
    for p in ones.parameters():
        p.fill_(1.0)
    count = ones(torch.zeros(1, 1, inputs, dtype=torch.float64)).numel()
    x = torch.zeros(count, 1, inputs, dtype=torch.float64, requires_grad=True)
    outputs = ones(x).flatten(1)  # a copy of the input for each output: one pass gives every row
    return torch.autograd.grad(outputs.diagonal().sum(), x)[0][:, 0].numpy()


def width(row: Float64[np.ndarray, " n"]) -> int:
    """From the first entry that is not 0 to the last, both counted."""
    (found,) = np.nonzero(row)
    return int(found[-1] - found[0] + 1) if len(found) else 0


def _of(figures: list[Figure], row: str, column: str) -> float:
    return next(f.measured for f in figures if (f.table, f.row, f.column) == ("depth", row, column))


def measure(lab: Lab) -> Result:
    """Connections of one layer; the reach of stacks of them; every one by gradient."""
    figures: list[Figure] = []
    small = {"dense": reach(dense(9, 1), 9), "convolution, kernel 3": reach(convolutions(3, 1), 9)}
    for name, paths in small.items():
        joined = paths > 0
        figures += [
            Figure("one", name, "connections", int(joined.sum()), "count"),
            Figure("one", name, "inputs that reach the middle output", int(joined[len(joined) // 2].sum()), "count"),
            Figure("one", name, "outputs that the middle input reaches", int(joined[:, 4].sum()), "count"),
        ]
    lines = []
    agree = []
    for kernel in KERNELS:
        found = []
        for depth in lab.each(f"kernel {kernel}", DEPTHS):
            paths = reach(convolutions(kernel, depth), INPUTS)
            widths = {width(row) for row in paths}
            expected = 1 + depth * (kernel - 1)
            found.append(max(widths))
            holds = widths == {expected} and bool((np.count_nonzero(paths, axis=1) == expected).all())
            agree.append(holds)
            figures.append(
                Figure("depth", f"kernel {kernel}", f"{depth} layers", max(widths), "px",
                       published=expected, source=ROW, holds=holds)
            )  # fmt: skip
        lines.append(Series(f"kernel {kernel}", list(DEPTHS), [float(v) for v in found]))
    lines.append(Series("1 + L (k - 1), k = 3", list(DEPTHS), [1.0 + d * 2 for d in DEPTHS], dashed=True))
    faster = {}
    for name, options in {"stride 2": {"stride": 2}, "dilation 1, 2, 4, ...": {"dilate": True}}.items():
        depths = range(1, 7)
        faster[name] = [width(reach(convolutions(3, depth, **options), 2 * INPUTS - 1)[0]) for depth in depths]
        for depth, value in zip(depths, faster[name], strict=True):
            expected = 1 + 2 * (2**depth - 1)  # 1 + (k - 1) sum of 2^l
            agree.append(value == expected)
            figures.append(Figure("faster", f"kernel 3, {name}", f"{depth} layers", value, "px", holds=agree[-1]))
    full = reach(dense(INPUTS, 1), INPUTS)
    deep = reach(convolutions(3, 4), 17)
    middle = deep[len(deep) // 2]
    figures += [
        Figure("paths", "4 convolutions, kernel 3", "inputs within reach", int(np.count_nonzero(middle)), "count"),
        Figure("paths", "4 convolutions, kernel 3", "ways, from the middle input", float(middle[8]), "count"),
        Figure("paths", "4 convolutions, kernel 3", "ways, from the outermost input", float(middle[4]), "count"),
    ]
    grown = "grows by k - 1 with every layer, 1 + L (k - 1)" if all(agree) else "does not always grow as 1 + L (k - 1)"
    return Result(
        finding=[
            f"Of {small['dense'].size} pairs of 9 inputs and 9 outputs a dense layer joins "
            f"{figures[0].measured:.0f}; a convolution of kernel 3 joins {figures[3].measured:.0f}, "
            f"{figures[4].measured:.0f} inputs to an output.",
            f"The reach {grown}: {sum(agree)} of {len(agree)} stacks, measured by gradient at every output. A dense layer "
            f"reaches all {width(full[0])} inputs at once.",
            f"Stride or dilation make it grow exponentially: after 6 layers of kernel 3 it is "
            f"{faster['stride 2'][-1]} and {faster['dilation 1, 2, 4, ...'][-1]} inputs instead of "
            f"{(1 + 6 * 2)}.",
            f"Within reach is not the same as in equal parts: through 4 layers the middle input has {middle[8]:.0f} ways to "
            f"the output, the outermost {middle[4]:.0f}.",
        ],
        figures=figures,
        tables=[
            Table("one", "One layer of 9 inputs", "layer"),
            Table("depth", "Inputs within reach of one output, by gradient", "stack", "published: 1 + L (k - 1)"),
            Table("faster", "With stride or dilation", "stack"),
            Table("paths", "How strongly", "stack"),
        ],
        charts=[
            Chart("depth", "How far one output sees", "lines", "layers", "inputs", lines),
            Chart("faster", "Stride and dilation", "lines", "layers", "inputs", [
                Series("plain", list(range(1, 7)), [float(1 + 2 * d) for d in range(1, 7)], dashed=True),
                *(Series(n, list(range(1, 7)), [float(v) for v in values]) for n, values in faster.items()),
            ], y_log=True),
        ],
        pictures={
            "connections.png": (
                side_by_side([1.0 - (m > 0) for m in (*small.values(), *(reach(convolutions(3, d), 9) for d in (2, 3)))],
                             gap_px=2, zoom=16),
                "Black: the input (column) reaches the output (row). From left: a dense layer; one, two and three "
                "convolutions of kernel 3 without padding.",
            )
        },
        footnotes=[
            "Without padding, so that every output's reach lies inside; with zeros outside the reach is cut at the border."
        ],
        protocol={
            "reach": "where d output / d input is not 0, every weight 1 (paths then add and cannot cancel), float64",
            "seed": "none: nothing is random, every weight is 1",
            "inputs": INPUTS, "kernels": list(KERNELS), "layers": [DEPTHS[0], DEPTHS[-1]],
        },
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="sparse",
    systems=("S17",),
    shows="which inputs reach which outputs, dense versus convolution, and how the reach grows with depth",
    claim="Convolution has sparse interactions: an output sees k inputs, and through L layers 1 + L (k - 1) of them.",
    source=BOOK,
    measure=measure,
)
