"""The type of an answer as a plain record, and back."""

from __future__ import annotations

from fractions import Fraction

from shiftproof.checking.types import AXES, Atom, Block, Constant, Dim, Join, Reach, Signal, Type, Unknown, atoms
from shiftproof.records.verdict_parts import Output, Part


def output_of(answer: Type) -> Output:
    """How an answer of this type moves, as a record.

    >>> from shiftproof.checking.types import inert, spatial
    >>> output_of(Signal((inert(1), spatial("y", 4, 2)), step=(2, 1))).stride
    (2.0, None)
    """
    if isinstance(answer, Constant):
        return Output("invariant", (1, 1))
    if not isinstance(answer, Signal):
        return Output("none", None)
    found: dict[str, Fraction] = {}
    for a in atoms(answer.dims):
        if a.axis is not None:
            found.setdefault(a.axis, a.stride)
    stride = tuple(float(found[a]) if a in found else None for a in AXES)
    kind = "equivariant" if answer.axes else "invariant"
    guessed = tuple(a for a in AXES if a in answer.lost)
    return Output(kind, answer.step, (stride[0], stride[1]), tuple(_parts(d) for d in answer.dims), guessed)


def type_of(output: Output) -> Type:
    """The type that a record was made of, as far as the answer's layout goes.

    What a cell has seen (`Signal.whole`, `Reach.first`, `Reach.last`) has served its purpose once the claims are judged, and
    is not kept in the record.

    >>> from shiftproof.checking.types import inert, spatial
    >>> answer = Signal((inert(1), spatial("y", 4, 2)), step=(2, 1))
    >>> type_of(output_of(answer)) == answer
    True
    """
    if output.step is None:
        return Unknown("")
    if output.layout is None:
        return Constant("", ())
    return Signal(tuple(_dim(parts) for parts in output.layout), output.step, lost=frozenset(output.guessed))


def _parts(dim: Dim) -> tuple[Part, ...]:
    return tuple(_part(b) for b in dim)


def _part(block: Block) -> Part:
    if isinstance(block, Join):
        return Part(block.size, parts=tuple(_parts(p) for p in block.parts))
    margins = (block.reach.before, block.reach.after)
    return Part(block.size, block.axis, str(block.stride), block.period, margins)


def _dim(parts: tuple[Part, ...]) -> Dim:
    return tuple(_block(p) for p in parts)


def _block(part: Part) -> Block:
    if part.parts:
        return Join(tuple(_dim(p) for p in part.parts))
    return Atom(part.size, part.axis, Fraction(part.stride), part.period, Reach(*part.margins))
