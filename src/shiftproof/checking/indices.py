"""Where each index of a dimension takes its content from when the picture moves. Torch is not imported."""

from __future__ import annotations

from fractions import Fraction

from shiftproof.checking.types import Dim, Join, size


def gathered(dim: Dim, axis: str) -> list[int]:
    """For each index of a dimension, the index at which all atoms of the axis are at their first cell.

    >>> from shiftproof.checking.types import Atom, spatial
    >>> gathered((*spatial("y", 2), Atom(2)), "y")
    [0, 1, 0, 1]
    """
    sources = [0]
    for block in dim:
        if isinstance(block, Join):
            inner, at = [], 0
            for part in block.parts:
                inner += [at + i for i in gathered(part, axis)]
                at += size(part)
        else:
            inner = [0] * block.size if block.axis == axis else list(range(block.size))
        sources = [o * block.size + i for o in sources for i in inner]
    return sources


def rolled(dim: Dim, axis: str, move: int) -> list[int]:
    """The index from which each index of a dimension takes its content when the picture moves by `move` pixels.

    >>> from shiftproof.checking.types import Atom, spatial
    >>> rolled(spatial("y", 4, 2), "y", 2)
    [3, 0, 1, 2]
    >>> rolled((Atom(2), *spatial("y", 2)), "y", 1)
    [1, 0, 3, 2]
    """
    sources = [0]
    for block in dim:
        if isinstance(block, Join):
            inner, at = [], 0
            for part in block.parts:
                inner += [at + i for i in rolled(part, axis, move)]
                at += size(part)
        elif block.axis == axis:
            cells = Fraction(move) / block.stride
            if cells.denominator != 1:
                raise ValueError(f"a move by {move} px is not a whole number of cells of {block.stride} px")
            inner = [(i - int(cells)) % block.period for i in range(block.size)]
        else:
            inner = list(range(block.size))
        sources = [o * block.size + i for o in sources for i in inner]
    return sources
