"""One picture's errors per layer, added up while the views run: propagated, and of each layer alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from shiftproof.models.loading.fixed_batch import filled
from shiftproof.profiling.cells import Cells, Comparison, Move, Reference
from shiftproof.profiling.continued import Apart, on_grid
from shiftproof.profiling.geometry import Place
from shiftproof.profiling.observation import Call, first_tensor


@dataclass(frozen=True)
class LayerEnergies:
    """One picture's sums per layer (l), in the profiler's order. The sums of several pictures can be added.

    Args:
        reference: sum of squares of the layer's output on the unmoved picture.
        count: number of moves compared.
        total: sum over those moves of the relative squared error.
        aliasing: its aliasing part.
        border: its border part.
        position: its position part.
        undecided: the part in cells that padding reaches, where nothing tells border from aliasing. The four add up to total.
        local_count: number of moves for which the layer alone was compared.
        local: sum over those moves of its relative squared error.
    """

    reference: Float[np.ndarray, " l"]
    count: Float[np.ndarray, " l"]
    total: Float[np.ndarray, " l"]
    aliasing: Float[np.ndarray, " l"]
    border: Float[np.ndarray, " l"]
    position: Float[np.ndarray, " l"]
    undecided: Float[np.ndarray, " l"]
    local_count: Float[np.ndarray, " l"]
    local: Float[np.ndarray, " l"]

    def to_dict(self) -> dict[str, list[float]]:
        """Return plain numbers, for JSON and Parquet."""
        return {name: values.tolist() for name, values in asdict(self).items()}

    @classmethod
    def from_dict(cls, plain: dict[str, list[float]]) -> LayerEnergies:
        """Build the sums from the result of `to_dict`."""
        return cls(**{f.name: np.asarray(plain[f.name], dtype=np.float64) for f in fields(cls)})


class Sums:
    """Observes the model's layers and adds up their errors.

    Args:
        places: the layers.
        how: how the views of each are compared.
        moves: all moves, (dy, dx) in px.
        batch_size: views per forward pass.
        apart: the runs without a border, if there are any.
        rows: to how many pictures every batch is filled up with copies; 1 if none is.
    """

    def __init__(
        self,
        places: Sequence[Place],
        how: Sequence[Comparison],
        moves: tuple[Move, ...],
        batch_size: int,
        apart: Apart | None,
        rows: int = 1,
    ) -> None:
        self.at = {place.geometry.name: k for k, place in enumerate(places)}
        self.places, self.how, self.moves, self.batch_size, self.apart = places, how, moves, batch_size, apart
        self.rows = rows
        self.views: slice | None = None  # the moves of the current batch; None while the unmoved picture runs
        self.alone = False  # whether each layer is run alone while the unmoved picture runs
        self.references: dict[int, Reference] = {}
        self.kept: Any = None
        self.sums = {f.name: np.zeros(len(places)) for f in fields(LayerEnergies)}
        self.reached = {on: np.zeros(len(places)) for on in (True, False)}  # for moves on and off the layer's grid

    def before(self, call: Call) -> None:
        """Keep a copy of the layer's input, before the layer can change it in place."""
        if self.alone and self.views is None and call.name in self.at and self.places[self.at[call.name]].is_local:
            leaves, spec = tree_flatten(call.arguments)
            fed = self.places[self.at[call.name]].inputs
            fits = all(c is None or t.shape[0] == self.rows for t, c in zip(leaves, fed, strict=False))
            if len(leaves) == len(fed) and fits:
                copies = [t[:1].clone() if c is not None else t for t, c in zip(leaves, fed, strict=True)]
                self.kept = copies, spec

    def after(self, call: Call, output: Any) -> None:
        """Compare the output of views; for the unmoved picture, keep the reference and run the layer alone."""
        y, k = first_tensor(output), self.at.get(call.name)
        if k is None or y is None:
            return
        if self.views is None:
            self._refer(k, y)
            if self.kept is not None:
                self._alone(k, call, *self.kept)
                self.kept = None
        elif k in self.references:
            self._propagated(k, y[: len(self.moves[self.views])], self.views)

    def free(self) -> None:
        """Free the references: all views have run."""
        self.references.clear()

    def energies(self, *, ran: bool) -> LayerEnergies:
        """Return the sums.

        Args:
            ran: whether the views of `apart` ran without a border.
        """
        for k in range(len(self.places)):
            shares = self.apart.shares(k) if self.apart is not None and ran else (None, None)
            for (_, reached), share, rest in zip(self.reached.items(), shares, ("position", "aliasing"), strict=True):
                if share is None:
                    self.sums["undecided"][k] += reached[k]
                else:
                    self.sums[rest][k] += share * reached[k]
                    self.sums["border"][k] += (1 - share) * reached[k]
        return LayerEnergies(**self.sums)

    def _refer(self, k: int, y: Tensor) -> None:
        # A layer inside that folds windows or crops into the batch gives several rows for
        # one picture: nobody knows which is whose.
        if y.shape[0] == self.rows and alike(y):
            self.references[k] = reference = Reference(y[:1], self.how[k])
            energy = reference.energy
            self.sums["reference"][k] = energy if math.isfinite(energy) else 0.0

    def _propagated(self, k: int, y: Tensor, views: slice) -> None:
        moves = self.moves[views]
        errors, grid = self.references[k].errors(y, moves), self.places[k].grid
        on = np.array([on_grid(move, grid) for move in moves])
        # The zero move's error is 0 whatever the layer does: it would only thin the mean.
        used = np.isfinite(errors.total) & np.array([any(move) for move in moves])
        inside = errors.total - errors.border
        self.sums["count"][k] += used.sum()
        self.sums["total"][k] += errors.total[used].sum()
        self.sums["aliasing"][k] += inside[used & ~on].sum()
        self.sums["position"][k] += inside[used & on].sum()
        for which in (True, False):
            self.reached[which][k] += errors.border[used & (on == which)].sum()
        if self.apart is not None:
            self.apart.note(k, views, errors.border)

    def _alone(self, k: int, call: Call, leaves: list[Any], spec: Any) -> None:
        """Run the layer on moved input: each distinct move once, weighted by the number of picture moves that round to it."""
        fed = self.places[k].inputs
        # `Place.is_local` says that all maps among the inputs have this stride.
        first = next(c for c in fed if c is not None and c.is_map)
        weights: dict[tuple[int, int], int] = {}
        for move in self.moves:
            by = tuple(
                _away(v, r) if d is not None else 0 for v, r, d in zip(move, first.strides, first.dims, strict=True)
            )
            if any(move):
                # Deep maps have few cells: most moves of the picture come to
                # the same move of theirs, which is run once.
                weights[by[0], by[1]] = weights.get((by[0], by[1]), 0) + 1
        wraps = tuple(all(c.wraps[a] for c in fed if c is not None and c.is_map) for a in range(2))
        for some in _cut(list(weights), self.batch_size):
            moved = [
                filled(_moved_around(t, c, some), self.rows) if c is not None else t
                for t, c in zip(leaves, fed, strict=True)
            ]
            args, kwargs = tree_unflatten(moved, spec)
            y = first_tensor(call.again(*args, **kwargs))
            if y is None or k not in self.references:
                return
            by_px = tuple((dy * first.strides[0], dx * first.strides[1]) for dy, dx in some)
            total = self.references[k].errors(y[: len(some)], by_px, (wraps[0], wraps[1])).total
            weight = np.array([weights[by] for by in some], dtype=np.float64)
            used = np.isfinite(total)
            self.sums["local"][k] += (weight * total)[used].sum()
            self.sums["local_count"][k] += weight[used].sum()


def alike(y: Tensor) -> bool:
    """Whether all rows are the same but for rounding: then they are those of copies of one picture, not parts of it."""
    return len(y) == 1 or torch.allclose(y, y[:1].expand_as(y), rtol=1e-4, atol=1e-6, equal_nan=True)


def _moved_around(t: Tensor, cells: Cells, moves: Sequence[tuple[int, int]]) -> Tensor:
    """Move a tensor (1, ...) circularly by each of these whole numbers of cells: (n, ...)."""
    there = [(k, d) for k, d in enumerate(cells.dims) if d is not None]
    if not there:
        return t.repeat(len(moves), *[1] * (t.ndim - 1))
    return torch.cat([t.roll([by[k] for k, _ in there], [d for _, d in there]) for by in moves])


def _away(v: Fraction, r: Fraction) -> int:
    """Return the number of whole cells in a move, rounded away from zero."""
    # Rounded towards zero, a small move would not move a coarse map at all, and its layer would look exact.
    return int(math.copysign(math.ceil(abs(v / r)), v))


def _cut(moves: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for first in range(0, len(moves), size):
        yield moves[first : first + size]
