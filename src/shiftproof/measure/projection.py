"""The convolution nearest to a dense weight matrix, and the distance between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from shiftproof.errors import MeasureError


@dataclass(frozen=True, eq=False)
class Projection:
    """The convolution nearest to a dense matrix.

    Args:
        kernel: in torch's order; tap a of an axis reads the input at (output position + first + a).
        first: the offset in px of the first tap, along each axis.
        weight: the convolution as a dense matrix, in the shape of the given one.
        distance: ||W - P||_F / ||W||_F, in [0, 1]; 0 for a convolution.
    """

    kernel: Float[Tensor, "k c *taps"]
    first: tuple[int, ...]
    weight: Float[Tensor, "o i"]
    distance: float


def project_to_convolution(
    weight: Float[Tensor, "o i"],
    size: Sequence[int],
    *,
    out_size: Sequence[int] | None = None,
    boundary: Literal["circular", "zero"] = "circular",
    reach_px: int | None = None,
) -> Projection:
    """The translation-equivariant matrix nearest to a dense layer's matrix, its kernel, and the distance.

    A dense layer has a weight V[i, a] for every output position i and offset a to an input position. It commutes with all
    moves if and only if V does not depend on i. The orthogonal projection P on those matrices (Frobenius norm) is the mean
    over the group of moves, that is over each diagonal:

        K[a] = mean over i of W[i, i + a],   P[i, i + a] = K[a],   distance = ||W - P|| / ||W||

    Circular: i + a wraps around, and P is a circular convolution. Zero: i + a stays inside, and P is a convolution of the
    zero-padded input (a Toeplitz matrix; with a smaller output also a valid one). No other convolution is nearer.

    Args:
        weight: (k positions, c positions) as in `nn.Linear` between flattened maps: channel slowest, then y, then x.
        size: of the input map in px, (n,) or (h, w); the numbers of channels follow from the matrix.
        out_size: of the output map in px; None: that of the input. Circular needs the same size.
        boundary: how the input continues beyond its edge.
        reach_px: D: keep only offsets with abs(a) <= D along each axis (locality); None: all.

    Raises:
        MeasureError: the matrix is not made of whole maps, a circular one has two map sizes, or the reach is negative.

    Reference: Zhang, Lipton, Li and Smola 2023, Dive into Deep Learning, section 7.1 (equations 7.1.1 to 7.1.3),
        https://d2l.ai/chapter_convolutional-neural-networks/why-conv.html. The mean over a group is the projection on what
        commutes with it: Serre 1977, Linear Representations of Finite Groups, section 2.2.

    >>> W = torch.tensor([[1., 2., 0.], [0., 1., 2.], [2., 0., 1.]])  # y[i] = x[i] + 2 x[i + 1], around the circle
    >>> found = project_to_convolution(W, (3,))
    >>> found.kernel.tolist(), found.first, found.distance
    ([[[0.0, 1.0, 2.0]]], (-1,), 0.0)
    >>> project_to_convolution(torch.diag(torch.tensor([3., 1., 1., 1.])), (4,)).kernel.tolist()
    [[[0.0, 1.5, 0.0, 0.0]]]
    """
    ins, outs = tuple(size), tuple(size if out_size is None else out_size)
    k, c = _channels(weight, ins, outs, boundary, reach_px)
    axes = [_diagonals(n, m, boundary, reach_px) for n, m in zip(ins, outs, strict=True)]
    taps = tuple(count for _, _, count in axes)
    # Entries of one bin belong to one tap. Axis by axis, the numbers of taps combine as digits: y first, then x.
    bins = torch.zeros(1, 1, dtype=torch.int64)
    for index, _, count in axes:  # -1 along any axis means out of reach
        both = bins[:, None, :, None] * count + index[None, :, None, :]
        both = both.masked_fill((bins[:, None, :, None] < 0) | (index[None, :, None, :] < 0), -1)
        bins = both.flatten(0, 1).flatten(1)
    flat = bins.flatten().to(weight.device)
    flat = torch.where(flat < 0, math.prod(taps), flat)  # entries out of reach go into a last bin
    rows, columns = math.prod(outs), math.prod(ins)
    values = weight.detach().reshape(k, rows, c, columns).transpose(1, 2).reshape(k * c, rows * columns)
    means = _means(values, flat, math.prod(taps) + 1)
    # The last bin: what no convolution of that reach can hold is set to zero, and counts as distance.
    means[:, -1] = 0
    nearest = means[:, flat].reshape(k, c, rows, columns).transpose(1, 2).reshape(weight.shape)
    norm = torch.linalg.norm(weight.detach())
    off = torch.linalg.norm(weight.detach() - nearest)
    first = tuple(first for _, first, _ in axes)
    return Projection(means[:, :-1].reshape(k, c, *taps), first, nearest, float(off / norm) if norm > 0 else 0.0)


def _channels(
    weight: Tensor, ins: tuple[int, ...], outs: tuple[int, ...], boundary: str, reach_px: int | None
) -> tuple[int, int]:
    """The numbers of output and input channels of the matrix."""
    where = "project_to_convolution"
    if len(ins) not in (1, 2) or len(ins) != len(outs) or min(ins + outs) < 1:
        raise MeasureError(
            f"maps of {ins} and {outs}", where=where, remedy="give two sizes (n,) or two sizes (h, w), each 1 or more"
        )
    if weight.shape[0] % math.prod(outs) or weight.shape[1] % math.prod(ins):
        raise MeasureError(
            f"a matrix of {tuple(weight.shape)} is not made of maps of {ins} in and {outs} out",
            where=where,
            remedy="give a matrix of (output channels x positions, input channels x positions)",
        )
    if boundary not in ("circular", "zero") or (boundary == "circular" and ins != outs):
        raise MeasureError(
            f"boundary {boundary!r} does not fit maps of {ins} and {outs}", where=where, remedy='use boundary="zero"'
        )
    if reach_px is not None and reach_px < 0:
        raise MeasureError(f"reach_px={reach_px} is negative", where=where, remedy="give 0 or more, or None")
    return weight.shape[0] // math.prod(outs), weight.shape[1] // math.prod(ins)


def _diagonals(n: int, m: int, boundary: str, reach_px: int | None) -> tuple[Int64[Tensor, "m n"], int, int]:
    """Along one axis: the tap that joins output i to input j (-1: none), the first offset, and the number of taps."""
    offset = torch.arange(n)[None, :] - torch.arange(m)[:, None]
    # On the circle, an offset and the same plus n are one: it is named by the shorter one.
    low, high = (-((n - 1) // 2), n // 2) if boundary == "circular" else (-(m - 1), n - 1)
    if boundary == "circular":
        offset = (offset - low) % n + low
    if reach_px is not None:
        low, high = max(low, -reach_px), min(high, reach_px)
    index = torch.where((offset >= low) & (offset <= high), offset - low, -1)
    return index, low, high - low + 1


def _means(values: Float[Tensor, "r n"], bins: Int64[Tensor, " n"], count: int) -> Float[Tensor, "r count"]:
    """The mean of each row over each bin, as first + mean(value - first): the mean of equal values is exactly that value."""
    first = torch.full((count,), len(bins), device=bins.device)
    first = first.scatter_reduce(0, bins, torch.arange(len(bins), device=bins.device), "amin")
    empty = first == len(bins)
    start = values[:, first.clamp(max=max(len(bins) - 1, 0))]
    # Differences of equal values are exactly 0, so an exact convolution has distance 0 and not 1e-8.
    sums = torch.zeros_like(start).index_add_(1, bins, values - start[:, bins])
    number = torch.bincount(bins, minlength=count).clamp(min=1)
    return torch.where(empty, torch.zeros_like(start), start + sums / number)
