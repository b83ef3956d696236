"""Dense outputs (masks, feature maps) for moved pictures: moved back and compared, away from the border and at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from shiftproof.errors import MeasureError
from shiftproof.measure.answer_kinds import highest
from shiftproof.translations import Boundary

MASK_FIGURES = ("mask_agreement", "mask_agreement_interior", "mask_agreement_border")
"""The keys of what `dense_agreement` returns only where cells have classes."""

DENSE_FIGURES = (
    *MASK_FIGURES,
    "equivariance_error",
    "equivariance_error_interior",
    "equivariance_error_border",
)
"""The keys of what `dense_agreement` returns."""

_ROUNDING = 1e-9  # what float64 may lose in dividing a move by a stride


def dense_agreement(
    moved: Float[Tensor, "*n m k h w"],
    reference: Float[Tensor, "*n k h w"],
    offsets: Sequence[tuple[float, float]] | Real[np.ndarray, "m 2"] | Real[Tensor, "m 2"],
    *,
    boundary: Boundary,
    input_size: tuple[int, ...],
    border_px: float,
    stride: tuple[float, float] | None = None,
    decide: Callable[[Tensor], Tensor] | None = highest,
) -> dict[str, Float[np.ndarray, "*n m"]]:
    """Equivariance error and mask agreement of outputs on moved pictures after moving them back, by move.

    With y = f(x) of h x w cells, and y_T = f(T x) moved back by dy, dx over the stride r (pixels per cell), over those cells
    R of a region that have a counterpart in the moved map:

        error(R) = sqrt( mean_{c in R} |y_T(c) - y(c)|^2 / mean_{all c} |y(c)|^2 )
        agreement(R) = mean_{c in R} [argmax y_T(c) == argmax y(c)]

    |.| runs over the k channels. A cell's class is what `decide` says: by default the channel with the highest value, and
    with k = 1 whether the value is above 0. Every region is measured
    against the mean square of the whole reference, so that all are on one scale and a move changes only the numerator.

    *Border*: cells nearer than `border_px` to the picture's edge, in the unmoved or in the moved view, or that near to
    the content moved in. *Interior*: the others. Cells without a counterpart are in neither: they left the picture. Under
    `circular`, along an axis that the cells tile exactly, every cell has one (wrap-around).

    A move that is not a multiple of the stride is compared with both neighbouring whole cells along each axis, and the
    comparison with the smallest error in the interior is kept (over all cells, if there is no interior).

    Args:
        moved: outputs on the moved pictures, finite; leading axes, if any, are images.
        reference: outputs on the unmoved pictures.
        offsets: the m moves (dy, dx) of the input in px, positive = content moves down and right.
        boundary: how the pictures were moved.
        input_size: (h, w) of the input in px, or (c, h, w): the last two count.
        border_px: how far the border reaches in, in px of the input, at least 0: half the receptive field, say.
        stride: (y, x) in px per cell; None: input over output size, which must be a whole number or one over a whole number.
            A map of fewer cells than the input has strides, as without padding, lies in the middle of the picture.
        decide: (n, k, h, w) -> (n, h, w), the class of each cell; None for a map of values without classes, which has no
            mask agreement.

    Returns:
        `equivariance_error` and `mask_agreement` over all cells compared, and each with `_interior` and `_border`, per image
        and move: errors at least 0 (infinite against a reference that is 0 everywhere), agreements in [0, 1]; NaN where no
        cell was compared.

    Raises:
        MeasureError: sizes that give no stride; another number of moves; a negative border.

    >>> y = torch.eye(4)[None]
    >>> moved = y.roll((1, 2), (-2, -1))[None]
    >>> a = dense_agreement(moved, y, [(1, 2)], boundary="circular", input_size=(4, 4), border_px=1)
    >>> a["equivariance_error"], a["mask_agreement_border"]
    (array([0.]), array([1.]))

    Reference:
        Relative equivariance error: Gruver et al. 2022, The Lie Derivative for Measuring Learned Equivariance,
        https://arxiv.org/abs/2210.02984; shift equivariance of dense outputs: Zhang 2019, https://arxiv.org/abs/1904.11486.

    Differs:
        Finite moves, not the derivative; whole cells, nothing interpolated, so an exactly equivariant map scores 0;
        interior and border apart.
    """
    moves = np.asarray([(float(dy), float(dx)) for dy, dx in offsets], dtype=np.float64).reshape(-1, 2)
    m, (h, w) = moved.shape[-4], reference.shape[-2:]
    if len(moves) != m:
        raise MeasureError(f"{len(moves)} moves for {m} outputs", where="offsets")
    if not border_px >= 0:
        raise MeasureError(f"border of {border_px} px", where="border_px", remedy="give 0 or more")
    height, width = input_size[-2:]
    steps = stride or (_stride(height, h, "height"), _stride(width, w, "width"))
    rows = _plans(moves[:, 0], h, height, steps[0], border_px, boundary)
    columns = _plans(moves[:, 1], w, width, steps[1], border_px, boundary)

    wide = torch.promote_types(moved.dtype, torch.float32)
    y = reference.to(wide)
    power = y.square().sum(-3).cpu().double().mean((-2, -1)).numpy()[..., None]  # (*n, 1)
    classes, y_classes = (None, None) if decide is None else (_decided(decide, moved), _decided(decide, reference))

    # All combinations of the neighbours along both axes, each kept where it fits better than those before.
    best: dict[str, np.ndarray] = {}
    best_score = np.full((), np.inf)
    phases = list(product(rows, columns))
    for row, column in phases:
        at = torch.from_numpy((row.at[:, :, None] * w + column.at[:, None, :]).reshape(m, h * w)).to(moved.device)
        back = moved.flatten(-2).gather(-1, at[:, None].expand(*moved.shape[:-2], h * w)).unflatten(-1, (h, w))
        square = (back.to(wide) - y.unsqueeze(-4)).square_().sum(-3).cpu().double().numpy()
        same = None
        if classes is not None and y_classes is not None:
            back_classes = classes.flatten(-2).gather(-1, at.expand(*classes.shape[:-2], h * w)).unflatten(-1, (h, w))
            same = (back_classes == y_classes.unsqueeze(-3)).cpu().numpy()

        paired = row.paired[:, :, None] & column.paired[:, None, :]
        interior = paired & row.interior[:, :, None] & column.interior[:, None, :]
        figures: dict[str, np.ndarray] = {}
        for name, region in (("", paired), ("_interior", interior), ("_border", paired & ~interior)):
            figures["equivariance_error" + name] = _relative(_region_mean(square, region), power)
            if same is not None:
                figures["mask_agreement" + name] = _region_mean(same, region)
        inside, anywhere = figures["equivariance_error_interior"], figures["equivariance_error"]
        # By the interior: what padding does at the border must not decide which phase is the right one.
        score = np.nan_to_num(np.where(np.isnan(inside), anywhere, inside), nan=np.inf)
        better = score < best_score
        best = {name: np.asarray(np.where(better, new, best.get(name, new))) for name, new in figures.items()}
        best_score = np.where(better, score, best_score)
    return best


def equivariance_error(per_move: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
    """The root mean square over moves of the relative equivariance error, per image.

    E_i = sqrt( mean_t error_it^2 )

    Args:
        per_move: `equivariance_error_interior` (or `_border`) of `dense_agreement`; NaN = no cell compared.

    Returns:
        Relative error per image, at least 0; NaN where no move gave a value.

    >>> equivariance_error(np.array([[0.0, 0.5, np.nan]]))
    array([0.35355339])

    Reference:
        As in `dense_agreement`.
    """
    return np.sqrt(_present_mean(per_move**2))


def mask_agreement(per_move: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
    """The mean over moves of the fraction of cells that keep their class, per image.

    Args:
        per_move: `mask_agreement_interior` (or `_border`) of `dense_agreement`; NaN = no cell compared.

    Returns:
        Fraction in [0, 1] per image; NaN where no move gave a value.

    >>> mask_agreement(np.array([[1.0, 0.5, np.nan]]))
    array([0.75])

    Reference:
        Pixel accuracy against the model's own answer in place of the truth; see `dense_agreement`.
    """
    return _present_mean(per_move)


class _Plan(NamedTuple):
    """Along one axis, per move and cell: the counterpart in the moved map, whether it exists, and whether both are inside."""

    at: Int[np.ndarray, "m cells"]
    paired: Bool[np.ndarray, "m cells"]
    interior: Bool[np.ndarray, "m cells"]


def _plans(
    moves: Float[np.ndarray, " m"], cells: int, size: int, stride: float, border_px: float, boundary: Boundary
) -> list[_Plan]:
    """The plan in whole cells; two plans, rounded down and up, if some move is not a multiple of the stride."""
    exact = moves / stride
    near = np.rint(exact)
    on = np.abs(exact - near) <= _ROUNDING * np.maximum(1, np.abs(exact))
    # Nine cells of stride 4 on 33 pixels do not close the circle: the last one wraps to a place between two cells.
    tiled = boundary == "circular" and abs(cells * stride - size) < _ROUNDING * size
    cell = np.arange(cells)
    # A cell is taken as slightly smaller than it is, so that one that ends exactly
    # where the border begins counts as inside.
    missing = (size - cells * stride) // stride  # whole cells, half of them at each end
    first_px = max(missing, 0) * stride / 2
    start = first_px + cell * stride + _ROUNDING * size
    end = first_px + (cell + 1) * stride - _ROUNDING * size
    inside = (start >= border_px) & (end <= size - border_px)
    # the moved view shows the old content in [first, last)
    first, last = np.maximum(0, moves)[:, None] + border_px, size + np.minimum(0, moves)[:, None] - border_px
    plans = []
    for whole in [np.floor(exact), np.ceil(exact)][: 1 if on.all() else 2]:
        counterpart = cell + np.where(on, near, whole).astype(np.int64)[:, None]
        if tiled:
            at, paired = counterpart % cells, np.ones(counterpart.shape, dtype=bool)
            plans.append(_Plan(at, paired, inside & inside[at]))
            continue
        # Away from the circle a counterpart may lie outside the map; `at` then
        # names any cell, which `paired` leaves out.
        paired = (counterpart >= 0) & (counterpart < cells)
        at = np.clip(counterpart, 0, cells - 1)
        plans.append(_Plan(at, paired, inside & inside[at] & (start[at] >= first) & (end[at] <= last)))
    return plans


def _stride(size: int, cells: int, axis: str) -> float:
    """Pixels per cell, if the sizes decide it."""
    if size % cells and cells % size:
        raise MeasureError(
            f"{cells} cells for {size} px are not a whole stride",
            where=f"the output's {axis}",
            remedy="give stride=(y, x), in px per cell",
        )
    return size / cells


def _decided(decide: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
    """The class of each cell of maps (*any, k, h, w)."""
    return decide(y.reshape(-1, *y.shape[-3:])).reshape(*y.shape[:-3], *y.shape[-2:])


def _region_mean(values: np.ndarray, region: Bool[np.ndarray, "m h w"]) -> np.ndarray:
    """Mean over the region's cells, (*n, m); NaN where it has none."""
    cells = region.sum((-2, -1))
    with np.errstate(invalid="ignore"):
        return np.where(region, values, 0).sum((-2, -1)) / cells


def _relative(square: np.ndarray, power: np.ndarray) -> np.ndarray:
    """sqrt(square / power); 0 for 0/0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        # A map of zeros that stays zero has not changed: no error, instead of 0 / 0.
        return np.where(square == 0, 0.0, np.sqrt(square / power))


def _present_mean(values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
    """Mean over moves of the values that are there; NaN where there are none."""
    here = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(here, values, 0.0).sum(axis=1) / here.sum(axis=1)
