"""Frequencies: a move turns each by a phase of its own. Which operators keep to the phases, and which read them.

A rule never sees frequencies: it is given a tensor whose dimensions of frequencies do not move, and what happens to the phases
is said here. An operator that is not named here reads them, and the transform that made them is a finding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from shiftproof.checking.findings import WORLDS, mend
from shiftproof.checking.rules.op import Op, Result, Rule, index
from shiftproof.checking.rules.reduction import reduced
from shiftproof.checking.types import AXES, Constant, Signal, Wave

MAGNITUDES = mend("magnitudes", "take magnitudes")
CIRCULAR_PADDING = mend("circular_padding", "circular padding before it")
WHOLE_STEPS = mend("keep_positions", "the map as it was before it was cut, a whole number of steps")

Numbers: TypeAlias = tuple[int | None, ...]
Handler: TypeAlias = Callable[[Op, Rule], "Result | None"]


def spectral(rule: Rule, handler: Handler | None) -> Rule:
    """The rule for tensors with dimensions of frequencies as well.

    Args:
        rule: for tensors without.
        handler: gives the result for tensors with frequencies, from the operator and the rule; None where the operator reads
            phases.
    """

    @functools.wraps(rule)
    def judged(op: Op) -> Result:
        told = [s for s in signals(list(op.arguments.values())) if s.waves]
        if not told:
            return rule(op)
        before = len(op.found), len(op.kept_away), len(op.relied)
        found = handler(op, rule) if handler is not None else None
        if found is not None and not _made_real(op, found):
            return found
        for noted, count in zip((op.found, op.kept_away, op.relied), before, strict=True):
            del noted[count:]
        return rule(each(op, lambda s: phases_read(op, s)))

    return judged


def _made_real(op: Op, found: Result) -> bool:
    """Whether a result has frequencies and is of real numbers, which have no phase: the imaginary parts were left out."""
    dtype = op.dtypes.get(op.node)
    return dtype is not None and not getattr(dtype, "is_complex", True) and any(s.waves for s in signals(found))


def signals(value: Any) -> list[Signal]:
    """Every signal in arguments, those in lists included."""
    if isinstance(value, list | tuple):
        return [s for v in value for s in signals(v)]
    return [value] if isinstance(value, Signal) else []


def each(op: Op, change: Callable[[Signal], Signal]) -> Op:
    """The operator with every signal among its arguments changed."""
    return replace(op, arguments={k: _each(v, change) for k, v in op.arguments.items()})


def still(op: Op) -> Op:
    """The operator as if no frequency were turned by a move."""
    return each(op, lambda s: replace(s, waves=()))


def _each(value: Any, change: Callable[[Signal], Signal]) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_each(v, change) for v in value)
    return change(value) if isinstance(value, Signal) else value


def _alone(op: Op, rule: Rule) -> Signal:
    """What the rule says of the dimensions that are not frequencies."""
    found = rule(still(op))
    op.need(isinstance(found, Signal), "a result that is not one tensor")
    assert isinstance(found, Signal)
    return found


def phases_read(op: Op, signal: Signal) -> Signal:
    """The signal after an operator read the phases of its frequencies: a finding at the transform that made them."""
    if not signal.waves:
        return signal
    for where in dict.fromkeys(w.where for w in signal.waves):
        module, source, operator, node = where
        along = {w.atom.axis or "" for w in signal.waves if w.where == where}
        at = replace(op, module=module, source=source, operator=operator, node=node)
        text = f"{operator} along positions turns a move into a change of phase, which {op.operator} reads"
        at.report("T7", along, text, MAGNITUDES, breaks=WORLDS)
    lost = frozenset[str]().union(*(w.atom.axes for w in signal.waves))
    return replace(signal, waves=(), whole=signal.whole | lost, lost=signal.lost | lost)


def unturned(op: Op, found: Signal, waves: Sequence[Wave]) -> Signal:
    """What does not depend on the phases of frequencies: it is the same wherever the content is.

    Had padding reached the map, it depends on the distance between an object and a border that does not move: a T7 on a canvas.
    So it does if the circle ends within the pattern that layers make of a uniform background: those that give a pixel several
    cells, such as a pixel shuffle, repeat it every step.
    """
    atoms = [w.atom for w in waves]
    bordered = {a.axis for a in atoms if a.reach.before or a.reach.after}
    text = "the magnitudes depend on the distance between the object and a border that does not move"
    op.report("T7", [a for a in AXES if a in bordered], text, CIRCULAR_PADDING, breaks=("canvas",))
    cut = {a.axis for a in atoms if a.axis and a.size * abs(a.stride) % found.step[AXES.index(a.axis)]} - bordered
    text = "the magnitudes depend on the distance between the object and the place where the pattern of the background is cut"
    op.report("T7", [a for a in AXES if a in cut], text, WHOLE_STEPS, breaks=("canvas",))
    return reduced(op, replace(found, waves=()), [(a,) for a in atoms])


def turned(op: Op, found: Signal, waves: Sequence[Wave]) -> Signal:
    """The result with its dimensions of frequencies; where none of them is turned by a move, it is `unturned`."""
    # Nothing but zeros may still be written over.
    moving = [w for w in waves if any(w.numbers) or set(w.numbers) == {None}]
    still = [w for w in waves if w not in moving]
    found = unturned(op, found, still) if still else found
    return replace(found, waves=tuple(sorted(moving, key=lambda w: w.at)))


def kept(op: Op, rule: Rule) -> Result:
    """An operator that hands on its cells, or multiplies all by one number."""
    return turned(op, _alone(op, rule), op.signal("self").waves)


def copied(op: Op, rule: Rule) -> Result | None:
    """Copied into a tensor of the same shape, all of whose values are overwritten."""
    source = op["src"]
    fits = isinstance(source, Signal) and tuple(source.shape) == tuple(op.shape)
    return turned(op, _alone(op, rule), source.waves) if fits else None


def conjugated(op: Op, rule: Rule) -> Result:
    """The conjugate turns the other way."""
    waves = [replace(w, numbers=_times(w, -1)) for w in op.signal("self").waves]
    return turned(op, _alone(op, rule), waves)


def _times(wave: Wave, by: int) -> Numbers:
    return tuple(None if k is None else by * k % wave.atom.period for k in wave.numbers)


def magnitudes(op: Op, rule: Rule) -> Result:
    """|z|, whatever its phase is."""
    return unturned(op, _alone(op, rule), op.signal("self").waves)


def multiplied(op: Op, rule: Rule) -> Result | None:
    """A product, cell by cell: the phases add up. A factor for each frequency, constant or not, turns nothing."""
    sign = -1 if "div" in op.operator else 1
    if op.get("rounding_mode") is not None or not isinstance(op["self"], Signal | Constant):
        return None
    if sign < 0 and any(None in w.numbers for s in signals(op["other"]) for w in s.waves):
        return None  # by numbers that are 0
    rank = len(op.shape)
    factors = [
        [replace(w, at=w.at + rank - len(s.dims), numbers=_times(w, by)) for w in s.waves]
        for s, by in ((op["self"], 1), (op["other"], sign))
        if isinstance(s, Signal)
    ]
    waves = product(factors, op.shape)
    return None if waves is None else turned(op, _alone(op, rule), waves)


def product(factors: Sequence[Sequence[Wave]], shape: Sequence[int]) -> list[Wave] | None:
    """The frequencies of a product of tensors, whose dimensions are numbered alike; None if they do not fit."""
    found: dict[int, Wave] = {}
    for wave in (w for waves in factors for w in waves):
        numbers = wave.numbers * shape[wave.at] if len(wave.numbers) == 1 else wave.numbers
        old = found.get(wave.at)
        if old is None:
            found[wave.at] = replace(wave, numbers=numbers)
        elif not wave.atom.same(old.atom) or len(numbers) != len(old.numbers):
            return None
        else:
            total = [
                None if a is None or b is None else (a + b) % wave.atom.period
                for a, b in zip(old.numbers, numbers, strict=True)
            ]
            atom = replace(old.atom, reach=old.atom.reach.joined(wave.atom.reach))
            found[wave.at] = replace(old, atom=atom, numbers=tuple(total))
    return list(found.values())


def added(op: Op, rule: Rule) -> Result | None:
    """A sum, cell by cell: only of what is turned alike."""
    numbers = [op.get(k) for k in ("self", "other")]
    if any(isinstance(n, int | float | complex) and n != 0 for n in numbers):
        return None
    waves = alike([t for t in numbers if isinstance(t, Signal | Constant)], op)
    return None if waves is None else turned(op, _alone(op, rule), waves)


def alike(tensors: Sequence[Signal | Constant], op: Op) -> tuple[Wave, ...] | None:
    """The frequencies of tensors of one shape that are turned alike; zeros are turned like anything. None if they are not."""
    base: tuple[Wave, ...] | None = None
    for t in tensors:
        if isinstance(t, Constant) and is_zero(op, t):
            continue
        if not isinstance(t, Signal) or len(t.dims) != max(len(s.shape) for s in tensors):
            return None
        base = t.waves if base is None else merged(base, t.waves)
        if base is None:
            return None
    return base


def merged(one: Sequence[Wave], other: Sequence[Wave]) -> tuple[Wave, ...] | None:
    """The frequencies of two tensors that are turned alike, dimension by dimension; None if they are not."""
    if [w.at for w in one] != [w.at for w in other]:
        return None
    found: list[Wave] = []
    for a, b in zip(one, other, strict=True):
        if not a.atom.same(b.atom) or len(a.numbers) != len(b.numbers):
            return None
        if any(None not in (m, n) and m != n for m, n in zip(a.numbers, b.numbers, strict=True)):
            return None
        numbers = tuple(n if m is None else m for m, n in zip(a.numbers, b.numbers, strict=True))
        atom = replace(a.atom, reach=a.atom.reach.joined(b.atom.reach))
        found.append(replace(a, atom=atom, numbers=numbers))
    return tuple(found)


def is_zero(op: Op, constant: Constant) -> bool:
    """Whether a constant is 0 everywhere, whatever the values of the parameters are."""
    value = op.value_by_design(constant)
    return value is not None and not bool(value.any())


def masked(op: Op, rule: Rule) -> Result | None:
    """Some numbers replaced by 0: `masked_fill(X, mask, 0)` and `where(mask, X, 0)`."""
    if op.operator == "masked_fill":
        filled, value, mask = op["self"], op["value"], op["mask"]
    else:
        filled, value, mask = op["self"], op["other"], op["condition"]
    nothing = is_zero(op, value) if isinstance(value, Constant) else not isinstance(value, Signal) and value == 0
    if not nothing or not isinstance(filled, Signal) or any(s.waves for s in signals(mask)):
        return None
    return turned(op, _alone(op, rule), filled.waves) if tuple(filled.shape) == tuple(op.shape) else None


def summed(op: Op, rule: Rule) -> Result | None:
    """A sum or a mean over other dimensions than those of frequencies."""
    signal, asked = op.signal("self"), op.get("dim")
    rank = len(signal.dims)
    if asked is None or asked == []:
        return None
    over = {index(int(d), rank) for d in (asked if isinstance(asked, list | tuple) else [asked])}
    keep = bool(op.get("keepdim"))
    waves = moved(signal.waves, {i: i if keep else i - sum(d < i for d in over) for i in range(rank) if i not in over})
    return None if waves is None else turned(op, _alone(op, rule), waves)


def moved(waves: Sequence[Wave], to: Mapping[int, int]) -> tuple[Wave, ...] | None:
    """The frequencies at other dimensions; None if one of them is not among those that are left."""
    if any(w.at not in to for w in waves):
        return None
    return tuple(replace(w, at=to[w.at]) for w in waves)


def dense(op: Op, rule: Rule) -> Result | None:
    """A dense layer over other dimensions than those of frequencies, without a bias."""
    signal, weight = op["input"], op["weight"]
    if op.get("bias") is not None or not isinstance(signal, Signal) or any(s.waves for s in signals(weight)):
        return None
    if any(w.at == len(signal.dims) - 1 for w in signal.waves):
        return None
    return turned(op, _alone(op, rule), signal.waves)


def contracted(op: Op, rule: Rule) -> Result | None:
    """A sum of products: phases add up in each, and what is summed must not be turned."""
    letters = _letters(op)
    if letters is None:
        return None
    tensors, names, out = letters
    every = "".join(dict.fromkeys("".join(names)))
    sizes = [max(t.shape[n.index(c)] for t, n in zip(tensors, names, strict=True) if c in n) for c in every]
    # Numbered by letter, as dimensions of one product of all factors.
    factors = [
        [replace(w, at=every.index(n[w.at])) for w in t.waves]
        for t, n in zip(tensors, names, strict=True)
        if isinstance(t, Signal)
    ]
    waves = product(factors, sizes)
    if waves is None:
        return None
    over = [w for w in waves if every[w.at] not in out]
    if any(any(w.numbers) for w in over):
        return None
    left = [replace(w, at=out.index(every[w.at])) for w in waves if every[w.at] in out]
    found = _alone(op, rule)
    return turned(op, unturned(op, found, over) if over else found, left)


def _letters(op: Op) -> tuple[list[Signal | Constant], list[str], str] | None:
    """(factors, a letter for each dimension of each, the letters of the result); None for what is not written so plainly."""
    if op.operator == "einsum":
        left, arrow, out = op["equation"].replace(" ", "").partition("->")
        names = left.split(",")
        once = all(len(set(n)) == len(n) for n in names)
        return (list(op["tensors"]), names, out) if arrow and once and "." not in left else None
    first = op.get("self", op.get("input"))
    second = next(v for k in ("other", "mat2", "vec", "tensor") if (v := op.get(k)) is not None)
    one, two = len(first.shape), len(second.shape)
    if min(one, two) < 2:
        return None
    batch = "defghijk"[: max(one, two) - 2]
    names = [batch[len(batch) - (one - 2) :] + "ab", batch[len(batch) - (two - 2) :] + "bc"]
    return [first, second], names, batch + "ac"


PRODUCTS = ("mul", "multiply", "div", "divide", "true_divide")
KEEPING_PHASES: dict[str, Handler] = {
    **dict.fromkeys(("clone", "contiguous", "alias", "detach", "lift_fresh", "resolve_conj", "neg", "positive"), kept),
    **dict.fromkeys(("to", "_to_copy", "dropout"), kept),
    "copy": copied,
    **dict.fromkeys(("conj", "_conj"), conjugated),
    "abs": magnitudes,
    **dict.fromkeys(PRODUCTS, multiplied),
    **dict.fromkeys(("add", "sub", "subtract"), added),
    **dict.fromkeys(("masked_fill", "where"), masked),
    **dict.fromkeys(("sum", "mean"), summed),
    "linear": dense,
    **dict.fromkeys(("einsum", "matmul", "bmm", "mm"), contracted),
}
