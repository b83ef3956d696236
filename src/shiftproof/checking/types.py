"""How a tensor moves when the picture moves: atoms, steps and margins. Immutable; no torch.

A `Signal` of step s says: for every move v along an axis that is a multiple of s, the tensor of the moved picture is the
tensor of the picture with every atom of that axis rolled by v / stride cells. It holds in the circular world, in exact
arithmetic, as long as no finding stands on the way. `Reach` carries what the other two worlds need.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, prod
from typing import TypeAlias

AXES = ("y", "x")


@dataclass(frozen=True)
class Reach:
    """What a cell of an atom can see: cell j sees pixels j * stride + first ... j * stride + last.

    Args:
        before: cells at the low end that padding (or what a wrap brought round) can reach.
        after: the same at the high end.
        first: first pixel seen by cell 0, in pixels of the picture.
        last: last pixel seen by cell 0.
    """

    before: int = 0
    after: int = 0
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)

    def joined(self, other: Reach) -> Reach:
        """The reach of a cell that is made of two: the larger margins, the wider view.

        >>> Reach(1, 0, Fraction(-1), Fraction(1)).joined(Reach(0, 2)) == Reach(1, 2, Fraction(-1), Fraction(1))
        True
        """
        return Reach(
            max(self.before, other.before),
            max(self.after, other.after),
            min(self.first, other.first),
            max(self.last, other.last),
        )

    def strided(
        self, cells: int, stride: Fraction, kernel: int, by: int, pads: tuple[int, int], dilation: int
    ) -> Reach:
        """The reach after a window of `kernel` cells walks over `cells` cells, `by` at a time, with padding.

        a' = ceil((a + p) / s);  b' = n' - 1 - floor((n - b - 1 + p - d (k - 1)) / s)

        Args:
            cells: n, before.
            stride: pixels a cell, before.
            kernel: k, cells.
            by: s, cells.
            pads: (p, at the low end; at the high end), cells.
            dilation: d.

        >>> Reach().strided(8, Fraction(1), 3, 1, (1, 1), 1)
        Reach(before=1, after=1, first=Fraction(-1, 1), last=Fraction(1, 1))
        """
        low, high = pads
        span = dilation * (kernel - 1)
        count = (cells + low + high - span - 1) // by + 1
        before = ceil(Fraction(self.before + low, by))
        after = count - 1 - floor(Fraction(cells - self.after - 1 + low - span, by))
        first, last = self.first - low * stride, self.last + (span - low) * stride
        return Reach(min(max(before, 0), count), min(max(after, 0), count), first, last)


@dataclass(frozen=True)
class Atom:
    """One factor of a dimension: inert (axis None), or spatial: its index moves with the picture.

    Args:
        size: number of indices.
        axis: "y", "x" or None.
        stride: pixels that one index stands for.
        period: cells after which the content repeats; smaller than `size` after circular padding.
        reach: what a cell sees; takes no part in comparing atoms.
    """

    size: int
    axis: str | None = None
    stride: Fraction = Fraction(0)
    period: int = 0
    reach: Reach = Reach()

    def same(self, other: Block) -> bool:
        """Whether two atoms move alike, whatever they see."""
        return isinstance(other, Atom) and replace(self, reach=Reach()) == replace(other, reach=Reach())

    @property
    def wrapped(self) -> bool:
        """Whether there are more cells than the circle has."""
        return self.axis is not None and self.size != self.period

    @property
    def axes(self) -> frozenset[str]:
        """The axes along which the block moves."""
        return frozenset() if self.axis is None else frozenset({self.axis})


@dataclass(frozen=True)
class Join:
    """Dimensions laid end to end (a class token before the patches); each part moves in itself."""

    parts: tuple[Dim, ...]

    @property
    def size(self) -> int:
        """Number of indices."""
        return sum(size(p) for p in self.parts)

    @property
    def axes(self) -> frozenset[str]:
        """The axes along which some part moves."""
        return frozenset().union(*(axes(p) for p in self.parts))

    def same(self, other: Block) -> bool:
        """Whether two joins move alike."""
        return (
            isinstance(other, Join)
            and len(self.parts) == len(other.parts)
            and all(alike(a, b) for a, b in zip(self.parts, other.parts, strict=True))
        )


Block: TypeAlias = Atom | Join
Dim: TypeAlias = tuple[Block, ...]


@dataclass(frozen=True)
class Witness:
    """A choice that the content made: what was sampled at it moves by whole cells, but by how many the content says.

    A tensor with a witness is what the picture gives, moved by some multiple of its step (the same for all tensors with that
    witness), for every move of the picture that is a multiple of the witness's step.

    Args:
        key: names the choice.
        step: moves of the picture along (y, x) are multiples of this, in pixels.
    """

    key: str
    step: tuple[int, int]


@dataclass(frozen=True)
class Signal:
    """A tensor that depends on the picture.

    Args:
        dims: each dimension as an ordered product of blocks, the outer first; () has size 1.
        step: moves along (y, x) are multiples of this, in pixels.
        whole: axes along which some cell has seen the whole picture, as after a mean over the map.
        lost: axes along which a finding ended the proof in every world and dimensions stopped to move; what is said
            about them after it is a guess at the mended network, and no mismatch there is worth another finding.
        witness: what the tensor keeps for smaller moves than its step, where the content chose what was sampled.
    """

    dims: tuple[Dim, ...]
    step: tuple[int, int] = (1, 1)
    whole: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    witness: Witness | None = None

    @property
    def real_step(self) -> tuple[int, int]:
        """The step as the witness knows it: a tensor that does not move is the same for every multiple of it."""
        return self.step if self.witness is None else self.witness.step

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return tuple(size(d) for d in self.dims)

    @property
    def axes(self) -> frozenset[str]:
        """The axes along which the tensor moves."""
        return frozenset().union(*(axes(d) for d in self.dims))


@dataclass(frozen=True)
class Constant:
    """A tensor that does not depend on the picture; `name` is the node that holds it."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Unknown:
    """A tensor behind an operator without a rule: nothing is claimed."""

    operator: str


@dataclass(frozen=True)
class Choice:
    """The phases at which the content chose to sample a map: numbers that only the sampling and its inverse understand.

    Args:
        key: names the choice.
        before: rows and columns of the map that was sampled.
        mover: key of the choice with which that map itself moves, "" if it moves with the picture.
        step: moves (y, x) that leave the phases as they are are multiples of this.
        real_step: moves for which they are known to follow the content.
    """

    key: str
    before: tuple[Dim, ...]
    mover: str
    step: tuple[int, int]
    real_step: tuple[int, int]


Known: TypeAlias = Signal | Constant
Type: TypeAlias = Known | Unknown | Choice


def inert(n: int) -> Dim:
    """A dimension of n indices that do not move; () for one.

    >>> inert(1), inert(3)[0].size
    ((), 3)
    """
    return () if n == 1 else (Atom(n),)


def spatial(axis: str, n: int, stride: Fraction | int = 1, *, period: int | None = None, reach: Reach = Reach()) -> Dim:
    """A dimension along an axis; one cell alone does not move.

    >>> spatial("y", 4)[0].axis
    'y'
    >>> spatial("y", 1)
    ()
    """
    period = n if period is None else period
    if n == 1 and period == 1:
        return ()
    return (Atom(n, axis, Fraction(stride), period, reach),)


def size(dim: Dim) -> int:
    """Number of indices of a dimension."""
    return prod(b.size for b in dim)


def axes(dim: Dim) -> frozenset[str]:
    """The axes along which a dimension moves."""
    return frozenset().union(*(b.axes for b in dim))


def alike(one: Dim, other: Dim) -> bool:
    """Whether two dimensions move alike."""
    return len(one) == len(other) and all(a.same(b) for a, b in zip(one, other, strict=True))


def atoms(dims: Sequence[Dim]) -> Iterator[Atom]:
    """Every atom, those inside joins too."""
    for dim in dims:
        for block in dim:
            if isinstance(block, Atom):
                yield block
            else:
                yield from atoms(block.parts)


def only(dim: Dim) -> Atom | None:
    """The one spatial atom that a dimension consists of, or None.

    >>> only(inert(3)), only(spatial("x", 5)).axis
    (None, 'x')
    """
    return dim[0] if len(dim) == 1 and isinstance(dim[0], Atom) and dim[0].axis else None


def merged_reach(one: Dim, other: Dim) -> Dim:
    """The first of two dimensions that move alike, each atom with the joined reach of both."""
    return tuple(
        replace(a, reach=a.reach.joined(b.reach))
        if isinstance(a, Atom) and isinstance(b, Atom)
        else Join(tuple(merged_reach(p, q) for p, q in zip(a.parts, b.parts, strict=True)))
        if isinstance(a, Join) and isinstance(b, Join)
        else a
        for a, b in zip(one, other, strict=True)
    )


def grown(step: int, stride: Fraction) -> int:
    """lcm(step, stride): the smallest multiple of the step that is a whole number of cells.

    >>> grown(4, Fraction(6)), grown(2, Fraction(1, 2)), grown(1, Fraction(3, 2))
    (12, 2, 3)
    """
    return step * (Fraction(step) / stride).denominator


def with_step(signal: Signal, axis: str, step: int) -> Signal:
    """The signal, known only for moves along the axis that are multiples of the step too."""
    i = AXES.index(axis)
    steps = list(signal.step)
    steps[i] = grown(steps[i], Fraction(step))
    same = (steps[0], steps[1]) == signal.step  # a coarser step is one that the content's choice does not keep
    return replace(signal, step=(steps[0], steps[1]), witness=signal.witness if same else None)


def joined(dims: Sequence[Dim], signals: Sequence[Signal]) -> Signal:
    """A signal of the given dimensions, made of several: lcm of their steps, union of what they saw and lost.

    >>> joined([inert(2)], [Signal((inert(2),), (4, 1)), Signal((inert(2),), (6, 1))]).step
    (12, 1)
    """
    moving = {s.witness.key if s.witness else "" for s in signals if s.axes}
    plain = [s.real_step if moving == {""} and not s.axes else s.step for s in signals]
    witness = None
    if len(moving) <= 1 and moving != {""} and any(s.witness for s in signals):
        witness = Witness(next(iter(moving), ""), common([s.real_step for s in signals]))
    whole = frozenset[str]().union(*(s.whole for s in signals))
    lost = frozenset[str]().union(*(s.lost for s in signals))
    return Signal(tuple(dims), common(plain), whole, lost, witness)


def common(steps: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The smallest moves that are multiples of all steps, along each axis.

    >>> common([(4, 1), (6, 1)])
    (12, 1)
    """
    y = x = 1
    for s in steps:
        y, x = grown(y, Fraction(s[0])), grown(x, Fraction(s[1]))
    return y, x


def apart(signals: Sequence[Signal]) -> bool:
    """Whether maps are put together of which each was sampled at a choice of its own."""
    moving = {s.witness.key if s.witness else "" for s in signals if s.axes}
    return len(moving) > 1


def gathered(dim: Dim, axis: str) -> list[int]:
    """For each index of a dimension, the index with all atoms of the axis at their first cell.

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
    """Where each index of a dimension takes its content from when the picture moves by `move` pixels along the axis.

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
                raise ValueError(f"a move by {move} px is no whole number of cells of {block.stride} px")
            inner = [(i - int(cells)) % block.period for i in range(block.size)]
        else:
            inner = list(range(block.size))
        sources = [o * block.size + i for o in sources for i in inner]
    return sources
