"""A window that slides over a dimension: what convolution and pooling have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from shiftproof.checking.findings import mend
from shiftproof.checking.rules.op import Op
from shiftproof.checking.types import AXES, Atom, Dim, Signal, axes, grown, inert, is_uniform, only, uniform, with_step
from shiftproof.records.verdict_parts import Mend
from shiftproof.records.verdict_words import moves_words


@dataclass(frozen=True)
class Window:
    """A window along one dimension.

    Args:
        kernel: number of cells that it covers.
        by: stride, in cells.
        pads: cells added at the low and the high end.
        dilation: distance between its taps, in cells.
        fill: name of the padding.
    """

    kernel: int
    by: int = 1
    pads: tuple[int, int] = (0, 0)
    dilation: int = 1
    fill: str = "zeros"

    @property
    def idle(self) -> bool:
        """Whether it leaves every cell at its place."""
        return self.kernel == 1 and self.by == 1 and self.pads == (0, 0)


@dataclass
class Slide:
    """Windows along the dimensions of one operator; findings are collected and reported once for both axes."""

    op: Op
    signal: Signal
    notes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    # code -> parameter of a mend -> axis -> its value there
    numbers: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def along(self, dim: Dim, window: Window, count: int) -> Dim:
        """The dimension of `count` cells that the window makes of a dimension."""
        if window.idle:
            return dim
        # Windows of equal cells are equal, unless some of them reach into the padding.
        if is_uniform(dim) and window.pads == (0, 0):
            return uniform(count)
        if not axes(dim):
            return inert(count)
        atom = only(dim)
        if atom is None or atom.axis is None:
            return self._across(dim, count)
        found = self._atom(atom, window, count)
        if count > 1:
            return (found,)
        self.signal = replace(self.signal, whole=self.signal.whole | atom.axes)  # a single cell does not move
        # Cells were cut off, and the rest went into one cell: it is a readout at a fixed place.
        if any(axis == atom.axis for axis, _ in self.notes.get("T3", [])):
            self.note("T5", atom.axis, f"only one window, at a fixed place of {atom.size} cells, is read")
            self.signal = replace(self.signal, lost=self.signal.lost | atom.axes)
        return ()

    def _atom(self, atom: Atom, window: Window, count: int) -> Atom:
        axis, i = atom.axis, AXES.index(atom.axis or "")
        stride = atom.stride * window.by
        # A move is whole cells of the result only if it is a multiple of their stride.
        step, grows = self.signal.step[i], grown(self.signal.step[i], stride)
        self.signal = with_step(self.signal, AXES[i], grows)
        if window.by > 1 and grows > step:
            kept = f"keeps every {ordinal(window.by)} cell: exact only for {moves_words(grows)}"
            self.note("T1", axis, kept, stride=window.by)
        if window.pads != (0, 0):
            low, high = window.pads
            text = f"{window.fill}({low})" if low == high else f"{window.fill}({low}, {high})"
            self.note("T2", axis, text, pads=window.pads)
        period = count
        # The circle stays closed if the stride divides it and the windows reach all the way round.
        # Where the circle closes, two windows then lie closer or further apart than the
        # stride: after a move by one stride the windows there fall on other cells.
        if atom.period % window.by:
            text = f"{atom.period} cells are not a multiple of the stride {window.by}"
            self.note("T3", axis, text, multiple_px=abs(atom.stride) * window.by)
        elif count < atom.period // window.by:
            cut = atom.period // window.by - count
            text = f"the windows do not reach around the circle: {cut} of {cut + count} cells are cut off"
            # (n + p - d (k - 1) - 1) / s + 1 windows are n / s for p = d (k - 1) + 1 - s.
            missing = window.dilation * (window.kernel - 1) + 1 - window.by - sum(window.pads)
            self.note("T3", axis, text, **({"pads": (missing // 2, missing - missing // 2)} if missing > 0 else {}))
        else:
            period = atom.period // window.by
        reach = atom.reach.strided(atom.size, atom.stride, window.kernel, window.by, window.pads, window.dilation)
        return Atom(count, axis, Fraction(stride), period, reach)

    def _across(self, dim: Dim, count: int) -> Dim:
        """A window over a dimension of several parts: it runs from the end of one row into the next."""
        # After a move the window holds cells of other rows than before, so neither its content nor its place has moved.
        for axis in axes(dim):
            self.note("T7", axis, "a window runs across positions of several rows or parts")
        self.signal = replace(self.signal, lost=self.signal.lost | axes(dim), whole=self.signal.whole | axes(dim))
        return inert(count)

    def note(self, code: str, axis: str | None, detail: str, **numbers: Any) -> None:
        """Notes a finding along an axis, with the numbers that its mend needs there."""
        self.notes.setdefault(code, []).append((axis or "", detail))
        for name, number in numbers.items():
            plain = str(number) if isinstance(number, Fraction) else number
            self.numbers.setdefault(code, {}).setdefault(name, {})[axis or ""] = plain

    def report(self, what: str = "") -> Signal:
        """Reports what was noted, one finding per code, and gives the signal, whose step may have grown."""
        for code in ("T2", "T3", "T5", "T7", "T1"):
            found = self.notes.get(code)
            if found:
                details = "; ".join(dict.fromkeys(d for _, d in found))
                text = f"{what} {details}".strip()
                self.op.report(code, {a for a, _ in found}, text, mend_for(code, self.numbers.get(code, {})))
        return self.signal


# code -> the mends of a window, each (kind, text, name of the parameter that `Slide.note` was given); the first whose
# parameter was given is taken, else the last.
MENDS_OF_WINDOWS = {
    "T5": (("readout", "a larger picture, which holds more than one window; or pool over all positions", ""),),
    "T7": (("plane_window", "a window over rows and columns", ""),),
    "T1": (("polyphase", "select the phase by content; low-pass it first to alias less", "stride"),),
    "T2": (("circular_padding", "circular padding", "pads"),),
    "T3": (
        ("input_size", "a size that the stride divides, and padding that keeps every cell", "multiple_px"),
        (
            "circular_padding",
            "for the circular world, circular padding that keeps every cell; the window world needs no change",
            "pads",
        ),
        ("keep_positions", "keep every position, or pool over them", ""),
    ),
}


def mend_for(code: str, numbers: dict[str, dict[str, Any]]) -> Mend:
    """The mend of a window's finding.

    Args:
        code: of the finding.
        numbers: the parameters by name, each by axis.

    >>> mend_for("T1", {"stride": {"y": 2, "x": 2}}).parameters
    {'stride': {'y': 2, 'x': 2}}
    >>> mend_for("T3", {"pads": {"x": (0, 1)}}).kind, mend_for("T3", {}).kind
    ('circular_padding', 'keep_positions')
    """
    choices = MENDS_OF_WINDOWS[code]
    kind, words, name = next((c for c in choices if c[2] in numbers), choices[-1])
    return mend(kind, words, **({name: numbers[name]} if name in numbers else {}))


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
