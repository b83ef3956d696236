"""What is measured: each step against the next, which layers move with the picture, and how many parameters each step has."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from shiftproof.experiments.exact.derivation.steps import (
    around,
    at_every_position,
    by_offset,
    channels,
    convolution,
    fully_connected,
    inside,
    shared,
    with_offsets,
    without_offsets,
)
from shiftproof.experiments.lab import Lab

HEIGHT, WIDTH = 4, 5  # of the picture; not square, so that no two axes can be mistaken for each other
REACH = 1  # Delta
INPUTS, OUTPUTS = 3, 2  # channels
SIDE = 1000  # of the book's megapixel picture
HIDDEN = 1000  # units of its first count
REACHES = tuple(range(1, 10))  # the book: Delta "is typically smaller than 10"
IN_TABLE = (1, 4, 9)

OFFSETS = "7.1.1, W[i, j, k, l] written as V[i, j, a, b]"
WEIGHTS = "7.1.2, V[a, b] for V[i, j, a, b]"
BIAS = "7.1.2, u for U[i, j]"
LOCAL = "7.1.3, only |a|, |b| <= Δ"
FLIP = "7.1.6, i − a for i + a"
CHANNELS = "7.1.7, one channel in and one out"
TORCH = "7.1.7, torch's conv2d"
WHOLE = "from 7.1.1 to conv2d"
CONDITIONS = {
    OFFSETS: "for any weights",
    WEIGHTS: "if V is the same at every (i, j)",
    BIAS: "if U is the same at every (i, j)",
    LOCAL: "if V is 0 at all other offsets",
    FLIP: "if the kernel is flipped, V[−a, −b]",
    CHANNELS: "if u is 0",
    TORCH: "if no kernel is flipped",
    WHOLE: "if V is shared and local, and U is 0",
}
DENSE_MOVES, WEIGHTS_MOVE, BIAS_MOVES, SHARED_MOVES = (
    "7.1.1, nothing shared",
    "V shared, U not",
    "U shared, V not",
    "7.1.2, V and U shared",
)


@dataclass(frozen=True)
class Step:
    """How far an equation is from the one before it, on whole numbers.

    Args:
        same: largest difference of an output, under the condition that the text gives.
        otherwise: the same without this condition; None if there is no condition.
    """

    same: float
    otherwise: float | None

    @property
    def as_said(self) -> bool:
        """Whether the two are equal under the condition, and differ without it."""
        return self.same == 0 and self.otherwise != 0


@dataclass(frozen=True)
class Count:
    """The parameters of a layer.

    Args:
        weights: entries of W or V.
        biases: entries of U or u.
    """

    weights: int
    biases: int


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        steps: equation -> how far it is from the one before.
        given_back: whether W is given back exactly by V, and V has as many coefficients as W.
        moves: layer -> largest difference between the output of a moved picture and the moved output.
        free: dimensions of the space of all layers for which these two are equal.
        kept: parameters of a layer with shared weights: entries of V[a, b], and u.
        sums: largest difference between the integral 7.1.4 and the sum 7.1.5.
        hidden: parameters of a layer of `HIDDEN` units on a megapixel picture.
        dense: parameters of 7.1.1 on a megapixel picture.
        tied: parameters of 7.1.2 on a megapixel picture.
        local: Delta -> parameters of 7.1.3.
        matrices: step -> its weights as a matrix, outputs x pixels.
        kernels: step -> V[a, b].
    """

    steps: dict[str, Step]
    given_back: bool
    moves: dict[str, float]
    free: int
    kept: int
    sums: float
    hidden: Count
    dense: Count
    tied: Count
    local: dict[int, Count]
    matrices: dict[str, Float64[np.ndarray, "o i"]]
    kernels: dict[str, Float64[np.ndarray, "a b"]]


def shapes(h: int, w: int, reach: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters of each step.

    Args:
        h: height of the picture.
        w: width of the picture.
        reach: Delta.

    >>> shapes(2, 3, 1)["V[a, b]"], shapes(2, 3, 1)["V[a, b], local"]
    ((3, 5), (3, 3))
    """
    return {
        "W": (h, w, h, w),
        "U": (h, w),
        "V[a, b]": (2 * h - 1, 2 * w - 1),
        "V[a, b], local": (2 * reach + 1, 2 * reach + 1),
        "u": (),
    }


def apart(a: Tensor, b: Tensor) -> float:
    """The largest difference."""
    return float((a - b).abs().max())


def measure(lab: Lab) -> Numbers:
    """Each step as code on a small picture of whole numbers; parameters from the shapes of the same tensors.

    Args:
        lab: not used: there are no data, and the seed is fixed.
    """
    generator = torch.Generator().manual_seed(0)

    def whole(*shape: int) -> Tensor:
        return torch.randint(-9, 10, shape, generator=generator).double()

    of = shapes(HEIGHT, WIDTH, REACH)
    x, w, biases, u = whole(HEIGHT, WIDTH), whole(*of["W"]), whole(*of["U"]), whole()
    wide, small = whole(*of["V[a, b]"]), whole(*of["V[a, b], local"])
    v = with_offsets(w)
    tied, local = (with_zeros_outside(k) for k in (wide, small))
    alike = u.expand(HEIGHT, WIDTH)
    # Without the condition: what the layer would be if the weights of the middle were used everywhere.
    middle, at = v[HEIGHT // 2, WIDTH // 2], biases[HEIGHT // 2, WIDTH // 2]
    cut = wide[HEIGHT - 1 - REACH : HEIGHT + REACH, WIDTH - 1 - REACH : WIDTH + REACH]
    many, colours, out = whole(*small.shape, INPUTS, OUTPUTS), whole(HEIGHT, WIDTH, INPUTS), whole(OUTPUTS)
    one = channels(small[..., None, None], x[..., None])[..., 0]
    zero = torch.zeros_like(u)
    return Numbers(
        steps={
            OFFSETS: Step(apart(by_offset(v, biases, x), fully_connected(w, biases, x)), None),
            WEIGHTS: Step(
                apart(shared(wide, u, x), by_offset(tied, alike, x)),
                apart(shared(middle, u, x), by_offset(v, alike, x)),
            ),
            BIAS: Step(
                apart(shared(wide, u, x), by_offset(tied, alike, x)),
                apart(shared(wide, at, x), by_offset(tied, biases, x)),
            ),
            LOCAL: Step(
                apart(shared(small, u, x), shared(at_every_position(small, HEIGHT, WIDTH)[0, 0], u, x)),
                apart(shared(cut, u, x), shared(wide, u, x)),
            ),
            FLIP: Step(
                apart(convolution(small.flip(0, 1), x), shared(small, zero, x)),
                apart(convolution(small, x), shared(small, zero, x)),
            ),
            CHANNELS: Step(apart(one, shared(small, zero, x)), apart(one, shared(small, u, x))),
            TORCH: Step(
                apart(channels(many, colours) + out, by_torch(many, out, colours)),
                apart(channels(many, colours) + out, by_torch(many.flip(0, 1), out, colours)),
            ),
            WHOLE: Step(
                apart(
                    fully_connected(without_offsets(local), 0 * biases, x),
                    by_torch(small[..., None, None], zero[None], x[..., None])[..., 0],
                ),
                apart(
                    fully_connected(w, biases, x),
                    by_torch(small[..., None, None], zero[None], x[..., None])[..., 0],
                ),
            ),
        },
        given_back=torch.equal(without_offsets(v), w) and int(inside(HEIGHT, WIDTH).sum()) == w.numel(),
        moves={
            DENSE_MOVES: moving(lambda p: by_offset(v, biases, p)),
            WEIGHTS_MOVE: moving(lambda p: by_offset(tied, biases, p)),
            BIAS_MOVES: moving(lambda p: by_offset(v, alike, p)),
            SHARED_MOVES: moving(lambda p: by_offset(tied, alike, p)),
        },
        free=dimensions(HEIGHT, WIDTH),
        kept=wide.numel() + u.numel(),
        sums=integral_and_sum(),
        hidden=Count(SIDE**2 * HIDDEN, HIDDEN),
        **{name: counts(REACH)[name] for name in ("dense", "tied")},
        local={reach: counts(reach)["local"] for reach in REACHES},
        matrices={
            "7.1.1, fully connected": as_matrix(w),
            "7.1.2, shared": as_matrix(without_offsets(tied)),
            "7.1.3, shared and local": as_matrix(without_offsets(local)),
        },
        kernels={"7.1.2": wide.numpy(), "7.1.3": small.numpy()},
    )


def with_zeros_outside(v: Tensor) -> Tensor:
    """V[i, j, a, b] of a shared kernel, 0 where there is no pixel."""
    return at_every_position(v, HEIGHT, WIDTH) * inside(HEIGHT, WIDTH)


def by_torch(v: Tensor, u: Tensor, x: Tensor) -> Tensor:
    """The convolution of torch with the kernel V[a, b, c, d] and the bias u[d], on a picture (h, w, c)."""
    padding = (v.shape[0] // 2, v.shape[1] // 2)
    return nn.functional.conv2d(x.permute(2, 0, 1)[None], v.permute(3, 2, 0, 1), u, padding=padding)[0].permute(1, 2, 0)


def moving(layer: Callable[[Tensor], Tensor]) -> float:
    """The largest difference between the output of a moved picture and the moved output, where both are in the frame.

    The picture is a dot in the middle, so that nothing of it leaves the frame.
    """
    dot = torch.zeros(HEIGHT, WIDTH, dtype=torch.float64)
    dot[1, 1] = 3.0
    before, worst = layer(dot), 0.0
    for dy, dx in ((0, 1), (1, 0), (1, 1), (2, 3)):
        after = layer(torch.roll(dot, (dy, dx), (0, 1)))
        worst = max(worst, apart(after[dy:, dx:], before[: HEIGHT - dy, : WIDTH - dx]))
    return worst


def dimensions(h: int, w: int) -> int:
    """How many dimensions the layers W, U have for which a moved picture gives the moved output.

    The output is linear in the parameters. Its derivative with respect to them turns "equal before and after" into linear
    equations in W and U, one for each picture, move and output. The layers that obey all of them form a space, whose
    dimensions are those of all parameters minus the rank of the equations.

    Args:
        h: height of the picture.
        w: width of the picture.

    >>> dimensions(1, 2)  # W has 4 entries and U has 2; the shared layer has V[-1], V[0], V[1] and u
    4
    """
    size, equations = h * w, []

    def derivative(x: Tensor) -> Tensor:
        """The output's derivative with respect to W and U, (h, w, parameters)."""
        parts = torch.autograd.functional.jacobian(
            lambda weights, biases: fully_connected(weights, biases, x),
            (torch.zeros(h, w, h, w, dtype=torch.float64), torch.zeros(h, w, dtype=torch.float64)),
        )
        return torch.cat([p.reshape(h, w, -1) for p in parts], dim=2)

    for dy, dx in ((1, 0), (0, 1)):  # every other move is made of these two
        for p in range(-1, size):  # the empty picture, and a dot at each place
            dot = torch.zeros(h, w, dtype=torch.float64)
            if p >= 0:
                dot[p // w, p % w] = 1.0
            moved = torch.zeros_like(dot)
            moved[dy:, dx:] = dot[: h - dy, : w - dx]
            if moved.sum() == dot.sum():  # the dot stays in the frame
                found = derivative(moved)[dy:, dx:] - derivative(dot)[: h - dy, : w - dx]
                equations.append(found.reshape(-1, found.shape[2]))
    every = torch.cat(equations)
    return every.shape[1] - int(torch.linalg.matrix_rank(every))


def integral_and_sum() -> float:
    """The largest difference between the integral (f * g)(x) = sqrt(pi / 2) x exp(-x^2 / 2) / 2 and a sum over a grid.

    f(z) = exp(-z^2) and g(z) = z exp(-z^2), whose convolution is known.
    """
    step = 0.125
    z = step * torch.arange(-80, 81, dtype=torch.float64)
    f, g = torch.exp(-(z**2)), z * torch.exp(-(z**2))
    found = torch.einsum("a,ia->i", f, around(g[:, None], len(z), 1)[:, 0, :, 0].flip(1)) * step
    return apart(found, math.sqrt(math.pi / 2) * z * torch.exp(-(z**2) / 2) / 2)


def counts(reach: int) -> dict[str, Count]:
    """The parameters of each step for a megapixel picture, from the shapes of its tensors."""
    size = {name: math.prod(shape) for name, shape in shapes(SIDE, SIDE, reach).items()}
    return {
        "dense": Count(size["W"], size["U"]),
        "tied": Count(size["V[a, b]"], size["u"]),
        "local": Count(size["V[a, b], local"], size["u"]),
    }


def as_matrix(w: Tensor) -> Float64[np.ndarray, "o i"]:
    """W[i, j, k, l] as the matrix of a dense layer, outputs x pixels, both row by row."""
    return w.reshape(w.shape[0] * w.shape[1], -1).numpy()
