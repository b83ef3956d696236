"""Normalisation: by stored statistics it works cell by cell; by those of the picture it is a reduction and a division."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.rules.pointwise import met
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.types import Constant, Dim, Signal, Type, axes


def batch(op: Op) -> Type:
    """By stored statistics, or by those of the one picture; a scale and an offset for each channel."""
    signal = op.signal("input")
    if op.get("training", op.get("train", False)):
        found = reduced(op, signal, [signal.dims[0], *signal.dims[2:]])
        return _scaled(op, found, ("weight", "bias"), [signal.dims[1]])
    return _scaled(op, signal, ("weight", "bias", "running_mean", "running_var"), [signal.dims[1]])


def batch_native(op: Op) -> tuple[Type, ...]:
    """The same with its statistics as further results."""
    found = batch(op)
    return (found, *(Constant(f"{op.node}[{i + 1}]", tuple(s)) for i, s in enumerate(op.shape[1:])))


def layer(op: Op) -> Type:
    """By mean and variance over the last dimensions."""
    signal = op.signal("input")
    dims = signal.dims[-len(op["normalized_shape"]) :]
    return _scaled(op, reduced(op, signal, dims), ("weight", "bias"), dims)


def group(op: Op) -> Type:
    """By mean and variance over groups of channels and all positions."""
    signal = op.signal("input")
    op.need(not axes(signal.dims[1]), "groups of channels that are positions")
    return _scaled(op, reduced(op, signal, signal.dims[1:]), ("weight", "bias"), [signal.dims[1]])


def instance(op: Op) -> Type:
    """By mean and variance over all positions of a channel."""
    signal = op.signal("input")
    op.need(op["use_input_stats"], "instance normalisation by stored statistics")
    return _scaled(op, reduced(op, signal, signal.dims[2:]), ("weight", "bias"), [signal.dims[1]])


def _scaled(op: Op, signal: Signal, names: Iterable[str], dims: Sequence[Dim]) -> Signal:
    for name in names:
        found = op.get(name)
        op.need(not isinstance(found, Signal), f"a {name} that depends on the picture")
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
