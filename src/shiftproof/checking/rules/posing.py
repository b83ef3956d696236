"""Maps in a pose that the content chose: rolled there they stand still, rolled back they move with the picture again."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from shiftproof.checking.findings import mend
from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.rules.selecting import one_map
from shiftproof.checking.types import (
    AXES,
    Atom,
    Dim,
    Origin,
    Reach,
    Type,
    Witness,
    alike,
    axes,
    common,
    grown,
    inert,
    only,
    size,
    spatial,
)

NONE = mend("none", "no change is needed in the circular world")
INSIDE = mend("none", "no change is needed for an object on a uniform background")


def chosen(op: Op) -> Type:
    """The seam of a map, its phase on a grid, or the centre of an object: a cell that moves with the content."""
    signal = one_map(op)
    rows, columns = (_atom(d) for d in signal.dims[2:])
    op.need(signal.witness is None, "a map that was sampled by content")
    along = axes(signal.dims[2]) | axes(signal.dims[3])
    if op["kind"] == "object":
        # Where the border shows the object, it is not background: the object must leave one pixel free. Behind a padded
        # layer the border has values of its own.
        clean = rows.reach == Reach() == columns.reach
        op.report("T8", along, "the background is read at the border", INSIDE, breaks=("circular", "window"))
        op.report(
            "T8", along if not clean else (), "the border of a padded map is not background", INSIDE, breaks=("canvas",)
        )
        op.kept_away.append(Fraction(max(rows.stride, columns.stride)))
    else:
        # In the other worlds content enters and leaves at the border, and the border itself may be the seam.
        text = "the content of the whole picture chooses where it begins"
        op.report("T8", along, text, NONE, breaks=("window", "canvas"))
    step = tuple(op["step"]) if op["step"] else None
    return Origin(op["call"], signal.dims[2:], signal.step, step)


def posed(op: Op) -> Type:
    """A map rolled so that its origin comes to the first cell: it stands still. On a grid it moves by the grid's step."""
    signal, origin = op.signal("self"), op["origin"]
    op.need(isinstance(origin, Origin), "an origin of unknown origin")
    op.need(len(signal.dims) == 4 and size(signal.dims[0]) == 1, "several pictures rolled by one origin")
    op.need(not axes(signal.dims[1]), "channels that are positions")
    same = all(alike(a, b) for a, b in zip(origin.before, signal.dims[2:], strict=True))
    op.need(same and signal.witness is None, "the origin of a map that moves differently")
    steps = common([signal.step, origin.step])
    along = axes(signal.dims[2]) | axes(signal.dims[3])
    if origin.grid is None:
        still = (*signal.dims[:2], *(inert(size(d)) for d in signal.dims[2:]))
        return replace(signal, dims=still, step=steps, whole=signal.whole | along)
    # Rolled by the phase of its origin: it moves by multiples of the grid's step, and the content decides by which.
    coarse = list(steps)
    for dim, cells in zip(origin.before, origin.grid, strict=True):
        atom = _atom(dim)
        at = AXES.index(atom.axis or "")
        coarse[at] = grown(coarse[at], atom.stride * cells)
    return replace(signal, step=(coarse[0], coarse[1]), whole=signal.whole | along, witness=Witness(origin.key, steps))


def restored(op: Op) -> Type:
    """A map made of a picture in its pose, put back: it moves with the picture again, by whole cells of its own."""
    signal, origin = op.signal("self"), op["origin"]
    op.need(isinstance(origin, Origin), "an origin of unknown origin")
    op.need(len(signal.dims) == 4 and size(signal.dims[0]) == 1, "several maps put back by one origin")
    op.need(not axes(signal.dims[1]), "channels that are positions")
    steps, dims = list(origin.step), list[Dim]()
    for dim, was in zip(signal.dims[2:], origin.before, strict=True):
        atom, cells = _atom(was), size(dim)
        stride = atom.stride * Fraction(atom.size, cells)
        if origin.grid is None:
            op.need(not axes(dim), "a map that moves, put back by the origin of the picture")
            back = spatial(atom.axis or "", cells, stride)
        else:
            op.need(alike(dim, spatial(atom.axis or "", cells, stride)), "a map on another grid than the picture's")
            back = dim
        dims.append(back)
        if back:
            at = AXES.index(atom.axis or "")
            steps[at] = grown(steps[at], stride)
    if origin.grid is None:
        op.need(not signal.axes, "a map that moves, put back by the origin of the picture")
        found = common([signal.step, (steps[0], steps[1])])
    else:
        witness = signal.witness
        op.need(
            witness is not None and witness.key == origin.key, "a map that does not move by the phase of this origin"
        )
        assert witness is not None
        found = common([witness.step, (steps[0], steps[1])])
    return replace(signal, dims=(*signal.dims[:2], *dims), step=found, whole=frozenset(AXES), witness=None)


def _atom(dim: Dim) -> Atom:
    atom = only(dim)
    assert atom is not None
    return atom


POSING: dict[str, Rule] = {"pose_origin": chosen, "posed": posed, "pose_restored": restored}
