"""Splitting and merging dimensions: what `view`, `flatten` and pixel shuffle do to atoms. Torch is not imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from shiftproof.checking.types import Atom, Block, Dim, Reach, inert, is_uniform, size, uniform, varying


class UnfactorableError(Exception):
    """The blocks of a dimension cannot be distributed over the requested sizes."""


def canonical(dim: Sequence[Block]) -> Dim:
    """The blocks, with inert neighbours merged, and inert blocks merged into the spatial atom on their left.

    Index j of stride r followed by an inert index q of k makes index j * k + q: rolling j by v / r rolls it by v / (r / k).

    >>> canonical((Atom(2), Atom(3)))
    (Atom(size=6, axis=None, stride=Fraction(0, 1), period=0, reach=Reach(before=0, after=0, first=Fraction(0, 1), \
last=Fraction(0, 1)), uniform=False, phase=None),)
    """
    done: list[Block] = []
    for block in dim:
        if block.size == 1 and not block.axes:
            continue
        last = done[-1] if done else None
        if isinstance(block, Atom) and block.axis is None and isinstance(last, Atom) and _mixes(last, block):
            done[-1] = (
                _finer(last, block.size)
                if last.axis
                else replace(block, size=last.size * block.size, uniform=last.uniform and block.uniform)
            )
        else:
            done.append(block)
    return tuple(done)


def _mixes(last: Atom, block: Atom) -> bool:
    """Whether an inert factor becomes one with the factor on its left."""
    return bool(last.axis) or last.phase == block.phase


def _finer(atom: Atom, k: int) -> Atom:
    stride = atom.stride / k
    reach = atom.reach
    # Fine cell j k + q sees what coarse cell j saw, from its own place q fine cells further on: 0 to k - 1 of them.
    seen = Reach(reach.before * k, reach.after * k, reach.first - (k - 1) * stride, reach.last)
    return Atom(atom.size * k, atom.axis, stride, atom.period * k, seen)


def _coarser(atom: Atom, k: int) -> Atom:
    reach = atom.reach
    # A group sees what all its k cells see, and one dirty cell makes it dirty: rounded up.
    seen = Reach(-(-reach.before // k), -(-reach.after // k), reach.first, reach.last + (k - 1) * atom.stride)
    return Atom(atom.size // k, atom.axis, atom.stride * k, atom.period // k, seen)


def regroup(dims: Sequence[Dim], sizes: Sequence[int]) -> tuple[list[Dim], list[tuple[str, Fraction]]]:
    """Dimensions with the same indices in the same order under other sizes, as `view` makes them.

    A spatial atom of stride r whose inner k indices become another dimension turns into an atom of stride r * k: only moves
    by multiples of that remain.

    Args:
        dims: the dimensions before.
        sizes: the sizes after; their product is the same.

    Returns:
        The dimensions after, and the strides (axis, pixels) of which the step must become a multiple.

    Raises:
        UnfactorableError: the new sizes would mix indices of different atoms.
    """
    done: list[Dim] = []
    strides: list[tuple[str, Fraction]] = []
    at = 0
    for group, wanted in _groups([size(d) for d in dims], sizes):
        own = dims[at : at + group]
        at += group
        # Only sizes of 1 come or go. So a join, which cannot be divided, passes through `unsqueeze` written as a view.
        if sum(size(d) != 1 for d in own) == 1 and sum(n != 1 for n in wanted) == 1:
            kept = next(d for d in own if size(d) != 1)
            done += [kept if n != 1 else () for n in wanted]
        else:
            try:
                found, more = _split([b for d in own for b in d], wanted)
            except UnfactorableError:  # inert factors that were kept apart can be divided in any way as one
                found, more = _split([b for d in own for b in varying(d)], wanted)
            done += found
            strides += more
    return done, strides


def _groups(before: Sequence[int], after: Sequence[int]) -> list[tuple[int, list[int]]]:
    """The shortest runs of sizes with equal products, as (number of sizes before, sizes after)."""
    runs: list[tuple[int, list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        count, wanted, left, right = 0, [], 1, 1
        while True:
            # The side with the smaller product takes the next size, until both are equal: no shorter run can be.
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
            raise UnfactorableError("the sizes have a different product")
        if count == 0 or not wanted:  # sizes of 1 at the end belong to the run before
            if runs:
                runs[-1] = (runs[-1][0] + count, runs[-1][1] + wanted)
            else:
                runs.append((count, wanted))
            continue
        runs.append((count, wanted))
    return runs


def _split(blocks: Sequence[Block], sizes: Sequence[int]) -> tuple[list[Dim], list[tuple[str, Fraction]]]:
    """The blocks distributed over the sizes, from the outermost in."""
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
                    own.append(replace(block, size=left))
                else:
                    # Nine cells around a circle of eight make three groups of three, but
                    # no number of such groups closes the circle.
                    if block.period % k:
                        raise UnfactorableError(f"{block.period} cells of the circle do not form groups of {k}")
                    outer = _coarser(block, k)
                    own.append(outer)
                    # A move within a group carries cells into the next one: only moves by whole groups are known.
                    strides.append((block.axis, outer.stride))
                # The inner index of a group stands still under such moves. It goes to the sizes further in.
                todo.append(Atom(k, uniform=block.uniform, phase=block.axis or block.phase))
                left = 1
            else:
                raise UnfactorableError(f"{block.size} cells do not fit {wanted}")
        done.append(canonical(own))
    return done, strides


def finer(dim: Dim, k: int) -> Dim:
    """Each index divided into k, as pixel shuffle and nearest upsampling do.

    >>> size(finer(inert(3), 2))
    6
    """
    return canonical((*dim, *inert(k)))


def repeated(dim: Dim, k: int) -> Dim:
    """Each index repeated k times next to itself, with equal content: one index becomes k that are the same."""
    return uniform(size(dim) * k) if is_uniform(dim) else finer(dim, k)
