"""The four claims of the sources that are wrong or half right, each by a measurement that a reader can repeat."""

from __future__ import annotations

import functools
from collections import OrderedDict

import torch
from torch import nn

from shiftproof.auditing import audit
from shiftproof.checking import check
from shiftproof.experiments.convolution_gradients import input_gradient, kernel_gradient, relative
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.training import Training
from shiftproof.records import Chart, Figure, Series, Source, Table
from shiftproof.translations import grid

SOURCE = Source("The project's specification", "What the sources get wrong, claims 1 to 4")
WIDTH, HEIGHT = 320, 280  # of the photograph of claim 3
NETWORKS = {  # name -> (padding mode, pooled, readout), from exact to usual, one thing changed at a time
    "circular, no stride, averaged": ("circular", False, "average"),
    "with 2 x 2 pooling": ("circular", True, "average"),
    "with zero padding": ("zeros", False, "average"),
    "with a flattened dense layer": ("circular", False, "flatten"),
    "all three (the usual network)": ("zeros", True, "flatten"),
}


def network(padding_mode: str, pooled: bool, readout: str, *, side: int) -> nn.Sequential:
    """Two 3 x 3 convolutions of 16 filters with ReLU, pooled or not, read out by the mean or by a dense layer on all cells.

    Args:
        padding_mode: of both convolutions, as in torch.
        pooled: 2 x 2 max pooling with stride 2 after each.
        readout: "average" or "flatten".
        side: of the square pictures, px.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, channels in enumerate((1, 16), 1):
        layers[f"conv{i}"] = nn.Conv2d(channels, 16, 3, padding=1, padding_mode=padding_mode)  # type: ignore[arg-type]
        layers[f"relu{i}"] = nn.ReLU()
        if pooled:
            layers[f"pool{i}"] = nn.MaxPool2d(2)
            side //= 2
    if readout == "average":
        layers["average"] = nn.AdaptiveAvgPool2d(1)
        side = 1
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(16 * side * side, 10)
    return nn.Sequential(layers)


def measure(lab: Lab) -> Result:
    """One network family for claims 1 and 2, counts for 3, written-out gradients for 4."""
    how, pictures, reach = _scale(lab)
    figures = _classifiers(lab) + _counts() + _gradients()
    flips = {f.row: f.measured for f in figures if f.column == "answers that change"}
    proved = {f.row: f.measured for f in figures if f.column == "proved step"}
    exact, *others = NETWORKS
    ends = {end: [_end(figures, n, end) for n in NETWORKS] for end in ("low", "high")}
    series = [
        Series("answers that change", list(NETWORKS), [flips[n] for n in NETWORKS], low=ends["low"], high=ends["high"])
    ]
    short = {f.row: f.measured for f in figures if f.table == "gradients"}
    by_name = {f.row: f.measured for f in figures if f.table == "operations"}
    return Result(
        finding=[
            "1. Dense + softmax do not turn equivariance into invariance: on the same exactly equivariant maps, a dense layer on "
            f"flattened maps changes {100 * flips['with a flattened dense layer']:.1f} % of its answers when the picture moves, "
            f"averaging over positions {100 * flips[exact]:.1f} %"
            + (" (proved: no circular move changes it)." if proved[exact] == 1 else "."),
            "2. CNN classifiers are not translation invariant but for one of these: "
            + "; ".join(f"{n}: {100 * flips[n]:.1f} %" for n in others) + " of answers change.",
            f"3. {by_name['convolution, operations']:,.0f} operations stand against {by_name['dense matrix, operations']:,.0f} "
            f"operations, not against {by_name['dense matrix, entries']:,.0f}, which are matrix entries; as weights it is "
            f"{by_name['convolution, weights']:.0f} against {by_name['dense matrix, entries']:,.0f}.",
            "4. The derivative by the kernel is not V but the sum over positions of delta times V: taking V at one "
            f"position is off by {100 * short['by the kernel: V at one position']:.0f} %; by the input it is K flipped and "
            f"summed: without the flip it is off by {100 * short['by the input: K without the flip']:.0f} %, written in full by "
            f"{max(short['by the kernel: in full'], short['by the input: in full']):.0e}.",
        ],
        figures=figures,
        tables=[
            Table("classifiers", f"One thing changed at a time: circular moves up to {reach} px", "network",
                  f"Claims 1 and 2. {pictures} test pictures; proved step 0: nothing is proved; 1: every whole-pixel move."),
            Table("operations", f"Claim 3: what is counted, for a {WIDTH} x {HEIGHT} picture minus its left neighbour", "count"),
            Table("gradients", "Claim 4: relative error against autograd", "rule"),
        ],
        charts=[Chart("flips", "Answers that change when the picture moves round the circle", "bars", "network",
                      "flip rate", series,
                      percent=True)],
        protocol={"boundary": "circular", "moves": f"all up to {reach} px along each axis", "training": f"Adam, {how}"},
    )  # fmt: skip


def _scale(lab: Lab) -> tuple[Training, int, int]:
    """How networks are trained, how many test pictures are audited, and how far they move: by the pictures' size."""
    if lab.digits("train").pictures.shape[-1] < 28:
        return Training(epochs=6, rate=1e-2), 100, 2
    return Training(epochs=2, pictures=10_000, rate=3e-3), 500, 4


def _end(figures: list[Figure], row: str, end: str) -> float:
    f = next(f for f in figures if f.row == row and f.column == "answers that change")
    value = getattr(f, end)
    return f.measured if value is None else max(value, 0.0)


def _classifiers(lab: Lab) -> list[Figure]:
    """Accuracy and flip rate of each network over seeds, and what the check proves."""
    test, figures = lab.digits("test"), []
    training, pictures, reach = _scale(lab)
    side = test.pictures.shape[-1]
    for name, how in NETWORKS.items():
        build = functools.partial(network, *how, side=side)
        right, flips = [], []
        for seed in lab.seeds:

            def audited(build=build, name=name, seed=seed) -> list[float]:
                model = lab.trained(f"corrections-{list(NETWORKS).index(name)}", build, training, seed)
                x, y = test.pictures[:pictures].float() / 255, test.labels[:pictures]
                record = audit(model, x, y, translations=grid(reach, boundary="circular"), layers=0)
                return [record.metrics[m].value for m in ("accuracy_unmoved", "flip_rate")]

            accuracy, flip = lab.kept(f"{name} {seed} {training} {pictures} {reach}", audited)
            right.append(accuracy)
            flips.append(flip)
        verdict = check(build().eval(), (1, side, side)).circular
        step = verdict.step[1] if verdict.status == "proved" and verdict.step[1] else 0
        flat = name in ("with a flattened dense layer", "all three (the usual network)")
        figures += [
            over_seeds("classifiers", name, "accuracy, unmoved", right),
            over_seeds("classifiers", name, "answers that change", flips, published=0.0 if flat else None,
                       source=SOURCE if flat else None, holds=max(flips) == 0 if flat else None),
            Figure("classifiers", name, "proved step", step, "px"),
        ]  # fmt: skip
    return figures


def _counts() -> list[Figure]:
    """Claim 3: multiplications and additions, matrix entries, weights; the first two as published."""
    cells, outputs = WIDTH * HEIGHT, (WIDTH - 1) * HEIGHT
    per_output = 3  # two multiplications and one addition
    counts = {
        "convolution, operations": (outputs * per_output, 267_960),
        "dense matrix, entries": (outputs * cells, 8_003_072_000),
        "dense matrix, operations": (2 * outputs * cells, None),  # a multiplication and an addition an entry
        "convolution, weights": (2, None),
    }
    return [
        Figure("operations", name, "count", count, "count", published=None if said is None else float(said),
               source=None if said is None else SOURCE, holds=None if said is None else count == said)
        for name, (count, said) in counts.items()
    ]  # fmt: skip


def _gradients() -> list[Figure]:
    """Claim 4: the short rules and the full ones against autograd."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(7, 8, 3, generator=generator, dtype=torch.float64)
    k = torch.randn(3, 2, 3, 4, generator=generator, dtype=torch.float64)
    x, w = v.permute(2, 0, 1)[None].clone().requires_grad_(), k.permute(3, 2, 0, 1).clone().requires_grad_()
    z = nn.functional.conv2d(x, w)
    delta = torch.randn(z.shape, generator=generator, dtype=torch.float64)
    z.backward(delta)
    by_k, by_v = w.grad.permute(2, 3, 1, 0), x.grad[0].permute(1, 2, 0)  # type: ignore[union-attr, index]
    delta = delta[0].permute(1, 2, 0)
    rules = {
        "by the kernel: V at one position": (v[:3, :2, :, None] * delta[0, 0], by_k),
        "by the kernel: in full": (kernel_gradient(v, delta), by_k),
        "by the input: K without the flip": (input_gradient(k.flip(0, 1), delta), by_v),
        "by the input: in full": (input_gradient(k, delta), by_v),
    }
    return [
        Figure("gradients", name, "relative error", relative(a, b), "", holds=relative(a, b) < 1e-12)
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
