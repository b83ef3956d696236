"""Sums of products over dimensions: matmul, einsum and attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from string import ascii_letters

from shiftproof.checking.findings import WORLDS, mend
from shiftproof.checking.rules.linear import contracted
from shiftproof.checking.rules.op import NoRuleError, Op, Rule
from shiftproof.checking.rules.pointwise import ONE_LAYOUT, chosen_apart, combined, met, words
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.types import (
    Constant,
    Dim,
    Known,
    Signal,
    Type,
    alike,
    axes,
    inert,
    is_uniform,
    joined,
    merged_reach,
    size,
)


def einsum(op: Op, tensors: Sequence[Known], names: Sequence[str], out: str) -> Signal:
    """The sum of products over the letters that are not in `out`.

    A letter whose dimensions all move in the same way may stay or be summed: a sum over all positions does not depend on
    where the content is. A constant must be unchanged when its letters move.

    Args:
        op: the operator.
        tensors: the factors; at least one depends on the picture.
        names: for each factor, one letter per dimension.
        out: the letters of the result.
    """
    # A letter that a factor has twice reads its diagonal, as in "bii->b"; after this a factor has each letter once.
    pairs = [_diagonal(t, n) for t, n in zip(tensors, names, strict=True)]
    tensors, names = [t for t, _ in pairs], [n for _, n in pairs]
    signals = [(t, n) for t, n in pairs if isinstance(t, Signal)]
    letters = {c: _letter(op, c, signals) for c in dict.fromkeys("".join(names))}
    # A letter that only constants have, or that signals broadcast, takes its size from the constant and does not move.
    for t, n in zip(tensors, names, strict=True):
        for c, length in zip(n, t.shape, strict=True):
            if letters[c] is None or (size(letters[c] or ()) == 1 and length > 1):
                letters[c] = inert(length)
    dims = {c: d or () for c, d in letters.items()}
    summed = [d for c, d in dims.items() if c not in out]
    op.keep_away(summed)
    # sum_i x_i y_i has the same terms in another order once both factors
    # have moved: this is why a sum over positions is exact.
    result = reduced(op, joined([dims[c] for c in out], [s for s, _ in signals]), summed)
    chosen_apart(op, [s for s, _ in signals], result)
    for t, n in zip(tensors, names, strict=True):
        if isinstance(t, Constant):
            # Summed over positions the constant is a readout (T5); along positions that stay it is a kernel per position
            # if something else is summed (T6), and a position code if nothing is (T4).
            over = any(axes(dims[c]) for c in n if c not in out)
            kernel = any(c not in out for c in n)
            before = len(op.found)
            result = met(op, result, t, [dims[c] for c in n], "T5" if over else "T6" if kernel else "T4")
            # A summed letter is gone from the result, so nothing else remembers that the proof along it has ended.
            # Values that repeat every few pixels break two worlds only, and the circular proof goes on.
            along = frozenset().union(*(f.axes for f in op.found[before:] if set(f.breaks) == set(WORLDS)))
            result = replace(result, lost=result.lost | along) if over else result
    return result


def _diagonal(tensor: Known, names: str) -> tuple[Known, str]:
    """The tensor with each letter once: two dimensions of one letter must move in the same way."""
    once = "".join(dict.fromkeys(names))
    if len(once) == len(names):
        return tensor, names
    if not isinstance(tensor, Signal):
        raise NoRuleError("einsum reads the diagonal of a constant")
    dims: dict[str, Dim] = {}
    for c, d in zip(names, tensor.dims, strict=True):
        if c in dims and not alike(dims[c], d):
            raise NoRuleError("einsum reads the diagonal of dimensions that move differently")
        dims[c] = merged_reach(dims[c], d) if c in dims else d
    return replace(tensor, dims=tuple(dims[c] for c in once)), once


def _letter(op: Op, letter: str, signals: Sequence[tuple[Signal, str]]) -> Dim | None:
    """How the dimensions of a letter move; signals that disagree are a finding."""
    there = [(s, s.dims[n.index(letter)]) for s, n in signals if letter in n]
    if not there:
        return None
    full = max(size(d) for _, d in there)
    # A dimension of size 1 broadcasts: the same number at every position moves in any way that is needed.
    there = [(s, d) for s, d in there if size(d) == full and not is_uniform(d)]
    # Of dimensions that disagree, the moving one stands for the fixed
    # network: what does not move is what has to be changed.
    base = next((d for _, d in there if axes(d)), None)
    if base is None:
        return inert(full)
    for s, d in there:
        if alike(base, d):
            base = merged_reach(base, d)
        # An earlier finding already ended the proof along these axes, and may be why the two disagree.
        elif not (axes(base) | axes(d)) <= s.lost:
            detail = f"positions ({words(base)}) are matched with something that moves differently ({words(d)})"
            op.report("T4", axes(base) | axes(d), detail, ONE_LAYOUT, breaks=WORLDS)
    return base


def written(op: Op) -> Type:
    """`einsum`: its equation names the letters. `path` only orders the products, which does not change the sum."""
    equation = op["equation"].replace(" ", "")
    left, arrow, out = equation.partition("->")
    if not arrow:  # then the result has the letters that occur once, in alphabetical order
        letters = left.replace("...", "").replace(",", "")
        out = ("..." if "..." in left else "") + "".join(c for c in sorted(letters) if letters.count(c) == 1)
    names = left.split(",")
    tensors = op["tensors"]
    if "." in equation:  # the dots stand for leading dimensions, which broadcast from the right
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
    """A product of matrices, with any leading dimensions."""
    first = op.get("self", op.get("input"))
    second = next(v for k in ("other", "mat2", "vec", "tensor") if (v := op.get(k)) is not None)
    return _product(op, first, second)


def _product(op: Op, first: Known, second: Known) -> Signal:
    one, two = len(first.shape), len(second.shape)
    if one == 1 or two == 1:
        return _with_vector(op, first, second)
    # Positions times a constant matrix is a dense layer over positions: its weights may be tied or circulant.
    # `einsum` does not know that the outputs of a circulant matrix move, too.
    if isinstance(first, Signal) and isinstance(second, Constant) and two == 2 and axes(first.dims[-1]):
        return _by_constant(op, first, second)
    if isinstance(second, Signal) and isinstance(first, Constant) and one == 2 and axes(second.dims[-2]):
        # W x mixes the last dimension but one: exchanged with the last, it is what `contracted` is about.
        turned = replace(second, dims=(*second.dims[:-2], second.dims[-1], second.dims[-2]))
        found = contracted(op, turned, first, first.shape[0])
        return replace(found, dims=(*found.dims[:-2], found.dims[-1], found.dims[-2]))
    most = max(one, two) - 2
    # The letters a, b and c are the matrices' own. Leading dimensions broadcast, aligned at the last of them.
    batch = ascii_letters[3 : 3 + most]
    names = [batch[most - (one - 2) :] + "ab", batch[most - (two - 2) :] + "bc"]
    return einsum(op, [first, second], names, batch + "ac")


def _with_vector(op: Op, first: Known, second: Known) -> Signal:
    """A product with a factor of one dimension."""
    batch = ascii_letters[3 : 3 + max(len(first.shape), len(second.shape)) - 2]
    one = "b" if len(first.shape) == 1 else batch[: len(first.shape) - 2] + "ab"
    two = "b" if len(second.shape) == 1 else batch[: len(second.shape) - 2] + "bc"
    return einsum(op, [first, second], [one, two], (one + two).replace("b", ""))


def _by_constant(op: Op, first: Signal, second: Constant) -> Signal:
    """A signal times a constant matrix: a dense layer whose weight is the transposed matrix."""

    def turned(name: str):
        value = op.read(name)
        return None if value is None else value.T

    # `replace` hands on the very lists `found` and `relied`, so what the inner operator reports is reported here.
    inner = replace(op, read=turned)
    return contracted(inner, first, Constant(second.name, (second.shape[1], second.shape[0])), second.shape[1])


def added(op: Op) -> Type:
    """`addmm`, `baddbmm`: a product plus a tensor; the factors `alpha` and `beta` are the same for every cell."""
    batches = [op.get("batch1", op.get("mat1")), op.get("batch2", op.get("mat2"))]
    product = _product(op, *batches) if any(isinstance(t, Signal) for t in batches) else None
    op.need(product is not None, "the picture is added to a product of constants")
    return combined(op, [op["self"], product])  # type: ignore[list-item]


def attention(op: Op) -> Type:
    """softmax(q k' + mask) v: over all positions it does not depend on their order, unless the mask does."""
    query, key, value, mask = op["query"], op["key"], op["value"], op.get("attn_mask")
    # This function has no mode: torch drops out whenever the probability is not 0, also in an evaluated module.
    op.need(not op.get("dropout_p"), "attention with dropout is random")
    rank = len(query.shape)
    if op.get("enable_gqa"):
        key, value = (_as_heads(op, t, query) for t in (key, value))
    op.need(
        len(key.shape) == rank and len(value.shape) == rank,
        "attention over tensors with different numbers of dimensions",
    )
    # a, b, d and e are queries, keys, channels of the values, and channels of queries and keys.
    batch = ascii_letters[8 : 8 + rank - 2]
    inner = replace(op, shape=(*op.shape[:-1], key.shape[-2]))
    if isinstance(query, Signal) or isinstance(key, Signal):
        logits = einsum(inner, [query, key], [batch + "ae", batch + "be"], batch + "ab")
    else:
        # Their softmax is a constant matrix over the positions of the values, but no node of the graph holds it.
        raise NoRuleError("the attention weights do not depend on the picture")
    # Its rows and columns move together, so a bias that depends only on the offset of two positions around
    # the circle is exact; one per signed offset, which tells where the border is, is a T4.
    logits = combined(inner, [logits, mask]) if isinstance(mask, Signal | Constant) else logits
    seen = logits.dims[-1]
    if op.get("is_causal"):
        op.report(
            "T7",
            axes(seen) | axes(logits.dims[-2]),
            "each position sees only earlier ones",
            mend("order", "attention to all positions"),
        )
    # The softmax divides by a sum over all keys, which is the same in any order of the keys.
    logits = reduced(op, logits, [seen])
    return einsum(op, [logits, value], [batch + "ab", batch + "bd"], batch + "ad")


def _as_heads(op: Op, t: Known, query: Known) -> Known:
    """Keys or values with one head for each head of the query."""
    if isinstance(t, Constant) or not isinstance(query, Signal):
        raise NoRuleError("attention with grouped heads of constants")
    op.need(not axes(t.dims[-3]) and not axes(query.dims[-3]), "attention whose heads are positions")
    # Torch repeats each head of keys and values for a group of the
    # query's heads. Heads do not move, whichever is repeated.
    return replace(t, dims=(*t.dims[:-3], query.dims[-3], *t.dims[-2:]))


CONTRACTION: dict[str, Rule] = {
    "einsum": written,
    **dict.fromkeys(("matmul", "bmm", "mm", "mv", "dot"), matmul),
    **dict.fromkeys(("addmm", "baddbmm"), added),
    "scaled_dot_product_attention": attention,
}
