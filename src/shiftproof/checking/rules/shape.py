"""Operators that rearrange dimensions and leave values unchanged: view, permute, expand, pixel shuffle.

For most of them the shape of the result says what their size arguments say: the rules read it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from shiftproof.checking.factor import UnfactorableError, canonical, finer, regroup, repeated
from shiftproof.checking.findings import WORLDS, mend
from shiftproof.checking.rules.op import Op, Rule, index
from shiftproof.checking.types import AXES, Dim, Signal, Type, axes, grown, inert, is_uniform, size, uniform, with_step
from shiftproof.records.verdict_words import moves_words

SIZES = mend("input_size", "sizes that divide")


def reshape(op: Op) -> Type:
    """The same values in the same order, under other sizes."""
    return reshaped(op, op.signal("self"), op.shape)


def reshaped(op: Op, signal: Signal, shape: Sequence[int]) -> Signal:
    """A signal viewed under other sizes. Grouped positions make the step grow; mixed ones end the proof."""
    try:
        dims, strides = regroup(signal.dims, shape)
    except UnfactorableError as e:
        along = signal.axes
        op.report("T3", along, f"positions of different rows are mixed: {e}", SIZES, breaks=WORLDS)
        return replace(
            signal, dims=tuple(inert(n) for n in shape), lost=signal.lost | along, whole=signal.whole | along
        )
    return stepped(op, replace(signal, dims=tuple(dims)), strides, "positions are grouped:")


def stepped(op: Op, signal: Signal, strides: Sequence[tuple[str, Fraction]], what: str) -> Signal:
    """The signal, known only for moves by multiples of the strides; a step that grows is a T1."""
    # A move that is not a multiple of the stride carries content from one group into the next: the groups change.
    grows: dict[str, int] = {}
    for axis, stride in strides:
        step = signal.step[AXES.index(axis)]
        if grown(step, stride) > step:
            grows[axis] = grown(step, stride)
            signal = with_step(signal, axis, grows[axis])
    words = " and ".join(dict.fromkeys(moves_words(s) for s in grows.values()))
    op.report("T1", grows, f"{what} exact only for {words}", mend("finer_grid", "a finer grid", step=grows))
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
    # `t()` of a vector, or of a number, is itself.
    if len(dims) < 2:
        return signal
    first, second = (op.get("dim0", op.get("axis0", -2)), op.get("dim1", op.get("axis1", -1)))
    if op.operator in ("t", "mT", "numpy_T"):
        op.need(len(dims) == 2 or op.operator == "mT", "a transpose of more than two dimensions at once")
        first, second = -2, -1
    i, j = index(int(first), len(dims)), index(int(second), len(dims))
    dims[i], dims[j] = dims[j], dims[i]
    return replace(signal, dims=tuple(dims))


def moved(op: Op) -> Type:
    """`movedim`: some dimensions at other places; the others keep their order."""
    signal = op.signal("self")
    n = len(signal.dims)
    source, target = ([index(int(d), n) for d in _list(op[k])] for k in ("source", "destination"))
    order: list[int | None] = [None] * n
    for s, t in zip(source, target, strict=True):
        order[t] = s
    rest = iter(i for i in range(n) if i not in source)
    return replace(signal, dims=tuple(signal.dims[next(rest) if i is None else i] for i in order))


def unsqueeze(op: Op) -> Type:
    """A new dimension of size 1."""
    signal = op.signal("self")
    at = index(int(op["dim"]), len(signal.dims) + 1)
    return replace(signal, dims=(*signal.dims[:at], (), *signal.dims[at:]))


def squeeze(op: Op) -> Type:
    """Dimensions of size 1 removed."""
    signal = op.signal("self")
    asked = op.get("dim")
    n = len(signal.dims)
    chosen = range(n) if asked is None else [index(int(d), n) for d in _list(asked)]
    return replace(signal, dims=tuple(d for i, d in enumerate(signal.dims) if i not in chosen or size(d) != 1))


def expand(op: Op) -> Type:
    """Dimensions of size 1 repeated: all copies are equal."""
    signal = op.signal("self")
    new = len(op.shape) - len(signal.dims)
    # A spatial dimension of one cell is () already, so what is repeated never moves.
    dims = [uniform(n) for n in op.shape[:new]]
    dims += [d if size(d) == n else uniform(n) for d, n in zip(signal.dims, op.shape[new:], strict=True)]
    return replace(signal, dims=tuple(dims))


def repeat(op: Op) -> Type:
    """Copies of a tensor laid end to end: an inert index over the copies, outside the old index."""
    signal = op.signal("self")
    times = [int(n) for n in op.get("repeats", op.get("dims"))]
    # `tile` may have fewer numbers than dimensions, `repeat` more: both are aligned at the last one.
    times = [1] * (len(signal.dims) - len(times)) + times
    dims: list[Dim] = [()] * (len(times) - len(signal.dims)) + list(signal.dims)
    found = [
        uniform(k * size(d)) if is_uniform(d) else canonical((*inert(k), *d)) for k, d in zip(times, dims, strict=True)
    ]
    return replace(signal, dims=tuple(found))


def repeat_each(op: Op) -> Type:
    """Each index repeated next to itself: a finer grid."""
    signal = op.signal("self")
    op.need(
        isinstance(op["repeats"], int) and op.get("dim") is not None,
        "repeat_interleave without a dimension, or with repeats that differ from cell to cell",
    )
    at = index(int(op["dim"]), len(signal.dims))
    dims = list(signal.dims)
    dims[at] = repeated(dims[at], op["repeats"])
    return replace(signal, dims=tuple(dims))


def pixel_shuffle(op: Op) -> Type:
    """Channels become positions on a finer grid; the step does not change."""
    signal, k = op.signal("self"), int(op["upscale_factor"])
    # Channel c k^2 + i k + j becomes the cell (i, j) of a block of k x k: an index beside the position
    # that stands still, so the position moves k cells of the finer grid where it moved one.
    *rest, channels, y, x = signal.dims
    op.need(not axes(channels), f"{op.operator} over channels that are positions")
    return replace(signal, dims=(*rest, inert(size(channels) // k**2), finer(y, k), finer(x, k)))


def pixel_unshuffle(op: Op) -> Type:
    """Positions become channels: the step grows."""
    signal, k = op.signal("self"), int(op["downscale_factor"])
    *rest, channels, y, x = signal.dims
    op.need(not axes(channels), f"{op.operator} over channels that are positions")
    # The inner k cells of each axis become channels, in the order channel, row, column: all of them stand still.
    outer: list[Dim] = []
    within: list[Dim] = []
    strides: list[tuple[str, Fraction]] = []
    for dim in (y, x):
        try:
            (dim_outer, dim_inner), more = regroup([dim], [size(dim) // k, k])
        except UnfactorableError as e:
            op.need(False, str(e))
            raise
        outer.append(dim_outer)
        within.append(dim_inner)
        strides += more
        op.need(not axes(dim) or size(dim) // k > 1, "pixel_unshuffle into a single group")
    dims = (*rest, canonical((*inert(size(channels)), *within[0], *within[1])), *outer)
    return stepped(op, replace(signal, dims=dims), strides, "positions are grouped:")


def _list(value) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [value]


SHAPE: dict[str, Rule] = {
    **dict.fromkeys(
        # not `_reshape_alias`: its strides are its caller's, and need not be those of its tensor
        ("view", "reshape", "_unsafe_view", "flatten", "unflatten", "reshape_as", "view_as", "ravel"),
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
