"""Four claims that are wrong or half right, each with a measurement that a reader can repeat."""

from __future__ import annotations

import functools
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from shiftproof.auditing import audit
from shiftproof.checking import check
from shiftproof.experiments.exact.convolution_gradients import input_gradient, kernel_gradient, relative
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.photographs.edges import KERNEL, by_counting, dense_row, sparse_matrix
from shiftproof.layers import ChannelReadout
from shiftproof.records import Chart, Citation, Figure, Series, Table
from shiftproof.records.numbers import percent
from shiftproof.training import Training, untrained
from shiftproof.translations import grid

BOOK, CHAPTER = (
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
SOURCE = Citation(
    "Azulay and Weiss 2019, Why do deep convolutional networks generalize so poorly to small image transformations?, and "
    f"{BOOK}",
    "1 and 2: the paper, https://jmlr.org/papers/v20/19-519.html; 3: figure 9.6 of the book; 4: section 9.5 of the book",
    CHAPTER,
)
EDGES = Citation(BOOK, "figure 9.6", CHAPTER)
WIDTH, HEIGHT = 320, 280  # of the photograph of claim 3, in pixels


@dataclass(frozen=True)
class Counts:
    """The cost of a picture minus its left neighbour, as a convolution and as a product with a dense matrix.

    Args:
        convolution_operations: multiplications and additions.
        matrix_entries: of the dense matrix.
        matrix_operations: multiplications and additions of the product with it.
        weights: of the convolution's kernel.
    """

    convolution_operations: int
    matrix_entries: int
    matrix_operations: int
    weights: int

    def rows(self) -> dict[str, int]:
        """The counts by their rows in the table."""
        return {
            "convolution, operations": self.convolution_operations,
            "dense matrix, entries": self.matrix_entries,
            "dense matrix, operations": self.matrix_operations,
            "convolution, weights": self.weights,
        }


# The book prints 319 x 280 x 3 = 267,960 operations, 320 x 280 x 319 x 280 entries and "over sixteen billion" operations,
# which are one multiplication and one addition per entry.
PUBLISHED = Counts(267_960, 8_003_072_000, 16_006_144_000, 2)


@dataclass(frozen=True)
class Kind:
    """A network of the family: two 3 x 3 convolutions of 16 filters with ReLU, and a readout.

    Args:
        word: its name in the progress and in file names.
        padding_mode: of both convolutions, as in torch.
        smaller: "pool", 2 x 2 max pooling with stride 2 after each convolution; "stride", stride 2 in each; None, maps
            keep their size.
        readout: "average" over positions and a dense layer; "flatten", a dense layer on all cells; "tied", the same with
            one weight for all cells of a map, and a batch normalisation of the scores.
    """

    word: str
    padding_mode: str
    smaller: str | None
    readout: str


EXACT, TIED, FLAT = "circular, no stride, averaged", "circular, no stride, tied", "with a flattened dense layer"
NETWORKS = {  # one thing is changed at a time
    EXACT: Kind("corrections-averaged", "circular", None, "average"),
    TIED: Kind("corrections-tied", "circular", None, "tied"),
    "with 2 x 2 pooling": Kind("corrections-pooled", "circular", "pool", "average"),
    "with convolutions of stride 2": Kind("corrections-strided", "circular", "stride", "average"),
    "with zero padding": Kind("corrections-padded", "zeros", None, "average"),
    FLAT: Kind("corrections-flattened", "circular", None, "flatten"),
    "all three (the usual network)": Kind("corrections-usual", "zeros", "pool", "flatten"),
}
CHANGE = "answers that change"
SHORT_K, FULL_K = "with respect to the kernel: V at one position", "with respect to the kernel: complete"
SHORT_V, FULL_V = "with respect to the input: K without the flip", "with respect to the input: complete"
ROUNDED = 1e-12  # a relative error below this is rounding


def network(kind: Kind, side_px: int) -> nn.Sequential:
    """The untrained network of that kind, for square pictures."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    side = side_px
    for i, channels in enumerate((1, 16), 1):
        stride = 2 if kind.smaller == "stride" else 1
        layers[f"conv{i}"] = nn.Conv2d(channels, 16, 3, stride, padding=1, padding_mode=kind.padding_mode)  # type: ignore[arg-type]
        layers[f"relu{i}"] = nn.ReLU()
        if kind.smaller == "pool":
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        if kind.smaller is not None:
            side //= 2
    if kind.readout == "tied":
        # Sums over so many cells are too large to train on without the batch normalisation behind them.
        tied = {"dense": nn.Conv2d(16, 10, 1, bias=False), "sum": ChannelReadout(), "scale": nn.BatchNorm1d(10)}
        return nn.Sequential(layers | tied)
    if kind.readout == "average":
        layers["average"] = nn.AdaptiveAvgPool2d(1)
        side = 1
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(16 * side * side, 10)
    return nn.Sequential(layers)


@dataclass(frozen=True)
class Audited:
    """What the audit and the check say of one kind of network.

    Args:
        accuracy: on unmoved pictures.
        changed: fraction of the moves that change the answer.
        step_px: multiples of this move are proved to change no answer; 0 if nothing is proved.
    """

    accuracy: Float64[np.ndarray, " seeds"]
    changed: Float64[np.ndarray, " seeds"]
    step_px: int


@dataclass(frozen=True)
class Numbers:
    """What was measured for the four claims.

    Args:
        training: of the networks.
        pictures: how many test pictures were moved.
        reach_px: the largest move along an axis.
        networks: claims 1 and 2, by a key of `NETWORKS`.
        counts: claim 3.
        errors: claim 4, the relative error of each rule for a gradient against autograd.
    """

    training: Training
    pictures: int
    reach_px: int
    networks: Mapping[str, Audited]
    counts: Counts
    errors: Mapping[str, float]

    def changed(self, name: str) -> float:
        """Mean over seeds of the fraction of moves that change the answer of a network."""
        values = self.networks[name].changed.tolist()
        return math.fsum(values) / len(values)


def measure(lab: Lab) -> Numbers:
    """One family of networks for claims 1 and 2, counts for 3, gradients written out for 4."""
    side = lab.digits("train").pictures.shape[-1]
    training, pictures, reach = Training(epochs=2, pictures=10_000, rate=3e-3), 500, 4
    if side < 28:
        training, pictures, reach = Training(epochs=6, rate=1e-2), 100, 2
    networks = {}
    for name, kind in NETWORKS.items():
        found = np.array([lab.kept(audited, lab, kind, training, seed, pictures, reach) for seed in lab.seeds])
        verdict = check(untrained(functools.partial(network, kind, side)), (1, side, side)).circular
        # Of the untrained network: random weights are not tied or circulant
        # by chance, so the structure alone proves it.
        step = verdict.step[1] if verdict.status == "proved" else 0
        networks[name] = Audited(found[:, 0], found[:, 1], step or 0)
    return Numbers(training, pictures, reach, networks, counted(WIDTH, HEIGHT), gradient_errors())


def audited(lab: Lab, kind: Kind, training: Training, seed: int, pictures: int, reach_px: int) -> list[float]:
    """Accuracy on unmoved pictures and flip rate of a trained network, over all circular moves up to `reach_px`."""
    test = lab.digits("test")
    build = functools.partial(network, kind, test.pictures.shape[-1])
    model = lab.trained(kind.word, build, training, seed)
    x, y = test.pictures[:pictures].float() / 255, test.labels[:pictures]
    record = audit(model, x, y, translations=grid(reach_px, boundary="circular"), layers=0)
    return [record.metrics[m].value for m in ("accuracy_unmoved", "flip_rate")]


def counted(width: int, height: int) -> Counts:
    """The counts for a picture of that size, counted while both products run.

    The dense product is counted on one row of the matrix, times the number of rows.

    Args:
        width: of the picture, in pixels.
        height: of the picture, in pixels.
    """
    picture = np.zeros((height, width), dtype=np.float32)
    out, tally = by_counting(picture)
    row, matrix = dense_row(picture, onto_zero=True), sparse_matrix(height, width)
    entries = math.prod(matrix.shape)  # type: ignore[arg-type]
    return Counts(tally.operations, entries, row.operations * out.size, len(KERNEL))


def gradient_errors() -> dict[str, float]:
    """The relative error of the short rules and the full ones against autograd."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(7, 8, 3, generator=generator, dtype=torch.float64)
    k = torch.randn(3, 2, 3, 4, generator=generator, dtype=torch.float64)
    x, w = v.permute(2, 0, 1)[None].clone().requires_grad_(), k.permute(3, 2, 0, 1).clone().requires_grad_()
    z = nn.functional.conv2d(x, w)
    delta = torch.randn(z.shape, generator=generator, dtype=torch.float64)
    by_v, by_k = torch.autograd.grad(z, (x, w), delta)
    by_k, by_v = by_k.permute(2, 3, 1, 0), by_v[0].permute(1, 2, 0)
    delta = delta[0].permute(1, 2, 0)
    return {
        SHORT_K: relative(v[:3, :2, :, None] * delta[0, 0], by_k),
        FULL_K: relative(kernel_gradient(v, delta), by_k),
        SHORT_V: relative(input_gradient(k.flip(0, 1), delta), by_v),
        FULL_V: relative(input_gradient(k, delta), by_v),
    }


def figures(numbers: Numbers) -> list[Figure]:
    """Ticked where a network is invariant, a count is the published one, or a rule is autograd's up to rounding."""
    found = []
    for name, a in numbers.networks.items():
        kept = float(a.changed.max()) == 0
        found += [
            over_seeds("classifiers", name, "accuracy, unmoved", a.accuracy.tolist()),
            over_seeds("classifiers", name, CHANGE, a.changed.tolist(), holds=kept),
            Figure("classifiers", name, "proved step", a.step_px, "px", holds=a.step_px == 1),
        ]
    published = PUBLISHED.rows()
    for name, count in numbers.counts.rows().items():
        where, said = ("operations", name, "count"), published[name]
        found.append(Figure(*where, count, "count", published=float(said), source=EDGES, holds=count == said))
    for name, error in numbers.errors.items():
        found.append(Figure("gradients", name, "relative error", error, "", holds=error < ROUNDED))
    return found


def finding(numbers: Numbers) -> list[Said | str]:
    """The result for each claim."""
    return [*_dense(numbers), *_classifiers(numbers), *_operations(numbers), *_gradients(numbers)]


def _dense(numbers: Numbers) -> list[Said | str]:
    flat, averaged, tied = (numbers.changed(name) for name in (FLAT, EXACT, TIED))
    proved = [name for name in (EXACT, TIED) if numbers.networks[name].step_px == 1]
    changes = (
        f"averaging over positions changes {percent(averaged, 1)} of the answers, tying the weights over positions "
        f"{percent(tied, 1)}"
    )
    return [
        Said(
            flat > 0,
            yes="1. Dense + softmax do not turn equivariance into invariance: on the same exactly equivariant maps, a dense "
            f"layer on flattened maps changes {percent(flat, 1)} of its answers when the picture moves.",
            no="1. Here dense + softmax kept every answer: a dense layer on flattened maps changes no answer when the picture "
            "moves.",
        ),
        Said(
            max(averaged, tied) == 0,
            yes=f"On these maps, {changes}: both make the network invariant.",
            no=f"On these maps, {changes}: not both make the network invariant, contrary to the correction.",
        ),
        Said(
            len(proved) == 2,
            yes="For both, the check proves that no circular move changes an answer.",
            no=Said(
                len(proved) == 1,
                yes=f"For only one of them, the check proves that no circular move changes an answer: {', '.join(proved)}.",
                no="For neither of them does the check prove that no circular move changes an answer.",
            ),
        ),
    ]


def _classifiers(numbers: Numbers) -> list[Said | str]:
    others = {name: numbers.changed(name) for name in numbers.networks if name not in (EXACT, TIED)}
    changed = "; ".join(f"{name} {percent(value, 1)}" for name, value in others.items() if value > 0)
    kept = [name for name, value in others.items() if value == 0]
    return [
        Said(
            bool(changed),
            yes=f"2. CNN classifiers are not translation invariant; answers that change: {changed}.",
            no="2. No answer of any of these classifiers changed, so the claim is not contradicted here.",
        ),
        Said(bool(changed and kept), yes=f"No answer changed {' or '.join(kept)}.", no=""),
    ]


def _operations(numbers: Numbers) -> list[Said | str]:
    c = numbers.counts
    start = f"3. The {c.convolution_operations:,} operations must be compared with {c.matrix_operations:,} operations"
    end = f"the weights to compare are {c.weights:,} and {c.matrix_entries:,}."
    return [
        Said(
            c.matrix_operations != c.matrix_entries,
            yes=f"{start}, not with {c.matrix_entries:,}, which are matrix entries; {end}",
            no=f"{start}, as many as the matrix has entries; {end}",
        )
    ]


def _gradients(numbers: Numbers) -> list[Said | str]:
    by_k, by_v = numbers.errors[SHORT_K], numbers.errors[SHORT_V]
    full = max(numbers.errors[FULL_K], numbers.errors[FULL_V])
    sums = "The complete sums over positions, of delta times V and of delta times the flipped K,"
    return [
        Said(
            by_k >= ROUNDED,
            yes=f"4. The derivative with respect to the kernel is not V: V at one position has an error of {percent(by_k, 0)}.",
            no="4. V at one position is the derivative with respect to the kernel here.",
        ),
        Said(
            by_v >= ROUNDED,
            yes=f"The derivative with respect to the input is not K: without the flip, it has an error of {percent(by_v, 0)}.",
            no="K without its flip is the derivative with respect to the input here.",
        ),
        Said(
            full < ROUNDED,
            yes=f"{sums} equal autograd's gradients{f' up to {full:.0e}' if full else ' exactly'}.",
            no=f"{sums} do not equal autograd's gradients: they have an error of {full:.0e}.",
        ),
    ]


def tables(numbers: Numbers) -> list[Table]:
    """How the figures are laid out."""
    return [
        Table(
            "classifiers",
            f"One thing changed at a time: circular moves up to {numbers.reach_px} px",
            "network",
            f"Claims 1 and 2: ✓ means that the network is invariant. {numbers.pictures} test pictures. A proved step of 0 means "
            "that nothing is proved; 1 means every whole-pixel move. All three: pooling, zero padding and the dense layer.",
        ),
        Table(
            "operations",
            f"Claim 3: counts for a {WIDTH} x {HEIGHT} picture minus its left neighbour",
            "count",
        ),
        Table("gradients", "Claim 4: relative error compared with autograd", "rule"),
    ]


def charts(numbers: Numbers) -> list[Chart]:
    """The flip rates as bars."""
    bars = [over_seeds("flips", name, CHANGE, a.changed.tolist()) for name, a in numbers.networks.items()]
    low = [b.measured if b.low is None else max(b.low, 0.0) for b in bars]
    high = [b.measured if b.high is None else max(b.high, 0.0) for b in bars]
    series = Series(CHANGE, list(numbers.networks), [b.measured for b in bars], low=low, high=high)
    title = "Answers that change when the picture moves around the circle"
    return [Chart("flips", title, "bars", "network", "flip rate", [series], percent=True)]


def protocol(numbers: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    return {
        "boundary": "circular",
        "moves": f"all up to {numbers.reach_px} px along each axis",
        "training": f"Adam, {numbers.training}",
        "proved step": "of the untrained network, seed 0",
        "operations": "counted while running, with numbers that count each * and +; the dense product: one row with the same "
        "numbers, every product added to zero, times the number of rows",
        "gradients": "normal values, float64, seed 0",
    }


EXPERIMENT = Experiment(
    name="corrections",
    systems=("claims 1 to 4",),
    shows="four common claims that are wrong: on dense layers, the invariance of CNNs, counts of operations, and gradients",
    claim="Four common statements, which the sources correct: dense + softmax turn equivariance into invariance; CNN classifiers "
    "are translation invariant; 267,960 operations against 8 billion; the derivative with respect to the kernel is V, with "
    "respect to the input K.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    protocol=protocol,
    trains=True,
)
