"""Invariance and equivariance, each defined once, as code, for a named boundary."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.errors import MeasureError
from shiftproof.translations import Boundary, translate


def invariance_error(
    f: Callable[[Tensor], Tensor],
    x: Float[Tensor, "n c h w"],
    offsets: Sequence[tuple[int, int]],
    boundary: Boundary,
) -> Float[Tensor, "n m"]:
    """How far f is from invariance, f(T x) = f(x): |f(T x) - f(x)| / |f(x)|, one number per picture and move; 0 is exact.

    Args:
        f: maps pictures (n, c, h, w) to a tensor with n rows.
        x: the pictures.
        offsets: moves T as (dy, dx) in whole px, positive values move the content down and right.
        boundary: circular, zero or reflect; it says what moves in.

    Returns:
        Relative errors, 0 or more; NaN where both f(x) and f(T x) are zero.

    >>> x = torch.rand(2, 3, 6, 6, dtype=torch.float64)
    >>> invariance_error(lambda x: x.amax((2, 3)), x, [(1, 0), (2, 5)], "circular").tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    still = f(x)
    return torch.stack([_relative(f(translate(x, [v], boundary)[:, 0]), still) for v in offsets], 1)


def equivariance_error_by_move(
    f: Callable[[Tensor], Tensor],
    x: Float[Tensor, "n c h w"],
    offsets: Sequence[tuple[int, int]],
    boundary: Boundary,
    *,
    stride: tuple[int, int] = (1, 1),
) -> Float[Tensor, "n m"]:
    """How far f is from equivariance, f(T x) = T' f(x): |f(T x) - T' f(x)| / |f(x)|; 0 is exact.

    T moves the picture by v = (dy, dx) px, T' moves the map by v / stride cells, with the same boundary. Every cell is
    compared, including those at the border. `dense_agreement` leaves the border out and takes any move.

    Args:
        f: maps pictures (n, c, h, w) to maps (n, k, h', w').
        x: the pictures.
        offsets: whole px, multiples of the stride.
        boundary: circular, zero or reflect, for both T and T'.
        stride: of the map, (y, x) in px per cell.

    Raises:
        MeasureError: a move is not a multiple of the stride.

    >>> x = torch.rand(1, 1, 6, 6, dtype=torch.float64)
    >>> equivariance_error_by_move(torch.nn.MaxPool2d(2), x, [(2, 0), (0, -4)], "circular", stride=(2, 2)).tolist()
    [[0.0, 0.0]]
    """
    for dy, dx in offsets:
        if dy % stride[0] or dx % stride[1]:
            raise MeasureError(
                f"the move ({dy}, {dx}) is not a multiple of the map's stride of {stride[0]} x {stride[1]} px",
                where="offsets",
                remedy="use multiples of the stride, or measure.dense_agreement",
            )
    still = f(x)
    found = []
    for dy, dx in offsets:
        after = translate(still, [(dy // stride[0], dx // stride[1])], boundary)[:, 0]
        moved = f(translate(x, [(dy, dx)], boundary)[:, 0])
        found.append(_relative(moved, after, still))
    return torch.stack(found, 1)


def _relative(a: Tensor, b: Tensor, unit: Tensor | None = None) -> Float[Tensor, " n"]:
    """|a - b| / |unit| of each row."""
    # In float64: the sum of many squares in float32 would lose what a small difference is about.
    size = torch.linalg.vector_norm((b if unit is None else unit).flatten(1).double(), dim=1)
    return torch.linalg.vector_norm((a - b).flatten(1).double(), dim=1) / size
