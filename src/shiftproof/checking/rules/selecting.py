"""Sampling at phases that the content chooses: the map moves with the choice, and maps that share a choice fit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from shiftproof.checking.findings import mend
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

NONE = mend("none", "no change is needed in the circular world")


def sampled(op: Op) -> Type:
    """`PolyphasePool2d`: the polyphase component of largest norm, or the one that `indices` names.

    For moves by multiples of the stride this is plain subsampling. For any other move the same component is chosen again, at
    its new place: the map moves by an amount that the content chooses, which the witness records.
    """
    signal, told = one_map(op), op.get("indices")
    op.need(not isinstance(told, Signal), "phases that were computed from the picture in another way")
    dims, plain = _coarser(op, signal)
    # In the other worlds content enters and leaves at the border, and with it the largest norm may change.
    along = axes(dims[0]) | axes(dims[1])
    text = f"{' x '.join(str(n) for n in op['stride'])} phases; the content chooses one"
    op.report("T1", along, text, NONE, breaks=("window", "canvas"))
    result = replace(plain, dims=(*signal.dims[:2], *dims), whole=signal.whole | along, witness=None)
    # Phases that are fixed for every picture: plain subsampling, exact for multiples of the stride only.
    if isinstance(told, Constant):
        return result
    mover = signal.witness.key if signal.witness else ""
    if told is None:
        # The move between two samplings of moved pictures is a whole number of coarse cells,
        # whichever component wins: the norms of the components are only permuted.
        return replace(result, witness=Witness(op["call"], signal.real_step))
    op.need(isinstance(told, Choice), "phases of unknown origin")
    # The phases stay as they are only for moves that leave them unchanged on the map on which they were chosen.
    steps = common([result.step, told.step])
    # Phases of another map fit if that map moves as this one does, and with the same choice.
    fits = told.mover == mover and all(alike(a, b) for a, b in zip(told.before, signal.dims[2:], strict=True))
    if not fits:
        remedy = mend("shared_phase", "choose them on this map")
        op.report("T1", along, "the phases were chosen on a map that moves differently", remedy)
        return replace(result, step=steps)
    return replace(result, step=steps, witness=Witness(told.key, common([signal.real_step, told.real_step])))


def phases(op: Op) -> Type:
    """A choice by content, or the phases or the number of a choice that was made before."""
    told = op.get("indices")
    if told is not None:
        op.need(isinstance(told, Choice), "phases of unknown origin")
        return told
    signal = one_map(op)
    mover = signal.witness.key if signal.witness else ""
    return Choice(op["call"], signal.dims[2:], mover, _coarser(op, signal)[1].step, signal.real_step)


def restored(op: Op) -> Type:
    """`PolyphaseUpsample2d`: a map put back on the chosen grid. Undoing its own choice, it moves as before the choice."""
    signal, choice = op.signal("self"), op["indices"]
    op.need(isinstance(choice, Choice), "phases that no polyphase pool chose")
    op.need(
        size(signal.dims[0]) == 1 and not axes(signal.dims[1]), "putting back a batch, or channels that are positions"
    )
    # The map is put back into the cells that the choice took it from, so its grid must be that of the choice.
    strides = [size(b) // size(d) for b, d in zip(choice.before, signal.dims[2:], strict=True)]
    wanted = [_sampled(b, s) for b, s in zip(choice.before, strides, strict=True)]
    op.need(
        all(alike(a, b) for a, b in zip(wanted, signal.dims[2:], strict=True)),
        "a map on another grid than the one that was chosen",
    )
    result = replace(
        signal, dims=(*signal.dims[:2], *choice.before), step=common([signal.step, choice.step]), witness=None
    )
    # A map put back at the place of another's choice follows that choice only for moves for which the choice stays.
    if signal.witness is None or signal.witness.key != choice.key:
        return result
    real = common([signal.witness.step, choice.real_step])
    # The map that was sampled moved itself by an earlier choice, and so does what is put back in its place.
    if choice.mover:
        return replace(result, witness=Witness(choice.mover, real))
    return replace(result, step=real)


def one_map(op: Op) -> Signal:
    """The map from which the content chooses: one picture, whose rows and columns are one atom each."""
    signal = op.signal("self")
    # One witness has one key for the whole tensor, so each picture of a batch would need its own.
    op.need(len(signal.dims) == 4 and size(signal.dims[0]) == 1, "a choice for each of several pictures")
    op.need(not axes(signal.dims[1]), "channels that are positions")
    rows, columns = (only(d) for d in signal.dims[2:])
    op.need(rows is not None and columns is not None, "rows or columns that do not move, or of several parts")
    assert rows is not None
    assert columns is not None
    # A padded map repeats some cells in some components: after a
    # move the norms are not a permutation of what they were.
    op.need(not rows.wrapped and not columns.wrapped and rows.axis != columns.axis, "a padded map")
    return signal


def _coarser(op: Op, signal: Signal) -> tuple[tuple[Dim, Dim], Signal]:
    """(rows and columns after sampling, the signal with the step of plain subsampling)."""
    found: list[Dim] = []
    for dim, by in zip(signal.dims[2:], op["stride"], strict=True):
        atom = only(dim)
        assert atom is not None
        op.need(
            atom.size % by == 0 and atom.size // by > 1, "a stride that leaves one cell, or does not divide the map"
        )
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

USING = ("polyphase", "polyphase_restored")  # these turn a choice into a map; "polyphase_phases" hands it on
