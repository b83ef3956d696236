"""Padding. With the circle itself it is exact; any other fill reveals where the border is."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.checking.rules.op import Op, Rule, edges
from shiftproof.checking.rules.sliding import Slide
from shiftproof.checking.types import AXES, Atom, Dim, Join, Type, axes, inert, is_uniform, only, size, uniform

FILL = {"constant": "zeros", "reflect": "reflection", "replicate": "replication", "circular": "circular"}


def padding(op: Op) -> Type:
    """Cells added at the ends of the last dimensions, or removed where the number is negative."""
    signal = op.signal("self") if "self" in op.arguments else op.signal("input")
    mode = op.get("mode") or MODES.get(op.operator, "constant")
    words = FILL[mode] if not op.get("value") else f"constant {op['value']:g}"
    asked = [int(n) for n in op.get("pad", op.get("padding"))]
    slide, dims = Slide(op, signal), list(signal.dims)
    for i in range(len(asked) // 2):  # torch counts the pairs from the last dimension backwards
        low, high = asked[2 * i], asked[2 * i + 1]
        if low or high:
            dims[-1 - i] = _padded(op, slide, dims[-1 - i], low, high, mode, words)
    return replace(slide.report(), dims=tuple(dims))


def _padded(op: Op, slide: Slide, dim: Dim, low: int, high: int, mode: str, words: str) -> Dim:
    n = size(dim) + low + high
    if is_uniform(dim) and (max(low, high) <= 0 or mode != "constant"):
        return uniform(n)
    if not axes(dim):
        return inert(n)
    atom = only(dim)
    # Constants beside a dimension of several parts are parts of their own, which do not move.
    if atom is None:
        # Torch reflects and repeats across the end of a row of parts: which cells these are has no type.
        op.need(
            mode == "constant" and low >= 0 and high >= 0,
            "padding a dimension of several parts other than by constants",
        )
        return (
            Join(tuple(p for p in (inert(low) if low else None, dim, inert(high) if high else None) if p is not None)),
        )
    # Even with circular filling this is not a roll: torch cuts first, and wraps what is left.
    if min(low, high) < 0 < max(low, high):
        slide.note(
            "T2",
            atom.axis,
            f"{words}({low}, {high}): the map is shifted, and the values that come in are not part of the circle",
        )
    elif min(low, high) < 0:
        # Cells that a circular padding repeated may go: the circle is then still whole.
        if n < atom.period:
            slide.note("T3", atom.axis, f"{-low} and {-high} cells are cut off the ends")
    elif mode != "circular" or atom.wrapped:  # wrapping what is wrapped already repeats the repeated cells
        slide.note("T2", atom.axis, f"{words}({low})" if low == high else f"{words}({low}, {high})", pads=(low, high))
    if mode in COPIED:
        _keep_away(op, atom, COPIED[mode](low, high))
    # Whatever the fill, added cells count as reached by the border: in the other worlds the circle is not closed.
    reach = atom.reach.strided(atom.size, atom.stride, 1, 1, (low, high), 1)
    # A padded map has more cells than the circle (`Atom.wrapped`): rules that count every cell ask for that.
    period = atom.period if n >= atom.period else n
    return (Atom(n, atom.axis, atom.stride, period, reach),)


# How many cells at the (low, high) end a padding of (low, high) cells copies to another place. Torch wraps what is left after
# negative numbers have cut cells off, but it mirrors and repeats the border as it was before the cut.
COPIED = {
    "circular": lambda low, high: (max(high, 0) + max(-low, 0), max(low, 0) + max(-high, 0)),
    # Reflection copies the cells 1 ... low and leaves out cell 0, which lies among them.
    "reflect": lambda low, high: (max(low, 0) + 1, max(high, 0) + 1),
    "replicate": lambda low, high: (1, 1),
}


def _keep_away(op: Op, atom: Atom, copied: tuple[int, int]) -> None:
    """Keeps objects of the canvas world away from cells that are copied: no second object may appear at the border."""
    extent = op.input_size[1 + AXES.index(atom.axis or "y")]
    op.kept_away.extend(edges(atom.size, atom.stride, atom.reach, extent, copied))


def wrap(op: Op) -> Type:
    """A circle closed by hand: cell i of the result is cell (i + offset) mod n."""
    signal, at = op.signal("self"), op["dim"]
    dim, n, count = signal.dims[at], size(signal.dims[at]), op.shape[at]
    low = -op["offset"] % n
    low = low - n if low > n // 2 else low  # the shorter way round, so that the margins stay small
    found = uniform(count) if is_uniform(dim) else inert(count)
    if axes(dim):
        atom = only(dim)
        op.need(
            atom is not None and not atom.wrapped,
            "closing the circle over a padded dimension, or over one of several parts",
        )
        assert atom is not None
        # The cells laid before the low end are copies of the last ones, those behind the high end of the first ones.
        _keep_away(op, atom, (max(0, count - n - low), max(0, low)))
        sides = [(max(0, atom.reach.before + p), max(0, atom.reach.after + q)) for p, q in [(low, count - n - low)]]
        seen = replace(
            atom.reach,
            before=min(count, sides[0][0]),
            after=min(count, sides[0][1]),
            first=atom.reach.first - low * atom.stride,
            last=atom.reach.last - low * atom.stride,
        )
        found = (Atom(count, atom.axis, atom.stride, atom.period, seen),)
    return replace(signal, dims=(*signal.dims[:at], found, *signal.dims[at + 1 :]))


MODES = {
    **dict.fromkeys(("reflection_pad1d", "reflection_pad2d"), "reflect"),
    **dict.fromkeys(("replication_pad1d", "replication_pad2d"), "replicate"),
}
"""The mode of an operator that has no argument for it; others pad with a constant."""

PADDED = ("pad", "constant_pad_nd", *MODES)
PADDING: dict[str, Rule] = {**dict.fromkeys(PADDED, padding), "wrap": wrap}
