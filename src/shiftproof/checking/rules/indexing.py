"""Operators that pick, join and reorder positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from typing import Any

from shiftproof.checking.findings import mend
from shiftproof.checking.rules.cutting import Cut, joining, overwritten
from shiftproof.checking.rules.op import Op, Rule, index
from shiftproof.checking.rules.pointwise import combined, disturbed, met
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.types import (
    AXES,
    Atom,
    Constant,
    Dim,
    Reach,
    Signal,
    Type,
    Unknown,
    alike,
    axes,
    inert,
    joined,
    merged_reach,
    only,
    size,
)
from shiftproof.records.verdict_words import moves_words

TIES = mend("polyphase", "shiftproof.layers.PolyphasePool2d, which breaks ties by the content")
ORDER = mend("order", "an operator that does not depend on order")


def cat(op: Op) -> Type:
    """Tensors laid end to end. If one moves along that dimension, each part moves within itself."""
    parts = [t for t in op["tensors"] if tuple(t.shape) != (0,)]  # torch skips empty lists of any rank
    at = index(int(op["dim"]), len(op.shape))
    rest = beside(op, parts, at)
    own = [t.dims[at] if isinstance(t, Signal) else inert(t.shape[at]) for t in parts]
    # No part moves into another, so each keeps its own way of moving: a token before patches stands still.
    along = joining(own) if any(axes(d) for d in own) else inert(op.shape[at])
    return replace(rest, dims=(*rest.dims[:at], along, *rest.dims[at:]))


def stack(op: Op) -> Type:
    """Tensors side by side along a new dimension."""
    at = index(int(op["dim"]), len(op.shape))
    rest = combined(replace(op, shape=(*op.shape[:at], *op.shape[at + 1 :])), list(op["tensors"]))
    return replace(rest, dims=(*rest.dims[:at], inert(op.shape[at]), *rest.dims[at:]))


def beside(op: Op, parts: Sequence[Type], at: int) -> Signal:
    """All dimensions but one of several tensors, which must move in the same way there; constants are read.

    Args:
        op: the operator, with the shape of the result.
        parts: tensors of the same rank.
        at: index of the dimension that is left out.
    """
    narrow = replace(op, shape=(*op.shape[:at], *op.shape[at + 1 :]))
    rest = combined(narrow, [replace(t, dims=_less(t.dims, at)) for t in parts if isinstance(t, Signal)])
    for t in parts:
        if isinstance(t, Constant):
            own = disturbed(op, t, (*rest.dims[:at], inert(t.shape[at]), *rest.dims[at:]))
            rest = met(op, replace(rest, dims=_less(own, at)), t, own)
    return rest


def unbind(op: Op) -> tuple[Type, ...]:
    """One tensor per index of a dimension."""
    signal = op.signal("self")
    at = index(int(op.get("dim", 0)), len(signal.dims))
    cut = Cut(op, signal)
    if axes(signal.dims[at]):
        cut.lose(signal.dims[at], 1, f"{size(signal.dims[at])} positions become separate tensors")
    # Each result is one index of the dimension, so they all have the same type.
    result = replace(cut.report(), dims=_less(signal.dims, at))
    return (result,) * len(op.shape)


def part_starts(arguments: Mapping[str, Any], shapes: Sequence[tuple], at: int, n: int) -> list[int]:
    """Where each part of a split dimension begins.

    Args:
        arguments: of the operator.
        shapes: of its results.
        at: the dimension.
        n: its size.

    >>> part_starts({"indices": (6, 3)}, [(6,), (0,), (5,)], 0, 8), part_starts({}, [(3,), (3,), (2,)], 0, 8)
    ([0, 6, 3], [0, 3, 6])
    """
    cuts = arguments.get("indices")  # tensor_split: the start of each part but the first; parts may overlap
    if cuts is not None:
        return [0, *(min(max(int(i) + n if int(i) < 0 else int(i), 0), n) for i in cuts)]
    return [0, *accumulate(shape[at] for shape in shapes[:-1])]


def split(op: Op) -> tuple[Type, ...]:
    """One tensor per range of a dimension. The sizes of the results say where `split` and `chunk` cut."""
    signal = op.signal("self")
    at = index(int(op.get("dim", 0)), len(signal.dims))
    op.need(op.get("tensor_indices_or_sections") is None, "a split at positions that a tensor holds")
    starts = part_starts(op.arguments, op.shape, at, size(signal.dims[at]))
    cut = Cut(op, signal)
    found = [cut.range(signal.dims[at], n, shape[at]) for n, shape in zip(starts, op.shape, strict=True)]
    result = cut.report()
    return tuple(replace(result, dims=(*signal.dims[:at], d, *signal.dims[at + 1 :])) for d in found)


def slices(op: Op) -> Type:
    """A range of indices, with a step. `end` is not needed: the size of the result says it."""
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
    if axes(found):  # the dimension has several parts: one index of it is not one position
        cut.lose(found, 1, "one index of a dimension of several parts is selected by index")
    return replace(cut.report(), dims=_less(signal.dims, at))


def picked(op: Op) -> Type:
    """Indexing by tensors that do not move, of dimensions that do not move. The picture may choose the index: see `chosen`."""
    signal = op.signal("self")
    alone = op.operator != "index"
    asked: list[Any] = (
        [None] * index(int(op["dim"]), len(signal.dims)) + [op["index"]] if alone else list(op["indices"])
    )
    places = [i for i, v in enumerate(asked) if v is not None]
    told = [asked[i] for i in places if isinstance(asked[i], Signal)]
    op.need(not any(t.axes for t in told), "an index that moves with the picture")
    # A mask of k dimensions stands in for k dimensions of the tensor, where a list of numbers stands in for one.
    constants = [asked[i] for i in places if isinstance(asked[i], Constant)]
    masked = any(t.shape and str(op.dtypes.get(t.name)) == "torch.bool" for t in constants)
    op.need(not masked, "a mask as an index")
    cut = Cut(op, signal)
    for i in places:
        if axes(signal.dims[i]):
            cut.lose(signal.dims[i], 1, f"positions out of {size(signal.dims[i])} are selected by index")
    rank = max(len(asked[i].shape) for i in places)
    # Torch puts the new dimensions where the indices are, or first if the indices are not next to each other.
    together = places == list(range(places[0], places[-1] + 1))
    first = places[0] if together else 0
    kept = [d for i, d in enumerate(signal.dims) if i not in places]
    new = [inert(n) for n in op.shape[first : first + rank]]
    result = replace(cut.report(), dims=(*kept[:first], *new, *kept[first:]))
    return chosen(op, result, told, [size(signal.dims[i]) for i in places if isinstance(asked[i], Signal)])


def chosen(op: Op, signal: Signal, told: Sequence[Signal], parts: Sequence[int]) -> Signal:
    """What was picked by an index that the picture chose: the same parts for moves that leave the index as it is.

    Adaptive polyphase sampling as published keeps the component of largest norm, by `argmax` and `index_select`. Of equally
    large ones `argmax` names the first, by number and not by content: another move may choose another one. So it is exact for
    multiples of the step only, and the finding names the layer that decides ties by the content.

    Args:
        op: the operator.
        signal: what was picked from, in the layout of the result.
        told: the indices that depend on the picture; none of them moves.
        parts: how many parts there were to choose from.
    """
    if not told:
        return signal
    result = joined(signal.dims, [signal, *told])
    steps = {a: s for a, s in zip(AXES, result.step, strict=True) if s > 1 and a in result.axes}
    words = " and ".join(dict.fromkeys(moves_words(s) for s in steps.values()))
    text = f"the picture chooses among {' x '.join(map(str, parts))} parts, equal ones by their order: exact only for {words}"
    op.report("T1", steps, text, TIES)
    return result


def roll(op: Op) -> Type:
    """A roll by a fixed number of cells is a translation, and translations commute."""
    signal = op.signal("self")
    dims = list(signal.dims)
    cut = Cut(op, signal)
    if not op["dims"]:
        # Without `dims` torch rolls the flattened tensor: rows run into each other.
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
    by = by - n if by > n // 2 else by  # the shorter way round, so that the margins stay small
    low, high = (
        # What comes in at one end wrapped around, so it counts as reached
        # by the border; at the other end as much has left.
        (reach.before + by, max(0, reach.after - by)) if by > 0 else (max(0, reach.before + by), reach.after - by)
    )
    shift = by * atom.stride
    seen = replace(reach, before=min(low, n), after=min(high, n), first=reach.first - shift, last=reach.last - shift)
    return replace(atom, reach=seen)


def ordered(op: Op) -> Type:
    """`cumsum` and the like: along positions they depend on where the picture begins."""
    signal = op.signal("self")
    along = axes(signal.dims[index(int(op["dim"]), len(signal.dims))])
    op.report("T7", along, f"{op.operator} runs along positions", ORDER)
    return replace(signal, whole=signal.whole | along, lost=signal.lost | along)


def flipped(op: Op) -> Type:
    """`flip`: the map moves the other way, as if a cell were a negative number of pixels; flipped again it moves as before."""
    signal = op.signal("self")
    dims, mixed = list(signal.dims), set[str]()
    for d in {"fliplr": [1], "flipud": [0]}.get(op.operator) or op["dims"]:
        i = index(int(d), len(dims))
        atom = only(dims[i])
        if atom is not None and not atom.wrapped:
            # Where cell i moves to i + v / r, its mirror image moves from n - 1 - i to n - 1 - i - v / r.
            dims[i] = (_mirrored(op, atom),)
            signal = replace(signal, whole=signal.whole | atom.axes)
        else:
            mixed |= axes(dims[i])
    along = frozenset(mixed)
    op.report("T7", along, f"{op.operator} runs along positions of several rows", ORDER)
    return replace(signal, dims=tuple(dims), whole=signal.whole | along, lost=signal.lost | along)


def turned(op: Op) -> Type:
    """`rot90`: a flip and an exchange of two dimensions, two flips, or nothing."""
    first, second = (int(d) for d in op["dims"])
    times = int(op["k"]) % 4
    flips = [[], [second], [first, second], [first]][times]
    found = flipped(replace(op, operator="flip", arguments={"self": op["self"], "dims": flips}))
    assert isinstance(found, Signal)
    dims = list(found.dims)
    if times % 2:
        dims[first], dims[second] = dims[second], dims[first]
    return replace(found, dims=tuple(dims))


def _mirrored(op: Op, atom: Atom) -> Atom:
    """The atom read backwards. Its margins are not followed: no cell is clean, and no distance from the border is enough."""
    extent = op.input_size[1 + AXES.index(atom.axis or "y")]
    op.kept_away.append(Fraction(extent))
    return replace(atom, stride=-atom.stride, reach=Reach(atom.size, 0, Fraction(0), Fraction(extent)))


def triangle(op: Op) -> Type:
    """`tril`, `triu`: a fixed mask over the last two dimensions, on whichever `diagonal`."""
    signal = op.signal("self")
    along = frozenset().union(*(axes(d) for d in signal.dims[-2:]))
    op.report("T7", along, f"{op.operator} keeps one side of a diagonal", mend("keep_positions", "keep all positions"))
    return replace(signal, whole=signal.whole | along, lost=signal.lost | along)


def diagonal(op: Op) -> Type:
    """The diagonal of two dimensions, which must move in the same way."""
    signal = op.signal("self")
    first, second = (index(int(op[k]), len(signal.dims)) for k in ("dim1", "dim2"))
    one, other = signal.dims[first], signal.dims[second]
    moves = axes(one) | axes(other)
    # Cells (i, i) move to (i + 1, i + 1) around the circle. Beside the main diagonal, torch stops at the border instead.
    op.need(not moves or (alike(one, other) and not op.get("offset")), "a diagonal of dimensions that move differently")
    rest = tuple(d for i, d in enumerate(signal.dims) if i not in (first, second))
    return replace(signal, dims=(*rest, merged_reach(one, other) if moves else inert(op.shape[-1])))


def halved(op: Op) -> Type:
    """`glu`: one half of a dimension that does not move, times a function of the other half."""
    signal = op.signal("self")
    at = index(int(op.get("dim", -1)), len(signal.dims))
    op.need(not axes(signal.dims[at]), "glu over positions")
    return replace(signal, dims=(*signal.dims[:at], inert(op.shape[at]), *signal.dims[at + 1 :]))


def shuffled(op: Op) -> Type:
    """Channels in another order; `groups` says in which."""
    signal = op.signal("self") if "self" in op.arguments else op.signal("input")
    op.need(not axes(signal.dims[1]), "a channel shuffle over channels that are positions")
    return signal


def recurrent(op: Op) -> tuple[Type, ...]:
    """A recurrent layer over a sequence, which has a first and a last element: along positions a T7.

    Its weights (`params`), and how many layers and directions they form, treat every sequence alike.
    """
    signal = op.signal("input")
    op.need(len(signal.dims) == 3, "a recurrent layer without a batch dimension")
    op.need(all(isinstance(w, Constant) for w in op["params"]), "a recurrent layer whose weights depend on the picture")
    # Torch draws no numbers for a probability of 0, whatever the mode.
    op.need(not (op.get("train") and op.get("dropout")), "a recurrent layer with dropout in training mode is random")
    sequence, batch = (1, 0) if op["batch_first"] else (0, 1)
    for held in op["hx"] if isinstance(op["hx"], list | tuple) else [op["hx"]]:
        op.need(isinstance(held, Constant), "a recurrent layer whose state depends on the picture")
        # Rows of a map can be the sequences of one batch (as in ReNet). A
        # state to start from in each row then tells rows apart.
        signal = met(op, signal, held, ((), signal.dims[batch], inert(held.shape[2])))
    along = axes(signal.dims[sequence])
    op.report("T7", along, f"{op.operator} runs along positions", ORDER)
    op.need(not axes(signal.dims[2]), "a recurrent layer whose features are positions")
    seen = replace(signal, whole=signal.whole | along, lost=signal.lost | along)
    # (layers x directions, batch, features), also with `batch_first`.
    state = replace(seen, dims=(inert(op.shape[1][0]), signal.dims[batch], inert(op.shape[1][2])))
    first = replace(seen, dims=(*signal.dims[:2], inert(op.shape[0][2])))
    return (first, *(replace(state, dims=(*state.dims[:2], inert(s[2]))) for s in op.shape[1:]))


def scattered(op: Op) -> Type:
    """A range of a dimension overwritten: the dimension does not move, or the range is whole parts of a join."""
    # Torch rewrites writes through views as these operators: `x[:, 1:] += y` is a slice, a sum and a `slice_scatter`.
    base, source = op["self"], op["src"]
    at = index(int(op["dim"]), len(op.shape))
    n = op.shape[at]
    op.need(isinstance(source, Signal), "a constant written into a map")
    if op.operator == "select_scatter":
        source = replace(source, dims=(*source.dims[:at], (), *source.dims[at:]))
        start, by = index(int(op["index"]), n), 1
    else:
        start, by = index(int(op.get("start", 0)), n), int(op["step"])
    if (source.shape[at], by) == (n, 1):  # nothing of the old tensor is left
        return source
    own = base.dims[at] if isinstance(base, Signal) else inert(n)
    if axes(own):
        found = overwritten(own, start, source.shape[at], source.dims[at]) if by == 1 else None
        op.need(found is not None, "some positions are overwritten")
    else:
        op.need(not axes(source.dims[at]), "positions written into a dimension that does not move")
        found = inert(n)
    rest = beside(op, [base, source], at)
    return replace(rest, dims=(*rest.dims[:at], found, *rest.dims[at:]))


def embedded(op: Op) -> Type:
    """A vector per number; the options of `embedding` concern its gradient only."""
    found = op["indices"] if op.operator == "embedding" else op["self"]
    op.need(
        # Numbers made of the picture cell by cell, such as codes of a
        # quantiser, move with it, and so do the vectors read for them.
        isinstance(found, Signal) and not isinstance(op.get("weight"), Signal),
        "an embedding whose table depends on the picture",
    )
    return replace(found, dims=(*found.dims, inert(op.shape[-1])))


def ranked(op: Op) -> tuple[Type, Type]:
    """`sort`, `topk`: along positions the ordered values do not depend on where each of them was; the indices do."""
    signal = op.signal("self")
    at = index(int(op.get("dim", -1)), len(signal.dims))
    # The k-th largest of a set does not depend on where each member was.
    # The positions in the result are ranks: they stand still.
    moving = [signal.dims[at]] if axes(signal.dims[at]) else []
    if moving and op.get("sorted") is False:  # then torch leaves their order to how they came to lie
        remedy = mend("order", "sorted=True")
        op.report("T7", axes(signal.dims[at]), "the order of what topk(sorted=False) finds is not defined", remedy)
        signal = replace(signal, lost=signal.lost | axes(signal.dims[at]))
    dims = (*signal.dims[:at], inert(op.shape[0][at]), *signal.dims[at + 1 :])
    found = replace(reduced(op, signal, moving), dims=dims)
    return found, Unknown(op.operator) if moving else found


def sorted_first(op: Op) -> Type:
    """`msort`: the ordered values along the first dimension."""
    inner = replace(op, arguments={**op.arguments, "dim": 0}, shape=(op.shape,))
    return ranked(inner)[0]


def _less(dims: Sequence[Dim], at: int) -> tuple[Dim, ...]:
    return (*dims[:at], *dims[at + 1 :])


INDEXING: dict[str, Rule] = {
    **dict.fromkeys(("cat", "concat", "concatenate"), cat),
    "stack": stack,
    "unbind": unbind,
    **dict.fromkeys(("split", "chunk", "split_with_sizes", "tensor_split"), split),
    **dict.fromkeys(("slice", "narrow"), slices),
    "select": select,
    **dict.fromkeys(("index", "index_select"), picked),
    "roll": roll,
    **dict.fromkeys(("cumsum", "cumprod", "logcumsumexp"), ordered),
    **dict.fromkeys(("flip", "fliplr", "flipud"), flipped),
    "rot90": turned,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), recurrent),
    **dict.fromkeys(("tril", "triu"), triangle),
    "diagonal": diagonal,
    "glu": halved,
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), shuffled),
    **dict.fromkeys(("slice_scatter", "select_scatter"), scattered),
    **dict.fromkeys(("embedding", "one_hot"), embedded),
    **dict.fromkeys(("sort", "topk"), ranked),
    "msort": sorted_first,
}
