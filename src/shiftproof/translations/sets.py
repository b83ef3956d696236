"""The sets of translations that are measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.boundaries import Boundary, KindOfMoves
from shiftproof.errors import TranslationError
from shiftproof.translations.boundaries import check_boundary
from shiftproof.translations.group import Translation
from shiftproof.translations.interpolation import interpolator, margin_of

MOST_MOVES = 2**24  # every move of a picture of 4096 x 4096 px; as many take gigabytes


@dataclass(frozen=True)
class TranslationSet:
    """A sequence of moves under one boundary, and what determines it.

    Args:
        offsets: the moves (dy, dx) in px.
        boundary: circular, zero, reflect or crop.
        fill: the constant that moves in under `zero`.
        kind: the builder: grid, ring, path, random or torus; "list" for moves that were given one by one.
        parameters: the builder's arguments as (name, value) pairs.

    Raises:
        TranslationError: the boundary or the kind is unknown, there is no move, or a number is not finite.

    >>> moves = TranslationSet(((0, 0), (0, 2.5)), "crop")
    >>> len(moves), moves.margin_px, moves.is_integer
    (2, 11, False)
    >>> [t.dx for t in moves]
    [0, 2.5]
    """

    offsets: tuple[tuple[float, float], ...]
    boundary: Boundary
    fill: float = 0.0
    kind: KindOfMoves = "list"
    parameters: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        check_boundary(self.boundary)
        if self.kind not in get_args(KindOfMoves):
            raise TranslationError(
                f"{self.kind!r} is not a kind of set", remedy="leave `kind` out, or use a builder such as sp.grid"
            )
        if not (self.offsets and all(map(math.isfinite, (self.fill, *(d for move in self.offsets for d in move))))):
            raise TranslationError(
                f"{len(self.offsets)} moves, fill {self.fill}: empty or not finite", remedy="give finite moves (dy, dx)"
            )

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Translation]:
        return (Translation(dy, dx, self.boundary, self.fill) for dy, dx in self.offsets)

    def __repr__(self) -> str:
        return f"TranslationSet({', '.join(f'{k}={v!r}' for k, v in self.to_dict().items())})"

    @cached_property
    def is_integer(self) -> bool:
        """Whether all moves are by whole pixels."""
        return all(float(d).is_integer() for move in self.offsets for d in move)

    @cached_property
    def margin_px(self) -> int:
        """The margin that `crop` needs on every side, in px: the longest |dy| or |dx|, plus the interpolator's reach."""
        return margin_of(torch.tensor(self.offsets, dtype=torch.float64))

    @property
    def carried_px(self) -> int:
        """The margin that pictures must have on every side to be moved by this set: `margin_px` under `crop`, else 0."""
        return self.margin_px if self.boundary == "crop" else 0

    @property
    def interpolator(self) -> str:
        """The name of the interpolator; "none" if all moves are by whole pixels."""
        return "none" if self.is_integer else interpolator(self.boundary)

    def to_dict(self) -> dict[str, Any]:
        """What determines the set, for JSON: kind, boundary, fill, the builder's arguments, and the number of moves.

        Only sets of kind "list" contain their moves.
        """
        head = {"kind": self.kind, "boundary": self.boundary, "fill": self.fill}
        arguments = {k: list(v) if isinstance(v, tuple) else v for k, v in self.parameters}
        listed = {"offsets": [list(move) for move in self.offsets]} if self.kind == "list" else {}
        return {**head, **arguments, **listed, "count": len(self)}


def grid(max_px: float, boundary: Boundary, *, step_px: float = 1, fill: float = 0.0) -> TranslationSet:
    """The square lattice of moves k * step with |k * step| <= max on both axes, row by row; (0, 0) is one of them.

    Args:
        max_px: the longest move along an axis, in px, >= 0.
        boundary: circular, zero, reflect or crop.
        step_px: the lattice's step, in px, > 0; a fraction gives sub-pixel moves.
        fill: the constant that moves in under `zero`.

    Raises:
        TranslationError: a negative `max_px` or a `step_px` that is not positive.

    >>> grid(1, "zero").offsets[:4]
    ((-1.0, -1.0), (-1.0, 0.0), (-1.0, 1.0), (0.0, -1.0))
    >>> len(grid(1, "zero", step_px=0.5))
    25
    """
    if not (0 <= max_px < math.inf and 0 < step_px < math.inf):
        raise TranslationError(
            f"max_px={max_px:g}, step_px={step_px:g} is not a lattice", remedy="give max_px >= 0 and step_px > 0"
        )
    reach = math.floor(max_px / step_px + 1e-9)  # 0.3 / 0.1 is 2.9999999999999996
    _countable((2 * reach + 1) ** 2)
    line = [float(k * step_px) for k in range(-reach, reach + 1)]
    offsets = tuple((dy, dx) for dy in line for dx in line)
    return TranslationSet(offsets, boundary, fill, "grid", (("max_px", max_px), ("step_px", step_px)))


def ring(radius_px: int, boundary: Boundary, *, fill: float = 0.0) -> TranslationSet:
    """All whole-pixel moves whose Euclidean length rounds to the radius, by angle, from (0, radius) on.

    Args:
        radius_px: in px, >= 0.
        boundary: circular, zero, reflect or crop.
        fill: the constant that moves in under `zero`.

    Raises:
        TranslationError: a negative radius.

    >>> ring(1, "circular").offsets[:3]
    ((0.0, 1.0), (1.0, 1.0), (1.0, 0.0))
    """
    if radius_px < 0:
        raise TranslationError(f"radius_px={radius_px} is not a radius", remedy="give radius_px >= 0")
    _countable((2 * radius_px + 1) ** 2)
    line = range(-radius_px, radius_px + 1)
    # Rounded as in the radial curve of a map: the rings of all radii together are all moves, each in one of them.
    on = [(float(dy), float(dx)) for dy in line for dx in line if round(math.hypot(dy, dx)) == radius_px]
    on.sort(key=lambda move: math.atan2(*move) % math.tau)
    return TranslationSet(tuple(on), boundary, fill, "ring", (("radius_px", radius_px),))


def path(
    length: int, boundary: Boundary, *, fill: float = 0.0, direction: tuple[float, float] = (0, 1)
) -> TranslationSet:
    """Consecutive moves k * direction, k = 0..length, from the unmoved picture on.

    Args:
        length: the number of steps, >= 0; the set has one move more.
        boundary: circular, zero, reflect or crop.
        fill: the constant that moves in under `zero`.
        direction: one step (dy, dx), in px.

    Raises:
        TranslationError: a negative length.

    >>> path(2, "crop", direction=(1, 0)).offsets
    ((0.0, 0.0), (1.0, 0.0), (2.0, 0.0))
    """
    if length < 0:
        raise TranslationError(f"length={length} is not a number of steps", remedy="give length >= 0")
    _countable(length + 1)
    dy, dx = direction
    offsets = tuple((k * dy + 0.0, k * dx + 0.0) for k in range(length + 1))  # + 0.0: never -0.0
    return TranslationSet(offsets, boundary, fill, "path", (("length", length), ("direction", (dy, dx))))


def random(
    count: int, max_px: int, boundary: Boundary, *, seed: int, subpixel: bool = False, fill: float = 0.0
) -> TranslationSet:
    """Different moves drawn uniformly from the square |dy|, |dx| <= max. A seed gives the same moves on every machine.

    Args:
        count: how many, >= 1; whole-pixel moves are drawn without replacement, so at most (2 max + 1)^2.
        max_px: half the square's side, in px, >= 0.
        boundary: circular, zero, reflect or crop.
        seed: of the draw.
        subpixel: draw real numbers, not whole pixels.
        fill: the constant that moves in under `zero`.

    Raises:
        TranslationError: `count` is below 1, or larger than the number of different moves.

    >>> sorted(random(9, 1, "zero", seed=0).offsets) == sorted(grid(1, "zero").offsets)
    True
    """
    side = 2 * max_px + 1
    if count < 1 or max_px < 0 or (count > side * side and not subpixel):
        raise TranslationError(
            f"count={count} moves within max_px={max_px}", remedy=f"give 1 <= count <= {max(1, side) ** 2}, max_px >= 0"
        )
    _countable(count)
    uniform = Random(seed).random  # the only stream that Python keeps the same from version to version
    if subpixel:
        offsets = tuple(((2 * uniform() - 1) * max_px, (2 * uniform() - 1) * max_px) for _ in range(count))
    else:
        cells: dict[int, int] = {}  # the first steps of a Fisher-Yates shuffle of range(side * side)
        drawn = []
        for i in range(count):
            j = i + int(uniform() * (side * side - i))
            drawn.append(cells.get(j, j))
            cells[j] = cells.get(i, i)
        offsets = tuple((float(k // side - max_px), float(k % side - max_px)) for k in drawn)
    parameters = (("max_px", max_px), ("seed", seed), ("subpixel", subpixel))
    return TranslationSet(offsets, boundary, fill, "random", parameters)


def torus(height: int, width: int) -> TranslationSet:
    """Every circular move of a picture of that size: dy in 0..height-1, dx in 0..width-1, row by row.

    Args:
        height: of the picture, in px, >= 1.
        width: of the picture, in px, >= 1.

    Raises:
        TranslationError: an empty picture.

    >>> torus(2, 3).to_dict()
    {'kind': 'torus', 'boundary': 'circular', 'fill': 0.0, 'height': 2, 'width': 3, 'count': 6}
    """
    if min(height, width) < 1:
        raise TranslationError(
            f"{height} x {width} is not a picture size", remedy="give the picture's height and width"
        )
    _countable(height * width)
    columns = [float(dx) for dx in range(width)]
    offsets = tuple((float(dy), dx) for dy in range(height) for dx in columns)
    return TranslationSet(offsets, "circular", 0.0, "torus", (("height", height), ("width", width)))


def _countable(moves: int) -> None:
    """Raises an error for a set of more moves than fit into memory, before it is made."""
    if moves > MOST_MOVES:
        raise TranslationError(
            f"{moves:,} moves are too many",
            remedy=f"ask for at most {MOST_MOVES:,}: shorter moves, a larger step, or random ones",
        )


def offsets_tensor(translations: TranslationSet, device: torch.device | str = "cpu") -> Float[Tensor, "m 2"]:
    """The moves of a set as (m, 2), in px, float64, in its order."""
    return torch.tensor(translations.offsets, dtype=torch.float64).to(device)
