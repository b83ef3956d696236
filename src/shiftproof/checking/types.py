"""How a tensor moves when the picture moves: atoms, steps and margins. Every value is immutable; torch is not imported.

A `Signal` of step s states: for every move v along an axis that is a multiple of s, the tensor of the moved picture equals
the tensor of the picture with every atom of that axis rolled by v / stride cells. The statement holds in the circular
world, in exact arithmetic, if no finding lies on the way. `Reach` holds what the window and the canvas world need.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import TypeAlias

from shiftproof.checking.reach import Reach

AXES = ("y", "x")
ITSELF = Reach()  # of a cell that sees the pixels of its own place


@dataclass(frozen=True)
class Atom:
    """One factor of a dimension. It is inert (axis None), or spatial: its index moves with the picture.

    Args:
        size: number of indices.
        axis: "y", "x" or None.
        stride: pixels per index.
        period: number of cells after which the content repeats; smaller than `size` after circular padding.
        reach: what a cell sees; `same` ignores it.
        uniform: of an inert factor: whether the tensor is the same at each of its indices, as after `expand`. It then moves
            in any way that is wanted.
        phase: of an inert factor: the axis whose cells it numbers within a group, see `Group`.
    """

    size: int
    axis: str | None = None
    stride: Fraction = Fraction(0)
    period: int = 0
    reach: Reach = ITSELF
    uniform: bool = False
    phase: str | None = None

    def same(self, other: Block) -> bool:
        """Whether two atoms move in the same way; what they see is not compared."""
        # Two branches of a residual block have different receptive fields and still add up cell by cell.
        return isinstance(other, Atom) and replace(self, reach=ITSELF) == replace(other, reach=ITSELF)

    @property
    def wrapped(self) -> bool:
        """Whether the atom has more cells than the circle: circular padding repeated some of them."""
        return self.axis is not None and self.size != self.period

    @property
    def axes(self) -> frozenset[str]:
        """The axes along which the atom moves."""
        return frozenset() if self.axis is None else frozenset({self.axis})


@dataclass(frozen=True)
class Join:
    """Dimensions laid end to end, such as a class token before the patches; each part moves within itself."""

    parts: tuple[Dim, ...]

    @property
    def size(self) -> int:
        """Number of indices."""
        return sum(size(p) for p in self.parts)

    @property
    def axes(self) -> frozenset[str]:
        """The axes along which at least one part moves."""
        return frozenset().union(*(axes(p) for p in self.parts))

    def same(self, other: Block) -> bool:
        """Whether two joins move in the same way."""
        return (
            isinstance(other, Join)
            and len(self.parts) == len(other.parts)
            and all(alike(a, b) for a, b in zip(self.parts, other.parts, strict=True))
        )


Block: TypeAlias = Atom | Join
Dim: TypeAlias = tuple[Block, ...]


@dataclass(frozen=True)
class Witness:
    """A sampling phase that the content chose: the sampled map moves by whole cells, and the content decides by how many.

    For every move of the picture that is a multiple of the witness's step, the tensor is the same as for the unmoved picture
    up to a move by some multiple of its own step. All tensors with this witness move by the same multiple.

    Args:
        key: name of the choice.
        step: (y, x) in pixels; the moves are multiples of it.
    """

    key: str
    step: tuple[int, int]


@dataclass(frozen=True)
class Wave:
    """A dimension of frequencies: a move by v pixels turns index i by the phase -2 pi numbers[i] v / (stride period).

    Args:
        at: which dimension.
        atom: the positions that were transformed; its stride and its period count here.
        numbers: of each index, mod the period; None where the tensor is 0 whatever the picture is.
        where: (module, source, operator, node) of the transform.
    """

    at: int
    atom: Atom
    numbers: tuple[int | None, ...]
    where: tuple[str, str, str, str]


@dataclass(frozen=True)
class Group:
    """Cells of an axis that were put into groups: together, the groups are still all cells.

    What is the same for every order of the cells, taken over the groups and what is left within them, is known for more moves
    than the tensor: the mean over all windows of the means of windows is the mean of the map.

    Args:
        axis: "y" or "x".
        step: pixels; the moves for which the cells are known if they are taken together.
        kind: what was taken of each group: "mean", "max", "min", or "" while all its cells are there.
        inside: number of cells that are left within a group, in factors with this `phase`.
        nodes: operators that made the groups.
    """

    axis: str
    step: int
    kind: str
    inside: int
    nodes: frozenset[str]


@dataclass(frozen=True)
class Signal:
    """A tensor that depends on the picture.

    Args:
        dims: each dimension as an ordered product of blocks, outermost first; () has size 1.
        step: (y, x) in pixels; the moves are multiples of it.
        whole: axes along which some cell has seen the whole picture, as after a mean over the map.
        lost: axes along which a finding ended the proof in every world and a dimension no longer moves. After such a
            finding the type describes a repaired network, so a mismatch along these axes is not reported again.
        witness: what is known about moves smaller than the step, where the content chose the sampling phase.
        waves: dimensions of frequencies, one for each axis at most; without them no other dimension says how it moves.
        groups: for each axis, what is known if its cells are taken together again.
    """

    dims: tuple[Dim, ...]
    step: tuple[int, int] = (1, 1)
    whole: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    witness: Witness | None = None
    waves: tuple[Wave, ...] = ()
    groups: tuple[Group, ...] = ()

    @property
    def real_step(self) -> tuple[int, int]:
        """The witness's step where there is one: a tensor that does not move is the same for every multiple of it."""
        # Up to a move by its own cells the tensor is known for the witness's moves; one
        # that does not move has none to be moved by.
        return self.step if self.witness is None else self.witness.step

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each dimension."""
        return tuple(size(d) for d in self.dims)

    @property
    def axes(self) -> frozenset[str]:
        """The axes along which the tensor moves."""
        return frozenset().union(*(axes(d) for d in self.dims))


@dataclass(frozen=True)
class Constant:
    """A tensor that does not depend on the picture; `name` is the node that computes it."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Unknown:
    """A tensor computed by an operator that no rule could judge: nothing is claimed about it."""

    operator: str


@dataclass(frozen=True)
class Choice:
    """The sampling phases that the content chose for a map. Only sampling and its inverse can use these numbers.

    Args:
        key: name of the choice.
        before: rows and columns of the map that was sampled.
        mover: key of the choice with which that map itself moves; "" if it moves with the picture.
        step: (y, x) in pixels; moves by multiples of it leave the phases unchanged.
        real_step: (y, x) in pixels; for moves by multiples of it the phases follow the content.
    """

    key: str
    before: tuple[Dim, ...]
    mover: str
    step: tuple[int, int]
    real_step: tuple[int, int]


@dataclass(frozen=True)
class Origin:
    """The cell of a map where the picture begins, or its phase on a grid: it moves with the content, which chose it.

    Args:
        key: name of the choice.
        before: rows and columns of the map.
        step: (y, x) in pixels; for moves by multiples of it the origin moves by as many whole cells.
        grid: (rows, columns) of the grid whose phase it is; None for the cell itself.
    """

    key: str
    before: tuple[Dim, ...]
    step: tuple[int, int]
    grid: tuple[int, ...] | None = None


Known: TypeAlias = Signal | Constant
Type: TypeAlias = Known | Unknown | Choice | Origin


def inert(n: int) -> Dim:
    """A dimension of n indices that do not move; () for n = 1.

    >>> inert(1), inert(3)[0].size
    ((), 3)
    """
    return () if n == 1 else (Atom(n),)


def uniform(n: int) -> Dim:
    """A dimension of n indices at each of which the tensor is the same; () for n = 1.

    >>> is_uniform(uniform(3)), is_uniform(uniform(1)), is_uniform(inert(3))
    (True, True, False)
    """
    return () if n == 1 else (Atom(n, uniform=True),)


def is_uniform(dim: Dim) -> bool:
    """Whether a tensor is the same at every index of a dimension; a single index counts as such."""
    return all(isinstance(b, Atom) and b.uniform for b in dim)


def varying(dim: Dim) -> Dim:
    """The dimension without what is known of its indices beyond how they move."""
    found: list[Block] = []
    for b in dim:
        plain = Join(tuple(varying(p) for p in b.parts)) if isinstance(b, Join) else _forgotten(b)
        last = found[-1] if found else None
        # Inert neighbours are one factor, as in `factor.canonical`.
        if isinstance(plain, Atom) and isinstance(last, Atom) and plain.axis is None and last.axis is None:
            found[-1] = Atom(last.size * plain.size)
        else:
            found.append(plain)
    return tuple(found)


def _forgotten(atom: Atom) -> Atom:
    return replace(atom, uniform=False, phase=None)


def spatial(axis: str, n: int, stride: Fraction | int = 1, *, period: int | None = None, reach: Reach = ITSELF) -> Dim:
    """A dimension along an axis; a single cell does not move and gives ().

    >>> spatial("y", 4)[0].axis
    'y'
    >>> spatial("y", 1)
    ()
    """
    period = n if period is None else period
    # One cell has no neighbour to move to. With a longer period it is what a crop
    # left of a circle, and `single` reports it.
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
    """Whether two dimensions move in the same way."""
    return len(one) == len(other) and all(a.same(b) for a, b in zip(one, other, strict=True))


def atoms(dims: Sequence[Dim]) -> Iterator[Atom]:
    """Every atom, including those inside joins."""
    for dim in dims:
        for block in dim:
            if isinstance(block, Atom):
                yield block
            else:
                yield from atoms(block.parts)


def only(dim: Dim) -> Atom | None:
    """The spatial atom, if the dimension consists of exactly one; else None.

    >>> only(inert(3)), only(spatial("x", 5)).axis
    (None, 'x')
    """
    return dim[0] if len(dim) == 1 and isinstance(dim[0], Atom) and dim[0].axis else None


def merged_reach(one: Dim, other: Dim) -> Dim:
    """The first of two dimensions that move in the same way; each atom has the joined reach of both."""
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
    # step / stride = p / q in lowest terms: q is the smallest factor that makes it a whole number of cells.
    return step * (Fraction(step) / stride).denominator


def with_step(signal: Signal, axis: str, step: int) -> Signal:
    """The signal, known only for moves along the axis that are also multiples of `step`."""
    i = AXES.index(axis)
    steps = list(signal.step)
    steps[i] = grown(steps[i], Fraction(step))
    same = (steps[0], steps[1]) == signal.step  # the content's choice does not hold at a coarser step
    return replace(signal, step=(steps[0], steps[1]), witness=signal.witness if same else None)


def joined(dims: Sequence[Dim], signals: Sequence[Signal]) -> Signal:
    """A signal of the given dimensions, computed from several: the lcm of their steps, the unions of `whole` and `lost`.

    >>> joined([inert(2)], [Signal((inert(2),), (4, 1)), Signal((inert(2),), (6, 1))]).step
    (12, 1)
    """
    # Moving tensors fit together for the witness's finer moves only if one choice moves them all. Tensors that stand
    # still fit any: they bring in no key, but their own finer step.
    moving = {s.witness.key if s.witness else "" for s in signals if s.axes}
    plain = [s.real_step if moving == {""} and not s.axes else s.step for s in signals]
    witness = None
    if len(moving) <= 1 and moving != {""} and any(s.witness for s in signals):
        witness = Witness(next(iter(moving), ""), common([s.real_step for s in signals]))
    whole = frozenset[str]().union(*(s.whole for s in signals))
    lost = frozenset[str]().union(*(s.lost for s in signals))
    return Signal(tuple(dims), common(plain), whole, lost, witness)


def common(steps: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The smallest step along each axis that is a multiple of all steps.

    >>> common([(4, 1), (6, 1)])
    (12, 1)
    """
    y = x = 1
    for s in steps:
        y, x = grown(y, Fraction(s[0])), grown(x, Fraction(s[1]))
    return y, x


def apart(signals: Sequence[Signal]) -> bool:
    """Whether the signals that move were sampled at different choices of the content."""
    moving = {s.witness.key if s.witness else "" for s in signals if s.axes}
    return len(moving) > 1
