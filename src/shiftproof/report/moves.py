"""The layout of a set of moves in the plane (a lattice, a line, scattered points), and a small raster of a map."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Lie:
    """The layout of a set of moves in the plane.

    Args:
        kind: "lattice" (every crossing of even rows and columns), "line" (all on one straight line), or "scatter".
        step_px: side of one cell: the spacing of the lattice, or the typical distance between neighbouring points.
        direction: unit vector (dy, dx) of a line; (0, 0) otherwise.
        along_px: signed position of every move on its line; empty otherwise.
    """

    kind: Literal["lattice", "line", "scatter"]
    step_px: float
    direction: tuple[float, float] = (0.0, 0.0)
    along_px: tuple[float, ...] = ()


def lie(offsets_px: Sequence[Sequence[float]]) -> Lie:
    """The layout of these moves.

    >>> lie([[0, 0], [0, 1], [1, 0], [1, 1]]).kind
    'lattice'
    >>> lie([[0, 0], [1, 1], [2, 2]]).along_px
    (0.0, 1.414, 2.828)
    >>> lie([[-1, 0], [0, 1], [1, 0], [0, -1]]).kind
    'scatter'
    """
    points = [(float(dy), float(dx)) for dy, dx in offsets_px]
    downs, rights = sorted({dy for dy, _ in points}), sorted({dx for _, dx in points})
    # As many different points as crossings: every crossing is there, once.
    if len(downs) > 1 and len(rights) > 1 and len(set(points)) == len(points) == len(downs) * len(rights):
        step = _even(downs), _even(rights)
        # Cells are drawn as squares.
        if step[0] and step[1] and math.isclose(step[0], step[1], rel_tol=1e-6):
            return Lie("lattice", step[0])
    direction = _straight(points)
    if direction and len(set(points)) > 2:
        along = tuple(round(dy * direction[0] + dx * direction[1], 3) for dy, dx in points)
        return Lie("line", _even(sorted(set(along))) or 1.0, direction, along)
    reach = max((max(abs(dy), abs(dx)) for dy, dx in points), default=0.0)
    # n points spread evenly over a square of side 2 r lie about 2 r / sqrt(n) apart.
    return Lie("scatter", max(1.0, 2 * reach / max(1.0, math.sqrt(len(points)))) if points else 1.0)


def _even(values: list[float]) -> float | None:
    """The common distance of ascending values, or None."""
    gaps = [b - a for a, b in itertools.pairwise(values)]
    return gaps[0] if gaps and all(math.isclose(g, gaps[0], rel_tol=1e-6, abs_tol=1e-9) for g in gaps) else None


def _straight(points: list[tuple[float, float]]) -> tuple[float, float] | None:
    """The direction of the line through the origin on which every point lies, if there is one; mostly forward."""
    far = max(points, key=lambda p: math.hypot(*p), default=(0.0, 0.0))
    length = math.hypot(*far)
    if not length:
        return None
    dy, dx = far[0] / length, far[1] / length
    # The cross product with the direction: the distance from the line.
    if any(abs(p[0] * dx - p[1] * dy) > 1e-6 * max(1.0, length) for p in points):
        return None
    backwards = sum(p[0] * dy + p[1] * dx for p in points) < 0
    return (-dy, -dx) if backwards else (dy, dx)


def binned(
    offsets_px: Sequence[Sequence[float]], values: Sequence[float | None], most_cells: int
) -> tuple[list[list[float | None]], tuple[float, float, float, float]]:
    """A small raster of the map, with (dy0, dy1, dx0, dx1): rows from the lowest dy down, None in cells without a move.

    Each cell is the mean of the moves in it. Whole-pixel sets that fit get one cell per pixel; wider sets share at
    most `most_cells` x `most_cells` cells.

    >>> binned([[0, 0], [0, 1], [1, 0]], [1.0, 0.5, None], 9)
    ([[1.0, 0.5], [None, None]], (0.0, 1.0, 0.0, 1.0))
    """
    ends = [f(float(o[axis]) for o in offsets_px) for axis in (0, 1) for f in (min, max)]
    span = [ends[1] - ends[0], ends[3] - ends[2]]
    shape = lie(offsets_px)
    step = shape.step_px if shape.kind == "lattice" else 1.0
    step = max(step, max(span) / (most_cells - 1)) if max(span) else 1.0
    size = [round(s / step) + 1 for s in span]
    sums = [[0.0] * size[1] for _ in range(size[0])]
    counts = [[0] * size[1] for _ in range(size[0])]
    for (dy, dx), value in zip(offsets_px, values, strict=True):
        if value is not None:
            row, column = round((dy - ends[0]) / step), round((dx - ends[2]) / step)
            sums[row][column] += value
            counts[row][column] += 1
    means = zip(sums, counts, strict=True)
    raster = [[s / c if c else None for s, c in zip(row, number, strict=True)] for row, number in means]
    return raster, (ends[0], ends[1], ends[2], ends[3])
