"""Operators that pick, join and reorder positions."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.checking.rules.op import Op, Rule, index
from shiftproof.checking.rules.pointwise import combined
from shiftproof.checking.types import Signal, Type, axes, inert, joined


def cat(op: Op) -> Type:
    """Tensors laid end to end along one dimension, which is inert in all of them."""
    parts = [t for t in op["tensors"] if tuple(t.shape) != (0,)]
    at = index(int(op["dim"]), len(op.shape))
    signals = [t for t in parts if isinstance(t, Signal)]
    op.need(not any(axes(s.dims[at]) for s in signals), "tensors laid end to end along positions")
    one = [i for i in range(len(op.shape)) if i != at]
    # the other dimensions must agree as if the tensors were added
    narrow = [_without(t, at) for t in parts]
    inner = replace(op, shape=tuple(op.shape[i] for i in one), found=op.found)
    rest = combined(inner, [t for t in narrow if isinstance(t, Signal)])
    return joined((*rest.dims[:at], inert(op.shape[at]), *rest.dims[at:]), [rest])


def _without(t: Type, at: int) -> Type:
    if isinstance(t, Signal):
        return replace(t, dims=(*t.dims[:at], *t.dims[at + 1 :]))
    return t


INDEXING: dict[str, Rule] = {"cat": cat}
