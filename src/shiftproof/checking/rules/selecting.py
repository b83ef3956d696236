"""Sampling at phases that the content chooses: the map moves with the choice, and what shares the choice fits together."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.types import (
    AXES,
    Atom,
    Choice,
    Constant,
    Dim,
    Signal,
    Type,
    Witness,
    alike,
    axes,
    common,
    grown,
    only,
    size,
    with_step,
)


def sampled(op: Op) -> Type:
    """`PolyphasePool2d`: of the components that a stride makes of a map the one of largest norm, or the one that is told.

    For moves by multiples of the stride it is plain subsampling. For every other the same component is found again, where it
    now stands: the map moves by an amount that the content chooses, and that its witness names.
    """
    signal, told = _map(op), op.get("indices")
    op.need(not isinstance(told, Signal), "phases computed from the picture by other means")
    dims, plain = _coarser(op, signal)
    along = axes(dims[0]) | axes(dims[1])
    text = f"{' x '.join(str(n) for n in op['stride'])} phases, of which the content chooses one"
    op.report("T1", along, text, "none in the circular world", breaks=("window", "canvas"))
    result = replace(plain, dims=(*signal.dims[:2], *dims), whole=signal.whole | along, witness=None)
    if isinstance(told, Constant):
        return result
    mover = signal.witness.key if signal.witness else ""
    if told is None:
        return replace(result, witness=Witness(op["call"], signal.real_step))
    op.need(isinstance(told, Choice), "phases of unknown origin")
    steps = common([result.step, told.step])
    fits = told.mover == mover and all(alike(a, b) for a, b in zip(told.before, signal.dims[2:], strict=True))
    if not fits:
        op.report("T1", along, "the phases were chosen on a map that moves otherwise", "choose them on this map")
        return replace(result, step=steps)
    return replace(result, step=steps, witness=Witness(told.key, common([signal.real_step, told.real_step])))


def phases(op: Op) -> Type:
    """The phases that `PolyphasePool2d` chose, or was told."""
    signal, told = _map(op), op.get("indices")
    if told is not None:
        op.need(isinstance(told, Choice), "phases of unknown origin")
        return told
    mover = signal.witness.key if signal.witness else ""
    return Choice(op["call"], signal.dims[2:], mover, _coarser(op, signal)[1].step, signal.real_step)


def restored(op: Op) -> Type:
    """`PolyphaseUpsample2d`: a map put back on the grid that was chosen; the same choice undone, it moves as before it."""
    signal, choice = op.signal("self"), op["indices"]
    op.need(isinstance(choice, Choice), "phases that no pool chose")
    op.need(size(signal.dims[0]) == 1 and not axes(signal.dims[1]), "a batch, or channels that are positions")
    strides = [size(b) // size(d) for b, d in zip(choice.before, signal.dims[2:], strict=True)]
    wanted = [_sampled(b, s) for b, s in zip(choice.before, strides, strict=True)]
    op.need(
        all(alike(a, b) for a, b in zip(wanted, signal.dims[2:], strict=True)), "a map of another grid than was chosen"
    )
    result = replace(
        signal, dims=(*signal.dims[:2], *choice.before), step=common([signal.step, choice.step]), witness=None
    )
    if signal.witness is None or signal.witness.key != choice.key:
        return result
    real = common([signal.witness.step, choice.real_step])
    if choice.mover:
        return replace(result, witness=Witness(choice.mover, real))
    return replace(result, step=real)


def _map(op: Op) -> Signal:
    """The map that is sampled: one picture, rows and columns of one atom each."""
    signal = op.signal("self")
    op.need(len(signal.dims) == 4 and size(signal.dims[0]) == 1, "a choice for each of several pictures")
    op.need(not axes(signal.dims[1]), "channels that are positions")
    rows, columns = (only(d) for d in signal.dims[2:])
    op.need(rows is not None and columns is not None, "rows or columns of several parts")
    assert rows is not None
    assert columns is not None
    op.need(not rows.wrapped and not columns.wrapped and rows.axis != columns.axis, "a padded map")
    return signal


def _coarser(op: Op, signal: Signal) -> tuple[tuple[Dim, Dim], Signal]:
    """(rows and columns after sampling, the signal with the step that plain sampling leaves)."""
    found: list[Dim] = []
    for dim, by in zip(signal.dims[2:], op["stride"], strict=True):
        atom = only(dim)
        assert atom is not None
        op.need(atom.size % by == 0 and atom.size // by > 1, "a stride that leaves one cell or does not divide")
        found.append(_sampled(dim, by))
        axis = atom.axis or ""
        signal = with_step(signal, axis, grown(signal.step[AXES.index(axis)], atom.stride * by))
    return (found[0], found[1]), signal


def _sampled(dim: Dim, by: int) -> Dim:
    (atom,) = dim
    assert isinstance(atom, Atom)
    reach = atom.reach.strided(atom.size, atom.stride, 1, by, (0, 0), 1)
    return (Atom(atom.size // by, atom.axis, Fraction(atom.stride * by), atom.period // by, reach),)


SELECTING: dict[str, Rule] = {"polyphase": sampled, "polyphase_phases": phases, "polyphase_restored": restored}
