"""Operators that work cell by cell: a map stays the map it was; a constant that meets it is looked at by value."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import torch

from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.types import (
    AXES,
    Constant,
    Dim,
    Signal,
    Type,
    alike,
    apart,
    axes,
    gathered,
    inert,
    joined,
    merged_reach,
    rolled,
    size,
    with_step,
)

UNARY = (
    "relu", "gelu", "silu", "sigmoid", "tanh", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu", "selu", "celu",
    "relu6", "mish", "softplus", "softsign", "log_sigmoid", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt",
    "rsqrt", "square", "neg", "abs", "sign", "sgn", "erf", "erfinv", "sin", "cos", "tan", "sinh", "cosh", "asin", "acos",
    "atan", "asinh", "acosh", "atanh", "sinc", "floor", "ceil", "round", "trunc", "frac", "reciprocal", "logit", "to",
    "_to_copy", "clone", "alias", "contiguous", "detach", "lift_fresh", "lift_fresh_copy", "logical_not", "bitwise_not",
    "isnan", "isinf", "isfinite", "nan_to_num", "threshold", "hardshrink", "softshrink", "tanhshrink", "positive",
    "real", "imag", "conj", "_conj", "resolve_conj", "angle", "type_as", "view_as_real_copy",
)  # fmt: skip

COMBINING = (
    "add", "sub", "mul", "div", "rsub", "true_divide", "floor_divide", "remainder", "fmod", "pow", "atan2", "maximum",
    "minimum", "fmax", "fmin", "where", "masked_fill", "addcmul", "addcdiv", "lerp", "clamp", "clip", "clamp_min",
    "clamp_max", "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "bitwise_and",
    "bitwise_or", "bitwise_xor", "__and__", "__or__", "__xor__",
    "hypot", "xlogy", "logaddexp", "copysign", "multiply", "subtract", "divide",
)  # fmt: skip


def unary(op: Op) -> Type:
    """The same map: f is applied to each cell by itself."""
    return op.signal("self") if "self" in op.arguments else op.signal("input")


def dropout(op: Op) -> Type:
    """The same map outside training; in training it is random."""
    op.need(not op["train"], "dropout in training mode is random")
    return op.signal("input")


def combining(op: Op) -> Type:
    """Cell by cell over several tensors, broadcast."""
    return combined(op, op.tensors())


def copied(op: Op) -> Type:
    """`copy_`: what is copied in, broadcast to the shape of what is overwritten."""
    source = op["src"]
    op.need(isinstance(source, Signal), "a constant written into a map")
    return combined(op, [source])


def prelu(op: Op) -> Type:
    """A slope for each channel."""
    signal, weight = op.signal("self"), op["weight"]
    if isinstance(weight, Constant) and weight.shape != (1,):
        signal = met(op, signal, weight, (signal.dims[1],))
    op.need(not isinstance(weight, Signal), "slopes that depend on the picture")
    return signal


def combined(op: Op, operands: Sequence[Type]) -> Signal:
    """The type of tensors combined cell by cell after broadcasting, with findings where they do not fit.

    Args:
        op: its shape is the result's.
        operands: signals and constants; at least one signal.

    Returns:
        Dimension by dimension the one that moves; a map that meets one which moves in another way is a finding.
    """
    signals = [t for t in operands if isinstance(t, Signal)]
    rank = len(op.shape)
    dims = [_meet(op, signals, rank - i, op.shape[i]) for i in range(rank)]
    result = joined(dims, signals)
    chosen_apart(op, signals, result)
    for t in operands:
        if isinstance(t, Constant):
            own = dims[rank - len(t.shape) :]
            kernel = any(n > 1 and rank - len(t.shape) + i in op.summed for i, n in enumerate(t.shape))
            result = met(op, result, t, own, "T6" if kernel else "T4")
    return result


def chosen_apart(op: Op, signals: Sequence[Signal], result: Signal) -> None:
    """A finding where maps meet of which each was sampled at phases of its own choice."""
    if apart(signals):
        text = f"maps sampled at phases chosen apart meet: known for multiples of {result.step} px only"
        op.report("T1", result.axes or AXES, text, "choose once: return_indices, and indices for the other branch")


def _meet(op: Op, signals: Sequence[Signal], from_end: int, n: int) -> Dim:
    """One dimension of the result, counted from the end."""
    there = [(s, s.dims[-from_end]) for s in signals if len(s.dims) >= from_end]
    there = [(s, d) for s, d in there if size(d) == n]
    if n == 1 or not there:
        return inert(n)  # broadcast, or a constant's own dimension
    base = next((d for _, d in there if axes(d)), None)
    if base is None:
        return there[0][1] if all(alike(there[0][1], d) for _, d in there) else inert(n)
    for s, dim in there:
        if alike(base, dim):
            base = merged_reach(base, dim)
        elif not (axes(base) | axes(dim)) <= s.lost:
            what = f"a map that moves ({words(base)}) meets one that moves otherwise ({words(dim)})"
            if not axes(dim):
                what = f"a map that moves ({words(base)}) meets {n} numbers that depend on the picture and stand still"
            op.report("T4" if not axes(dim) else "T3", axes(base) | axes(dim), what, "one layout for both",
                      breaks=("circular", "window", "canvas"))  # fmt: skip
    return base


def met(op: Op, signal: Signal, constant: Constant, dims: Sequence[Dim], code: str = "T4") -> Signal:
    """A map after a constant met it along some of its dimensions; the constant's values decide.

    Uniform over the positions: no finding. The same after every move of a step (or of a multiple of it): exact there in the
    circular world only. Otherwise a T4.

    Args:
        op: the operator.
        signal: the map, whose step may grow.
        constant: what meets it.
        dims: the map's dimensions that the constant's dimensions lie along, in order.
        code: of the finding, if there is one.
    """
    own = [d if n != 1 else () for d, n in zip(dims, constant.shape, strict=True)]
    for axis in AXES:
        if any(axis in axes(d) for d in own):
            signal = _met_along(op, signal, constant, own, axis, code)
    return signal


def _met_along(op: Op, signal: Signal, constant: Constant, dims: Sequence[Dim], axis: str, code: str) -> Signal:
    name = f"{list(constant.shape)} numbers that vary along {axis}"
    mend = "leave it out, or make it the same at every position"
    if code == "T6":
        name, mend = (
            f"{list(constant.shape)} weights: a kernel per position along {axis}",
            "one kernel for all positions",
        )
    value = op.value(constant)
    if value is None:
        op.report(code, axis, f"{name} may meet the map: their values are not known", "load the weights")
        return signal
    if _same(value, [gathered(d, axis) if axis in axes(d) else None for d in dims]):
        op.rely(constant)
        return signal
    step = _step(op, signal, value, dims, axis)
    if step is None:
        op.report(code, axis, f"{name} meet the map", mend)
        return signal
    op.rely(constant)
    note = f"{name} meet the map; they repeat every {step} px round the circle"
    op.report(code, axis, note, mend, breaks=("window", "canvas"))
    return with_step(signal, axis, step)


def _step(op: Op, signal: Signal, value, dims: Sequence[Dim], axis: str) -> int | None:
    """The smallest multiple of the step, a true part of the extent, whose moves leave a constant as it is."""
    i = AXES.index(axis)
    step, extent = signal.step[i], op.input_size[1 + i]
    for times in range(1, max(extent // step, 1)):
        if gcd(extent, step * times) == step * times and invariant(value, dims, axis, step * times):
            return step * times
    return None


def invariant(value, dims: Sequence[Dim], axis: str, step: int) -> bool:
    """Whether an array stays the same when the dimensions it lies along are moved by `step` pixels.

    Args:
        value: a torch tensor with as many dimensions.
        dims: along which it lies.
        axis: "y" or "x".
        step: pixels; a whole number of cells of every atom of the axis.
    """
    moves = (0, step)  # not moving is asked too: cells of a padding must repeat those of the circle
    return all(_same(value, [rolled(d, axis, m) if axis in axes(d) else None for d in dims]) for m in moves)


def _same(value, sources: Sequence[list[int] | None]) -> bool:
    """Whether an array equals itself with each dimension read at the given indices."""
    found = value
    for i, source in enumerate(sources):
        if source is not None:
            found = found.index_select(i, torch.tensor(source, device=found.device))
    return bool((found == value).all())


def words(dim: Dim) -> str:
    """A dimension in words: "14 y/16 x 3".

    >>> words(inert(3))
    '3'
    """
    parts = []
    for b in dim:
        axis = getattr(b, "axis", None)
        stride = getattr(b, "stride", 0)
        parts.append(f"{b.size} {axis}/{stride}" if axis else f"{b.size}" if not b.axes else f"{b.size} joined")
    return " x ".join(parts) or "1"


POINTWISE: dict[str, Rule] = {
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(COMBINING, combining),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), dropout),
    "copy": copied,
    "prelu": prelu,
}
