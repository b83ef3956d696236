"""The conditions of a claim: each has a kind, which code asks for, and words, which people read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["usual", "background", "series", "asymmetric", "state", "other"]


@dataclass(frozen=True)
class Condition:
    """A condition under which a claim holds, or what prevents a proof.

    Args:
        words: as a person reads it.
        kind: "usual": every claim has it; "background": the background must be uniform; "series": the network takes series;
            "asymmetric": no map may equal a moved copy of itself; "state": a run changes the model, which must be reset;
            "other": only words.
    """

    words: str
    kind: Kind = "other"

    def __str__(self) -> str:
        return self.words

    def __contains__(self, text: str) -> bool:
        """Whether the words hold a text: what reads conditions as text goes on working."""
        return text in self.words


EXACT = Condition("exact arithmetic", "usual")
UNIFORM = Condition("uniform background", "background")
SERIES = Condition("the network takes series (n, c, w), which move along x", "series")
ASYMMETRIC = Condition("no map whose content chooses its phase equals a moved copy of itself", "asymmetric")

ONE_SIZE = Condition(
    "tiles have the size of this input: adaptive pooling makes as many cells of any other, and so has another stride there"
)

OTHER_TILES = Condition("a tile of another size goes the same way through the code, with sizes that grow with the tile")


def one_tile_size(seen: tuple[int, int]) -> Condition:
    """That nothing is promised of other tiles, because a run on one of (y, x) pixels gave something else.

    >>> str(one_tile_size((8, 6)))
    'tiles have the size of this input: with one of 8 x 6 px the model does something else'
    """
    return Condition(
        f"tiles have the size of this input: with one of {seen[0]} x {seen[1]} px the model does something else"
    )


def one_picture(input_size: tuple[int, ...]) -> Condition:
    """That a claim is about one picture of that size.

    >>> str(one_picture((3, 8, 8)))
    'one picture of 3 x 8 x 8'
    """
    return Condition(f"one picture of {' x '.join(str(n) for n in input_size)}", "usual")


def usual(input_size: tuple[int, int, int]) -> tuple[Condition, Condition]:
    """What every claim holds under.

    >>> [str(c) for c in usual((3, 8, 8))]
    ['exact arithmetic', 'one picture of 3 x 8 x 8']
    """
    return EXACT, one_picture(input_size)


def reset(names: str) -> Condition:
    """That running the model changes the named state, which must be reset before each picture."""
    return Condition(f"a run changes the model: before each picture, reset {names} to the current value", "state")
