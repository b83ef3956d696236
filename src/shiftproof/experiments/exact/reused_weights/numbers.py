"""How often a layer uses each of its weights, counted while it runs; and the derivative that sums over these uses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from shiftproof.experiments.lab import Lab

SIDE, KERNEL = 12, 3  # of the picture and of the kernel
POSITIONS = (SIDE - KERNEL + 1) ** 2  # of the kernel without padding
LENGTH, TAPS = 9, 5  # of the signal and of its kernel
DRAWN = 12  # of the signal whose connections are drawn, with a kernel of `KERNEL`
DENSE, UNSHARED, SHARED, PADDED = "dense", "a kernel per position", "convolution", "convolution, zero padding"
PARTIAL, CHAIN, CHAIN_DENSE = "ds(t)/dw(a)", "dJ/dw(a), convolution", "dJ/dw(t, i), dense"


@dataclass
class Weight:
    """A number that notes what it is multiplied with.

    Args:
        value: the number.
        used: (output, input) of each multiplication so far.
    """

    value: float
    used: list[tuple[int, int]]

    def times(self, x: float, output: int, at: int) -> float:
        """The product with an input, noted."""
        self.used.append((output, at))
        return self.value * x


@dataclass(frozen=True, eq=False)
class Uses:
    """How a layer uses its weights.

    Args:
        counts: of each weight: how often it is multiplied with an input.
        derivative: of each weight: derivative of the sum of all outputs for an input of ones, which is the number of inputs
            that it is multiplied with.
    """

    counts: Float64[np.ndarray, " w"]
    derivative: Float64[np.ndarray, " w"]

    @property
    def multiplications(self) -> int:
        """Of one output of the whole layer."""
        return int(self.counts.sum())


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        uses: by layer.
        connections: layer -> outputs x inputs: 0 where nothing connects the two, 2 where one weight in the middle does, 1 where
            another weight does.
        partial: ds(t)/dw(a), outputs x weights, by autograd.
        partial_dense: the same of a dense layer of as many outputs.
        off: what is written out -> its largest difference to autograd; whole numbers.
        differences: what is written out -> its largest difference to central differences with a step of 1.
        one_place: relative error of the gradient of a kernel if only one position is counted.
        terms: how many positions the gradient of one weight of the kernel sums over; of a dense layer.
    """

    uses: dict[str, Uses]
    connections: dict[str, Float64[np.ndarray, "o i"]]
    partial: Float64[np.ndarray, "t a"]
    partial_dense: Float64[np.ndarray, "t w"]
    off: dict[str, float]
    differences: dict[str, float]
    one_place: float
    terms: tuple[int, int]


def pairs(layer: str, side: int, size: int, axes: int) -> Iterator[tuple[int, int, int]]:
    """(weight, output, input) of every multiplication of a layer, in the order in which a plain loop makes them.

    Args:
        layer: its name.
        side: of the input, in pixels.
        size: side of the kernel.
        axes: 1 for signals, 2 for pictures.

    >>> list(pairs(SHARED, 4, 3, 1))
    [(0, 0, 0), (1, 0, 1), (2, 0, 2), (0, 1, 1), (1, 1, 2), (2, 1, 3)]
    """
    reach = size // 2 if layer == PADDED else 0
    places = list(itertools.product(range(-reach, side - size + 1 + reach), repeat=axes))
    taps = list(itertools.product(range(size), repeat=axes))
    for output, place in enumerate(places):
        if layer == DENSE:
            yield from ((output * side**axes + i, output, i) for i in range(side**axes))
            continue
        for tap, offset in enumerate(taps):
            at = [p + o for p, o in zip(place, offset, strict=True)]
            if all(0 <= a < side for a in at):  # a pixel of the padding is not an input
                weight = output * len(taps) + tap if layer == UNSHARED else tap
                yield weight, output, sum(a * side**k for k, a in enumerate(reversed(at)))


def run(layer: str, x: list[float], side: int, size: int, axes: int) -> tuple[list[float], list[Weight]]:
    """What the layer gives, by a plain loop over weights that note their uses; every weight is 1.

    Args:
        layer: its name.
        x: the input, row by row.
        side: of the input, in pixels.
        size: side of the kernel.
        axes: 1 for signals, 2 for pictures.
    """
    steps = list(pairs(layer, side, size, axes))
    weights = [Weight(1.0, []) for _ in range(1 + max(weight for weight, _, _ in steps))]
    found = [0.0] * (1 + max(output for _, output, _ in steps))
    for weight, output, at in steps:
        found[output] += weights[weight].times(x[at], output, at)
    return found, weights


def by_torch(layer: str, w: Tensor, x: Tensor) -> Tensor:
    """The same layer by torch, for pictures (h, w).

    Args:
        layer: its name.
        w: its weights, in a row.
        x: the picture.
    """
    if layer == DENSE:
        return nn.functional.linear(x.flatten(), w.reshape(-1, x.numel()))
    if layer == UNSHARED:
        windows = nn.functional.unfold(x[None, None], KERNEL)[0]  # taps x positions
        return (w.reshape(windows.shape[1], -1) * windows.T).sum(1)
    kernel = w.reshape(1, 1, KERNEL, KERNEL)
    return nn.functional.conv2d(x[None, None], kernel, padding=KERNEL // 2 if layer == PADDED else 0).flatten()


def counted(layer: str) -> Uses:
    """The uses of each weight: noted while the layer runs, and by the derivative of torch's layer."""
    _, weights = run(layer, [1.0] * SIDE**2, SIDE, KERNEL, 2)
    w = torch.ones(len(weights), dtype=torch.float64, requires_grad=True)
    total = by_torch(layer, w, torch.ones(SIDE, SIDE, dtype=torch.float64)).sum()
    (slope,) = torch.autograd.grad(total, w)
    return Uses(np.array([float(len(weight.used)) for weight in weights]), slope.numpy())


def connections(layer: str) -> Float64[np.ndarray, "o i"]:
    """Which input meets which output in a layer on a signal, and where the weight in the middle does."""
    found, weights = run(layer, [1.0] * DRAWN, DRAWN, KERNEL, 1)
    matrix, middle = np.zeros((len(found), DRAWN)), len(found) // 2
    for weight in weights:
        for output, at in weight.used:
            # The one that joins the output in the middle to the input in the middle of its kernel.
            matrix[output, at] = 2.0 if (middle, middle + KERNEL // 2) in weight.used else 1.0
    return matrix


def convolved(x: Tensor, w: Tensor) -> Tensor:
    """s(t) = sum over a of x(t - a) w(a), where all of it lies in the signal: by torch, which needs the kernel flipped."""
    return nn.functional.conv1d(x[None, None], w.flip(0)[None, None])[0, 0]


def central(f: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Central differences with a step of 1, exact for what is linear or quadratic: one column per coordinate."""
    return torch.stack([(f(at + e) - f(at - e)) / 2 for e in torch.eye(len(at), dtype=at.dtype)], dim=-1)


def measure(lab: Lab) -> Numbers:
    """Uses counted while layers run; derivatives written out, against autograd and finite differences, in whole numbers.

    Args:
        lab: not used: there are no data, and the seed is fixed.
    """
    generator = torch.Generator().manual_seed(0)
    w, wanted = (torch.randint(-5, 6, (n,), generator=generator).double() for n in (TAPS, LENGTH - TAPS + 1))
    sign = 2 * torch.randint(0, 2, (LENGTH,), generator=generator) - 1
    x = sign * torch.randint(1, 6, (LENGTH,), generator=generator).double()  # nowhere 0, so that no term vanishes
    m = torch.randint(-5, 6, (len(wanted) * LENGTH,), generator=generator).double()

    def dense(weights: Tensor) -> Tensor:
        return weights.reshape(len(wanted), LENGTH) @ x

    def loss(s: Tensor) -> Tensor:
        return (s - wanted).square().sum() / 2  # dJ/ds(t) = s(t) - wanted(t)

    partial = torch.autograd.functional.jacobian(lambda v: convolved(x, v), w)
    # Row t, from the first position at which all of the kernel lies in the signal: x(t), x(t - 1), ...
    shifted = torch.stack([torch.stack([x[t - a] for a in range(TAPS)]) for t in range(TAPS - 1, LENGTH)])
    slope, slope_dense = convolved(x, w) - wanted, dense(m) - wanted
    written = {
        PARTIAL: shifted,
        CHAIN: (slope[:, None] * shifted).sum(0),
        CHAIN_DENSE: (slope_dense[:, None] * x).flatten(),
    }
    automatic = {
        PARTIAL: partial,
        CHAIN: torch.autograd.functional.jacobian(lambda v: loss(convolved(x, v)), w),
        CHAIN_DENSE: torch.autograd.functional.jacobian(lambda v: loss(dense(v)), m),
    }
    finite = {
        PARTIAL: central(lambda v: convolved(x, v), w),
        CHAIN: central(lambda v: loss(convolved(x, v)), w),
        CHAIN_DENSE: central(lambda v: loss(dense(v)), m),
    }
    partial_dense = torch.autograd.functional.jacobian(dense, m)
    first = slope[0] * shifted[0]
    return Numbers(
        uses={name: counted(name) for name in (DENSE, UNSHARED, SHARED, PADDED)},
        connections={name: connections(name) for name in (DENSE, UNSHARED, SHARED)},
        partial=partial.numpy(),
        partial_dense=partial_dense.numpy(),
        off={name: float((written[name] - automatic[name]).abs().max()) for name in written},
        differences={name: float((written[name] - finite[name]).abs().max()) for name in written},
        one_place=float((first - written[CHAIN]).norm() / written[CHAIN].norm()),
        terms=(int((partial != 0).sum(0).min()), int((partial_dense != 0).sum(0).max())),
    )
