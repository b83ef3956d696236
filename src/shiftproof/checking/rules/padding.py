"""Padding: with the circle itself it is exact; with anything else it tells where the border is."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.checking.rules.op import Op, Rule, edges
from shiftproof.checking.rules.sliding import Slide
from shiftproof.checking.types import AXES, Atom, Dim, Join, Type, axes, inert, only, size

FILL = {"constant": "zeros", "reflect": "reflection", "replicate": "replication", "circular": "circular"}


def padding(op: Op) -> Type:
    """Cells added at (or, if negative, taken from) the ends of the last dimensions."""
    signal = op.signal("self") if "self" in op.arguments else op.signal("input")
    mode = op.get("mode") or _mode(op.operator)
    fill = FILL[mode] if not op.get("value") else f"constant {op['value']:g}"
    asked = [int(n) for n in op.get("pad", op.get("padding"))]
    slide, dims = Slide(op, signal), list(signal.dims)
    for i in range(len(asked) // 2):
        low, high = asked[2 * i], asked[2 * i + 1]
        if low or high:
            dims[-1 - i] = _padded(op, slide, dims[-1 - i], low, high, fill)
    return replace(slide.report(), dims=tuple(dims))


def _padded(op: Op, slide: Slide, dim: Dim, low: int, high: int, fill: str) -> Dim:
    n = size(dim) + low + high
    if not axes(dim):
        return inert(n)
    atom = only(dim)
    if atom is None:
        op.need(fill.startswith(("zeros", "constant")) and low >= 0 and high >= 0, "padding across atoms")
        return (
            Join(tuple(p for p in (inert(low) if low else None, dim, inert(high) if high else None) if p is not None)),
        )
    if min(low, high) < 0 < max(low, high):
        slide.note("T2", atom.axis, f"{fill}({low}, {high}): moved along, what comes in is no part of the circle")
    elif min(low, high) < 0:
        if n < atom.period:
            slide.note("T3", atom.axis, f"{-low} and {-high} cells are cut off the ends")
    elif fill != "circular" or atom.wrapped:
        slide.note("T2", atom.axis, f"{fill}({low})" if low == high else f"{fill}({low}, {high})")
    kind = fill.partition(" ")[0]
    if kind in COPIED:
        _keep_away(op, atom, COPIED[kind](low, high))
    reach = atom.reach.strided(atom.size, atom.stride, 1, 1, (low, high), 1)
    period = atom.period if n >= atom.period else n
    return (Atom(n, atom.axis, atom.stride, period, reach),)


# cells at the (low, high) end of which a padding of so many cells puts copies elsewhere; torch wraps what is left after
# cutting (negative numbers), but mirrors and repeats the border that was there before
COPIED = {
    "circular": lambda low, high: (max(high, 0) + max(-low, 0), max(low, 0) + max(-high, 0)),
    "reflection": lambda low, high: (max(low, 0) + 1, max(high, 0) + 1),
    "replication": lambda low, high: (1, 1),
}


def _keep_away(op: Op, atom: Atom, copied: tuple[int, int]) -> None:
    """In the canvas world no copy of the object may appear at the border."""
    extent = op.input_size[1 + AXES.index(atom.axis or "y")]
    op.kept_away.extend(edges(atom.size, atom.stride, atom.reach, extent, copied))


def wrap(op: Op) -> Type:
    """A circle closed by hand: cell i is cell (i + offset) mod n."""
    signal, at = op.signal("self"), op["dim"]
    dim, n, count = signal.dims[at], size(signal.dims[at]), op.shape[at]
    low = -op["offset"] % n
    low = low - n if low > n // 2 else low
    found = inert(count)
    if axes(dim):
        atom = only(dim)
        op.need(atom is not None and not atom.wrapped, "a circle closed over something that is not one axis")
        assert atom is not None
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


def _mode(operator: str) -> str:
    return next((m for m in ("reflect", "replicat") if operator.startswith(m)), "constant").replace(
        "replicat", "replicate"
    )


PADDED = ("pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d")
PADDING: dict[str, Rule] = {**dict.fromkeys(PADDED, padding), "wrap": wrap}
