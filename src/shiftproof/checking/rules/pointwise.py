"""Operators that work cell by cell. A map moves as before; the values of a constant that is combined with it are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import gcd

import torch

from shiftproof.checking.findings import WORLDS, mend
from shiftproof.checking.indices import gathered, rolled
from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.types import (
    AXES,
    Atom,
    Constant,
    Dim,
    Signal,
    Type,
    alike,
    apart,
    axes,
    inert,
    is_uniform,
    joined,
    merged_reach,
    size,
    uniform,
    varying,
    with_step,
)

ONE_LAYOUT = mend("layout", "one layout for both")

# Each of these computes a cell of its result from the same cell of its argument, whatever its other arguments are: they are
# single numbers, or name a dtype, a device or a memory format.
ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "hardtanh"),
    *(
        "sigmoid",
        "log_sigmoid",
        "hardsigmoid",
        "tanh",
        "tanhshrink",
        "hardshrink",
        "softshrink",
        "softplus",
        "softsign",
    ),
    "threshold",
)
ELEMENTARY = (
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logit", "sqrt", "rsqrt", "square", "reciprocal"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "sinc", "erf", "erfinv"),
    *("neg", "positive", "abs", "sign", "sgn", "floor", "ceil", "round", "trunc", "frac", "nan_to_num"),
    *("logical_not", "bitwise_not", "isnan", "isinf", "isfinite"),
)
COMPLEX = ("real", "imag", "conj", "_conj", "resolve_conj", "angle")
COPIES = (
    *("to", "_to_copy", "type_as", "clone", "alias", "contiguous", "detach", "lift_fresh", "lift_fresh_copy"),
    "view_as_real_copy",
)
UNARY = (*ACTIVATIONS, *ELEMENTARY, *COMPLEX, *COPIES)

# Each of these computes a cell of its result from the cells of its tensors at the same place, after broadcasting.
COMBINING = (
    *("add", "sub", "mul", "div", "rsub", "multiply", "subtract", "divide", "true_divide", "floor_divide", "remainder"),
    *("fmod", "pow", "atan2", "hypot", "xlogy", "logaddexp", "copysign", "maximum", "minimum", "fmax", "fmin"),
    *("where", "masked_fill", "addcmul", "addcdiv", "lerp", "clamp", "clip", "clamp_min", "clamp_max"),
    *("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "__and__", "__or__", "__xor__"),
)


def unary(op: Op) -> Type:
    """A function of each cell by itself: the map moves as before."""
    return op.signal("self") if "self" in op.arguments else op.signal("input")


def dropout(op: Op) -> Type:
    """Dropout: outside training it changes nothing, in training it is random."""
    op.need(not op["train"], "dropout in training mode is random")
    return op.signal("input")


def combining(op: Op) -> Type:
    """A function of cells of several tensors at the same place, after broadcasting."""
    return combined(op, op.tensors())


def copied(op: Op) -> Type:
    """`copy_`: the tensor that is copied in, broadcast to the shape of the overwritten one."""
    source = op["src"]
    # The result would be a constant that no node of the graph holds, and its values could not be read.
    op.need(isinstance(source, Signal), "a constant written into a map")
    return combined(op, [source])


def told_apart(signal: Signal, places: Sequence[int]) -> Signal:
    """The signal after something treated the indices of some dimensions differently: they are no longer uniform."""
    dims = tuple(varying(d) if i in places else d for i, d in enumerate(signal.dims))
    return replace(signal, dims=dims)


def prelu(op: Op) -> Type:
    """`prelu`: one slope, or one per channel."""
    signal, weight = op.signal("self"), op["weight"]
    # The channels are dimension 1, not the last, so broadcasting as `combined` does would read other numbers.
    if isinstance(weight, Constant) and weight.shape != (1,):
        signal = met(op, told_apart(signal, [1]), weight, (signal.dims[1],))
    op.need(not isinstance(weight, Signal), "prelu whose slopes depend on the picture")
    return signal


def combined(op: Op, operands: Sequence[Type]) -> Signal:
    """The type of tensors that are combined cell by cell after broadcasting; those that do not fit are findings.

    Args:
        op: the operator, with the shape of the result.
        operands: signals and constants; at least one signal.

    Returns:
        A signal whose dimensions move if they move in one of the operands. Operands that move differently are a finding.
    """
    signals = [t for t in operands if isinstance(t, Signal)]
    rank = len(op.shape)
    dims = [_meet(op, signals, rank - i, op.shape[i]) for i in range(rank)]
    for t in operands:
        if isinstance(t, Constant):
            first = rank - len(t.shape)
            dims[first:] = disturbed(op, t, dims[first:])
    result = joined(dims, signals)
    chosen_apart(op, signals, result)
    for t in operands:
        if isinstance(t, Constant):
            own = dims[rank - len(t.shape) :]
            # If a sum follows, the constant is a kernel: different weights per position are unshared weights.
            kernel = any(n > 1 and rank - len(t.shape) + i in op.summed for i, n in enumerate(t.shape))
            result = met(op, result, t, own, "T6" if kernel else "T4")
    return result


def disturbed(op: Op, constant: Constant, dims: Sequence[Dim]) -> list[Dim]:
    """Dimensions after they met a constant: those along which it varies are no longer uniform.

    Args:
        op: the operator.
        constant: the constant.
        dims: the dimension that each of the constant's dimensions lies along.
    """
    found = list(dims)
    for i, (dim, n) in enumerate(zip(dims, constant.shape, strict=True)):
        grouped = any(isinstance(b, Atom) and b.phase for b in dim)
        if n == 1 or not (is_uniform(dim) or grouped):
            continue
        # By design: a scale of ones is not uniform in this sense, because training makes its numbers differ.
        value = op.value_by_design(constant)
        if value is None or not _same(value, [[0] * n if j == i else None for j in range(len(constant.shape))]):
            found[i] = inert(n)
    return found


def chosen_apart(op: Op, signals: Sequence[Signal], result: Signal) -> None:
    """Reports maps that are combined although their sampling phases were chosen separately."""
    if apart(signals):
        text = f"combines maps with separately chosen sampling phases: exact only for multiples of {result.step} px"
        remedy = mend("shared_phase", "choose once: use return_indices, and give the indices to the other branch")
        op.report("T1", result.axes or AXES, text, remedy)


def _meet(op: Op, signals: Sequence[Signal], from_end: int, n: int) -> Dim:
    """One dimension of the result, counted from the end because broadcasting aligns the last dimensions."""
    there = [(s, s.dims[-from_end]) for s in signals if len(s.dims) >= from_end]
    # What is the same at every index fits whatever it meets, as if it were broadcast.
    there = [(s, d) for s, d in there if size(d) == n and not is_uniform(d)]
    if n == 1 or not there:
        return uniform(n)  # every signal broadcasts here, or only constants have the dimension: see `disturbed`
    base = next((d for _, d in there if axes(d)), None)
    if base is None:
        # Two inert products such as 2 x 3 and 3 x 2 are one dimension of 6:
        # how it is divided does not matter where nothing moves.
        return there[0][1] if all(alike(there[0][1], d) for _, d in there) else inert(n)
    for s, dim in there:
        if alike(base, dim):
            base = merged_reach(base, dim)
        elif not (axes(base) | axes(dim)) <= s.lost:
            what = f"combines a map that moves ({words(base)}) with one that moves differently ({words(dim)})"
            if not axes(dim):
                what = f"combines a map that moves ({words(base)}) with {n} values that depend on the picture and do not move"
            op.report("T4" if not axes(dim) else "T3", axes(base) | axes(dim), what, ONE_LAYOUT, breaks=WORLDS)
    return base


def met(op: Op, signal: Signal, constant: Constant, dims: Sequence[Dim], code: str = "T4") -> Signal:
    """A map that is combined with a constant along some of its dimensions; the constant's values decide.

    Values that are uniform over the positions are not a finding. Values that repeat every few pixels are exact for moves by
    multiples of these, in the circular world only. Any other values are a T4.

    Args:
        op: the operator.
        signal: the map, whose step may grow.
        constant: the constant.
        dims: for each dimension of the constant, the dimension of the map that it lies along.
        code: code of the finding, if there is one.
    """
    # A dimension of size 1 broadcasts: its one number meets every position.
    own = [d if n != 1 else () for d, n in zip(dims, constant.shape, strict=True)]
    for axis in AXES:
        if any(axis in axes(d) for d in own):
            signal = _met_along(op, signal, constant, own, axis, code)
    return signal


def _met_along(op: Op, signal: Signal, constant: Constant, dims: Sequence[Dim], axis: str, code: str) -> Signal:
    shape = list(constant.shape)
    name, perhaps = f"{shape} values that vary along {axis}", f"{shape} unknown values that may vary along {axis}"
    numbers = {"constant": constant.name, "shape": constant.shape}
    remedy = mend("position", "remove it, or make it the same at every position", **numbers)
    if code == "T6":
        name = f"{shape} weights: a kernel per position along {axis}"
        perhaps = f"{shape} unknown weights: perhaps a kernel per position along {axis}"
        remedy = mend("shared_kernel", "use one kernel for all positions", **numbers)
    value = op.value(constant)
    if value is None:
        # On the meta device, or where torch could not compute it from the weights:
        # what is not known counts as varying.
        remedy = mend("load_weights", "load the weights", **numbers)
        op.report(code, axis, perhaps, remedy)
        return signal
    # Uniform: every entry equals the one at the first position.
    firsts = [gathered(d, axis) if axis in axes(d) else None for d in dims]
    if _same(value, firsts):
        # One number that was expanded is uniform whatever the number is.
        designed = op.value_by_design(constant)
        if designed is None or not _same(designed, firsts):
            op.rely(constant)
        return signal
    step = _step(op, signal, value, dims, axis)
    if step is None:
        op.report(code, axis, name, remedy)
        return signal
    op.rely(constant)
    note = f"{name}; they repeat every {step} px around the circle"
    op.report(code, axis, note, remedy, breaks=("window", "canvas"))
    return with_step(signal, axis, step)


def _step(op: Op, signal: Signal, value, dims: Sequence[Dim], axis: str) -> int | None:
    """The smallest multiple of the step that divides the extent and whose moves leave a constant unchanged."""
    i = AXES.index(axis)
    step, extent = signal.step[i], op.input_size[1 + i]
    # Moves by a step that does not divide the extent come to stand on other multiples once they are around the circle.
    # A step of the whole extent would leave the unmoved picture alone, so it is not tried.
    for times in range(1, max(extent // step, 1)):
        if gcd(extent, step * times) == step * times and invariant(value, dims, axis, step * times):
            return step * times
    return None


def invariant(value, dims: Sequence[Dim], axis: str, step: int) -> bool:
    """Whether an array is unchanged when the dimensions that it lies along move by `step` pixels.

    Args:
        value: a torch tensor with as many dimensions.
        dims: the dimension that each of its dimensions lies along.
        axis: "y" or "x".
        step: pixels; a whole number of cells of every atom of the axis.
    """
    moves = (0, step)  # a move by 0 tests that cells of a circular padding repeat those of the circle
    return all(_same(value, [rolled(d, axis, m) if axis in axes(d) else None for d in dims]) for m in moves)


def _same(value, sources: Sequence[list[int] | None]) -> bool:
    """Whether an array equals itself with each dimension read at the given indices; None reads a dimension as it is."""
    found = value
    for i, source in enumerate(sources):
        if source is not None:
            found = found.index_select(i, torch.tensor(source, device=found.device))
    # NaN differs from itself: a constant that holds one counts as one that varies, and nothing is proved by it.
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
