"""The boundaries: what fills the place that a picture moves away from. Every move names one; no module assumes one.

The names of the kinds of sets stand here too, because records and translations both use them, and neither imports the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Boundary = Literal["circular", "zero", "reflect", "crop"]
KindOfMoves = Literal["grid", "ring", "path", "random", "torus", "list"]
"""How a set of moves is made; "list": its moves were given one by one."""


@dataclass(frozen=True)
class Meaning:
    """The meaning of a boundary, in words for a reader.

    Args:
        moves: what its moves are called.
        definition: one sentence.
    """

    moves: str
    definition: str


BOUNDARIES: dict[Boundary, Meaning] = {
    "circular": Meaning(
        "circular moves",
        "What leaves the picture on one side comes in again on the other; nothing is lost and nothing is new.",
    ),
    "zero": Meaning(
        "moves on a constant background",
        "The picture lies on a canvas of one constant value, and that value is moved in.",
    ),
    "reflect": Meaning(
        "moves with mirrored edges",
        "The picture is mirrored at its edges, and the mirror image is moved in.",
    ),
    "crop": Meaning(
        "camera moves",
        "The window moves over a larger picture, so the pixels that move in are real.",
    ),
}
