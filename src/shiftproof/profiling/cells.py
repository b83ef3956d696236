"""Compare a layer's output on moved pictures with its moved output on the unmoved picture, cell by cell.

A move by v pixels is v/r cells of a map of stride r. If that is not a whole number, both neighbouring
whole numbers are tried (up to four pairs along two axes), and the smallest error counts: the best phase. If the map wraps
with the picture, all cells are compared; otherwise only those that show the same content in both views.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

Move = tuple[Fraction, Fraction]
_AT_ONCE = 1 << 17  # numbers compared in one step, so that they stay in a core's cache
_KEPT = 128  # plans and masks cached per layer: a limit, so that memory does not grow with the number of moves


@dataclass(frozen=True)
class Cells:
    """How the cells of a tensor (n, ...) move with the picture.

    Args:
        dims: the dimensions of rows and columns; None for an axis that the tensor does not have.
        strides: pixels per cell, per axis.
        wraps: whether a circular move of the picture moves the cells circularly, per axis.
    """

    dims: tuple[int | None, int | None]
    strides: tuple[Fraction, Fraction]
    wraps: tuple[bool, bool]

    @property
    def is_map(self) -> bool:
        """Whether the tensor has rows or columns to move."""
        return any(d is not None for d in self.dims)

    def as_maps(self, y: Shaped[Tensor, "*dims"]) -> Shaped[Tensor, "*channels h w"]:
        """Return the tensor with rows and columns last; a missing axis becomes one of size 1."""
        kept = [d for d in self.dims if d is not None]
        y = y.movedim(kept, list(range(-len(kept), 0))) if kept else y
        y = y.unsqueeze(-1) if self.dims[1] is None else y
        return y.unsqueeze(-2) if self.dims[0] is None else y


class Shift(NamedTuple):
    """Along one axis: by how many cells the reference moves, whether it wraps, and the compared cells (start, end)."""

    by: int
    wraps: bool
    start: int
    end: int


class Group(NamedTuple):
    """The views that are compared with the same moved reference."""

    y: Shift
    x: Shift
    views: list[int]


class Comparison:
    """How the views of a layer are compared; the same for every picture.

    Args:
        cells: how the layer's cells move with the picture.
        reached: (h, w), the cells that padding reaches.
    """

    def __init__(self, cells: Cells, reached: Bool[Tensor, "h w"]) -> None:
        self.cells, self.reached = cells, reached
        self.some_reached, self.all_reached = bool(reached.any()), bool(reached.all())
        self.plans: dict[tuple[Sequence[Move], tuple[bool, bool]], list[Group]] = {}
        self.masks: dict[tuple[Shift, Shift], Tensor] = {}

    def plan(self, moves: tuple[Move, ...], wraps: tuple[bool, bool]) -> list[Group]:
        """Return which views are compared with which moved reference."""
        if (moves, wraps) not in self.plans:
            if len(self.plans) >= _KEPT:
                self.plans.clear()
            pairs = [
                (y, x, view)
                for view, move in enumerate(moves)
                for y, x in product(*(self._shifts(k, move[k], self.cells.wraps[k] and wraps[k]) for k in range(2)))
            ]
            # Views that are compared with one moved reference stand side by side, so that each reference is moved once.
            pairs.sort()
            self.plans[moves, wraps] = [
                Group(y, x, [view for *_, view in some]) for (y, x), some in groupby(pairs, lambda pair: pair[:2])
            ]
        return self.plans[moves, wraps]

    def border(self, y: Shift, x: Shift, device: torch.device) -> Bool[Tensor, "h w"]:
        """Return which of the compared cells padding reaches, in the view or in the moved reference."""
        if (y, x) not in self.masks:
            if len(self.masks) >= _KEPT:
                self.masks.clear()
            here = self.reached[y.start : y.end, x.start : x.end]
            self.masks[y, x] = (here | moved(self.reached, y, x)).to(device)
        return self.masks[y, x]

    def _shifts(self, axis: int, move: Fraction, wraps: bool) -> list[Shift]:
        """Return the candidate shifts along one axis; none if the views have no cell in common."""
        size = self.reached.shape[axis]
        if self.cells.dims[axis] is None:
            return [Shift(0, False, 0, size)]
        exact = move / self.cells.strides[axis]
        low, high = math.floor(exact), math.ceil(exact)
        if wraps:
            # One candidate if the move is a whole number of cells. A set, because on a circle
            # of one cell both neighbours are the same.
            return [Shift(by, True, 0, size) for by in sorted({low % size, high % size})]
        # Both neighbours are compared in the same cells, so that their errors can be ranked: cells whose content was in view
        # before the move, too.
        start, end = max(0, high), min(size, size + low)
        return [Shift(by, False, start, end) for by in sorted({low, high})] if start < end else []


@dataclass(frozen=True)
class Errors:
    """Squared errors of views, relative to the reference's energy in the same cells; NaN if no cell can be compared.

    Args:
        total: over all compared cells.
        border: the part of the total in cells that padding reaches in either view.
    """

    total: Float[np.ndarray, " n"]
    border: Float[np.ndarray, " n"]


class Reference:
    """A layer's output on the unmoved picture, prepared for comparison with many views.

    Args:
        y: the output (1, ...); it is copied.
        how: how views are compared with it.
    """

    def __init__(self, y: Shaped[Tensor, " 1 *dims"], how: Comparison) -> None:
        self.how = how
        self.shape = y.shape[1:]
        self.dtype = torch.promote_types(y.dtype, torch.float32)
        # The next layer may work in place on y.
        self.map = how.cells.as_maps(y)[0].to(self.dtype, copy=True)
        channels = tuple(range(self.map.ndim - 2))
        power = self.map.square().sum(channels, dtype=torch.float64) if channels else self.map.double().square()
        self.power = power.cpu().numpy()

    @property
    def energy(self) -> float:
        """The sum of squares of the whole output."""
        return float(self.power.sum())

    def errors(
        self, views: Shaped[Tensor, " n *dims"], moves: tuple[Move, ...], wraps: tuple[bool, bool] = (True, True)
    ) -> Errors:
        """Return the error of each view at its best phase.

        Args:
            views: the layer's outputs on moved pictures.
            moves: (dy, dx) in px, one per view.
            wraps: whether comparisons may wrap, per axis, where the map itself does.
        """
        total, border = np.full(len(moves), np.nan), np.full(len(moves), np.nan)
        groups = self.how.plan(moves, wraps)
        if views.shape[1:] != self.shape or len(views) != len(moves) or not groups:
            return Errors(total, border)
        maps = self.how.cells.as_maps(views)
        sums = torch.cat([self._against(maps, group) for group in groups], 1).cpu().numpy()
        power = np.repeat([self._power(g.y, g.x) for g in groups], [len(g.views) for g in groups])
        with np.errstate(divide="ignore", invalid="ignore"):
            # 0/0 counts as 0; any error relative to an energy of 0 counts as 1
            relative = np.where(sums == 0, 0.0, np.where(power == 0, 1.0, sums / power))
        for view, t, b in zip([v for g in groups for v in g.views], *relative, strict=True):
            # The best phase: of up to four neighbours the one that fits, so that no
            # more than the layer's own error is counted.
            if math.isnan(total[view]) or t < total[view]:
                total[view], border[view] = t, b
        return Errors(total, border)

    def _power(self, y: Shift, x: Shift) -> float:
        """Return the energy of the moved reference in the compared cells."""
        # Round the circle a move keeps all cells, and with them the energy.
        rows, columns = (slice(None) if s.wraps else slice(s.start - s.by, s.end - s.by) for s in (y, x))
        return float(self.power[rows, columns].sum())

    def _against(self, maps: Tensor, group: Group) -> Float[Tensor, "2 k"]:
        """Return the sums of squared differences from the moved reference: over all cells, and at the border."""
        y, x, views = group
        there = moved(self.map, y, x)
        mine = maps[..., y.start : y.end, x.start : x.end]
        channels = tuple(range(1, there.ndim - 1))
        square = torch.empty(len(views), *there.shape[-2:], dtype=self.dtype, device=maps.device)
        step = max(1, _AT_ONCE // max(1, there.numel()))
        # A large map is subtracted into one buffer, not into new memory for each view.
        spare = torch.empty_like(there)[None] if step == 1 else None
        for k in range(0, len(views), step):
            some = views[k : k + step]
            # Consecutive views are a slice, which copies nothing.
            block = mine[some[0] : some[-1] + 1] if some[-1] - some[0] == len(some) - 1 else mine[some]
            difference = torch.sub(block, there, out=spare).square_()
            if channels:
                torch.sum(difference, channels, out=square[k : k + step])
            else:
                square[k : k + step] = difference
        # In float64: the parts are differences of such sums, and small ones would drown in the rounding of large ones.
        total = square.sum((-2, -1), dtype=torch.float64)
        if self.how.all_reached or not self.how.some_reached:
            return torch.stack([total, total if self.how.all_reached else torch.zeros_like(total)])
        square *= self.how.border(y, x, square.device)
        return torch.stack([total, square.sum((-2, -1), dtype=torch.float64)])


def moved(z: Shaped[Tensor, "*channels rows columns"], y: Shift, x: Shift) -> Shaped[Tensor, "*channels h w"]:
    """Move rows and columns, and crop to the compared cells."""
    around = [(s.by, d) for s, d in ((y, -2), (x, -1)) if s.wraps and s.by % z.shape[d]]
    if around:
        z = z.roll(*zip(*around, strict=True))
    rows, columns = (slice(s.start, s.end) if s.wraps else slice(s.start - s.by, s.end - s.by) for s in (y, x))
    return z[..., rows, columns]
