"""Dense layers. Over channels they work cell by cell; over positions their weights decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from shiftproof.checking.findings import WORLDS, mend
from shiftproof.checking.indices import rolled
from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.rules.pointwise import invariant, met
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.types import AXES, Atom, Constant, Dim, Signal, Type, axes, inert, joined, size

TIE = mend("readout", "pool first, or tie the weights over positions")
AFFORDABLE = 5e8  # size of the matrix x number of moves, up to which the nearest circulant matrix is computed
NEAR = 0.5  # relative distance up to which a matrix is taken for a circulant one that training has disturbed


def linear(op: Op) -> Type:
    """Y = W x + b over the last dimension."""
    signal, weight = op["input"], op["weight"]
    op.need(isinstance(signal, Signal), "a dense layer of a constant, with weights that depend on the picture")
    if isinstance(weight, Signal):
        op.need(not weight.axes and not axes(signal.dims[-1]), "a dense layer whose weights move with the picture")
        result = joined((*signal.dims[:-1], inert(op.shape[-1])), [signal, weight])
    else:
        result = contracted(op, signal, weight, op.shape[-1])
    bias = op.get("bias")
    if isinstance(bias, Signal):
        op.need(not bias.axes and not axes(result.dims[-1]), "a dense layer whose bias moves with the picture")
        result = joined(result.dims, [result, bias])
    elif isinstance(bias, Constant):
        result = met(op, result, bias, [result.dims[-1]])
    return result


def contracted(op: Op, signal: Signal, weight: Constant, out: int) -> Signal:
    """A signal whose last dimension is multiplied by a constant matrix (out, in).

    If a move of the input positions leaves the matrix unchanged (tied weights), the result is invariant. If a move of input
    and output positions together does (a circulant matrix), it is equivariant. Both are tested exactly. Any other matrix is a
    T5, which gives its distance to the nearest matrix of either kind.

    Args:
        op: the operator.
        signal: the input; its last dimension is multiplied.
        weight: the matrix.
        out: number of outputs.
    """
    *rest, last = signal.dims
    result = replace(signal, dims=(*rest, inert(out)))
    along = [a for a in AXES if a in axes(last)]
    if not along:
        return result
    # Even tied weights count the cells twice that circular padding repeated.
    result = replace(reduced(op, signal, [last]), dims=result.dims)
    value = op.value(weight)
    if value is None:
        return _untied(op, result, along, "the values of its weights are not known")
    value = value.reshape(out, size(last))
    # Tied weights make the outputs invariant, which says more than equivariant: `_layouts` names that layout first.
    for to in _layouts(last, out):
        if all(invariant(value, (to, last), a, signal.step[AXES.index(a)]) for a in along):
            if axes(to):  # the kernel is as large as the circle: in the other worlds every cell sees the border
                text = f"{out} x {size(last)} weights over positions are circulant: a convolution around the circle"
                op.report("T5", along, text, mend("convolution", "a convolution"), breaks=("window", "canvas"))
            op.rely(weight)
            return replace(result, dims=(*rest, to))
    # One axis may be tied although the other is not: then only the other is reported.
    free = [a for a in along if not invariant(value, ((), last), a, signal.step[AXES.index(a)])]
    # That they are tied along one axis is then part of the proof for that axis.
    if len(free) < len(along):
        op.rely(weight)
    tied = _distance(value, _averaged(value, last, ()))
    detail = f"{out} x {size(last)} weights over positions: relative distance to the nearest tied weights {tied:.2g}"
    # Only moves that the input is known for: behind a stride a circulant matrix is one for multiples of the step.
    moves = {a: range(0, op.input_size[1 + AXES.index(a)], signal.step[AXES.index(a)]) for a in along}
    if value.numel() * sum(len(m) for m in moves.values()) <= AFFORDABLE:
        near = [(_distance(value, _averaged(value, last, to, moves)), to) for to in _layouts(last, out) if axes(to)]
        if near:
            circulant, to = min(near, key=lambda n: n[0])
            detail += f", to the nearest circulant weights {circulant:.2g}"
            # Once fixed, the layer is the convolution nearby, whose outputs are positions again.
            if circulant < NEAR:
                result = replace(result, dims=(*rest, to))
    return _untied(op, result, free, detail)


def _untied(op: Op, result: Signal, along: Sequence[str], detail: str) -> Signal:
    op.report("T5", along, detail, TIE, breaks=WORLDS)
    return replace(result, lost=result.lost | frozenset(along))


def _layouts(last: Dim, out: int) -> list[Dim]:
    """Layouts of the output to try: not moving, as the input, then channels outside the input's positions."""
    inner = tuple(b for b in last if b.axes)
    n = size(inner)
    found: list[Dim] = [inert(out)]
    if out == size(last):
        found.append(last)
    if out % n == 0 and all(isinstance(b, Atom) for b in inner):
        found.append((*inert(out // n), *inner))
    return found


def _averaged(value, last: Dim, to: Dim, moves: Mapping[str, Iterable[int]] | None = None):
    """The nearest matrix that no move of its input changes; with `moves`, that no move of output and input together changes.

    The orthogonal projection on what a group leaves unchanged is the mean over the group. For circular moves of both sides
    it is the nearest circulant matrix, which is a convolution around the circle.
    """
    found = value.double()
    if moves is None:
        spread = found.reshape(len(value), *(b.size for b in last))
        return (
            spread.mean([i + 1 for i, b in enumerate(last) if b.axes], keepdim=True)
            .expand_as(spread)
            .reshape(value.shape)
        )
    # Moves along y and x commute, so the mean over all pairs is a mean
    # over one axis, then over the other: h + w terms, not h w.
    for axis, steps in moves.items():
        turned = [found[rolled(to, axis, m)][:, rolled(last, axis, m)] for m in steps]
        found = sum(turned[1:], turned[0]) / len(turned)
    return found


def _distance(value, nearest) -> float:
    """Frobenius distance of two matrices, relative to the norm of the first; 0 for a matrix of zeros."""
    norm = value.double().norm().item()
    return (value.double() - nearest).norm().item() / norm if norm else 0.0


LINEAR: dict[str, Rule] = {"linear": linear}
