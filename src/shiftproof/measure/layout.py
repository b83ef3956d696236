"""Where the cells of a tensor lie in the picture: rows, columns and stride, followed from operator to operator.

A tensor's dimension is a product of atoms: of the batch, of rows (y) or columns (x) with their stride in pixels, or of
anything else (channels). Reshaping regroups atoms, permuting reorders them, a strided operator changes their stride. A
dimension of h rows split into windows gives two atoms: h/s windows of stride s r, and s rows inside of stride r; put
together again they are the h rows. So maps in any order of dimensions (NHWC too), tokens and windows are all followed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

SPATIAL = ("y", "x")


class Atom(NamedTuple):
    """A factor of a dimension: `axis` n (batch), y, x, ? (both, entangled) or none (channels); `stride` in px a cell."""

    axis: str
    size: int
    stride: Fraction = Fraction(0)


Dim = tuple[Atom, ...]


@dataclass(frozen=True)
class Layout:
    """Where a tensor's cells lie.

    Args:
        dims: the atoms of each dimension, outermost first.
        grid: the least common multiple of the strides (y, x), in px, of the maps that this tensor was made of; 0: none.
    """

    dims: tuple[Dim, ...]
    grid: tuple[Fraction, Fraction]

    def axis(self, axis: str) -> tuple[int, Atom] | None:
        """(dimension, atom) of the coarsest rows (or columns); None where there are none; dimension -1 if not alone."""
        found = [(d, a) for d, dim in enumerate(self.dims) for a in dim if a.axis in (axis, "?") and a.size > 1]
        if not found:
            return None
        if any(a.axis == "?" for _, a in found):
            return -1, Atom("?", 0)
        d, atom = max(found, key=lambda f: f[1].stride)
        return (d if len(self.dims[d]) == 1 else -1), atom

    @property
    def is_comparable(self) -> bool:
        """Whether the batch is the first dimension, and rows and columns (if any) have one each to themselves."""
        alone = all((found := self.axis(axis)) is None or found[0] > 0 for axis in SPATIAL)
        return alone and bool(self.dims) and [a.axis for a in self.dims[0]] == ["n"]


def picture(size: Sequence[int]) -> Layout:
    """The layout of the picture (n, c, h, w) itself: one pixel a cell."""
    one = Fraction(1)
    n, c, h, w = size
    return Layout(
        tuple(merged(d) for d in ([Atom("n", n)], [Atom("", c)], [Atom("y", h, one)], [Atom("x", w, one)])), (one, one)
    )


class Unknown(Exception):  # noqa: N818 - not an error: the layer is skipped
    """The operator's output cannot be placed."""


# ---- dimensions ------------------------------------------------------------------------------------------------------


def plain(size: int) -> Dim:
    """A dimension of channels."""
    return (Atom("", int(size)),)


def size_of(dim: Dim) -> int:
    """How long a dimension is."""
    return math.prod(a.size for a in dim)


def is_labelled(dim: Dim) -> bool:
    """Whether a dimension holds anything but channels."""
    return any(a.axis for a in dim)


def coarsest(dims: Sequence[Dim], axis: str) -> Fraction:
    """The widest stride along an axis, in px; 0 where there are no rows, or only one: nothing can move."""
    return max((a.stride for dim in dims for a in dim if a.axis == axis and a.size > 1), default=Fraction(0))


def common(strides: Sequence[Fraction]) -> Fraction:
    """The least common multiple of those that are not 0."""
    there = {s for s in strides if s}
    bottom = math.lcm(*(s.denominator for s in there))
    return Fraction(math.lcm(*(int(s * bottom) for s in there)), bottom) if there else Fraction(0)


def merged(dim: Sequence[Atom]) -> Dim:
    """Neighbouring atoms that are one again: windows and the cells inside them, channels and channels."""
    out: list[Atom] = []
    for a in dim:
        last = out[-1] if out else None
        if a.size == 1 and a.axis != "n":
            continue
        if last and not last.axis and not a.axis:
            out[-1] = Atom("", last.size * a.size)
        elif last and last.axis == a.axis and a.axis in SPATIAL and last.stride == a.stride * a.size:
            out[-1] = Atom(a.axis, last.size * a.size, a.stride)
        else:
            out.append(a)
    return tuple(out) or (next((a for a in dim if a.axis), Atom("", 1)),)


def resized(dim: Dim, size: int, factor: Fraction) -> Dim:
    """The dimension with another number of cells, each `factor` times as wide."""
    if size == size_of(dim) and factor == 1:
        return dim
    if not is_labelled(dim):
        return plain(size)
    atom = dim[-1]
    if len(dim) > 1 or atom.axis not in SPATIAL:
        return (Atom("?", size),)
    return (Atom(atom.axis, size, atom.stride * factor),)


def regrouped(dims: Sequence[Dim], shape: Sequence[int]) -> list[Dim]:
    """The same atoms, in the same order, cut into other dimensions."""
    atoms = [a for dim in dims for a in dim]
    out: list[list[Atom]] = []
    for size in shape:
        need, dim = int(size), []
        while atoms and (need > 1 or (not dim and atoms[0].size == 1)):
            a = atoms.pop(0)
            if need % a.size:
                if a.size % need or a.axis == "?":
                    raise Unknown
                inside = a.size // need
                atoms.insert(0, Atom(a.axis, inside, a.stride))
                a = Atom(a.axis, need, a.stride * inside)
            need //= a.size
            dim.append(a)
        out.append(dim)
    return [merged(d) for d in out]


def joined(layouts: Sequence[tuple[Dim, ...]], shape: Sequence[int]) -> list[Dim]:
    """Dimensions of a broadcast: labelled ones prevail; two that disagree are entangled."""
    out: list[Dim] = []
    for k in range(1, len(shape) + 1):
        size = int(shape[-k])
        here = {dims[-k] for dims in layouts if len(dims) >= k and size_of(dims[-k]) == size and is_labelled(dims[-k])}
        out.append(here.pop() if len(here) == 1 else (Atom("?", size),) if here and size > 1 else plain(size))
    return out[::-1]


def same_or_scaled(there: Sequence[Layout], shape: Sequence[int]) -> list[Dim]:
    """The default: pointwise if the sizes broadcast, else strides from whole ratios of sizes."""
    pointwise = [
        i.dims
        for i in there
        if len(i.dims) <= len(shape)
        and all(size_of(a) in (1, s) for a, s in zip(i.dims[::-1], shape[::-1], strict=False))
    ]
    if pointwise:
        return joined(pointwise, shape)
    first = next((i.dims for i in there if len(i.dims) == len(shape)), None)
    if first is None:
        raise Unknown
    return [rescaled(dim, int(size), whole=True) for dim, size in zip(first, shape, strict=True)]


def rescaled(dim: Dim, size: int, *, whole: bool = False) -> Dim:
    """The dimension resized so that it covers the same pixels."""
    before = size_of(dim)
    if size == 0 or (whole and is_labelled(dim) and before % size and size % before):
        raise Unknown
    return resized(dim, size, Fraction(before, size))
