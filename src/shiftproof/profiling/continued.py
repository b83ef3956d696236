"""The same network without a border: in place of padding, the scene continues.

Where padding reaches every cell, "in a cell that padding reaches" explains nothing: the error there may come from the border,
from aliasing, or from both. A counterfactual tells them apart: the same layers on a scene that goes on beyond the picture.
That network has no border, so what is left of a layer's error is aliasing (moves off its grid) or position (moves on it), and
what is gone is the border.

The scene goes on without end if the network runs around a circle: wherever it pads, it reads the opposite side of its map.
That gives, cell for cell, what a larger input gives that repeats the scene as far as the padding reaches.

- Moves around the circle, and on a canvas: the circle is the picture itself.
- A camera that moves (`crop`, `reflect`): the picture with its mirror images beside and below it, twice as large. It has no
  seam, which would alias, and which no camera sees. If the network takes no picture of that size, it is the picture itself.
  `benchmarks/continued.py` compares both with photographs that do go on.

This is decided only for layers whose maps close around the circle. A map of 7 cells of 32 pixels does, for 224 pixels; a map
that a convolution without padding made smaller does not, and the error of what pools it is left undecided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from shiftproof.errors import is_out_of_memory
from shiftproof.interruptions import pass_on
from shiftproof.models.loading.fixed_batch import filled
from shiftproof.profiling.cells import Comparison, Move, Reference
from shiftproof.profiling.following import CircularPadding, Follow, Padded, bound
from shiftproof.profiling.geometry import Place
from shiftproof.profiling.nan_padding import PADDING, Fill, plain_kernels, run_ringed
from shiftproof.profiling.observation import Call, first_tensor, left_as_found, observed
from shiftproof.translations import Boundary

FEWEST, PER_MOVE = 4, 6  # moves of the counterfactual: one in six, and no fewer than four, so that its cost is bounded


@dataclass(frozen=True)
class Continued:
    """How a network runs without a border.

    Args:
        padded: every operator that may pad, in the order in which they run, and what stands in place of its padding.
        decided: for each place, whether nothing but the continued scene then reaches its layer.
        mirrored: whether the scene is the picture with its mirror images, and not the picture alone.
    """

    padded: tuple[Padded, ...]
    decided: tuple[bool, ...]
    mirrored: bool = False

    def scene(self, picture: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h2 w2"]:
        """The scene that closes around the circle, with the picture in its first rows and columns."""
        return _with_mirror_images(picture) if self.mirrored else picture


def find_continued(
    module: nn.Module, example: Float[Tensor, "n c h w"], places: Sequence[Place], boundary: Boundary
) -> Continued | None:
    """Return how a network runs without a border; None if that cannot be found, or no layer would be decided.

    The model runs once, or twice if it takes no larger picture.

    Args:
        module: the model, on the example's device.
        example: one normalised picture, or copies of it for a model that takes no fewer.
        places: its layers.
        boundary: of the moves.
    """
    larger = _found(module, _with_mirror_images(example), places) if boundary in ("crop", "reflect") else None
    return replace(larger, mirrored=True) if larger is not None else _found(module, example, places)


def _with_mirror_images(picture: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    beside = torch.cat([picture, picture.flip(-1)], -1)
    return torch.cat([beside, beside.flip(-2)], -2)


def _found(module: nn.Module, example: Tensor, places: Sequence[Place]) -> Continued | None:
    """How a network runs without a border on a scene of this size."""
    follow = Follow(example.shape, "circular", continued=True)
    clean: set[str] = set()

    @follow.aside
    def before(call: Call) -> None:
        return

    @follow.aside
    def after(call: Call, output: Any) -> None:
        y = first_tensor(output)
        if y is not None and not bool(y.isnan().any()):
            clean.add(call.name)

    try:
        with left_as_found(module, example.device), plain_kernels(), observed(module, before, after) as run:
            x = example.detach().clone()
            follow.start(x)
            with follow, CircularPadding(follow):
                run(x)
    # The same pass ran before with other padding. Whatever this one cannot do leaves causes undecided, and no more.
    except Exception as e:
        pass_on(e)
        if is_out_of_memory(e):
            raise
        return None
    decided = tuple(place.geometry.name in clean for place in places)
    return Continued(tuple(follow.log), decided) if any(decided) else None


class _OtherPathError(Exception):
    """The model did not run the operators that it ran before."""


class _Round(TorchDispatchMode):
    """Runs a network without a border, as `Continued` says."""

    def __init__(self, padded: Sequence[Padded]) -> None:
        super().__init__()
        self.padded, self.at = padded, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace != "aten" or func.overloadpacket.__name__ not in PADDING:
            return func(*args, **kwargs)
        if self.at >= len(self.padded) or self.padded[self.at][0] != func.overloadpacket.__name__:
            raise _OtherPathError
        fills = self.padded[self.at][1]
        self.at += 1
        if "wrap" not in fills:
            return func(*args, **kwargs)
        answers = iter(fills)

        def pads(x: Tensor, dim: int) -> Fill | None:
            # Where the scene cannot be continued the padding stays, and what it reaches is not decided.
            return "wrap" if next(answers, None) == "wrap" else None

        return run_ringed(func, bound(func, args, kwargs), pads)


class Apart:
    """The errors of one picture in the cells that padding reaches, with and without a border, at some of the moves.

    Args:
        continued: how the model runs without a border.
        places: its layers.
        how: how the views of each are compared.
        moves: all moves of the profile, (dy, dx) in px.
        rows: to how many pictures every batch is filled up with copies; 1 if none is.
    """

    def __init__(
        self,
        continued: Continued,
        places: Sequence[Place],
        how: Sequence[Comparison],
        moves: tuple[Move, ...],
        rows: int = 1,
    ) -> None:
        self.continued, self.places, self.how, self.moves = continued, places, how, moves
        self.rows = rows
        self.chosen = chosen(moves, [place.grid for place in places])
        self.with_border = np.full((len(places), len(self.chosen)), np.nan)
        self.without = np.full_like(self.with_border, np.nan)
        self.references: dict[int, Reference] = {}
        self.at = {place.geometry.name: k for k, place in enumerate(places) if continued.decided[k]}
        self.views: slice | None = None  # of the chosen moves; None while the unmoved picture runs

    def note(self, k: int, views: slice, reached: Float[np.ndarray, " n"]) -> None:
        """Take the errors of these views in the cells of layer k that padding reaches."""
        for i, j in enumerate(self.chosen):
            if views.start <= j < views.start + len(reached):
                self.with_border[k, i] = reached[j - views.start]

    def run(self, module: nn.Module, unmoved: Tensor, views: Iterator[Tensor]) -> bool:
        """Run the scene and its views, moved around the circle, without a border.

        Args:
            module: the model, in evaluation mode.
            unmoved: (1, c, h, w), the scene, see `Continued.scene`.
            views: batches (n, c, h, w), in the order of the chosen moves.

        Returns:
            Whether the model ran as it did before; if not, nothing is known.
        """
        try:
            with observed(module, lambda call: None, self._after) as forward:
                self.views = None
                self._forward(forward, unmoved)
                first = 0
                for batch in views:
                    self.views = slice(first, first + len(batch))
                    self._forward(forward, batch)
                    first += len(batch)
        except Exception as e:
            pass_on(e)
            if is_out_of_memory(e):
                raise
            return False
        finally:
            self.references.clear()
        return True

    def shares(self, k: int) -> tuple[float | None, float | None]:
        """Return which share of layer k's error in reached cells is left without a border, for moves on and off its grid.

        None where that is not decided.
        """
        if not self.continued.decided[k]:
            return None, None
        with_border, without = self.with_border[k], self.without[k]
        known = np.isfinite(with_border) & np.isfinite(without)
        on = np.array([on_grid(self.moves[j], self.places[k].grid) for j in self.chosen], dtype=bool)
        return _share(with_border, without, known & on), _share(with_border, without, known & ~on)

    def _forward(self, forward: Any, x: Tensor) -> None:
        mode = _Round(self.continued.padded)
        with mode:
            forward(filled(x, self.rows))
        if mode.at != len(mode.padded):
            raise _OtherPathError

    def _after(self, call: Call, output: Any) -> None:
        y, k = first_tensor(output), self.at.get(call.name)
        if y is None or k is None:
            return
        for dim, cells in zip(self.places[k].cells.dims, self.places[k].reached.shape, strict=True):
            if dim is not None and y.shape[dim] > cells:  # of a larger scene, the cells of the picture
                y = y.narrow(dim, 0, cells)
        if self.views is None:
            if y.shape[0] == self.rows:
                self.references[k] = Reference(y[:1], self.how[k])
        elif k in self.references:
            moves = tuple(self.moves[j] for j in self.chosen[self.views])
            self.without[k, self.views] = self.references[k].errors(y[: len(moves)], moves).border


def chosen(moves: Sequence[Move], grids: Sequence[tuple[Fraction, Fraction]]) -> list[int]:
    """Return the indices of the moves at which the network runs without a border, ascending.

    A sixth of the moves in an order that a seed decides, and at least four; among them, for every grid, one that is on it and
    one that is not, if there are such.
    """
    order = np.random.default_rng(0).permutation([j for j, move in enumerate(moves) if any(move)]).tolist()
    wanted = [
        [j for j in order if on_grid(moves[j], g) == on][:1] for g in dict.fromkeys(grids) for on in (True, False)
    ]
    first = list(dict.fromkeys(chain(*wanted)))
    most = max(FEWEST, len(moves) // PER_MOVE, len(first))
    return sorted([*first, *(j for j in order if j not in first)][:most])


def on_grid(move: Move, grid: tuple[Fraction, Fraction]) -> bool:
    """Tell whether a move is on the grid; every move is if there is no grid (r = 0)."""
    return all(r == 0 or (v / r).denominator == 1 for v, r in zip(move, grid, strict=True))


def _share(
    with_border: Float[np.ndarray, " n"], without: Float[np.ndarray, " n"], these: Bool[np.ndarray, " n"]
) -> float | None:
    whole = float(with_border[these].sum())
    return min(1.0, float(without[these].sum()) / whole) if whole > 0 else None
