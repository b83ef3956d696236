"""A window that walks over a dimension: what convolution and pooling have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from shiftproof.checking.rules.op import Op
from shiftproof.checking.types import AXES, Atom, Dim, Signal, axes, grown, inert, only, with_step


@dataclass(frozen=True)
class Window:
    """A window along one dimension.

    Args:
        kernel: cells it covers.
        by: cells it advances.
        pads: cells added at the low and the high end.
        dilation: distance of its taps.
        fill: what the padding is, in words.
    """

    kernel: int
    by: int = 1
    pads: tuple[int, int] = (0, 0)
    dilation: int = 1
    fill: str = "zeros"

    @property
    def idle(self) -> bool:
        """Whether it leaves every cell where it is."""
        return self.kernel == 1 and self.by == 1 and self.pads == (0, 0)


@dataclass
class Slide:
    """Windows along several dimensions of one operator; findings are gathered and reported once for both axes."""

    op: Op
    signal: Signal
    notes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def along(self, dim: Dim, window: Window, count: int) -> Dim:
        """The dimension after the window walked over it, `count` cells long."""
        if window.idle:
            return dim
        if not axes(dim):
            return inert(count)
        atom = only(dim)
        if atom is None or atom.axis is None:
            return self._across(dim, count)
        found = self._atom(atom, window, count)
        if count > 1:
            return (found,)
        self.signal = replace(self.signal, whole=self.signal.whole | atom.axes)  # one cell has no neighbour to move to
        if any(axis == atom.axis for axis, _ in self.notes.get("T3", [])):
            self.note("T5", atom.axis, f"one window at a fixed place of {atom.size} cells is all that is looked at")
            self.signal = replace(self.signal, lost=self.signal.lost | atom.axes)
        return ()

    def _atom(self, atom: Atom, window: Window, count: int) -> Atom:
        axis, i = atom.axis, AXES.index(atom.axis or "")
        stride = atom.stride * window.by
        step, grows = self.signal.step[i], grown(self.signal.step[i], stride)
        self.signal = with_step(self.signal, AXES[i], grows)
        if window.by > 1 and grows > step:
            self.note("T1", axis, f"every {ordinal(window.by)} cell is kept: step {step} > {grows}")
        if window.pads != (0, 0):
            low, high = window.pads
            self.note("T2", axis, f"{window.fill}({low})" if low == high else f"{window.fill}({low}, {high})")
        period = count
        if atom.period % window.by:
            self.note("T3", axis, f"{atom.period} cells are no multiple of the stride {window.by}")
        elif count < atom.period // window.by:
            cut = atom.period // window.by - count
            self.note(
                "T3", axis, f"the window does not reach round the circle: {cut} of {cut + count} cells are cut off"
            )
        else:
            period = atom.period // window.by
        reach = atom.reach.strided(atom.size, atom.stride, window.kernel, window.by, window.pads, window.dilation)
        return Atom(count, axis, Fraction(stride), period, reach)

    def _across(self, dim: Dim, count: int) -> Dim:
        """A window over several atoms: it runs from the end of one row into the next."""
        for axis in axes(dim):
            self.note("T7", axis, "a window runs across positions of several rows or parts")
        self.signal = replace(self.signal, lost=self.signal.lost | axes(dim), whole=self.signal.whole | axes(dim))
        return inert(count)

    def note(self, code: str, axis: str | None, detail: str) -> None:
        """Remembers what is to be reported."""
        self.notes.setdefault(code, []).append((axis or "", detail))

    def report(self, what: str = "") -> Signal:
        """Reports what was noted, one finding a code; returns the signal, whose step may have grown."""
        for code in ("T2", "T3", "T5", "T7", "T1"):
            found = self.notes.get(code)
            if found:
                details = "; ".join(dict.fromkeys(d for _, d in found))
                text = f"{what} {details}".strip()
                self.op.report(code, {a for a, _ in found}, text, MEND[code])
        return self.signal


MEND = {
    "T5": "pool over all positions",
    "T7": "a window over rows and columns",
    "T1": "low-pass it first, or select the phase by content",
    "T2": "circular padding",
    "T3": "a size that the stride divides, and padding that keeps every cell",
}


def ordinal(n: int) -> str:
    """A number as an ordinal: 2nd, 3rd, 4th.

    >>> [ordinal(n) for n in (2, 3, 4, 11, 22)]
    ['2nd', '3rd', '4th', '11th', '22nd']
    """
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def sizes(numbers: Iterable[int]) -> str:
    """Sizes in words: "3x3".

    >>> sizes([3, 5])
    '3x5'
    """
    return "x".join(str(n) for n in numbers)
