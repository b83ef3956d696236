"""What a record may say of a set of moves: one dataclass for each kind of set, with the arguments of its builder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shiftproof.boundaries import Boundary, KindOfMoves
from shiftproof.records.plain import from_plain, invalid


@dataclass(frozen=True)
class Moves:
    """What every set of moves says.

    Args:
        kind: how the set was made, a key of `KINDS_OF_MOVES`.
        boundary: circular, zero, reflect or crop.
        fill: the constant moved in under `zero`, in [0, 1].
        count: number of moves.
    """

    kind: KindOfMoves
    boundary: Boundary
    fill: float
    count: int


@dataclass(frozen=True)
class Grid(Moves):
    """A square lattice of moves."""

    max_px: float
    step_px: float


@dataclass(frozen=True)
class Ring(Moves):
    """All whole-pixel moves of one length."""

    radius_px: int


@dataclass(frozen=True)
class Path(Moves):
    """Steps in one direction, each from the last."""

    length: int
    direction: tuple[float, float]


@dataclass(frozen=True)
class Random(Moves):
    """Moves drawn at random, without repetition."""

    max_px: float
    seed: int
    subpixel: bool


@dataclass(frozen=True)
class Torus(Moves):
    """All circular moves of a picture."""

    height: int
    width: int


@dataclass(frozen=True)
class Listed(Moves):
    """Moves that were given one by one."""

    offsets: list[tuple[float, float]]


KINDS_OF_MOVES: dict[KindOfMoves, type[Moves]] = {
    "grid": Grid,
    "ring": Ring,
    "path": Path,
    "random": Random,
    "torus": Torus,
    "list": Listed,
}


def moves_of(plain: Mapping[str, Any], where: str = "") -> Moves:
    """The set of moves that `TranslationSet.to_dict` describes.

    Args:
        plain: what `to_dict` returned.
        where: of what record it is a part, for the error.

    Raises:
        RecordError: no such kind; a key that is missing or unknown; a value of the wrong type.

    >>> moves_of({"kind": "ring", "boundary": "zero", "fill": 0.0, "radius_px": 2, "count": 12}).count
    12
    """
    kind = plain.get("kind")
    if not isinstance(kind, str) or kind not in KINDS_OF_MOVES:
        raise invalid(f"{kind!r:.80} is not a kind of moves; there are {', '.join(KINDS_OF_MOVES)}", f"{where}.kind")
    return from_plain(KINDS_OF_MOVES[kind], plain, where)
