"""What is measured for the four statements: networks, counts and gradients."""

from __future__ import annotations

import functools
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from shiftproof.auditing import audit
from shiftproof.checking import check
from shiftproof.experiments.exact.convolution_gradients import input_gradient, kernel_gradient, relative
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.photographs.edges import KERNEL, by_counting, dense_row, sparse_matrix
from shiftproof.experiments.trained.moved_digits import is_correct
from shiftproof.layers import ChannelReadout
from shiftproof.records import Citation
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
    """A network of the family: convolutions (`convolutions_of`) with ReLU, a readout, and batch normalisation of the ten scores.

    Args:
        word: its name in the progress and in file names.
        padding_mode: of all convolutions, as in torch.
        smaller: "pool", 2 x 2 max pooling with stride 2 after each convolution but the last; "stride", stride 2 in each of
            these; None, maps keep their size.
        readout: "average" or "maximum" over positions and a dense layer; "flatten", a dense layer on all cells; "tied", the
            same with one weight for all cells of a map.
    """

    word: str
    padding_mode: str
    smaller: str | None
    readout: str


LAYERS = ((8, 5, 1), (16, 3, 2), (16, 3, 3))  # (filters, kernel, dilation): the last one sees 15 px, most of a digit
SMALL_LAYERS = ((8, 3, 1), (16, 3, 1), (16, 3, 1))  # for pictures under 28 px
EXACT, LARGEST = "circular, no stride, averaged", "circular, no stride, maximum"
TIED, FLAT = "circular, no stride, tied", "with a flattened dense layer"
INVARIANT = (EXACT, LARGEST, TIED)
NETWORKS = {  # one thing is changed at a time
    EXACT: Kind("corrections-averaged", "circular", None, "average"),
    LARGEST: Kind("corrections-maximum", "circular", None, "maximum"),
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


def convolutions_of(side_px: int) -> tuple[tuple[int, int, int], ...]:
    """(filters, kernel, dilation) of each convolution of a network for square pictures."""
    return LAYERS if side_px >= 28 else SMALL_LAYERS


def network(kind: Kind, side_px: int) -> nn.Sequential:
    """The untrained network of that kind, for square pictures."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    side, channels, convolutions = side_px, 1, convolutions_of(side_px)
    for i, (filters, kernel, dilation) in enumerate(convolutions, 1):
        smaller = kind.smaller if i < len(convolutions) else None
        layers[f"conv{i}"] = nn.Conv2d(
            channels,
            filters,
            kernel,
            2 if smaller == "stride" else 1,
            padding=dilation * (kernel - 1) // 2,
            dilation=dilation,
            padding_mode=kind.padding_mode,  # type: ignore[arg-type]
        )
        layers[f"relu{i}"] = nn.ReLU()
        if smaller == "pool":
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        side, channels = (side // 2 if smaller else side), filters
    if kind.readout == "tied":
        tied = {"dense": nn.Conv2d(channels, 10, 1, bias=False), "sum": ChannelReadout()}
        return nn.Sequential(layers | tied | {"scale": nn.BatchNorm1d(10)})
    if kind.readout != "flatten":
        layers[kind.readout] = nn.AdaptiveMaxPool2d(1) if kind.readout == "maximum" else nn.AdaptiveAvgPool2d(1)
        side = 1
    layers["flatten"] = nn.Flatten()
    layers["dense"] = nn.Linear(channels * side * side, 10, bias=False)
    # Averages over many cells are small, and sums large: without it, some of these networks hardly learn.
    layers["scale"] = nn.BatchNorm1d(10)
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
        side_px: side of the digits.
        pictures: how many test pictures were moved.
        reach_px: the largest move along an axis.
        networks: claims 1 and 2, by a key of `NETWORKS`.
        counts: claim 3.
        errors: claim 4, the relative error of each rule for a gradient against autograd.
    """

    training: Training
    side_px: int
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
    # Small batches: these networks need many steps.
    training, pictures, reach = Training(epochs=4, batch_size=16, pictures=5000, rate=1e-2), 200, 4
    if side < 28:
        training, pictures, reach = Training(epochs=12, batch_size=32, rate=5e-3), 100, 2
    networks = {}
    for name, kind in NETWORKS.items():
        found = np.array([lab.kept(audited, lab, kind, training, seed, pictures, reach) for seed in lab.seeds])
        verdict = check(untrained(functools.partial(network, kind, side)), (1, side, side)).circular
        # Of the untrained network: random weights are not tied or circulant
        # by chance, so the structure alone proves it.
        step = verdict.step[1] if verdict.status == "proved" else 0
        networks[name] = Audited(found[:, 0], found[:, 1], step or 0)
    return Numbers(training, side, pictures, reach, networks, counted(WIDTH, HEIGHT), gradient_errors())


def audited(lab: Lab, kind: Kind, training: Training, seed: int, pictures: int, reach_px: int) -> list[float]:
    """Accuracy on unmoved digits, and the flip rate on some of them over all circular moves up to `reach_px`.

    The accuracy is of ten times as many digits as are moved: for them, a network runs only once.
    """
    test = lab.digits("test")
    build = functools.partial(network, kind, test.pictures.shape[-1])
    model = lab.trained(kind.word, build, training, seed)
    correct = is_correct(model, test[torch.arange(min(10 * pictures, len(test)))])
    x, y = test.pictures[:pictures].float() / 255, test.labels[:pictures]
    record = audit(model, x, y, translations=grid(reach_px, boundary="circular"), layers=0)
    return [correct.double().mean().item(), record.metrics["flip_rate"].value]


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
