"""The four claims of the sources that are wrong or half right, each by a measurement that a reader can repeat."""

from __future__ import annotations

import functools
import math
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from shiftproof.auditing import audit
from shiftproof.checking import check
from shiftproof.experiments.convolution_gradients import input_gradient, kernel_gradient, relative
from shiftproof.experiments.edges import KERNEL, by_counting, dense_row, sparse_matrix
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.training import Training
from shiftproof.experiments.untrained import untrained
from shiftproof.layers import ChannelReadout
from shiftproof.records import Chart, Figure, Series, Source, Table
from shiftproof.translations import grid

SOURCE = Source("The project's specification", "What the sources get wrong, claims 1 to 4")
WIDTH, HEIGHT = 320, 280  # of the photograph of claim 3
EXACT, TIED, FLAT = "circular, no stride, averaged", "circular, no stride, tied (S7)", "with a flattened dense layer"
NETWORKS = {  # name -> (number of its file, padding mode, what makes maps smaller, readout), one thing changed at a time
    EXACT: (0, "circular", None, "average"),
    TIED: (5, "circular", None, "tied"),
    "with 2 x 2 pooling": (1, "circular", "pool", "average"),
    "with convolutions of stride 2": (6, "circular", "stride", "average"),
    "with zero padding": (2, "zeros", None, "average"),
    FLAT: (3, "circular", None, "flatten"),
    "all three (the usual network)": (4, "zeros", "pool", "flatten"),
}
ROUNDED = 1e-12  # a relative error below this is rounding


def network(padding_mode: str, smaller: str | None, readout: str, *, side: int) -> nn.Sequential:
    """Two 3 x 3 convolutions of 16 filters with ReLU, and a readout.

    Args:
        padding_mode: of both convolutions, as in torch.
        smaller: "pool", 2 x 2 max pooling with stride 2 after each; "stride", stride 2 in each; None.
        readout: "average" over positions and a dense layer; "flatten", a dense layer on all cells; "tied", the same with
            one weight for all cells of a map, and a batch normalisation of the scores.
        side: of the square pictures, px.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, channels in enumerate((1, 16), 1):
        stride = 2 if smaller == "stride" else 1
        layers[f"conv{i}"] = nn.Conv2d(channels, 16, 3, stride, padding=1, padding_mode=padding_mode)  # type: ignore[arg-type]
        layers[f"relu{i}"] = nn.ReLU()
        if smaller == "pool":
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        if smaller is not None:
            side //= 2
    if readout == "tied":  # a dense layer from every cell, its weights the same in all cells of a map
        tied = {"dense": nn.Conv2d(16, 10, 1, bias=False), "sum": ChannelReadout(), "scale": nn.BatchNorm1d(10)}
        return nn.Sequential(layers | tied)  # sums over so many cells are too large to train without a scale
    if readout == "average":
        layers["average"] = nn.AdaptiveAvgPool2d(1)
        side = 1
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(16 * side * side, 10)
    return nn.Sequential(layers)


def measure(lab: Lab) -> Result:
    """One network family for claims 1 and 2, counts for 3, written-out gradients for 4."""
    how, pictures, reach = _scale(lab)
    figures = [*_classifiers(lab), *_counts(), *_gradients()]
    flips = {f.row: f for f in figures if f.column == CHANGE}
    ends = {end: [_end(f, end) for f in flips.values()] for end in ("low", "high")}
    heights = [f.measured for f in flips.values()]
    series = [Series(CHANGE, list(NETWORKS), heights, low=ends["low"], high=ends["high"])]
    return Result(
        finding=finding({(f.table, f.row, f.column): f.measured for f in figures}),
        figures=figures,
        tables=[
            Table("classifiers", f"One thing changed at a time: circular moves up to {reach} px", "network",
                  f"Claims 1 and 2: ticked where it is invariant. {pictures} test pictures; proved step 0: nothing is proved; "
                  "1: every whole-pixel move. All three: pooling, zero padding and the dense layer."),
            Table("operations", f"Claim 3: what is counted, for a {WIDTH} x {HEIGHT} picture minus its left neighbour", "count"),
            Table("gradients", "Claim 4: relative error against autograd", "rule"),
        ],
        charts=[Chart("flips", "Answers that change when the picture moves round the circle", "bars", "network",
                      "flip rate", series, percent=True)],
        protocol={
            "boundary": "circular", "moves": f"all up to {reach} px along each axis", "training": f"Adam, {how}",
            "proved step": "of the untrained network, seed 0",
            "operations": "counted while running, by numbers that count each * and +; the dense product: one row by the same "
            "numbers, the products added onto a zero, times the rows",
            "gradients": "normal values, float64, seed 0",
        },
    )  # fmt: skip


CHANGE = "answers that change"


def finding(at: dict[tuple[str, str, str], float]) -> list[str]:
    """A sentence a claim, from the figures by (table, row, column)."""
    flips = {name: at["classifiers", name, CHANGE] for name in NETWORKS}
    proved = [name for name in (EXACT, TIED) if at["classifiers", name, "proved step"] == 1]
    first = (
        "1. Dense + softmax do not turn equivariance into invariance: on the same exactly equivariant maps, a dense layer on "
        f"flattened maps changes {flips[FLAT]:.1%} of its answers when the picture moves"
        if flips[FLAT] > 0
        else "1. Here dense + softmax kept every answer: a dense layer on flattened maps changes none when the picture moves"
    )
    first += (
        f"; averaging over positions changes {flips[EXACT]:.1%}, tying the weights over positions {flips[TIED]:.1%}"
    )
    first += {
        2: " (proved of both: no circular move changes an answer).",
        1: f" (proved of one: {proved[:1]}).",
        0: ".",
    }[len(proved)]
    if max(flips[EXACT], flips[TIED]) > 0:
        first += " So these are not invariant here either, against the correction."
    changed = {n: f for n, f in flips.items() if f > 0 and n not in (EXACT, TIED)}
    kept = [n for n, f in flips.items() if f == 0 and n not in (EXACT, TIED)]
    second = (
        "2. CNN classifiers are not translation invariant; answers that change: "
        + "; ".join(f"{n} {f:.1%}" for n, f in changed.items())
        + "."
        if changed
        else "2. No answer of any of these classifiers changed: the claim is not contradicted here."
    )
    if changed and kept:
        second += f" None changed {' or '.join(kept)}."
    count = {r: n for (t, r, _), n in at.items() if t == "operations"}
    third = (
        f"3. {count['convolution, operations']:,.0f} operations stand against {count['dense matrix, operations']:,.0f} "
        "operations, "
        + (
            f"not against {count['dense matrix, entries']:,.0f}, which are matrix entries"
            if count["dense matrix, operations"] != count["dense matrix, entries"]
            else "as many as the matrix has entries"
        )
        + f"; as weights it is {count['convolution, weights']:,.0f} against {count['dense matrix, entries']:,.0f}."
    )
    off = {r: e for (t, r, _), e in at.items() if t == "gradients"}
    by_k, by_v = off[SHORT_K], off[SHORT_V]
    fourth = "4. " + (
        f"The derivative by the kernel is not V: taking V at one position is off by {by_k:.0%}; "
        if by_k >= ROUNDED
        else "V at one position is the derivative by the kernel here; "
    )
    fourth += (
        f"by the input it is not K without its flip, which is off by {by_v:.0%}. "
        if by_v >= ROUNDED
        else "K without its flip is the derivative by the input here. "
    )
    full = max(off[FULL_K], off[FULL_V])
    fourth += "In full, the sums over positions of delta times V and of delta times the flipped K, "
    fourth += (
        f"they are autograd's{f' to {full:.0e}' if full else ' exactly'}." if full < ROUNDED else f"off by {full:.0e}."
    )
    return [first, second, third, fourth]


def _scale(lab: Lab) -> tuple[Training, int, int]:
    """How networks are trained, how many test pictures are audited, and how far they move: by the pictures' size."""
    if lab.digits("train").pictures.shape[-1] < 28:
        return Training(epochs=6, rate=1e-2), 100, 2
    return Training(epochs=2, pictures=10_000, rate=3e-3), 500, 4


def _end(f: Figure, end: str) -> float:
    value = getattr(f, end)
    return f.measured if value is None else max(value, 0.0)


def _classifiers(lab: Lab) -> list[Figure]:
    """Accuracy and flip rate of each network over seeds, and what the check proves; `holds` says whether it is invariant."""
    test, figures = lab.digits("test"), []
    training, pictures, reach = _scale(lab)
    side = test.pictures.shape[-1]
    for name, (number, *how) in NETWORKS.items():
        build = functools.partial(network, *how, side=side)
        right, flips = [], []
        for seed in lab.seeds:

            def audited(build=build, number=number, seed=seed) -> list[float]:
                model = lab.trained(f"corrections-{number}", build, training, seed)
                x, y = test.pictures[:pictures].float() / 255, test.labels[:pictures]
                record = audit(model, x, y, translations=grid(reach, boundary="circular"), layers=0)
                return [record.metrics[m].value for m in ("accuracy_unmoved", "flip_rate")]

            accuracy, flip = lab.kept(f"{name} {seed} {training} {pictures} {reach}", audited)
            right.append(accuracy)
            flips.append(flip)
        verdict = check(untrained(build), (1, side, side)).circular
        step = verdict.step[1] if verdict.status == "proved" and verdict.step[1] else 0
        figures += [
            over_seeds("classifiers", name, "accuracy, unmoved", right),
            over_seeds("classifiers", name, CHANGE, flips, source=SOURCE, holds=max(flips) == 0),
            Figure("classifiers", name, "proved step", step, "px", holds=step == 1),
        ]
    return figures


def _counts() -> list[Figure]:
    """Claim 3: multiplications and additions, matrix entries, weights: counted by running, beside the specification's."""
    picture = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    out, tally = by_counting(picture)
    row, matrix = dense_row(picture, onto_zero=True), sparse_matrix(HEIGHT, WIDTH)
    counts = {
        "convolution, operations": (tally.operations, 267_960),
        "dense matrix, entries": (math.prod(matrix.shape), 8_003_072_000),  # type: ignore[arg-type]
        "dense matrix, operations": (row.operations * out.size, 16_006_144_000),
        "convolution, weights": (len(KERNEL), 2),
    }
    return [
        Figure("operations", name, "count", count, "count", published=float(said), source=SOURCE, holds=count == said)
        for name, (count, said) in counts.items()
    ]


SHORT_K, FULL_K = "by the kernel: V at one position", "by the kernel: in full"
SHORT_V, FULL_V = "by the input: K without the flip", "by the input: in full"


def _gradients() -> list[Figure]:
    """Claim 4: the short rules and the full ones against autograd."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(7, 8, 3, generator=generator, dtype=torch.float64)
    k = torch.randn(3, 2, 3, 4, generator=generator, dtype=torch.float64)
    x, w = v.permute(2, 0, 1)[None].clone().requires_grad_(), k.permute(3, 2, 0, 1).clone().requires_grad_()
    z = nn.functional.conv2d(x, w)
    delta = torch.randn(z.shape, generator=generator, dtype=torch.float64)
    by_v, by_k = torch.autograd.grad(z, (x, w), delta)
    by_k, by_v = by_k.permute(2, 3, 1, 0), by_v[0].permute(1, 2, 0)
    delta = delta[0].permute(1, 2, 0)
    rules = {
        SHORT_K: (v[:3, :2, :, None] * delta[0, 0], by_k),
        FULL_K: (kernel_gradient(v, delta), by_k),
        SHORT_V: (input_gradient(k.flip(0, 1), delta), by_v),
        FULL_V: (input_gradient(k, delta), by_v),
    }
    return [
        Figure("gradients", name, "relative error", relative(a, b), "", holds=relative(a, b) < ROUNDED)
        for name, (a, b) in rules.items()
    ]


EXPERIMENT = Experiment(
    name="corrections",
    systems=("claims 1 to 4",),
    shows="what the sources get wrong: dense layers, invariance of CNNs, operations against entries, short gradients",
    claim="Dense + softmax turn equivariance into invariance; CNN classifiers are translation invariant; 267,960 operations "
    "against 8 billion; differentiating by the kernel gives V, by the input gives K.",
    source=SOURCE,
    measure=measure,
    trains=True,
)
