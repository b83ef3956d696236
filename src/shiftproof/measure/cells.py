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
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from shiftproof.measure.geometry import Cells

Move = tuple[Fraction, Fraction]
_AT_ONCE = 1 << 17  # numbers compared in one step: what a core keeps at hand


class _Shift(NamedTuple):
    """Along one axis: by how many cells the reference moves, whether around, and which cells (start, end) are compared."""

    by: int
    wraps: bool
    start: int
    end: int


class _Pair(NamedTuple):
    """One view against one candidate."""

    view: int
    y: _Shift
    x: _Shift


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
        cells: where its cells are.
        reached: cells that padding reaches; None if that is not asked.
    """

    def __init__(self, y: Shaped[Tensor, "1 *dims"], cells: Cells, reached: Bool[Tensor, "h w"] | None) -> None:
        self.cells = cells
        self.shape = y.shape[1:]
        self.dtype = torch.promote_types(y.dtype, torch.float32)
        self.map = self._as_maps(y)[0].to(self.dtype, copy=True)
        self.power = self.map.square().sum(tuple(range(self.map.ndim - 2)), dtype=torch.float64)
        self.reached = None if reached is None or not reached.any() else reached.to(y.device)
        self.all_reached = reached is not None and bool(reached.all())

    @property
    def energy(self) -> float:
        """The sum of squares of the whole output."""
        return float(self.power.sum())

    def errors(
        self, moved: Shaped[Tensor, "n *dims"], moves: Sequence[Move], wraps: tuple[bool, bool] = (True, True)
    ) -> Errors:
        """The best phase's error of each view.

        Args:
            moved: the layer's outputs on moved pictures.
            moves: by how much, in px, one a view.
            wraps: whether cells may be compared all around, where this map's do.
        """
        nothing = np.full(len(moves), np.nan)
        if moved.shape[1:] != self.shape or len(moved) != len(moves):
            return Errors(nothing, nothing.copy())
        shifts = [self._shifts(k, [m[k] for m in moves], self.cells.wraps[k] and wraps[k]) for k in range(2)]
        pairs = [_Pair(i, y, x) for i in range(len(moves)) for y, x in product(shifts[0][i], shifts[1][i])]
        if not pairs:
            return Errors(nothing, nothing.copy())
        pairs.sort(key=lambda p: (p.y, p.x, p.view))
        maps = self._as_maps(moved)
        found: list[Tensor] = []
        first = 0
        for last in range(1, len(pairs) + 1):
            if last == len(pairs) or pairs[last][1:] != pairs[first][1:]:
                found.append(self._against(maps, [p.view for p in pairs[first:last]], *pairs[first][1:]))
                first = last
        values = torch.cat(found).cpu().numpy()
        total, border = nothing, nothing.copy()
        for pair, (t, b) in zip(pairs, values, strict=True):
            if math.isnan(total[pair.view]) or t < total[pair.view]:
                total[pair.view], border[pair.view] = t, b
        return Errors(total, border)

    def _as_maps(self, y: Tensor) -> Tensor:
        """(n, ..., rows, columns), one row or column where it has none."""
        kept = [d for d in self.cells.dims if d is not None]
        y = y.movedim(kept, list(range(-len(kept), 0))) if kept else y
        y = y.unsqueeze(-1) if self.cells.dims[1] is None else y
        return y.unsqueeze(-2) if self.cells.dims[0] is None else y

    def _shifts(self, axis: int, moves: Sequence[Fraction], wraps: bool) -> list[list[_Shift]]:
        """The candidates of each move along one axis; none where the views have no cell in common."""
        size = self.map.shape[axis - 2]
        if self.cells.dims[axis] is None:
            return [[_Shift(0, False, 0, size)]] * len(moves)
        out: dict[Fraction, list[_Shift]] = {}
        for move in moves:
            if move in out:
                continue
            exact = move / self.cells.strides[axis]
            low, high = math.floor(exact), math.ceil(exact)
            if wraps:
                ends = (0, size)
            else:  # the same cells for both neighbours: those whose content was in view before
                ends = (max(0, high), min(size, size + low))
            whole = sorted({low % size, high % size} if wraps else {low, high})
            out[move] = [_Shift(by, wraps, *ends) for by in whole] if ends[0] < ends[1] else []
        return [out[move] for move in moves]

    def _against(self, maps: Tensor, views: list[int], y: _Shift, x: _Shift) -> Float[Tensor, "k 2"]:
        """Total and border error of these views against the reference moved by (y, x)."""
        window = (..., slice(y.start, y.end), slice(x.start, x.end))
        there = _moved(self.map, y, x)
        mine = maps[window]
        rest = tuple(range(1, there.ndim - 1))
        square = torch.empty(len(views), *there.shape[-2:], dtype=self.dtype, device=maps.device)
        step = max(1, _AT_ONCE // max(1, there.numel()))
        spare = torch.empty_like(there)[None] if step == 1 else None
        for k in range(0, len(views), step):
            some = views[k : k + step]
            block = mine[some[0] : some[-1] + 1] if some[-1] - some[0] == len(some) - 1 else mine[some]
            difference = torch.sub(block, there, out=spare) if spare is not None else block - there
            difference.square_()
            if rest:
                torch.sum(difference, rest, out=square[k : k + step])
            else:
                square[k : k + step] = difference
        power = _moved(self.power, y, x).sum()
        total = square.sum((-2, -1), dtype=torch.float64)
        if self.reached is None:
            border = torch.zeros_like(total)
        elif self.all_reached:
            border = total
        else:
            either = self.reached[window] | _moved(self.reached, y, x)
            border = (square * either).sum((-2, -1), dtype=torch.float64)
        return torch.stack([_relative(total, power), _relative(border, power)], 1)


def _moved(z: Tensor, y: _Shift, x: _Shift) -> Tensor:
    """The reference (..., rows, columns) moved, cut to the compared cells."""
    around = [(s.by, d) for s, d in ((y, -2), (x, -1)) if s.wraps and s.by % z.shape[d]]
    if around:
        z = z.roll(*zip(*around, strict=True))
    rows, columns = (slice(s.start, s.end) if s.wraps else slice(s.start - s.by, s.end - s.by) for s in (y, x))
    return z[..., rows, columns]


def _relative(part: Tensor, power: Tensor) -> Tensor:
    """part / power; 0/0 = 0, and an error where there should be nothing is 1."""
    one = torch.ones_like(part)
    return torch.where(part == 0, 0 * one, torch.where(power == 0, one, part / power))
