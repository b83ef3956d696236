"""Sums, means and maxima over dimensions: over all positions they do not see where the content is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shiftproof.checking.rules.op import Op, Rule, index
from shiftproof.checking.rules.pointwise import combined
from shiftproof.checking.types import AXES, Dim, Signal, Type, Unknown, atoms, axes

REDUCING = (
    "mean", "sum", "amax", "amin", "std", "var", "prod", "logsumexp", "linalg_vector_norm", "norm", "any", "all", "nansum",
    "count_nonzero",
)  # fmt: skip


def reduction(op: Op) -> Type:
    """Dimensions folded by an operation that does not care about order."""
    signal = op.signal("self")
    return _dropped(op, signal, _dims(op, signal), bool(op.get("keepdim", False)))


def with_indices(op: Op) -> Type | tuple[Type, ...]:
    """`max` and its kin over one dimension: the value, and where it was (of which nothing is claimed if that moves)."""
    if op.overload == "other":
        return combined(op, op.tensors())
    signal = op.signal("self")
    if not op.shape or not isinstance(op.shape[0], tuple):
        return reduction(op)
    at = index(int(op["dim"]), len(signal.dims))
    found = _dropped(op, signal, [at], bool(op["keepdim"]))
    return found, Unknown(op.operator) if axes(signal.dims[at]) else found


def with_mean(op: Op) -> tuple[Type, Type]:
    """`var_mean`, `std_mean`: two reductions at once."""
    found = reduction(op)
    return found, found


def cosine(op: Op) -> Type:
    """The cosine of the angle between vectors along a dimension: products summed over it."""
    shapes = [op[k].shape for k in ("x1", "x2")]
    rank = max(len(s) for s in shapes)
    wide = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    product = combined(replace(op, shape=tuple(max(n) for n in zip(*wide, strict=True))), op.tensors())
    return _dropped(op, product, [index(int(op.get("dim", 1)), rank)], False)


def position(op: Op) -> Type:
    """`argmax`: a position; along inert dimensions it is a number like any other."""
    signal = op.signal("self")
    dims = _dims(op, signal)
    op.need(not any(axes(signal.dims[i]) for i in dims), f"{op.operator} over positions says where, not what")
    return _dropped(op, signal, dims, bool(op.get("keepdim", False)))


def mixing(op: Op) -> Type:
    """`softmax` along a dimension: each cell is divided by a sum over all of them; the map keeps its layout."""
    signal = op.signal("self") if "self" in op.arguments else op.signal("input")
    dims = [signal.dims[index(int(op["dim"]), len(signal.dims))]]
    return reduced(op, signal, dims)


def reduced(op: Op, signal: Signal, dims: Sequence[Dim]) -> Signal:
    """The signal after every cell has seen all of the given dimensions in an order that does not matter.

    A map with cells twice over (circular padding) does not count them evenly: a finding.
    """
    twice = {a.axis for a in atoms(dims) if a.wrapped}
    if twice:
        text = "cells of the padding are counted twice"
        op.report("T2", [a for a in AXES if a in twice], text, "cut the padding off first", breaks=("circular",))
    return replace(signal, whole=signal.whole.union(*(axes(d) for d in dims)))


def _dims(op: Op, signal: Signal) -> list[int]:
    asked = op.get("dim")
    every = list(range(len(signal.dims)))
    if asked is None or asked == []:
        return every
    return [index(int(d), len(every)) for d in (asked if isinstance(asked, list | tuple) else [asked])]


def _dropped(op: Op, signal: Signal, dims: Sequence[int], keep: bool) -> Signal:
    seen = reduced(op, signal, [signal.dims[i] for i in dims])
    left = [() if i in dims else d for i, d in enumerate(signal.dims) if keep or i not in dims]
    return replace(seen, dims=tuple(left))


REDUCTION: dict[str, Rule] = {
    **dict.fromkeys(REDUCING, reduction),
    **dict.fromkeys(("max", "min", "median"), with_indices),
    **dict.fromkeys(("var_mean", "std_mean"), with_mean),
    "cosine_similarity": cosine,
    **dict.fromkeys(("argmax", "argmin"), position),
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax"), mixing),
}
