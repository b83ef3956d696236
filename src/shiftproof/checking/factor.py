"""Dimensions split and merged: what `view`, `flatten` and pixel shuffle do to atoms. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from shiftproof.checking.types import Atom, Block, Dim, Reach, inert, size


class UnfactorableError(Exception):
    """Sizes across which the blocks of a dimension cannot be shared out."""


def canonical(dim: Sequence[Block]) -> Dim:
    """Blocks with inert neighbours merged, and inert ones merged into the spatial atom on their left.

    Index j of a stride r and index q of k behind it make index j * k + q; rolling j by v / r rolls it by v / (r / k).

    >>> canonical((Atom(2), Atom(3)))
    (Atom(size=6, axis=None, stride=Fraction(0, 1), period=0, reach=Reach(before=0, after=0, first=Fraction(0, 1), \
last=Fraction(0, 1))),)
    """
    done: list[Block] = []
    for block in dim:
        if block.size == 1 and not block.axes:
            continue
        last = done[-1] if done else None
        if isinstance(block, Atom) and block.axis is None and isinstance(last, Atom):
            done[-1] = _finer(last, block.size) if last.axis else Atom(last.size * block.size)
        else:
            done.append(block)
    return tuple(done)


def _finer(atom: Atom, k: int) -> Atom:
    stride = atom.stride / k
    reach = atom.reach
    seen = Reach(reach.before * k, reach.after * k, reach.first - (k - 1) * stride, reach.last)
    return Atom(atom.size * k, atom.axis, stride, atom.period * k, seen)


def _coarser(atom: Atom, k: int) -> Atom:
    reach = atom.reach
    seen = Reach(-(-reach.before // k), -(-reach.after // k), reach.first, reach.last + (k - 1) * atom.stride)
    return Atom(atom.size // k, atom.axis, atom.stride * k, atom.period // k, seen)


def shared(dims: Sequence[Dim], sizes: Sequence[int]) -> tuple[list[Dim], list[tuple[str, Fraction]]]:
    """Dimensions with the same indices in the same order, but of other sizes, as `view` makes them.

    A spatial atom of stride r whose inner k indices go elsewhere becomes one of stride r * k: the moves that remain are
    multiples of that.

    Args:
        dims: before.
        sizes: after; the same product.

    Returns:
        The dimensions after, and the strides (axis, pixels) to whose multiples the step must grow.

    Raises:
        UnfactorableError: indices of different atoms would be mixed.
    """
    done: list[Dim] = []
    strides: list[tuple[str, Fraction]] = []
    at = 0
    for group, wanted in _groups([size(d) for d in dims], sizes):
        own = dims[at : at + group]
        at += group
        if sum(size(d) != 1 for d in own) == 1 and sum(n != 1 for n in wanted) == 1:
            kept = next(d for d in own if size(d) != 1)
            done += [kept if n != 1 else () for n in wanted]
        else:
            found, more = _split([b for d in own for b in d], wanted)
            done += found
            strides += more
    return done, strides


def _groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[int, list[int]]]:
    """The finest runs of sizes with equal products: (how many before, sizes after)."""
    runs: list[tuple[int, list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        count, wanted, left, right = 0, [], 1, 1
        while True:
            if left <= right and i < len(before) and (count == 0 or left < right):
                left, i, count = left * before[i], i + 1, count + 1
            elif j < len(after) and (right < left or not wanted):
                right, j = right * after[j], j + 1
                wanted.append(after[j - 1])
            else:
                break
            if left == right and count and wanted:
                break
        if left != right:
            raise UnfactorableError("sizes of another product")
        if count == 0 or not wanted:  # ones at the end belong to the run before
            if runs:
                runs[-1] = (runs[-1][0] + count, runs[-1][1] + wanted)
            else:
                runs.append((count, wanted))
            continue
        runs.append((count, wanted))
    return runs


def _split(blocks: Sequence[Block], sizes: Sequence[int]) -> tuple[list[Dim], list[tuple[str, Fraction]]]:
    """Blocks shared out to sizes from the outside in."""
    todo = list(reversed(canonical(blocks)))
    done: list[Dim] = []
    strides: list[tuple[str, Fraction]] = []
    for wanted in sizes:
        left, own = wanted, []
        while left > 1:
            block = todo.pop()
            if left % block.size == 0:
                own.append(block)
                left //= block.size
            elif isinstance(block, Atom) and block.size % left == 0:
                k = block.size // left
                if block.axis is None:
                    own.append(Atom(left))
                else:
                    if block.period % k:
                        raise UnfactorableError(f"{block.period} cells of the circle in groups of {k}")
                    outer = _coarser(block, k)
                    own.append(outer)
                    strides.append((block.axis, outer.stride))
                todo.append(Atom(k))
                left = 1
            else:
                raise UnfactorableError(f"{block.size} cells into {wanted}")
        done.append(canonical(own))
    return done, strides


def finer(dim: Dim, k: int) -> Dim:
    """Each index repeated or refined k times, next to itself: what pixel shuffle and nearest upsampling make.

    >>> size(finer(inert(3), 2))
    6
    """
    return canonical((*dim, *inert(k)))
