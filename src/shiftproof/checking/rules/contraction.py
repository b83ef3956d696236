"""Products summed over dimensions: matmul, einsum, attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from string import ascii_letters

from shiftproof.checking.findings import WORLDS
from shiftproof.checking.rules.linear import contracted
from shiftproof.checking.rules.op import NoRuleError, Op, Rule
from shiftproof.checking.rules.pointwise import chosen_apart, combined, met, words
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.types import Constant, Dim, Known, Signal, Type, alike, axes, inert, joined, merged_reach, size


def einsum(op: Op, tensors: Sequence[Known], names: Sequence[str], out: str) -> Signal:
    """A sum of products over the letters that are not in `out`.

    Letters under which every tensor moves alike may stay or be summed: the sum over all positions does not see where they
    are. A constant must stay as it is when its letters move.

    Args:
        op: the operator.
        tensors: factors; at least one depends on the picture.
        names: a letter for each of their dimensions.
        out: letters of the result.
    """
    pairs = [_diagonal(t, n) for t, n in zip(tensors, names, strict=True)]
    tensors, names = [t for t, _ in pairs], [n for _, n in pairs]
    signals = [(t, n) for t, n in pairs if isinstance(t, Signal)]
    letters = {c: _letter(op, c, signals) for c in dict.fromkeys("".join(names))}
    for t, n in zip(tensors, names, strict=True):  # letters that only constants have
        for c, length in zip(n, t.shape, strict=True):
            if letters[c] is None or (size(letters[c] or ()) == 1 and length > 1):
                letters[c] = inert(length)
    dims = {c: d or () for c, d in letters.items()}
    summed = [d for c, d in dims.items() if c not in out]
    result = reduced(op, joined([dims[c] for c in out], [s for s, _ in signals]), summed)
    chosen_apart(op, [s for s, _ in signals], result)
    for t, n in zip(tensors, names, strict=True):
        if isinstance(t, Constant):
            over = any(axes(dims[c]) for c in n if c not in out)
            kernel = any(c not in out for c in n)
            before = len(op.found)
            result = met(op, result, t, [dims[c] for c in n], "T5" if over else "T6" if kernel else "T4")
            along = frozenset().union(*(f.axes for f in op.found[before:] if f.breaks == frozenset(WORLDS)))
            result = replace(result, lost=result.lost | along) if over else result
    return result


def _diagonal(tensor: Known, names: str) -> tuple[Known, str]:
    """A tensor with each letter once: where one stands twice both dimensions must move alike."""
    once = "".join(dict.fromkeys(names))
    if len(once) == len(names):
        return tensor, names
    if not isinstance(tensor, Signal):
        raise NoRuleError("a diagonal of a constant")
    dims: dict[str, Dim] = {}
    for c, d in zip(names, tensor.dims, strict=True):
        if c in dims and not alike(dims[c], d):
            raise NoRuleError("a diagonal of dimensions that move otherwise")
        dims[c] = merged_reach(dims[c], d) if c in dims else d
    return replace(tensor, dims=tuple(dims[c] for c in once)), once


def _letter(op: Op, letter: str, signals: Sequence[tuple[Signal, str]]) -> Dim | None:
    """How a letter moves; signals that disagree about it are a finding."""
    there = [(s, s.dims[n.index(letter)]) for s, n in signals if letter in n]
    if not there:
        return None
    full = max(size(d) for _, d in there)
    there = [(s, d) for s, d in there if size(d) == full]
    base = next((d for _, d in there if axes(d)), None)
    if base is None:
        return inert(full)
    for s, d in there:
        if alike(base, d):
            base = merged_reach(base, d)
        elif not (axes(base) | axes(d)) <= s.lost:
            detail = f"positions ({words(base)}) are matched with something that moves otherwise ({words(d)})"
            op.report("T4", axes(base) | axes(d), detail, "one layout for both", breaks=WORLDS)
    return base


def written(op: Op) -> Type:
    """`einsum` as its equation says."""
    equation = op["equation"].replace(" ", "")
    left, arrow, out = equation.partition("->")
    if not arrow:  # the result has the letters that are there once, in the alphabet's order
        letters = left.replace("...", "").replace(",", "")
        out = ("..." if "..." in left else "") + "".join(c for c in sorted(letters) if letters.count(c) == 1)
    names = left.split(",")
    tensors = op["tensors"]
    if "." in equation:
        free = [c for c in ascii_letters if c not in equation]
        ranks = [len(t.shape) - len(n.replace("...", "")) for t, n in zip(tensors, names, strict=True) if "..." in n]
        most = "".join(free[: max(ranks)])
        names = [
            n.replace("...", most[len(most) - (len(t.shape) - len(n.replace("...", ""))) :]) if "..." in n else n
            for t, n in zip(tensors, names, strict=True)
        ]
        out = out.replace("...", most)
    return einsum(op, tensors, names, out)


def matmul(op: Op) -> Type:
    """A product of matrices, with any dimensions before."""
    first = op.get("self", op.get("input"))
    second = next(v for k in ("other", "mat2", "vec", "tensor") if (v := op.get(k)) is not None)
    return _product(op, first, second)


def _product(op: Op, first: Known, second: Known) -> Signal:
    one, two = len(first.shape), len(second.shape)
    if one == 1 or two == 1:
        return _with_vector(op, first, second)
    if isinstance(first, Signal) and isinstance(second, Constant) and two == 2 and axes(first.dims[-1]):
        return _by_constant(op, first, second)
    if isinstance(second, Signal) and isinstance(first, Constant) and one == 2 and axes(second.dims[-2]):
        turned = replace(second, dims=(*second.dims[:-2], second.dims[-1], second.dims[-2]))
        found = contracted(op, turned, first, first.shape[0])
        return replace(found, dims=(*found.dims[:-2], found.dims[-1], found.dims[-2]))
    most = max(one, two) - 2
    batch = ascii_letters[3 : 3 + most]
    names = [batch[most - (one - 2) :] + "ab", batch[most - (two - 2) :] + "bc"]
    return einsum(op, [first, second], names, batch + "ac")


def _with_vector(op: Op, first: Known, second: Known) -> Signal:
    """A product one of whose factors has a single dimension."""
    batch = ascii_letters[3 : 3 + max(len(first.shape), len(second.shape)) - 2]
    one = "b" if len(first.shape) == 1 else batch[: len(first.shape) - 2] + "ab"
    two = "b" if len(second.shape) == 1 else batch[: len(second.shape) - 2] + "bc"
    return einsum(op, [first, second], [one, two], (one + two).replace("b", ""))


def _by_constant(op: Op, first: Signal, second: Constant) -> Signal:
    """A signal times a constant matrix: the dense layer whose weights are the matrix turned round."""

    def turned(name: str):
        value = op.read(name)
        return None if value is None else value.T

    inner = replace(op, read=turned)
    return contracted(inner, first, Constant(second.name, (second.shape[1], second.shape[0])), second.shape[1])


def added(op: Op) -> Type:
    """`addmm`, `baddbmm`: a product and something added to it."""
    batches = [op.get("batch1", op.get("mat1")), op.get("batch2", op.get("mat2"))]
    product = _product(op, *batches) if any(isinstance(t, Signal) for t in batches) else None
    op.need(product is not None, "a product of constants added to the picture")
    return combined(op, [op["self"], product])  # type: ignore[list-item]


def attention(op: Op) -> Type:
    """softmax(q k' + mask) v: over all positions it does not care about their order, as long as the mask does not."""
    query, key, value, mask = op["query"], op["key"], op["value"], op.get("attn_mask")
    op.need(not op.get("dropout_p"), "dropout in attention is random")
    rank = len(query.shape)
    if op.get("enable_gqa"):
        key, value = (_as_heads(op, t, query) for t in (key, value))
    op.need(len(key.shape) == rank and len(value.shape) == rank, "attention over tensors of different rank")
    batch = ascii_letters[8 : 8 + rank - 2]
    inner = replace(op, shape=(*op.shape[:-1], key.shape[-2]))
    if isinstance(query, Signal) or isinstance(key, Signal):
        logits = einsum(inner, [query, key], [batch + "ae", batch + "be"], batch + "ab")
    else:
        raise NoRuleError("attention whose weights do not depend on the picture")
    logits = combined(inner, [logits, mask]) if isinstance(mask, Signal | Constant) else logits
    seen = logits.dims[-1]
    if op.get("is_causal"):
        op.report(
            "T7",
            axes(seen) | axes(logits.dims[-2]),
            "each position sees only those before it",
            "attention to all positions",
        )
    logits = reduced(op, logits, [seen])
    return einsum(op, [logits, value], [batch + "ab", batch + "bd"], batch + "ad")


def _as_heads(op: Op, t: Known, query: Known) -> Known:
    """Keys or values with a head for each of the query's."""
    if isinstance(t, Constant) or not isinstance(query, Signal):
        raise NoRuleError("grouped heads of constants")
    op.need(not axes(t.dims[-3]) and not axes(query.dims[-3]), "heads that move")
    return replace(t, dims=(*t.dims[:-3], query.dims[-3], *t.dims[-2:]))


CONTRACTION: dict[str, Rule] = {
    "einsum": written,
    **dict.fromkeys(("matmul", "bmm", "mm", "mv", "dot"), matmul),
    **dict.fromkeys(("addmm", "baddbmm"), added),
    "scaled_dot_product_attention": attention,
}
