"""Which inputs reach which outputs, by gradient: dense layers, convolutions, and stacks of convolutions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from shiftproof.experiments.drawing import Cells, laid_out
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.training import untrained

INPUTS, KERNELS, DEPTHS, SMALL = 129, (2, 3, 5, 7), tuple(range(1, 11)), 9
BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2, figures 9.2 to 9.4",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
FORMULA = Citation(
    "Araujo, Norris and Sim 2019, Computing Receptive Fields of Convolutional Neural Networks",
    "the size of the receptive field, 1 + L (k - 1) for L layers of kernel k and stride 1",
    "https://distill.pub/2019/computing-receptive-fields/",
)
DENSE, CONVOLUTION, PER_OUTPUT = "dense", "convolution, kernel 3", "inputs that reach the middle output"
FASTER = {"stride 2": {"stride": 2}, "dilation 1, 2, 4, ...": {"dilate": True}}


@dataclass(frozen=True)
class Stack:
    """The reach of one stack of layers.

    Args:
        width: how many inputs lie between the first and the last that reach an output, both counted; the largest over the
            outputs that were looked at.
        agrees: whether this is as the formula says, at every output that was looked at.
    """

    width: int
    agrees: bool


@dataclass(frozen=True)
class Numbers:
    """What was measured.

    Args:
        dense: ways by which each of 9 inputs reaches each output of a dense layer.
        convolution: the same for one convolution of kernel 3.
        deeper: the same for two and three convolutions.
        stacks: by kernel and layers.
        faster: by words of `FASTER` and layers; kernel 3.
        dense_width: how many of `INPUTS` inputs reach an output of a dense layer.
        ways: through 4 convolutions of kernel 3, the ways by which each of 17 inputs reaches the middle output.
    """

    dense: Float64[np.ndarray, "_ _"]
    convolution: Float64[np.ndarray, "_ _"]
    deeper: list[Float64[np.ndarray, "_ _"]]
    stacks: dict[tuple[int, int], Stack]
    faster: dict[tuple[str, int], Stack]
    dense_width: int
    ways: Float64[np.ndarray, " _"]


def dense(n: int, layers: int) -> nn.Module:
    """Dense layers of n inputs and n outputs."""
    return untrained(lambda: nn.Sequential(*(nn.Linear(n, n, bias=False) for _ in range(layers))))


def convolutions(kernel: int, layers: int, *, stride: int = 1, dilate: bool = False) -> nn.Module:
    """Convolutions in one dimension, no padding; dilated by 1, 2, 4, ... if asked."""
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


def expected(kernel: int, layers: int) -> int:
    """1 + L (k - 1), the reach of L convolutions of kernel k and stride 1.

    >>> expected(3, 4)
    9
    """
    return 1 + layers * (kernel - 1)


def expected_faster(layers: int) -> int:
    """1 + (k - 1) sum over layers l of 2^l for kernel 3: the reach where stride or dilation doubles with every layer.

    >>> expected_faster(3)
    15
    """
    return 1 + 2 * (2**layers - 1)


def measure(lab: Lab) -> Numbers:
    """Connections of one layer, and the reach of stacks of them: every one by gradient."""
    stacks = {}
    for kernel in KERNELS:
        for layers in lab.each(f"kernel {kernel}", DEPTHS):
            paths = reach(convolutions(kernel, layers), INPUTS)
            widths, wanted = {width(row) for row in paths}, expected(kernel, layers)
            agrees = widths == {wanted} and bool((np.count_nonzero(paths, axis=1) == wanted).all())
            stacks[kernel, layers] = Stack(max(widths), agrees)
    faster = {}
    for name, how in FASTER.items():
        for layers in range(1, 7):
            # Enough inputs for six doublings: the reach is then 127.
            found = width(reach(convolutions(3, layers, **how), 2 * INPUTS - 1)[0])
            faster[name, layers] = Stack(found, found == expected_faster(layers))
    deep = reach(convolutions(3, 4), 17)
    return Numbers(
        dense=reach(dense(SMALL, 1), SMALL),
        convolution=reach(convolutions(3, 1), SMALL),
        deeper=[reach(convolutions(3, layers), SMALL) for layers in (2, 3)],
        stacks=stacks,
        faster=faster,
        dense_width=width(reach(dense(INPUTS, 1), INPUTS)[0]),
        ways=deep[len(deep) // 2],
    )


def figures(n: Numbers) -> list[Figure]:
    """Connections, receptive field by depth, and paths."""
    found = []
    for row, paths in {DENSE: n.dense, CONVOLUTION: n.convolution}.items():
        joined = paths > 0
        found += [
            Figure("one", row, "connections", int(joined.sum()), "count"),
            Figure("one", row, PER_OUTPUT, int(joined[len(joined) // 2].sum()), "count"),
            Figure("one", row, "outputs that the middle input reaches", int(joined[:, SMALL // 2].sum()), "count"),
        ]
    for (kernel, layers), s in n.stacks.items():
        theirs = {"published": expected(kernel, layers), "source": FORMULA, "holds": s.agrees}
        found.append(Figure("depth", f"kernel {kernel}", f"{layers} layers", s.width, "px", **theirs))  # type: ignore[arg-type]
    for (name, layers), s in n.faster.items():
        found.append(Figure("faster", f"kernel 3, {name}", f"{layers} layers", s.width, "px"))
    row = "4 convolutions, kernel 3"
    return [
        *found,
        Figure("paths", row, "inputs in the receptive field", int(np.count_nonzero(n.ways)), "count"),
        Figure("paths", row, "paths from the middle input", float(n.ways[8]), "count"),
        Figure("paths", row, "paths from the outermost input", float(n.ways[4]), "count"),
    ]


def claims(n: Numbers) -> list[Judged]:
    """The book's sentence, and the formula of the receptive field."""
    per_output = int((n.convolution[len(n.convolution) // 2] > 0).sum())
    agree = sum(s.agrees for s in n.stacks.values())
    return [
        judged(
            "An output of a convolution depends on k inputs, one of a dense layer on all.",
            BOOK,
            [per_output == 3, bool((n.dense > 0).all())],
            holds=f"With kernel 3, {per_output} inputs reach an output; in a dense layer all {n.dense.shape[1]} do.",
            in_part=f"With kernel 3, {per_output} inputs reach an output: one half of the sentence holds.",
            does_not=f"With kernel 3, {per_output} inputs reach an output, and in the dense layer not all.",
            rests_on=[("one", row, PER_OUTPUT) for row in (DENSE, CONVOLUTION)],
        ),
        judged(
            "Through L layers of kernel k, an output depends on 1 + L (k - 1) inputs.",
            FORMULA,
            [s.agrees for s in n.stacks.values()],
            holds=f"It is so for all {agree} stacks without stride and dilation, of which the formula speaks, at every output.",
            in_part=f"It is so for {agree} of {len(n.stacks)} stacks.",
            does_not="It is so for no stack.",
            rests_on=[("depth", f"kernel {k}", f"{layers} layers") for k, layers in n.stacks],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    of_dense, of_convolution = int((n.dense > 0).sum()), int((n.convolution > 0).sum())
    per_output = int((n.convolution[len(n.convolution) // 2] > 0).sum())
    agree = sum(s.agrees for s in n.stacks.values())
    counted = f"{agree} of {len(n.stacks)} stacks, measured by gradient at every output"
    (strided, dilated), plain = (n.faster[name, 6].width for name in FASTER), n.stacks[3, 6].width
    pairs = f"Of {n.dense.size} pairs of {SMALL} inputs and {SMALL} outputs, a dense layer connects {of_dense}"
    convolved = f"a convolution with kernel 3 connects {of_convolution}, {per_output} inputs per output"
    return [
        Said(
            of_convolution < of_dense,
            yes=f"{pairs}; {convolved}.",
            no=f"{pairs}; {convolved}: not fewer, contrary to the claim.",
        ),
        Said(
            agree == len(n.stacks),
            yes=f"The receptive field grows by k - 1 with every layer, to 1 + L (k - 1): true for {counted}.",
            no=f"The receptive field does not always grow as 1 + L (k - 1): it does for {counted}.",
        ),
        Said(
            n.dense_width == INPUTS,
            yes=f"A dense layer reaches all {INPUTS} inputs at once.",
            no=f"A dense layer reaches only {n.dense_width} of {INPUTS} inputs.",
        ),
        Said(
            all(s.agrees for s in n.faster.values()),
            yes=f"With stride or dilation it grows exponentially, as 1 + 2 (2^L - 1): after 6 layers with kernel 3, it is "
            f"{strided} and {dilated} inputs instead of {plain}.",
            no=f"With stride or dilation it does not grow as 1 + 2 (2^L - 1): after 6 layers with kernel 3, it is "
            f"{strided} and {dilated} inputs, compared with {plain}.",
        ),
        Said(
            n.ways[8] > n.ways[4],
            yes="Inputs inside the receptive field do not count equally: through 4 layers, the middle input has "
            f"{n.ways[8]:.0f} paths to the output, the outermost {n.ways[4]:.0f}.",
            no="Through 4 layers, the middle input has no more paths to the output than the outermost: "
            f"{n.ways[8]:.0f} and {n.ways[4]:.0f}.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    agree = sum(s.agrees for s in n.stacks.values())
    return Said(
        agree == len(n.stacks),
        yes="One convolution looks at k neighbours; each layer on top of it widens the view by k - 1. A deep network sees far "
        "with small kernels.",
        no=f"The view of a stack is 1 + L (k - 1) for {agree} of {len(n.stacks)} stacks.",
    )


def tables(n: Numbers) -> list[Table]:
    """Connections, receptive field by depth, and paths."""
    return [
        Table("one", f"One layer of {SMALL} inputs", "layer"),
        Table(
            "depth",
            "Inputs in the receptive field of one output, by gradient",
            "stack",
            "published: 1 + L (k - 1)",
            "It is 1 + L (k - 1).",
        ),
        Table("faster", "With stride or dilation", "stack"),
        Table("paths", "Number of paths to the output", "stack"),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Reach against depth."""
    depth = [Series(f"kernel {k}", list(DEPTHS), [float(n.stacks[k, d].width) for d in DEPTHS]) for k in KERNELS]
    formula = [float(expected(3, d)) for d in DEPTHS]
    shown = list(range(1, 7))
    plain = Series("plain", shown, [float(expected(3, d)) for d in shown], dashed=True)
    faster = [Series(name, shown, [float(n.faster[name, d].width) for d in shown]) for name in FASTER]
    return [
        Chart(
            "depth",
            "Size of the receptive field",
            "lines",
            "layers",
            "inputs",
            [*depth, Series("1 + L (k - 1), k = 3", list(DEPTHS), formula, dashed=True, of="kernel 3")],
        ),
        Chart("faster", "Stride and dilation", "lines", "layers", "inputs", [plain, *faster], y_log=True),
    ]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """Which inputs reach which outputs, as matrices."""
    matrices = [Cells((m > 0).astype(float), side_px=14) for m in (n.dense, n.convolution, *n.deeper)]
    above = ("dense", "1 convolution", "2 convolutions", "3 convolutions")
    caption = (
        "Black: the input (column) reaches the output (row). From left: a dense layer; one, two and three convolutions with "
        "kernel 3 without padding."
    )
    return {"connections.png": (laid_out([matrices], above=above), caption)}


def footnotes(n: Numbers) -> list[Said | str]:
    """What the numbers do not show."""
    return ["There is no padding, so every receptive field lies inside. With zero padding, it is cut at the border."]


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {
        "receptive field": "where d output / d input is not 0, every weight 1 (paths then add and cannot cancel), float64",
        "seed": "none: nothing is random, every weight is 1",
        "inputs": INPUTS,
        "kernels": list(KERNELS),
        "layers": [DEPTHS[0], DEPTHS[-1]],
    }


EXPERIMENT = Experiment(
    name="sparse",
    systems=("S17",),
    title="Which inputs reach which outputs",
    definition="Sparse: an output depends on few inputs instead of all of them.",
    shows="which inputs reach which outputs, for a dense layer and a convolution; how the receptive field grows with depth",
    claim="Convolution has sparse interactions: an output depends on k inputs, and through L layers on 1 + L (k - 1).",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
