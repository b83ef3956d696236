"""The set of translations that options name."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from shiftproof.boundaries import Boundary

if TYPE_CHECKING:
    from shiftproof.translations import TranslationSet


class Moves(StrEnum):
    """Which set of translations."""

    grid = "grid"
    ring = "ring"
    path = "path"
    random = "random"
    torus = "torus"


def named(
    moves: Moves,
    boundary: Boundary,
    max_px: int,
    step_px: float,
    count: int,
    fill: float,
    seed: int,
) -> TranslationSet:
    """The set that the options name, made before the model is loaded: too many moves are refused at once."""
    from shiftproof import translations as t

    made = {
        Moves.grid: lambda: t.grid(max_px, boundary, step_px=step_px),
        Moves.ring: lambda: t.ring(max_px, boundary),
        Moves.path: lambda: t.path(max_px, boundary),
        Moves.random: lambda: t.random(count, max_px, boundary, seed=seed),
    }[moves]()
    return replace(made, fill=fill)


def torus(input_size: tuple[int, int, int]) -> TranslationSet:
    """Every circular move of a picture of the model's size."""
    from shiftproof import translations as t

    return t.torus(*input_size[1:])
