"""Dense layers: over channels they work cell by cell; over positions their weights decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shiftproof.checking.findings import WORLDS
from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.rules.pointwise import invariant, met
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.types import AXES, Atom, Constant, Dim, Signal, Type, axes, inert, joined, size


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
    positions move on both sides (circulant): equivariant. Both are looked at, exactly. Otherwise a T5.

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
    distance = _distance(value, last, out)
    detail = f"{out} x {size(last)} weights over positions are not tied: relative distance to the nearest that are {distance:.2g}"
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


def _distance(value, last: Dim, out: int) -> float:
    """Frobenius distance to the nearest matrix that is tied over positions, over the norm of the matrix."""
    shape = [b.size for b in last]
    spread = value.reshape(out, *shape).double()
    moving = [i + 1 for i, b in enumerate(last) if b.axes]
    tied = spread.mean(moving, keepdim=True).expand_as(spread)
    norm = spread.norm().item()
    return (spread - tied).norm().item() / norm if norm else 0.0


LINEAR: dict[str, Rule] = {"linear": linear}
