"""Frequencies rearranged: other layouts, ranges of them, zeros in their place, and the way back in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shiftproof.checking.rules.fourier import rolled_by
from shiftproof.checking.rules.op import Op, Result, Rule, index
from shiftproof.checking.rules.spectrum import (
    KEEPING_PHASES,
    Handler,
    Numbers,
    alike,
    is_zero,
    merged,
    still,
    turned,
    unturned,
)
from shiftproof.checking.types import Atom, Constant, Dim, Signal, Wave, inert

MARK = -1  # the period of a factor that does not move says nothing: here it tells the dimensions of frequencies apart


def carried(op: Op, rule: Rule) -> Result | None:
    """A new layout of the same cells, or a part of those along other dimensions: each dimension of frequencies stays whole."""
    signal = op.signal("self")
    if op.operator == "view" and op.get("dtype") is not None:
        return None
    marks: list[Dim] = [(Atom(signal.shape[w.at], period=MARK - i),) for i, w in enumerate(signal.waves)]
    dims = list(signal.dims)
    for w, mark in zip(signal.waves, marks, strict=True):
        dims[w.at] = mark
    plain = still(op)
    name = "self" if "self" in op.arguments else "input"
    found = rule(replace(plain, arguments={**plain.arguments, name: replace(signal, dims=tuple(dims), waves=())}))
    parts = [_restored(op, part, signal.waves, marks) for part in (found if isinstance(found, tuple) else (found,))]
    whole = [p for p in parts if p is not None]
    if len(whole) < len(parts):
        return None
    return tuple(whole) if isinstance(found, tuple) else whole[0]


def _restored(op: Op, part: object, waves: Sequence[Wave], marks: Sequence[Dim]) -> Signal | None:
    """A result with its dimensions of frequencies found again; None if one of them was cut or mixed with others."""
    if not isinstance(part, Signal):
        return None
    places = [[j for j, d in enumerate(part.dims) if d == mark] for mark in marks]
    if any(len(p) != 1 for p in places):
        return None
    there = [p[0] for p in places]
    dims = tuple(inert(part.shape[j]) if j in there else d for j, d in enumerate(part.dims))
    if any(isinstance(b, Atom) and b.period <= MARK for d in dims for b in d):
        return None
    found = [replace(w, at=j) for w, j in zip(waves, there, strict=True)]
    return turned(op, replace(part, dims=dims), found)


def taken(op: Op, rule: Rule) -> Result | None:
    """Some of the frequencies, or all in another order: `slice`, `select`, `index_select`, `flip`, `roll` and the like."""
    signal = op.signal("self")
    chosen = _chosen(op, signal)
    if chosen is None:
        return None
    if all(w.at not in chosen for w in signal.waves):
        return carried(op, rule)
    waves = [
        replace(w, numbers=tuple(w.numbers[i] for i in chosen[w.at])) if w.at in chosen else w for w in signal.waves
    ]
    found = rule(still(op))
    if not isinstance(found, Signal):
        return None
    if op.operator != "select":
        return turned(op, found, waves)
    # One frequency alone has no dimension that could say how it is turned.
    (gone,) = chosen
    alone = [w for w in waves if w.at == gone]
    if any(any(w.numbers) for w in alone):
        return None
    rest = [replace(w, at=w.at - (w.at > gone)) for w in waves if w.at != gone]
    return turned(op, unturned(op, found, alone), rest)


def _chosen(op: Op, signal: Signal) -> dict[int, list[int]] | None:
    """For each dimension along which an operator picks or reorders: the indices that it takes. None if they are not known."""
    rank = len(signal.dims)
    if op.operator in ("roll", "fft_fftshift", "fft_ifftshift"):
        how = op.arguments if op.operator == "roll" else rolled_by(op, signal)
        if not how["dims"]:  # of all dimensions as one
            return None
        found: dict[int, list[int]] = {}
        for by, d in zip(how["shifts"], how["dims"], strict=True):
            at = index(int(d), rank)
            before = found.get(at, list(range(signal.shape[at])))
            found[at] = [before[(i - int(by)) % len(before)] for i in range(len(before))]
        return found
    if op.operator == "flip":
        return {at: list(range(signal.shape[at]))[::-1] for at in (index(int(d), rank) for d in op["dims"])}
    if op.operator == "index":
        asked = [(i, v) for i, v in enumerate(op["indices"]) if v is not None]
        if len(asked) != 1:
            return None
        ((at, constant),) = asked
        return _listed(op, at, constant)
    at = index(int(op["dim"]), rank)
    n = signal.shape[at]
    if op.operator == "index_select":
        return _listed(op, at, op["index"])
    if op.operator == "select":
        return {at: [index(int(op["index"]), n)]}
    start = int(op.get("start", 0))
    start = min(max(start + n if start < 0 else start, 0), n)
    by = int(op.get("step", 1))
    return {at: [start + by * i for i in range(op.shape[at])]}


def _listed(op: Op, at: int, constant: object) -> dict[int, list[int]] | None:
    value = op.value(constant) if isinstance(constant, Constant) else None
    if value is None or value.ndim != 1 or str(value.dtype) in ("torch.bool", "torch.uint8"):
        return None
    # An index computed from parameters is another one once they are trained.
    design = op.value_by_design(constant) if isinstance(constant, Constant) else None
    if design is None or not bool((design == value).all()):
        return None
    return {at: [int(i) for i in value]}


def parted(op: Op, rule: Rule) -> Result | None:
    """Ranges side by side, along any dimension."""
    signal = op.signal("self")
    at = index(int(op.get("dim", 0)), len(signal.dims))
    if all(w.at != at for w in signal.waves):
        return carried(op, rule)
    found, start, parts = rule(still(op)), 0, []
    if not isinstance(found, tuple):
        return None
    for part in found:
        if not isinstance(part, Signal):
            return None
        n = part.shape[at]
        waves = [replace(w, numbers=w.numbers[start : start + n]) if w.at == at else w for w in signal.waves]
        parts.append(turned(op, part, waves))
        start += n
    return tuple(parts)


def joined(op: Op, rule: Rule) -> Result | None:
    """Tensors laid end to end: what is turned alike, or ranges of frequencies. Zeros fit everywhere."""
    tensors = [t for t in op["tensors"] if tuple(t.shape) != (0,)]
    at = index(int(op["dim"]), len(op.shape))
    first = next(t for t in tensors if isinstance(t, Signal) and t.waves)
    if op.operator == "stack" or all(w.at != at for w in first.waves):
        waves = alike(tensors, op)
        if waves is None:
            return None
        shift = op.operator == "stack"
        found = [replace(w, at=w.at + (shift and w.at >= at)) for w in waves]
    else:
        found = _end_to_end(op, tensors, at, next(w for w in first.waves if w.at == at))
        if found is None:
            return None
    result = rule(still(op))
    return turned(op, result, found) if isinstance(result, Signal) else None


def _end_to_end(op: Op, tensors: Sequence[Signal | Constant], at: int, like: Wave) -> list[Wave] | None:
    """The frequencies of tensors laid end to end along a dimension of frequencies."""
    base: tuple[Wave, ...] | None = None
    numbers: list[int | None] = []
    for t in tensors:
        if isinstance(t, Constant):
            if not is_zero(op, t):
                return None
            numbers += [None] * t.shape[at]
            continue
        own = next((w for w in t.waves if w.at == at), None)
        if own is None or not own.atom.same(like.atom):
            return None
        numbers += own.numbers
        rest = tuple(w for w in t.waves if w.at != at)
        base = rest if base is None else merged(base, rest)
        if base is None:
            return None
    return [*(base or ()), replace(like, numbers=tuple(numbers))]


def overwritten(op: Op, rule: Rule) -> Result | None:
    """A range of frequencies written into zeros, or over others that are turned alike."""
    base, source = op["self"], op["src"]
    at = index(int(op["dim"]), len(op.shape))
    if not isinstance(source, Signal) or (isinstance(base, Constant) and not is_zero(op, base)):
        return None
    count, by = source.shape[at], int(op["step"])
    start = index(int(op.get("start", 0)), op.shape[at])
    places = [start + by * i for i in range(count)]
    waves: list[Wave] = []
    for w in source.waves:
        held = next((b for b in base.waves if b.at == w.at), None) if isinstance(base, Signal) else None
        old: Numbers = held.numbers if held is not None else (None,) * op.shape[w.at]
        if isinstance(base, Signal) and (held is None or not held.atom.same(w.atom)):
            return None
        if w.at == at:
            new = list(old)
            for i, k in zip(places, w.numbers, strict=True):
                new[i] = k
            waves.append(replace(w, numbers=tuple(new)))
        else:
            both = merged([replace(w, numbers=old)], [w])
            if both is None:
                return None
            waves += both
    if isinstance(base, Signal) and len(base.waves) != len(source.waves):
        return None
    result = rule(still(op))
    return turned(op, result, waves) if isinstance(result, Signal) else None


def padded(op: Op, rule: Rule) -> Result | None:
    """Zeros beside the frequencies, or some at the ends cut off."""
    signal = op.signal("self")
    asked = [int(n) for n in op.get("pad", op.get("padding"))]
    if op.get("mode", "constant") != "constant" or op.get("value"):
        return None
    rank = len(signal.dims)
    ends = {rank - 1 - i: (asked[2 * i], asked[2 * i + 1]) for i in range(len(asked) // 2)}
    waves: list[Wave] = []
    for w in signal.waves:
        low, high = ends.get(w.at, (0, 0))
        kept = w.numbers[max(0, -low) : len(w.numbers) - max(0, -high)]
        waves.append(replace(w, numbers=(None,) * max(0, low) + kept + (None,) * max(0, high)))
    found = rule(still(op))
    return turned(op, found, waves) if isinstance(found, Signal) else None


LAYOUTS = (
    *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "permute", "transpose", "t", "mT", "swapaxes"),
    *("swapdims", "movedim", "moveaxis", "unsqueeze", "squeeze", "expand", "unbind"),
)
SPECTRAL: dict[str, Handler] = {
    **KEEPING_PHASES,
    **dict.fromkeys(LAYOUTS, carried),
    **dict.fromkeys(("slice", "narrow", "select", "index", "index_select", "flip", "roll"), taken),
    **dict.fromkeys(("fft_fftshift", "fft_ifftshift"), taken),
    **dict.fromkeys(("split", "chunk", "split_with_sizes"), parted),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), joined),
    "slice_scatter": overwritten,
    **dict.fromkeys(("pad", "constant_pad_nd"), padded),
}
