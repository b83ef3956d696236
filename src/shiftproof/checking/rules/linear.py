"""Dense layers: over channels they work cell by cell; over positions their weights decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from shiftproof.checking.findings import WORLDS
from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.rules.pointwise import invariant, met
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.types import AXES, Atom, Constant, Dim, Signal, Type, axes, inert, joined, rolled, size

AFFORDABLE = 5e8  # products of a matrix's size and the moves that are averaged over
NEAR = 0.5  # a matrix no further than this from a circulant one is meant to be one


def linear(op: Op) -> Type:
    """Y = W x + b over the last dimension."""
    signal, weight = op["input"], op["weight"]
    op.need(isinstance(signal, Signal), "a constant through weights that depend on the picture")
    if isinstance(weight, Signal):
        op.need(not weight.axes and not axes(signal.dims[-1]), "weights that move with the picture")
        result = joined((*signal.dims[:-1], inert(op.shape[-1])), [signal, weight])
    else:
        result = contracted(op, signal, weight, op.shape[-1])
    bias = op.get("bias")
    if isinstance(bias, Signal):
        op.need(not bias.axes and not axes(result.dims[-1]), "a bias that moves")
        result = joined(result.dims, [result, bias])
    elif isinstance(bias, Constant):
        result = met(op, result, bias, [result.dims[-1]])
    return result


def contracted(op: Op, signal: Signal, weight: Constant, out: int) -> Signal:
    """A signal whose last dimension was multiplied by a constant matrix (out, in).

    Weights that a move of the dimension's positions leaves as they are: invariant. Weights that stay as they are when
    positions move on both sides (circulant): equivariant. Both are looked at, exactly. Otherwise a T5 that says how far
    the matrix is from the nearest of either kind.

    Args:
        op: the operator.
        signal: its last dimension is multiplied.
        weight: the matrix.
        out: number of outputs.
    """
    *rest, last = signal.dims
    result = replace(signal, dims=(*rest, inert(out)))
    along = [a for a in AXES if a in axes(last)]
    if not along:
        return result
    result = replace(reduced(op, signal, [last]), dims=result.dims)
    value = op.value(weight)
    if value is None:
        return _untied(op, result, along, "its weights are not known")
    value = value.reshape(out, size(last))
    for to in _layouts(last, out):
        if all(invariant(value, (to, last), a, signal.step[AXES.index(a)]) for a in along):
            if axes(to):  # every cell sees every other, round the circle
                text = f"{out} x {size(last)} weights over positions are circulant: a convolution round the circle"
                op.report("T5", along, text, "a convolution", breaks=("window", "canvas"))
            op.rely(weight)
            return replace(result, dims=(*rest, to))
    free = [a for a in along if not invariant(value, ((), last), a, signal.step[AXES.index(a)])]
    if len(free) < len(along):
        op.rely(weight)
    tied = _distance(value, _averaged(value, last, ()))
    detail = f"{out} x {size(last)} weights over positions: relative distance to the nearest that are tied {tied:.2g}"
    moves = {a: range(0, op.input_size[1 + AXES.index(a)], signal.step[AXES.index(a)]) for a in along}
    if value.numel() * sum(len(m) for m in moves.values()) <= AFFORDABLE:
        near = [(_distance(value, _averaged(value, last, to, moves)), to) for to in _layouts(last, out) if axes(to)]
        if near:
            circulant, to = min(near, key=lambda n: n[0])
            detail += f", to the nearest that are circulant {circulant:.2g}"
            if circulant < NEAR:
                result = replace(result, dims=(*rest, to))
    return _untied(op, result, free, detail)


def _untied(op: Op, result: Signal, along: Sequence[str], detail: str) -> Signal:
    op.report("T5", along, detail, "pool first, or tie the weights over positions", breaks=WORLDS)
    return replace(result, lost=result.lost | frozenset(along))


def _layouts(last: Dim, out: int) -> list[Dim]:
    """Layouts of the output to try: standing still, then moving as the input does, with channels outside or inside."""
    inner = tuple(b for b in last if b.axes)
    n = size(inner)
    found: list[Dim] = [inert(out)]
    if out == size(last):
        found.append(last)
    if out % n == 0 and all(isinstance(b, Atom) for b in inner):
        found.append((*inert(out // n), *inner))
    return found


def _averaged(value, last: Dim, to: Dim, moves: Mapping[str, Iterable[int]] | None = None):
    """The nearest matrix that a move of its input leaves as it is, or (with `moves`) of output and input together.

    The projection on what a group leaves as it is: the mean over the group. For circular moves of both sides that is the
    nearest circulant matrix, a convolution round the circle.
    """
    found = value.double()
    if moves is None:
        spread = found.reshape(len(value), *(b.size for b in last))
        return (
            spread.mean([i + 1 for i, b in enumerate(last) if b.axes], keepdim=True)
            .expand_as(spread)
            .reshape(value.shape)
        )
    for axis, steps in moves.items():
        turned = [found[rolled(to, axis, m)][:, rolled(last, axis, m)] for m in steps]
        found = sum(turned[1:], turned[0]) / len(turned)
    return found


def _distance(value, nearest) -> float:
    """Frobenius distance of two matrices, over the norm of the first."""
    norm = value.double().norm().item()
    return (value.double() - nearest).norm().item() / norm if norm else 0.0


LINEAR: dict[str, Rule] = {"linear": linear}
