"""Comparing a layer's output on moved pictures with its moved output on the unmoved one, cell by cell.

A move by v pixels is v/r cells of a map of stride r. Where that is not whole, both neighbours are tried (up to four along
two axes) and the nearest map counts: the best phase. Cells are compared all around where they repeat with the picture,
else only those that show the same content in both views.
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
_AT_ONCE = 1 << 17  # numbers compared in one step: what a core keeps at hand
_KEPT = 128  # plans and masks kept of a layer, so that memory does not grow with the number of moves


@dataclass(frozen=True)
class Cells:
    """How the cells of a tensor (n, ...) move with the picture.

    Args:
        dims: the dimensions of rows and columns; None along an axis that the tensor does not have.
        strides: px a cell, per axis.
        wraps: whether the cells repeat with the picture and the moves are circular, per axis.
    """

    dims: tuple[int | None, int | None]
    strides: tuple[Fraction, Fraction]
    wraps: tuple[bool, bool]

    @property
    def is_map(self) -> bool:
        """Whether there are rows or columns to move."""
        return any(d is not None for d in self.dims)

    def as_maps(self, y: Shaped[Tensor, "*dims"]) -> Shaped[Tensor, "*channels h w"]:
        """The same numbers with rows and columns last; one of each where there are none."""
        kept = [d for d in self.dims if d is not None]
        y = y.movedim(kept, list(range(-len(kept), 0))) if kept else y
        y = y.unsqueeze(-1) if self.dims[1] is None else y
        return y.unsqueeze(-2) if self.dims[0] is None else y


class Shift(NamedTuple):
    """Along one axis: by how many cells the reference moves, whether around, and which cells (start, end) are compared."""

    by: int
    wraps: bool
    start: int
    end: int


class Group(NamedTuple):
    """The views that are compared with the reference moved in one way."""

    y: Shift
    x: Shift
    views: list[int]


class Comparison:
    """How the views of a layer are compared; holds for every picture.

    Args:
        cells: where its cells are.
        reached: (h, w), the cells that padding reaches.
    """

    def __init__(self, cells: Cells, reached: Bool[Tensor, "h w"]) -> None:
        self.cells, self.reached = cells, reached
        self.some_reached, self.all_reached = bool(reached.any()), bool(reached.all())
        self.plans: dict[tuple[Sequence[Move], tuple[bool, bool]], list[Group]] = {}
        self.masks: dict[tuple[Shift, Shift], Tensor] = {}

    def plan(self, moves: tuple[Move, ...], wraps: tuple[bool, bool]) -> list[Group]:
        """Which views are compared with what."""
        if (moves, wraps) not in self.plans:
            if len(self.plans) >= _KEPT:
                self.plans.clear()
            pairs = [
                (y, x, view)
                for view, move in enumerate(moves)
                for y, x in product(*(self._shifts(k, move[k], self.cells.wraps[k] and wraps[k]) for k in range(2)))
            ]
            pairs.sort()
            self.plans[moves, wraps] = [
                Group(y, x, [view for *_, view in some]) for (y, x), some in groupby(pairs, lambda pair: pair[:2])
            ]
        return self.plans[moves, wraps]

    def border(self, y: Shift, x: Shift, device: torch.device) -> Bool[Tensor, "h w"]:
        """The compared cells that padding reaches in the view, or in the moved reference."""
        if (y, x) not in self.masks:
            if len(self.masks) >= _KEPT:
                self.masks.clear()
            here = self.reached[y.start : y.end, x.start : x.end]
            self.masks[y, x] = (here | moved(self.reached, y, x)).to(device)
        return self.masks[y, x]

    def _shifts(self, axis: int, move: Fraction, wraps: bool) -> list[Shift]:
        """The candidates along one axis; none where the views have no cell in common."""
        size = self.reached.shape[axis]
        if self.cells.dims[axis] is None:
            return [Shift(0, False, 0, size)]
        exact = move / self.cells.strides[axis]
        low, high = math.floor(exact), math.ceil(exact)
        if wraps:
            return [Shift(by, True, 0, size) for by in sorted({low % size, high % size})]
        # the same cells for both neighbours: those whose content was in view before
        start, end = max(0, high), min(size, size + low)
        return [Shift(by, False, start, end) for by in sorted({low, high})] if start < end else []


@dataclass(frozen=True)
class Errors:
    """Squared errors of views, relative to the reference's energy in the same cells; NaN where no cell can be compared.

    Args:
        total: over all compared cells.
        border: the part of it in cells that padding reaches in either view.
    """

    total: Float[np.ndarray, " n"]
    border: Float[np.ndarray, " n"]


class Reference:
    """A layer's output on the unmoved picture, ready to be compared with many.

    Args:
        y: (1, ...), the output; copied.
        how: how they are compared.
    """

    def __init__(self, y: Shaped[Tensor, " 1 *dims"], how: Comparison) -> None:
        self.how = how
        self.shape = y.shape[1:]
        self.dtype = torch.promote_types(y.dtype, torch.float32)
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
        """The best phase's error of each view.

        Args:
            views: the layer's outputs on moved pictures.
            moves: by how much, in px, one a view.
            wraps: whether cells may be compared all around, where this map's do.
        """
        total, border = np.full(len(moves), np.nan), np.full(len(moves), np.nan)
        groups = self.how.plan(moves, wraps)
        if views.shape[1:] != self.shape or len(views) != len(moves) or not groups:
            return Errors(total, border)
        maps = self.how.cells.as_maps(views)
        sums = torch.cat([self._against(maps, group) for group in groups], 1).cpu().numpy()
        power = np.repeat([self._power(g.y, g.x) for g in groups], [len(g.views) for g in groups])
        with np.errstate(divide="ignore", invalid="ignore"):
            # 0/0 is 0; an error where there should be nothing is 1
            relative = np.where(sums == 0, 0.0, np.where(power == 0, 1.0, sums / power))
        for view, t, b in zip([v for g in groups for v in g.views], *relative, strict=True):
            if math.isnan(total[view]) or t < total[view]:
                total[view], border[view] = t, b
        return Errors(total, border)

    def _power(self, y: Shift, x: Shift) -> float:
        """The energy of the compared cells of the moved reference."""
        rows, columns = (slice(None) if s.wraps else slice(s.start - s.by, s.end - s.by) for s in (y, x))
        return float(self.power[rows, columns].sum())

    def _against(self, maps: Tensor, group: Group) -> Float[Tensor, "2 k"]:
        """Sums of squared differences of these views from the moved reference: over all cells, and at the border."""
        y, x, views = group
        there = moved(self.map, y, x)
        mine = maps[..., y.start : y.end, x.start : x.end]
        channels = tuple(range(1, there.ndim - 1))
        square = torch.empty(len(views), *there.shape[-2:], dtype=self.dtype, device=maps.device)
        step = max(1, _AT_ONCE // max(1, there.numel()))
        spare = torch.empty_like(there)[None] if step == 1 else None
        for k in range(0, len(views), step):
            some = views[k : k + step]
            block = mine[some[0] : some[-1] + 1] if some[-1] - some[0] == len(some) - 1 else mine[some]
            difference = torch.sub(block, there, out=spare).square_()
            if channels:
                torch.sum(difference, channels, out=square[k : k + step])
            else:
                square[k : k + step] = difference
        total = square.sum((-2, -1), dtype=torch.float64)
        if self.how.all_reached or not self.how.some_reached:
            return torch.stack([total, total if self.how.all_reached else torch.zeros_like(total)])
        square *= self.how.border(y, x, square.device)
        return torch.stack([total, square.sum((-2, -1), dtype=torch.float64)])


def moved(z: Shaped[Tensor, "*channels rows columns"], y: Shift, x: Shift) -> Shaped[Tensor, "*channels h w"]:
    """Rows and columns moved, cut to the compared cells."""
    around = [(s.by, d) for s, d in ((y, -2), (x, -1)) if s.wraps and s.by % z.shape[d]]
    if around:
        z = z.roll(*zip(*around, strict=True))
    rows, columns = (slice(s.start, s.end) if s.wraps else slice(s.start - s.by, s.end - s.by) for s in (y, x))
    return z[..., rows, columns]
