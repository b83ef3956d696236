"""Operators that pick, join and reorder positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shiftproof.checking.findings import WORLDS
from shiftproof.checking.rules.cutting import Cut, joining, overwritten
from shiftproof.checking.rules.op import Op, Rule, index
from shiftproof.checking.rules.pointwise import combined, met
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.types import Atom, Constant, Dim, Signal, Type, alike, axes, inert, merged_reach, only, size


def cat(op: Op) -> Type:
    """Tensors laid end to end; where something moves along that dimension, each part moves in itself."""
    parts = [t for t in op["tensors"] if tuple(t.shape) != (0,)]
    at = index(int(op["dim"]), len(op.shape))
    rest = beside(op, parts, at)
    own = [t.dims[at] if isinstance(t, Signal) else inert(t.shape[at]) for t in parts]
    along = joining(own) if any(axes(d) for d in own) else inert(op.shape[at])
    return replace(rest, dims=(*rest.dims[:at], along, *rest.dims[at:]))


def stack(op: Op) -> Type:
    """Tensors side by side along a new dimension."""
    at = index(int(op["dim"]), len(op.shape))
    rest = combined(replace(op, shape=(*op.shape[:at], *op.shape[at + 1 :])), list(op["tensors"]))
    return replace(rest, dims=(*rest.dims[:at], inert(op.shape[at]), *rest.dims[at:]))


def beside(op: Op, parts: Sequence[Type], at: int) -> Signal:
    """The dimensions but one of tensors, which must move alike in them; constants are looked at by value.

    Args:
        op: its shape is the result's.
        parts: tensors of one rank.
        at: the dimension that is left out.
    """
    narrow = replace(op, shape=(*op.shape[:at], *op.shape[at + 1 :]))
    rest = combined(narrow, [replace(t, dims=_less(t.dims, at)) for t in parts if isinstance(t, Signal)])
    for t in parts:
        if isinstance(t, Constant):
            rest = met(op, rest, t, (*rest.dims[:at], inert(t.shape[at]), *rest.dims[at:]))
    return rest


def unbind(op: Op) -> tuple[Type, ...]:
    """One tensor for each index of a dimension."""
    signal = op.signal("self")
    at = index(int(op.get("dim", 0)), len(signal.dims))
    cut = Cut(op, signal)
    if axes(signal.dims[at]):
        cut.lose(signal.dims[at], 1, f"each of {size(signal.dims[at])} positions by itself")
    result = replace(cut.report(), dims=_less(signal.dims, at))
    return (result,) * len(op.shape)


def split(op: Op) -> tuple[Type, ...]:
    """One tensor for each range of a dimension."""
    signal = op.signal("self")
    at = index(int(op.get("dim", 0)), len(signal.dims))
    cut, start, found = Cut(op, signal), 0, []
    for shape in op.shape:
        found.append(cut.range(signal.dims[at], start, shape[at]))
        start += shape[at]
    result = cut.report()
    return tuple(replace(result, dims=(*signal.dims[:at], d, *signal.dims[at + 1 :])) for d in found)


def slices(op: Op) -> Type:
    """Every so-manieth index of a range."""
    signal = op.signal("self")
    at = index(int(op["dim"]), len(signal.dims))
    start = int(op.get("start", 0))
    n = size(signal.dims[at])
    start = min(max(start + n if start < 0 else start, 0), n)
    cut = Cut(op, signal)
    found = cut.range(signal.dims[at], start, op.shape[at], int(op.get("step", 1)))
    return replace(cut.report(), dims=(*signal.dims[:at], found, *signal.dims[at + 1 :]))


def select(op: Op) -> Type:
    """One index of a dimension."""
    signal = op.signal("self")
    at = index(int(op["dim"]), len(signal.dims))
    n = size(signal.dims[at])
    cut = Cut(op, signal)
    found = cut.range(signal.dims[at], index(int(op["index"]), n), 1)
    if axes(found):  # one index of several rows: not one position
        cut.lose(found, 1, "one index of a dimension of several parts")
    return replace(cut.report(), dims=_less(signal.dims, at))


def picked(op: Op) -> Type:
    """Advanced indexing by tensors that stand still, of dimensions that stand still."""
    signal = op.signal("self")
    alone = op.operator != "index"
    asked: list[Any] = (
        [None] * index(int(op["dim"]), len(signal.dims)) + [op["index"]] if alone else list(op["indices"])
    )
    places = [i for i, v in enumerate(asked) if v is not None]
    op.need(all(isinstance(asked[i], Constant) for i in places), "an index that depends on the picture")
    op.need(
        not any(asked[i].shape and str(op.dtypes.get(asked[i].name)) == "torch.bool" for i in places), "a mask as index"
    )
    cut = Cut(op, signal)
    for i in places:
        if axes(signal.dims[i]):
            cut.lose(signal.dims[i], 1, f"positions are picked out of {size(signal.dims[i])} by number")
    rank = max(len(asked[i].shape) for i in places)
    together = places == list(range(places[0], places[-1] + 1))
    first = places[0] if together else 0
    kept = [d for i, d in enumerate(signal.dims) if i not in places]
    new = [inert(n) for n in op.shape[first : first + rank]]
    return replace(cut.report(), dims=(*kept[:first], *new, *kept[first:]))


def roll(op: Op) -> Type:
    """Rolling by a fixed number of cells is a translation: it commutes with every other."""
    signal = op.signal("self")
    dims = list(signal.dims)
    cut = Cut(op, signal)
    if not op["dims"]:
        dims = [cut.lose(d, size(d), "a roll over all dimensions as one") if axes(d) else d for d in dims]
    for by, d in zip(op["shifts"] if op["dims"] else [], op["dims"], strict=True):
        i = index(int(d), len(dims))
        atom = only(dims[i])
        if atom is not None and not atom.wrapped:
            dims[i] = (_rolled(atom, int(by)),)
        elif axes(dims[i]):
            dims[i] = cut.lose(dims[i], size(dims[i]), "a roll across several rows")
    return replace(cut.report(), dims=tuple(dims))


def _rolled(atom: Atom, by: int) -> Atom:
    n, reach = atom.size, atom.reach
    by %= n
    by = by - n if by > n // 2 else by
    low, high = (
        (reach.before + by, max(0, reach.after - by)) if by > 0 else (max(0, reach.before + by), reach.after - by)
    )
    shift = by * atom.stride
    seen = replace(
        reach, before=min(low, n), after=min(high, n), first=reach.first - shift, last=reach.last - shift
    )  # fmt: skip
    return replace(atom, reach=seen)


def ordered(op: Op) -> Type:
    """`cumsum`, `flip` and their kin: along positions they know where the picture begins."""
    signal = op.signal("self")
    asked = {"fliplr": 1, "flipud": 0}.get(op.operator, op.get("dim", op.get("dims")))
    dims = list(signal.dims)
    each = asked if isinstance(asked, list | tuple) else [asked]
    chosen = [index(int(d), len(dims)) for d in each]  # type: ignore[arg-type]
    along = frozenset().union(*(axes(dims[i]) for i in chosen))
    op.report("T7", along, f"{op.operator} runs along positions", "an operator that does not care about order")
    return replace(signal, whole=signal.whole | along, lost=signal.lost | along)


def triangle(op: Op) -> Type:
    """`tril`, `triu`: a mask over the last two dimensions that stays where it is."""
    signal = op.signal("self")
    along = frozenset().union(*(axes(d) for d in signal.dims[-2:]))
    op.report("T7", along, f"{op.operator} keeps one side of a diagonal", "keep all positions")
    return replace(signal, whole=signal.whole | along, lost=signal.lost | along)


def diagonal(op: Op) -> Type:
    """Two dimensions that move alike, at the same index of both."""
    signal = op.signal("self")
    first, second = (index(int(op[k]), len(signal.dims)) for k in ("dim1", "dim2"))
    one, other = signal.dims[first], signal.dims[second]
    moves = axes(one) | axes(other)
    op.need(not moves or (alike(one, other) and not op.get("offset")), "a diagonal of dimensions that move otherwise")
    rest = tuple(d for i, d in enumerate(signal.dims) if i not in (first, second))
    return replace(signal, dims=(*rest, merged_reach(one, other) if moves else inert(op.shape[-1])))


def halved(op: Op) -> Type:
    """`glu`: one half of a dimension that stands still times a function of the other."""
    signal = op.signal("self")
    at = index(int(op.get("dim", -1)), len(signal.dims))
    op.need(not axes(signal.dims[at]), "halves of the positions")
    return replace(signal, dims=(*signal.dims[:at], inert(op.shape[at]), *signal.dims[at + 1 :]))


def shuffled(op: Op) -> Type:
    """Channels in another order."""
    signal = op.signal("self") if "self" in op.arguments else op.signal("input")
    op.need(not axes(signal.dims[1]), "channels that are positions")
    return signal


def recurrent(op: Op) -> tuple[Type, ...]:
    """A recurrent layer over a sequence."""
    signal = op.signal("input")
    op.need(len(signal.dims) == 3, "a recurrent layer without a batch")
    op.need(not (op.get("train") and op.get("dropout")), "dropout in training mode is random")
    sequence, batch = (1, 0) if op["batch_first"] else (0, 1)
    for held in op["hx"] if isinstance(op["hx"], list | tuple) else [op["hx"]]:
        op.need(isinstance(held, Constant), "a state that depends on the picture")
        signal = met(op, signal, held, ((), signal.dims[batch], inert(held.shape[2])))
    along = axes(signal.dims[sequence])
    op.report("T7", along, f"{op.operator} runs along positions", "an operator that does not care about order")
    op.need(not axes(signal.dims[2]), "positions as features")
    seen = replace(signal, whole=signal.whole | along, lost=signal.lost | along)
    state = replace(seen, dims=(inert(op.shape[1][0]), signal.dims[batch], inert(op.shape[1][2])))
    first = replace(seen, dims=(*signal.dims[:2], inert(op.shape[0][2])))
    return (first, *(replace(state, dims=(*state.dims[:2], inert(s[2]))) for s in op.shape[1:]))


def scattered(op: Op) -> Type:
    """A range of a dimension overwritten: of one that stands still, or whole parts of a join by what moves as they do."""
    base, source = op["self"], op["src"]
    at = index(int(op["dim"]), len(op.shape))
    n = op.shape[at]
    op.need(isinstance(source, Signal), "a constant written into a map")
    if op.operator == "select_scatter":
        source = replace(source, dims=(*source.dims[:at], (), *source.dims[at:]))
        start, by = index(int(op["index"]), n), 1
    else:
        start, by = index(int(op.get("start", 0)), n), int(op["step"])
    if (source.shape[at], by) == (n, 1):
        return source
    own = base.dims[at] if isinstance(base, Signal) else inert(n)
    if axes(own):
        found = overwritten(own, start, source.shape[at], source.dims[at]) if by == 1 else None
        op.need(found is not None, "positions that are overwritten")
    else:
        op.need(not axes(source.dims[at]), "positions written where nothing moves")
        found = inert(n)
    rest = beside(op, [base, source], at)
    return replace(rest, dims=(*rest.dims[:at], found, *rest.dims[at:]))


def embedded(op: Op) -> Type:
    """A vector for each number."""
    found = op["indices"] if op.operator == "embedding" else op["self"]
    op.need(
        isinstance(found, Signal) and not isinstance(op.get("weight"), Signal), "a table that depends on the picture"
    )
    return replace(found, dims=(*found.dims, inert(op.shape[-1])))


def ranked(op: Op) -> tuple[Type, ...]:
    """`sort`, `topk` along a dimension that stands still."""
    signal = op.signal("self")
    at = index(int(op.get("dim", -1)), len(signal.dims))
    op.need(not axes(signal.dims[at]), f"{op.operator} over positions")
    found = replace(signal, dims=(*signal.dims[:at], inert(op.shape[0][at]), *signal.dims[at + 1 :]))
    return found, found


def transformed(op: Op) -> Type:
    """A Fourier transform: along positions a move becomes a phase, and nothing is claimed about where that leads."""
    signal = op.signal("self")
    asked = op.get("dim")
    n = len(signal.dims)
    chosen = range(n) if asked is None else [index(int(d), n) for d in (asked if isinstance(asked, list) else [asked])]
    along = frozenset().union(*(axes(signal.dims[i]) for i in chosen))
    op.report("T7", along, f"{op.operator} along positions turns a move into a phase", "take magnitudes", breaks=WORLDS)
    dims = tuple(inert(op.shape[i]) if i in chosen else d for i, d in enumerate(signal.dims))
    return replace(signal, dims=dims, whole=signal.whole | along, lost=signal.lost | along)


def magnitudes(op: Op) -> Type:
    """|F x|: a move along a transformed dimension turns phases only, so the magnitudes stand still and stay as they are.

    Where one of the dimensions is not the whole circle, one after the other, it is the transform and its T7.
    """
    signal = op.signal("self")
    asked, n = op.get("dim"), len(signal.dims)
    chosen = range(n) if asked is None else [index(int(d), n) for d in (asked if isinstance(asked, list) else [asked])]
    moving = [signal.dims[i] for i in chosen if axes(signal.dims[i])]
    if any((atom := only(d)) is None or atom.wrapped for d in moving):
        return transformed(op)
    dims = tuple(inert(op.shape[i]) if i in chosen else d for i, d in enumerate(signal.dims))
    return replace(reduced(op, signal, moving), dims=dims)


def _less(dims: Sequence[Dim], at: int) -> tuple[Dim, ...]:
    return (*dims[:at], *dims[at + 1 :])


FOURIER = [f"fft_{i}{r}fft{n}" for i in ("", "i") for r in ("", "r", "h") for n in ("", "2", "n")]

INDEXING: dict[str, Rule] = {
    **dict.fromkeys(("cat", "concat", "concatenate"), cat),
    "stack": stack,
    "unbind": unbind,
    **dict.fromkeys(("split", "chunk", "split_with_sizes", "tensor_split"), split),
    **dict.fromkeys(("slice", "narrow"), slices),
    "select": select,
    **dict.fromkeys(("index", "index_select"), picked),
    "roll": roll,
    **dict.fromkeys(("cumsum", "cumprod", "logcumsumexp", "flip", "fliplr", "flipud"), ordered),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), recurrent),
    **dict.fromkeys(("tril", "triu"), triangle),
    "diagonal": diagonal,
    "glu": halved,
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), shuffled),
    **dict.fromkeys(("slice_scatter", "select_scatter"), scattered),
    **dict.fromkeys(("embedding", "one_hot"), embedded),
    **dict.fromkeys(("sort", "topk"), ranked),
    **dict.fromkeys(FOURIER, transformed),
    "magnitudes": magnitudes,
}
