"""A range of indices of one dimension: harmless if the dimension does not move, else a crop or a fixed position."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from shiftproof.checking.findings import WORLDS, mend
from shiftproof.checking.rules.op import Op
from shiftproof.checking.rules.sliding import Slide, Window, mend_for, ordinal
from shiftproof.checking.types import (
    Atom,
    Block,
    Dim,
    Join,
    Signal,
    alike,
    axes,
    inert,
    is_uniform,
    merged_reach,
    only,
    size,
    uniform,
    varying,
)

KEEP = mend("keep_positions", "keep every position, or pool over them")
KEEP_FOR_CIRCLE = mend(
    "keep_positions", "for the circular world, keep every position; the window world needs no change"
)


@dataclass
class Cut:
    """The cuts of one operator; its findings are collected and reported once."""

    op: Op
    signal: Signal
    noted: dict[tuple[str, tuple[str, ...]], tuple[str, frozenset[str]]] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)  # by axis: one cell of this many is kept

    def range(self, dim: Dim, start: int, count: int, by: int = 1) -> Dim:
        """The `count` indices start, start + by, ... of a dimension."""
        n = size(dim)
        if (start, count, by) == (0, n, 1):
            return dim
        if is_uniform(dim):
            return uniform(count)
        if not axes(dim) or count == 0:
            return inert(count)
        atom = only(dim)
        if atom is not None:
            return self._atom(atom, start, count, by)
        if len(dim) == 1 and isinstance(dim[0], Join) and by == 1:
            # A class token before the patches, or the patches behind it, is
            # a range of whole parts: nothing that moves is cut.
            found = _parts(dim[0], start, count)
            if found is not None:
                return found
        # A range of whole outer indices cuts the outermost block only.
        inner = size(dim[1:]) if dim else 1
        if len(dim) > 1 and by == 1 and start % inner == 0 and count % inner == 0:
            return (*self.range(dim[:1], start // inner, count // inner), *dim[1:])
        return self.lose(dim, count, f"{count} of {n} positions are selected by index")

    def lose(self, dim: Dim, count: int, detail: str) -> Dim:
        """An inert dimension in place of one that moves: the proof ends in every world."""
        # Several ranges of one operator are one finding: the first detail stands for all.
        self.noted.setdefault(("T8", WORLDS), (detail, frozenset()))
        text, along = self.noted["T8", WORLDS]
        self.noted["T8", WORLDS] = text, along | axes(dim)
        self.signal = replace(self.signal, lost=self.signal.lost | axes(dim), whole=self.signal.whole | axes(dim))
        return inert(count)

    def _atom(self, atom: Atom, start: int, count: int, by: int) -> Dim:
        # A crop of one cell leaves no room for content to move within it:
        # it is a readout at a fixed place, in every world.
        if count == 1 and atom.size > 1:
            return self.lose((atom,), 1, f"position {start} of {atom.size} is selected by index")
        if by > 1:
            slide = Slide(self.op, self.signal)
            # Every by-th cell is a window of one cell; it tiles the circle only if `by` divides it.
            if atom.period % by or count < atom.period // by:
                text = f"keeps every {ordinal(by)} of {atom.size} positions, which do not tile the circle"
                return self.lose((atom,), count, text)
            # A start is negative padding: the cells before it are left out.
            # So x[1::2] is as exact as x[::2], at another phase.
            (found,) = slide.along((atom,), Window(1, by, (-start, 0)), count) or (None,)
            self.signal = slide.signal
            for code, noted in slide.notes.items():
                # What else the window notes is about the padding, and there is none.
                if code == "T1":
                    self.numbers |= slide.numbers[code]["stride"]
                    self.noted["T1", ()] = (
                        noted[0][1],
                        frozenset({a for a, _ in noted}) | self.noted.get(("T1", ()), ("", frozenset()))[1],
                    )
            return (found,) if found is not None else ()
        # A crop loses part of the circle; the two other worlds look at the cells that are left, and go on.
        # A crop that undoes a circular padding leaves the whole circle, so `period` and not `size` is compared.
        if count < atom.period:
            text = f"{count} of {atom.period} positions are cut out"
            found, along = self.noted.get(("T8", ("circular",)), (text, frozenset()))
            self.noted["T8", ("circular",)] = found, along | atom.axes
        reach = atom.reach
        high = max(0, reach.after - (atom.size - start - count))
        cut = replace(
            reach,
            before=min(count, max(0, reach.before - start)),
            after=min(count, high),
            first=reach.first + start * atom.stride,
            last=reach.last + start * atom.stride,
        )
        return (replace(atom, size=count, period=min(atom.period, count), reach=cut),)

    def report(self) -> Signal:
        """Reports what was noted, and gives the signal, whose step may have grown."""
        for (code, breaks), (detail, along) in self.noted.items():
            remedy = KEEP_FOR_CIRCLE if breaks == ("circular",) else KEEP
            remedy = mend_for("T1", {"stride": self.numbers}) if code == "T1" else remedy
            self.op.report(code, along, detail, remedy, breaks=breaks)
        return self.signal


def single(op: Op, signal: Signal) -> Signal:
    """The signal without spatial atoms of one cell: such a cell has no neighbour to move to, and it broadcasts.

    If the other cells were cut off rather than pooled, the cell that is left is a position picked by number.
    """
    cut = Cut(op, signal)
    dims = tuple(_without_single(cut, d) for d in signal.dims)
    return replace(cut.report(), dims=dims) if cut.noted else signal


def _without_single(cut: Cut, dim: Dim) -> Dim:
    kept: list[Block] = []
    for b in dim:
        if isinstance(b, Join):
            kept.append(Join(tuple(_without_single(cut, p) for p in b.parts)))
        elif b.axis is None or b.size > 1:
            kept.append(b)
        else:
            cut.lose((b,), 1, "all positions but one were cut off")
    return tuple(kept)


def _parts(join: Join, start: int, count: int) -> Dim | None:
    """A range of a join that cuts through no moving part; None if it does."""
    found: list[Dim] = []
    at = 0
    for part in join.parts:
        low, high = max(start, at), min(start + count, at + size(part))
        if low < high:
            # Some of the patches: which ones are in the range changes with the move.
            if high - low != size(part) and axes(part):
                return None
            found.append(part if high - low == size(part) else inert(high - low))
        at += size(part)
    return joining(found)


def overwritten(dim: Dim, start: int, count: int, source: Dim) -> Dim | None:
    """A join in which a range of whole parts was overwritten by parts that move as they do; None for any other range."""
    if len(dim) != 1 or not isinstance(dim[0], Join):
        return None
    found = _parts(dim[0], start, count)
    if found is None or not alike(found, source):
        return None
    coming = list(source[0].parts if len(source) == 1 and isinstance(source[0], Join) else (source,))
    parts: list[Dim] = []
    at = 0
    for part in dim[0].parts:
        inside = max(start, at) < min(start + count, at + size(part))
        new = coming.pop(0) if inside else part
        parts.append(merged_reach(part, new) if axes(part) else part)
        at += size(part)
    return (Join(tuple(parts)),)


def joining(parts: list[Dim]) -> Dim:
    """Dimensions laid end to end, with inert neighbours merged and empty ones left out."""
    flat: list[Dim] = []
    for part in parts:
        inner = part[0].parts if len(part) == 1 and isinstance(part[0], Join) else (part,)
        for p in inner:
            if not size(p):
                continue
            if flat and not axes(p) and not axes(flat[-1]):
                flat[-1] = inert(size(flat[-1]) + size(p))
            else:
                flat.append(varying(p))
    if not flat:
        return inert(0)
    block: Block = Join(tuple(flat))
    return flat[0] if len(flat) == 1 else (block,)
