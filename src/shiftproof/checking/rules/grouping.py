"""Groups of cells that are taken together again: the mean of means of windows is the mean of the map, and knows no stride.

A pool, or a view, puts the cells of an axis into groups, and what comes out is known for moves by whole groups. All groups
together are still all cells (`types.Group`). What keeps it that way is said here; any other operator forgets it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from shiftproof.checking.rules.op import Op, Result, Rule, index, pair
from shiftproof.checking.rules.pointwise import COMBINING, UNARY
from shiftproof.checking.rules.reduction import REDUCING
from shiftproof.checking.rules.spectrum import each, signals
from shiftproof.checking.types import AXES, Atom, Dim, Group, Signal, atoms, axes, common, size

Handler: TypeAlias = Callable[[Op, Signal], Signal]
"""Gives the result with its groups, from the operator and the result that the rule gives."""


def grouping(operator: str, rule: Rule) -> Rule:
    """The rule, for tensors whose cells were grouped as well."""
    handler = HANDLERS.get(operator)

    @functools.wraps(rule)
    def judged(op: Op) -> Result:
        if operator not in FORMING and not any(s.groups for s in signals(list(op.arguments.values()))):
            return rule(op)
        found = rule(each(op, lambda s: replace(s, groups=())))
        if handler is None:
            return found
        if isinstance(found, tuple):  # the largest, and where it is
            one = found[0]
            return (_sure(handler(op, one)), *found[1:]) if isinstance(one, Signal) else found
        return _sure(handler(op, found)) if isinstance(found, Signal) else found

    return judged


def _sure(found: Signal) -> Signal:
    """The signal with those groups only whose cells are all still there."""
    groups = tuple(g for g in found.groups if _cells(found, g.axis) and _inside(found.dims, g.axis) == g.inside)
    return replace(found, groups=groups)


def _cells(signal: Signal, axis: str) -> Atom | None:
    """The one factor along an axis."""
    found = [a for a in atoms(signal.dims) if a.axis == axis]
    return found[0] if len(found) == 1 else None


def _inside(dims: tuple[Dim, ...] | list[Dim], axis: str) -> int:
    """The number of cells within a group that stand in these dimensions."""
    found = 1
    for atom in atoms(dims):
        found *= atom.size if atom.phase == axis else 1
    return found


def _of(signal: Signal, axis: str) -> Group | None:
    return next((g for g in signal.groups if g.axis == axis), None)


def _before(signal: Signal, axis: str) -> Group:
    """What is known of an axis before an operator makes groups of it: without groups, the step of the signal."""
    return _of(signal, axis) or Group(axis, signal.step[AXES.index(axis)], "", 1, frozenset())


def kept(op: Op, found: Signal) -> Signal:
    """Another layout of the same cells."""
    return replace(found, groups=op.signal("self").groups)


def regrouped(op: Op, found: Signal) -> Signal:
    """A view: cells that become a dimension of their own are still there."""
    signal, groups = op.signal("self"), []
    for axis in AXES:
        one, other = _cells(signal, axis), _cells(found, axis)
        if one is None or other is None or one.wrapped or one.size % other.size:
            continue
        before, times = _before(signal, axis), one.size // other.size
        if times > 1:
            before = replace(before, inside=before.inside * times, nodes=before.nodes | {op.node})
        if before.nodes:
            groups.append(before)
    return replace(found, groups=tuple(groups))


def pooled(op: Op, found: Signal) -> Signal:
    """A pool over windows: each cell once for a mean, at least once for a maximum; a window over all cells is a reduction."""
    signal = op.signal("self")
    kind = (
        ("mean" if _is_real(op) else "any") if "avg" in op.operator else "max"
    )  # of whole numbers, each mean is cut to one
    rank = int(op.operator[op.operator.index("pool") + 4])
    first = len(signal.dims) - rank
    over = [i for i in range(first, len(signal.dims)) if size(found.dims[i]) == 1 and _covers(op, signal, i, kind)]
    result, groups = reduced(op, signal, found, kind, over), []
    for axis in AXES:
        group = _of(result, axis)
        one, other = _cells(signal, axis), _cells(found, axis)
        at = next((i for i, d in enumerate(signal.dims) if axis in axes(d)), -1)
        if one is None or other is None or one.wrapped:
            continue
        if at < first or not any(isinstance(b, Atom) and b == one for b in signal.dims[at]) or one == other:
            groups += [group] if group else []
            continue
        before = _before(signal, axis)
        if kind != "any" and before.kind in ("", kind) and len(signal.dims[at]) == 1 and _covers(op, signal, at, kind):
            groups.append(replace(before, kind=kind, nodes=before.nodes | {op.node}))
    return replace(result, groups=tuple(groups))


def _is_real(op: Op) -> bool:
    dtype = op.dtypes.get(op.node)
    return dtype is not None and (dtype.is_floating_point or dtype.is_complex)


def _covers(op: Op, signal: Signal, at: int, kind: str) -> bool:
    """Whether the windows along a dimension hold each of its cells: for a mean once, for a maximum at least once."""
    rank = int(op.operator[op.operator.index("pool") + 4])
    i, n = at - (len(signal.dims) - rank), size(signal.dims[at])
    shape = op.shape[0] if op.shape and isinstance(op.shape[0], tuple) else op.shape
    m = shape[at]
    if op.operator.startswith("adaptive"):
        return n % m == 0
    k = pair(op["kernel_size"], rank)[i]
    s = pair(op["stride"], rank)[i] if op.get("stride") else k
    p, d = pair(op.get("padding", 0), rank)[i], pair(op.get("dilation", 1), rank)[i]
    if kind != "max":
        return k == s and p == 0 and n == m * s
    # No gap between two windows, and the last one reaches the last cell. Padding is -inf and never wins.
    return k >= s and d == 1 and (m - 1) * s - p + k >= n


def folded(op: Op, found: Signal) -> Signal:
    """A reduction over dimensions."""
    signal, asked = op.signal("self"), op.get("dim")
    rank = len(signal.dims)
    if op.operator in ("topk", "sort", "median", "nanmedian", "mode", "kthvalue", "max", "min", "argmax", "argmin"):
        asked = op.get("dim", None if op.operator in ("max", "min", "median", "nanmedian") else -1)
    over = range(rank) if asked is None or asked == [] else asked if isinstance(asked, list | tuple) else [asked]
    return reduced(op, signal, found, _kind(op), [index(int(d), rank) for d in over])


def _kind(op: Op) -> str:
    """What a reduction takes: "mean", "max", "min", or "any": some other function that does not depend on order."""
    if op.operator in ("mean", "sum"):
        # Each mean is cut to a whole number before they are added.
        dtype = op.get("dtype")
        return "mean" if dtype is None or dtype.is_floating_point or dtype.is_complex else "any"
    if op.operator == "topk":
        return ("max" if op.get("largest", True) else "min") if int(op["k"]) == 1 else "any"
    return {"amax": "max", "max": "max", "amin": "min", "min": "min"}.get(op.operator, "any")


def reduced(op: Op, signal: Signal, found: Signal, kind: str, over: list[int]) -> Signal:
    """The result of a reduction: known for more moves where it took all groups together, else with the groups that are left.

    Args:
        op: the operator.
        signal: before.
        found: what the rule says of the result.
        kind: of the reduction.
        over: the dimensions that are reduced.
    """
    groups, steps = [], list(found.step)
    for group in signal.groups:
        axis = group.axis
        gone = [signal.dims[i] for i in over]
        inside, fits = _inside(gone, axis), group.kind in ("", kind)
        if any(axis in axes(d) for d in gone):
            alone = axis not in signal.lost and not any(a.axis == axis for a in atoms(found.dims))
            if fits and alone and inside == group.inside:
                steps[AXES.index(axis)] = group.step
                op.together.append((axis, group.nodes))
        elif inside == 1 and fits:
            groups.append(group)
        elif fits and kind in ("mean", "max", "min"):
            groups.append(replace(group, kind=kind, inside=group.inside // inside))
    return replace(found, step=(steps[0], steps[1]), groups=tuple(groups))


def unary(op: Op, found: Signal) -> Signal:
    """A function of each cell: of all cells any; of means only a factor, of maxima only a function that never falls."""
    groups = []
    for g in op.signal("self").groups:
        if op.operator == "neg" and g.kind in ("max", "min"):
            groups.append(replace(g, kind="min" if g.kind == "max" else "max"))
        elif g.kind == "" or (op.operator in LINEAR if g.kind == "mean" else _rises(op)):
            groups.append(g)
    return replace(found, groups=tuple(groups))


def _rises(op: Op) -> bool:
    """Whether an operator never falls: a larger cell never gives a smaller result."""
    if op.operator == "leaky_relu":
        return float(op.get("negative_slope", 0.01)) >= 0
    if op.operator == "elu":
        return all(float(op.get(name, 1)) >= 0 for name in ("alpha", "scale", "input_scale"))
    if op.operator == "softplus":
        # Above the threshold it is the identity, and falls there by exp(-threshold): by less than float32 tells near 20.
        return float(op.get("beta", 1)) > 0 and float(op.get("threshold", 20)) >= 20
    return op.operator in RISING


def combined(op: Op, found: Signal) -> Signal:
    """Cells of several tensors: of all cells any function; of means a sum, or a factor for the whole axis."""
    operands = signals(list(op.arguments.values()))
    groups = []
    for i, axis in enumerate(AXES):
        told = [g for s in operands if (g := _of(s, axis)) is not None]
        moving = [s for s in operands if axis in s.axes]
        # A constant that repeats along positions has made the step grow: it does not fit finer moves.
        if not told or found.step[i] != common([s.step for s in operands])[i]:
            continue
        if len({(g.kind, g.inside) for g in told}) > 1 or not _commutes(op, told[0].kind, moving, operands):
            continue
        steps = [g.step if (g := _of(s, axis)) is not None else s.step[i] for s in operands]
        step = common([(n, 1) for n in steps])[0]
        nodes = frozenset[str]().union(*(g.nodes for g in told))
        groups.append(replace(told[0], step=step, nodes=nodes))
    return replace(found, groups=tuple(groups))


def _commutes(op: Op, kind: str, moving: list[Signal], operands: list[Signal]) -> bool:
    """Whether an operator on what was taken of groups is the same operator before it was taken of them."""
    if kind == "":
        return True
    first = op.get("self", op.get("input"))
    one = len(moving) == 1 and moving[0] is first
    if kind == "mean":
        scaled = op.operator in ("mul", "multiply") and len(moving) == 1
        divided = op.operator in ("div", "divide", "true_divide") and one and op.get("rounding_mode") is None
        return op.operator in ("add", "sub", "subtract") or scaled or divided
    if op.operator in ("maximum", "minimum"):
        return op.operator == ("maximum" if kind == "max" else "minimum")
    shifted = op.operator == "add" and len(moving) == 1 and op.get("alpha", 1) == 1
    return shifted or (op.operator in ("sub", "clamp", "clip", "clamp_min", "clamp_max") and one)


def layered(op: Op, found: Signal) -> Signal:
    """A layer that acts at each cell by itself: a 1 x 1 convolution, a dense layer over channels, a stored normalisation."""
    signal = op.signal("input")
    others = [s for s in signals(list(op.arguments.values())) if s is not signal]
    if op.operator.startswith("conv"):
        rank = len(op.shape) - 2
        plain = set(op["weight"].shape[2:]) == {1} and set(pair(op["stride"], rank)) == {1}
        if not plain or (op["padding"] not in ("valid", "same") and set(pair(op["padding"], rank)) != {0}):
            return found
    if op.get("training"):
        return found
    groups = []
    for g in signal.groups:
        i = AXES.index(g.axis)
        if g.kind in ("", "mean") and found.step[i] == common([signal.step, *(s.step for s in others)])[i]:
            groups.append(replace(g, step=common([(g.step, 1), *((s.step[i], 1) for s in others)])[0]))
    return replace(found, groups=tuple(groups))


LINEAR = {"neg", "positive", "clone", "contiguous", "alias", "detach", "lift_fresh", "real", "imag", "conj"}
RISING = {
    *(
        "positive",
        "clone",
        "contiguous",
        "alias",
        "detach",
        "relu",
        "relu6",
        "selu",
        "celu",
        "tanh",
    ),
    *(
        "sigmoid",
        "log_sigmoid",
        "hardsigmoid",
        "hardtanh",
        "softsign",
        "exp",
        "exp2",
        "expm1",
        "sinh",
        "erf",
    ),
    *("asinh", "atan", "sign", "floor", "ceil", "round", "trunc"),
}
VIEWS = ("view", "reshape", "_unsafe_view", "flatten", "unflatten")
POOLS = (
    *("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices"),
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"),
)
RANKING = ("topk", "sort", "median", "nanmedian", "mode", "kthvalue", "max", "min")
HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(UNARY, unary),
    **dict.fromkeys(COMBINING, combined),
    **dict.fromkeys(VIEWS, regrouped),
    **dict.fromkeys(("pixel_unshuffle", "unfold", "im2col"), regrouped),
    **dict.fromkeys(("permute", "transpose", "t", "mT", "swapaxes", "swapdims", "movedim", "moveaxis"), kept),
    **dict.fromkeys(("unsqueeze", "squeeze"), kept),
    **dict.fromkeys(POOLS, pooled),
    **dict.fromkeys((*REDUCING, *RANKING), folded),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "linear", "batch_norm"), layered),
}
FORMING = frozenset((*VIEWS, *POOLS, "pixel_unshuffle", "unfold", "im2col"))
