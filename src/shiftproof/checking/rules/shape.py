"""Operators that rearrange dimensions without touching values: view, permute, expand, pixel shuffle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from shiftproof.checking.factor import UnfactorableError, canonical, finer, shared
from shiftproof.checking.findings import WORLDS
from shiftproof.checking.rules.op import Op, Rule, index
from shiftproof.checking.types import AXES, Dim, Signal, Type, axes, grown, inert, size, with_step


def reshape(op: Op) -> Type:
    """The same numbers in the same order, under other sizes."""
    return reshaped(op, op.signal("self"), op.shape)


def reshaped(op: Op, signal: Signal, shape: Sequence[int]) -> Signal:
    """A signal viewed under other sizes; where positions are grouped its step grows, where they are mixed it is lost."""
    try:
        dims, strides = shared(signal.dims, shape)
    except UnfactorableError as e:
        along = signal.axes
        op.report("T3", along, f"positions of different rows are mixed: {e}", "sizes that divide", breaks=WORLDS)
        return replace(
            signal, dims=tuple(inert(n) for n in shape), lost=signal.lost | along, whole=signal.whole | along
        )
    return stepped(op, replace(signal, dims=tuple(dims)), strides, "positions are grouped:")


def stepped(op: Op, signal: Signal, strides: Sequence[tuple[str, Fraction]], what: str) -> Signal:
    """The signal, known for whole multiples of some strides only; a step that grows is a T1."""
    notes, along = [], set()
    for axis, stride in strides:
        step = signal.step[AXES.index(axis)]
        if grown(step, stride) > step:
            notes.append(f"step {step} > {grown(step, stride)}")
            along.add(axis)
            signal = with_step(signal, axis, grown(step, stride))
    op.report("T1", along, f"{what} {'; '.join(dict.fromkeys(notes))}", "a finer grid")
    return signal


def permute(op: Op) -> Type:
    """Dimensions in another order."""
    signal = op.signal("self")
    order = [index(int(d), len(signal.dims)) for d in op["dims"]]
    return replace(signal, dims=tuple(signal.dims[i] for i in order))


def transpose(op: Op) -> Type:
    """Two dimensions exchanged."""
    signal = op.signal("self")
    dims = list(signal.dims)
    if len(dims) < 2:
        return signal
    first, second = (op.get("dim0", op.get("axis0", -2)), op.get("dim1", op.get("axis1", -1)))
    if op.operator in ("t", "mT", "numpy_T"):
        op.need(len(dims) == 2 or op.operator == "mT", "a transpose of several dimensions")
        first, second = -2, -1
    i, j = index(int(first), len(dims)), index(int(second), len(dims))
    dims[i], dims[j] = dims[j], dims[i]
    return replace(signal, dims=tuple(dims))


def moved(op: Op) -> Type:
    """`movedim`: some dimensions elsewhere, the others in their order."""
    signal = op.signal("self")
    n = len(signal.dims)
    source, target = ([index(int(d), n) for d in _list(op[k])] for k in ("source", "destination"))
    order: list[int | None] = [None] * n
    for s, t in zip(source, target, strict=True):
        order[t] = s
    rest = iter(i for i in range(n) if i not in source)
    return replace(signal, dims=tuple(signal.dims[next(rest) if i is None else i] for i in order))


def unsqueeze(op: Op) -> Type:
    """A dimension of size 1 more."""
    signal = op.signal("self")
    at = index(int(op["dim"]), len(signal.dims) + 1)
    return replace(signal, dims=(*signal.dims[:at], (), *signal.dims[at:]))


def squeeze(op: Op) -> Type:
    """Dimensions of size 1 left out."""
    signal = op.signal("self")
    asked = op.get("dim")
    n = len(signal.dims)
    chosen = range(n) if asked is None else [index(int(d), n) for d in _list(asked)]
    return replace(signal, dims=tuple(d for i, d in enumerate(signal.dims) if i not in chosen or size(d) != 1))


def expand(op: Op) -> Type:
    """Dimensions of size 1 repeated: the copies are alike, so the dimension is inert."""
    signal = op.signal("self")
    new = len(op.shape) - len(signal.dims)
    dims = [inert(n) for n in op.shape[:new]]
    dims += [d if size(d) == n else inert(n) for d, n in zip(signal.dims, op.shape[new:], strict=True)]
    return replace(signal, dims=tuple(dims))


def repeat(op: Op) -> Type:
    """A tensor laid out several times: an inert index over the copies, outside the old one."""
    signal = op.signal("self")
    times = [int(n) for n in op.get("repeats", op.get("dims"))]
    times = [1] * (len(signal.dims) - len(times)) + times
    dims = [(), ] * (len(times) - len(signal.dims)) + list(signal.dims)  # fmt: skip
    return replace(signal, dims=tuple(canonical((*inert(k), *d)) for k, d in zip(times, dims, strict=True)))


def repeat_each(op: Op) -> Type:
    """Each index several times, next to itself: a finer grid."""
    signal = op.signal("self")
    op.need(isinstance(op["repeats"], int) and op.get("dim") is not None, "repeats that differ from cell to cell")
    at = index(int(op["dim"]), len(signal.dims))
    dims = list(signal.dims)
    dims[at] = finer(dims[at], op["repeats"])
    return replace(signal, dims=tuple(dims))


def pixel_shuffle(op: Op) -> Type:
    """Channels become positions on a finer grid: the step stays."""
    signal, k = op.signal("self"), int(op["upscale_factor"])
    *rest, channels, y, x = signal.dims
    op.need(not axes(channels), "channels that are positions")
    return replace(signal, dims=(*rest, inert(size(channels) // k**2), finer(y, k), finer(x, k)))


def pixel_unshuffle(op: Op) -> Type:
    """Positions become channels: the step grows."""
    signal, k = op.signal("self"), int(op["downscale_factor"])
    *rest, channels, y, x = signal.dims
    op.need(not axes(channels), "channels that are positions")
    outer: list[Dim] = []
    strides: list[tuple[str, Fraction]] = []
    for dim in (y, x):
        try:
            (dim_outer, _), more = shared([dim], [size(dim) // k, k])
        except UnfactorableError as e:
            op.need(False, str(e))
            raise
        outer.append(dim_outer)
        strides += more
        op.need(not axes(dim) or size(dim) // k > 1, "one group only")
    dims = (*rest, inert(size(channels) * k**2), *outer)
    return stepped(op, replace(signal, dims=dims), strides, "positions are grouped:")


def _list(value) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [value]


SHAPE: dict[str, Rule] = {
    **dict.fromkeys(
        ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "reshape_as", "view_as", "ravel", "_reshape_alias"),
        reshape,
    ),
    "permute": permute,
    **dict.fromkeys(("transpose", "t", "mT", "swapaxes", "swapdims", "numpy_T"), transpose),
    **dict.fromkeys(("movedim", "moveaxis"), moved),
    "unsqueeze": unsqueeze,
    "squeeze": squeeze,
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand),
    **dict.fromkeys(("repeat", "tile"), repeat),
    "repeat_interleave": repeat_each,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
}
