"""Subsampling on a grid that the content chooses, and its inverse.

The check recognises these functions by what they compute (`shiftproof.checking.walk.selection`).
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers.arguments import pair
from shiftproof.layers.law import Law
from shiftproof.layers.ordering import order_of_views

FIXED_POINT_BITS, MANTISSA_BITS = 62, 53  # of int64 without overflow; of float64


class PolyphasePool2d(nn.Module):
    """The polyphase component of largest norm, chosen for each sample: adaptive polyphase sampling.

    y[k] = x[q + s k] with q = argmax over 0 <= q < s of the sum over channels and k of |x[q + s k]|^p. A circular move of
    x permutes the components and moves each along itself, so the same component is found again: for every move v,
    f(T_v x) = T_u f(x), u = (v + q - q') / s with q' the phase chosen in T_v x; a global pooling behind it is invariant.

    The norms are summed in fixed point, where the order of a sum does not matter, so a component has the same norm wherever it
    stands. Components of equal norm, which pictures of few values often have, are compared by the whole picture as seen from each
    of their cells (`order_of_views`). The largest view wins, and views move with the content. Components that are still equal
    belong to a picture with a symmetry: T_a x = x for some a that is not a multiple of s. They are moves of each other, so the
    first phase is taken and the law above still holds.

    Args:
        stride: s, in cells, or (rows, columns); each at least 1, one at least 2. It must divide the input's size.
        p: the norm, a whole number from 1, or `math.inf`. The root is not taken, because it does not change the order.
        return_indices: also return the chosen phases, for `PolyphaseUpsample2d` and for the other branch of a residual.

    >>> x = torch.tensor([[0.0, 1, 0, 2], [0, 0, 0, 0]])[None, None]
    >>> pool = PolyphasePool2d(2, return_indices=True)
    >>> pool(x)[0].tolist(), pool(x.roll(1, -1))[0].tolist(), pool(x)[1].tolist()
    ([[[[1.0, 2.0]]]], [[[[2.0, 1.0]]]], [[0, 1]])

    Reference: Chaman and Dokmanic 2021, "Truly shift-invariant convolutional neural networks", eq. 5,
    https://arxiv.org/abs/2011.14214. Differs: any stride; ties, which the paper does not discuss, are decided as above.
    """

    def __init__(self, stride: int | tuple[int, int], p: float = 2, return_indices: bool = False) -> None:
        super().__init__()
        self.stride = polyphase_stride(stride)
        if p != math.inf and not (p >= 1 and float(p).is_integer()):
            raise LayerError(
                f"p={p} is not a norm to choose by", where="PolyphasePool2d", remedy="use 1, 2, ... or math.inf"
            )
        self.p = p
        self.return_indices = return_indices

    @property
    def laws(self) -> tuple[Law, ...]:
        """Equivariant up to a move that the content chooses; exactly so for moves that are multiples of the stride."""
        return polyphase_laws(self.stride)

    def forward(
        self, x: Float[Tensor, "n c h w"], indices: Tensor | None = None
    ) -> Float[Tensor, "n c h2 w2"] | tuple[Float[Tensor, "n c h2 w2"], Int[Tensor, "n 2"]]:
        """The chosen component (n, c, h / s, w / s); with `return_indices` also the phases (n, 2), rows then columns.

        Args:
            x: maps (n, c, h, w); the stride divides h and w.
            indices: phases to take instead of choosing, whole numbers (n, 2) in [0, s): those of a branch that is added to
                this one.

        Raises:
            LayerError: the stride does not divide a size, or the indices are not phases.
        """
        parts = components(x, self.stride)
        chosen = (
            number_of(indices, len(x), self.stride)
            if indices is not None
            else largest(x, self.stride, norms(parts, self.p))
        )
        y = taken(parts, chosen)
        return (y, phases_of(chosen, self.stride)) if self.return_indices else y

    def extra_repr(self) -> str:
        """The arguments."""
        return f"stride={self.stride}, p={self.p}" + (", return_indices=True" if self.return_indices else "")


class PolyphaseUpsample2d(nn.Module):
    """Puts a map back on the grid that a `PolyphasePool2d` chose, with zeros elsewhere: x[q + s k] = y[k].

    With U(x) = up(*pool(x)), U(T_v x) = T_v U(x) exactly, for every circular move v, unless x has a symmetry T_a x = x where a
    is not a multiple of s. Then the answer would have to lie on two grids, so no choice of one component can commute, and
    U(T_v x) = T_w U(x) for a w that moves the picture as v does, T_w x = T_v x.

    Args:
        stride: the stride of the pool.

    >>> x = torch.tensor([[0.0, 1, 0, 2], [0, 0, 0, 0]])[None, None]
    >>> PolyphaseUpsample2d(2)(*PolyphasePool2d(2, return_indices=True)(x)).tolist()
    [[[[0.0, 1.0, 0.0, 2.0], [0.0, 0.0, 0.0, 0.0]]]]

    Reference: Chaman and Dokmanic 2021, "Truly shift-equivariant convolutional neural networks with adaptive polyphase
    upsampling", sec. 3, https://arxiv.org/abs/2105.04040.
    """

    def __init__(self, stride: int | tuple[int, int]) -> None:
        super().__init__()
        self.stride = polyphase_stride(stride)

    @property
    def laws(self) -> tuple[Law, ...]:
        """With fixed phases, one cell of input is s cells of output. For the phases of the pool, see the class."""
        finer = (Fraction(1, self.stride[0]), Fraction(1, self.stride[1]))
        return (Law("equivariant", "circular", stride=finer, why="with fixed phases, every cell keeps its place"),)

    def forward(self, x: Float[Tensor, "n c h2 w2"], indices: Tensor) -> Float[Tensor, "n c h w"]:
        """The map (n, c, h * s, w * s) that has x at the phases `indices` (n, 2), in [0, s), and zeros elsewhere.

        Raises:
            LayerError: the indices are not phases.
        """
        return put_back(x, number_of(indices, len(x), self.stride), self.stride)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"stride={self.stride}"


def components(x: Shaped[Tensor, "n c h w"], stride: tuple[int, int]) -> Shaped[Tensor, "n k c h2 w2"]:
    """The polyphase components of each map, component i sx + j being x[..., i::sy, j::sx].

    Raises:
        LayerError: the stride does not divide the size, so that no grid of that step fits on the circle.

    >>> components(torch.arange(4).reshape(1, 1, 1, 4), (1, 2)).tolist()
    [[[[[0, 2]]], [[[1, 3]]]]]
    """
    (n, c, h, w), (sy, sx) = x.shape, stride
    if h % sy or w % sx:
        raise LayerError(
            f"stride {stride} does not divide maps of {h} x {w}",
            where="polyphase sampling",
            remedy=f"use a stride that does (rows: {divisors(h)}; columns: {divisors(w)}) or pictures of another size",
        )
    parts = x.reshape(n, c, h // sy, sy, w // sx, sx)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(n, sy * sx, c, h // sy, w // sx)


def taken(parts: Shaped[Tensor, "n k c h w"], chosen: Int[Tensor, " n"]) -> Shaped[Tensor, "n c h w"]:
    """The chosen component of each sample."""
    return parts.gather(1, chosen[:, None, None, None, None].expand(-1, 1, *parts.shape[2:]))[:, 0]


def put_back(
    x: Float[Tensor, "n c h2 w2"], chosen: Int[Tensor, " n"], stride: tuple[int, int]
) -> Float[Tensor, "n c h w"]:
    """The map whose component of that number is x; its other components are zeros."""
    (n, c, h, w), (sy, sx) = x.shape, stride
    at = nn.functional.one_hot(chosen, sy * sx).bool()[:, :, None, None, None]
    # Chosen, not multiplied by 0: 0 times infinity is NaN.
    parts = torch.where(at, x[:, None], torch.zeros((), dtype=x.dtype, device=x.device))
    return parts.reshape(n, sy, sx, c, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c, h * sy, w * sx)


def norms(parts: Float[Tensor, "n k c h w"], p: float) -> Int[Tensor, "n k"]:
    """The p-th power of each component's norm, in fixed point relative to the sample's largest value.

    Whole numbers add up to the same in any order, so a component has one norm wherever it stands; powers are products, which
    round alike everywhere. The unit is 2^-b of the largest power, b = 62 - log2(values in a component).
    """
    with torch.no_grad():
        # A component with NaN still needs a norm: with 0 in its place the choice stays one that moves with the content.
        size = parts.detach().abs().double().flatten(2).nan_to_num()
        most = size.amax((1, 2), keepdim=True)
        # A quotient is rounded alike wherever its value stands. ONNX has no operator for powers of two (`frexp`).
        size = size / torch.where(most > 0, most, 1.0)
        if p == math.inf:
            return (size.amax(2) * 2.0**MANTISSA_BITS).long()
        power = size
        for _ in range(int(p) - 1):
            power = power * size
        # Powers are at most 1 after the division, so a sum of m of them is at most 2^62.
        bits = FIXED_POINT_BITS - math.ceil(math.log2(max(2, size.shape[2])))
        return (power * 2.0**bits).round().long().sum(2)


def largest(
    x: Float[Tensor, "n c h w"],
    stride: tuple[int, int],
    scores: Shaped[Tensor, "n k"],
    rounding: Float[Tensor, "n 1"] | int = 0,
) -> Int[Tensor, " n"]:
    """The component with the largest score of each sample; ties are decided by the whole picture as seen from each cell.

    Scores count as equal when they differ by no more than `rounding`.
    """
    with torch.no_grad():
        best = foremost(scores, rounding)
        if torch.compiler.is_compiling():  # a graph cannot branch on data: every sample is ordered
            return decided(x, stride, best)
        chosen = best.int().argmax(1)
        # Ordering sorts the whole map log2(h w) times. Ties are rare in real
        # pictures, so only their samples pay for it.
        tied = best.sum(1) > 1
        if tied.any():
            chosen[tied] = decided(x[tied], stride, best[tied])
        return chosen


def foremost(scores: Shaped[Tensor, "n k"], rounding: Float[Tensor, "n 1"] | int = 0) -> Bool[Tensor, "n k"]:
    """Which scores are the largest, or below it by no more than `rounding`.

    Never none: a score that is not a number leaves every component in the tie, which the picture then decides. If the answer
    were that none is best, the first component would win, and that choice would not move with the content.

    >>> foremost(torch.tensor([[1.0, 2.0, 3.0]]), 1).tolist(), foremost(torch.tensor([[1.0, float("nan")]])).tolist()
    ([[False, True, True]], [[True, True]])
    """
    return ~(scores < scores.amax(1, keepdim=True) - abs(rounding))


def decided(x: Float[Tensor, "n c h w"], stride: tuple[int, int], best: Bool[Tensor, "n k"]) -> Int[Tensor, " n"]:
    """Of the components marked in `best` the one that holds the largest view of the whole picture (`order_of_views`)."""
    views = components(order_of_views(x.detach())[:, None], stride).flatten(2).amax(2)
    # Ranks begin at 0: -1 loses against every component that is still in the tie.
    return torch.where(best, views, -1).argmax(1)


def moves_itself(x: Float[Tensor, "n c h w"], stride: tuple[int, int], p: float = 2) -> Bool[Tensor, " n"]:
    """Whether several components are equally good: T_a x = x for an a that is not a multiple of the stride.

    On such a map any of them will do; a map that follows its choice may differ between them.

    >>> moves_itself(torch.tensor([[0.0, 1, 0, 1], [0, 1, 0, 2]])[:, None, None].repeat(1, 1, 2, 1), (1, 2)).tolist()
    [False, False]
    >>> moves_itself(torch.tensor([[0.0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]])[:, None, None], (1, 2)).tolist()
    [True]
    """
    with torch.no_grad():
        best = foremost(norms(components(x, stride), p))
        tied = best.sum(1) > 1
        if tied.any():
            views = components(order_of_views(x[tied].detach())[:, None], stride).flatten(2).amax(2)
            views = torch.where(best[tied], views, -1)
            tied[tied.clone()] = (views == views.amax(1, keepdim=True)).sum(1) > 1
        return tied


def phases_of(chosen: Int[Tensor, " n"], stride: tuple[int, int]) -> Int[Tensor, "n 2"]:
    """Component numbers as (row, column) phases."""
    return torch.stack([chosen // stride[1], chosen % stride[1]], 1)


def number_of(phases: Tensor, samples: int, stride: tuple[int, int]) -> Int[Tensor, " n"]:
    """(row, column) phases as component numbers.

    Raises:
        LayerError: the shape is not (samples, 2), or the numbers are not whole, or out of range. The range is not checked while a
            graph is compiled or exported, nor on the meta device, because there are no values to read.

    >>> number_of(torch.tensor([[0, 1], [1, 2]]), 2, (2, 3)).tolist()
    [1, 5]
    """
    whole = not (phases.is_floating_point() or phases.is_complex() or phases.dtype == torch.bool)
    if phases.ndim != 2 or phases.shape[1] != 2 or not whole:
        raise _no_phases(f"a tensor {tuple(phases.shape)} of {phases.dtype}", stride)
    if not torch.compiler.is_compiling():
        if len(phases) != samples:
            raise _no_phases(f"{len(phases)} pairs for {samples} samples", stride)
        if phases.device.type != "meta":
            outside = (phases < 0) | (phases >= phases.new_tensor(stride))
            if outside.any():
                raise _no_phases(f"{phases[outside.any(1)][0].tolist()}", stride)
    if phases.dtype != torch.int64:
        phases = phases.long()
    return phases[:, 0] * stride[1] + phases[:, 1]


def _no_phases(found: str, stride: tuple[int, int]) -> LayerError:
    return LayerError(
        f"indices are {found}, and not a (row, column) phase for each sample, each from 0 and below the stride {stride}",
        where="polyphase sampling",
        remedy="give the indices that a pool of the same stride returned with return_indices=True",
    )


def polyphase_stride(stride: int | tuple[int, int]) -> tuple[int, int]:
    """The stride as (rows, columns).

    Raises:
        LayerError: the stride is below 1, or 1 along both axes.
    """
    found = pair(stride, "stride")
    if min(found) < 1 or max(found) < 2:
        raise LayerError(
            f"stride={stride} leaves nothing out", where="polyphase sampling", remedy="use 2 or more along an axis"
        )
    return found


def polyphase_laws(stride: tuple[int, int]) -> tuple[Law, ...]:
    """The laws of every layer that chooses its grid by the content alone."""
    why = "the grid moves with the content; the stride must divide the size"
    return (
        Law("equivariant", "circular", stride=stride, selects=True, why=why),
        Law("equivariant", "circular", step=stride, stride=stride, why="components keep their order"),
    )


def divisors(n: int) -> str:
    """The divisors of n without 1, in words.

    >>> divisors(12)
    '2, 3, 4, 6, 12'
    """
    return ", ".join(str(d) for d in range(2, n + 1) if n % d == 0) or "1"
