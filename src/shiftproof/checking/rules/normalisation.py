"""Normalisation. By stored statistics it works cell by cell; by the picture's own it is a reduction and a division.

`eps`, `momentum` and `cudnn_enabled` are single numbers and switches: they treat every position alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.rules.pointwise import met, told_apart
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.types import Constant, Signal, Type, axes


def batch(op: Op) -> Type:
    """Batch normalisation by stored statistics, or in training mode by those of the picture."""
    signal = op.signal("input")
    # A batch holds one picture here, so statistics over batch and positions are the picture's own.
    if op.get("training", op.get("train", False)):
        found = reduced(op, signal, [signal.dims[0], *signal.dims[2:]])
        return _scaled(op, found, ("weight", "bias"), [1])
    return _scaled(op, signal, ("weight", "bias", "running_mean", "running_var"), [1])


def batch_native(op: Op) -> tuple[Type, ...]:
    """Batch normalisation by stored statistics, with two further results that are constants."""
    found = batch(op)
    return (found, *(Constant(f"{op.node}[{i + 1}]", tuple(s)) for i, s in enumerate(op.shape[1:])))


def layer(op: Op) -> Type:
    """Normalisation by statistics over the last dimensions (`layer_norm`, `rms_norm`)."""
    signal = op.signal("input")
    rank = len(signal.dims)
    at = range(rank - len(op["normalized_shape"]), rank)
    # The scale has an entry per cell of these dimensions: over positions its values decide.
    return _scaled(op, reduced(op, signal, [signal.dims[i] for i in at]), ("weight", "bias"), at)


def group(op: Op) -> Type:
    """Normalisation by mean and variance over groups of channels and all positions."""
    signal = op.signal("input")
    op.need(not axes(signal.dims[1]), "group normalisation over channels that are positions")
    # Mean and variance run over all positions, whichever channels a group holds: the same after a move.
    return _scaled(op, reduced(op, signal, signal.dims[1:]), ("weight", "bias"), [1])


def instance(op: Op) -> Type:
    """Normalisation of each channel by mean and variance over all positions, or by stored ones."""
    signal = op.signal("input")
    if not op["use_input_stats"]:
        return _scaled(op, signal, ("weight", "bias", "running_mean", "running_var"), [1])
    return _scaled(op, reduced(op, signal, signal.dims[2:]), ("weight", "bias"), [1])


def _scaled(op: Op, signal: Signal, names: Iterable[str], at: Sequence[int]) -> Signal:
    """The signal scaled by constants that lie along the dimensions `at`."""
    signal = told_apart(signal, at)
    dims = [signal.dims[i] for i in at]
    for name in names:
        found = op.get(name)
        op.need(not isinstance(found, Signal), f"a normalisation whose {name} depends on the picture")
        if isinstance(found, Constant):
            signal = met(op, signal, found, dims)
    return signal


NORMALISATION: dict[str, Rule] = {
    "batch_norm": batch,
    "_native_batch_norm_legit_no_training": batch_native,
    "layer_norm": layer,
    "rms_norm": layer,
    "group_norm": group,
    "instance_norm": instance,
}
