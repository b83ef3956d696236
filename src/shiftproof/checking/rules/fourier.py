"""Fourier transforms. Along positions a move becomes a change of phase; the way back turns it into a move again."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd

from shiftproof.checking.findings import WORLDS, mend
from shiftproof.checking.rules.indexing import roll
from shiftproof.checking.rules.op import Op, Rule, index
from shiftproof.checking.rules.shape import stepped
from shiftproof.checking.rules.spectrum import MAGNITUDES, phases_read
from shiftproof.checking.types import Atom, Dim, Reach, Signal, Type, Wave, axes, inert, only, size

SMALL = mend("convolution", "a convolution with a small kernel")


def transformed(op: Op) -> Type:
    """A Fourier transform, one dimension after the other: positions become frequencies, and frequencies positions.

    Only of a dimension that is one whole circle the frequencies are known: any other shows where it was cut, filled up or
    repeated. `norm` scales all of them by one number.
    """
    signal, chosen = op.signal("self"), _dims(op)
    found = re.fullmatch(r"fft_(i?)(r|h)?fft(2|n)?", op.operator)
    assert found is not None
    way = _Way(bool(found[1]), found[2] or "", chosen[-1])
    # What comes out as real numbers mixes each frequency of another dimension with its conjugate.
    if way.kind and any(w.at not in chosen for w in signal.waves):
        signal = phases_read(op, signal)
    waves = {w.at: w for w in signal.waves}
    dims, strides, unclear, back = list(signal.dims), [], set[str](), set[str]()
    for i, length in zip(chosen, _lengths(op, chosen), strict=True):
        atom, wave = only(signal.dims[i]), waves.pop(i, None)
        dims[i] = inert(op.shape[i])
        if wave is not None:
            there = _positions(way, i, wave, op.shape[i])
            if there is None:
                phases_read(op, replace(signal, waves=(wave,)))
                signal = replace(signal, lost=signal.lost | wave.atom.axes)
                continue
            dims[i] = (there,)
            strides.append((there.axis or "", abs(there.stride)))
            back |= there.axes
        elif axes(signal.dims[i]):
            numbers = _frequencies(way, i, signal.dims[i], length)
            if atom is None or numbers is None:
                unclear |= axes(signal.dims[i])
            else:
                waves[i] = Wave(i, atom, numbers, (op.module, op.source, op.operator, op.node))
    seen = frozenset(unclear).union(*(w.atom.axes for w in waves.values()))
    text = f"{op.operator} along positions turns a move into a change of phase"
    op.report("T7", unclear, text, MAGNITUDES, breaks=WORLDS)
    result = replace(
        signal,
        dims=tuple(dims),
        waves=tuple(waves[i] for i in sorted(waves)),
        whole=signal.whole | seen | back,
        lost=signal.lost | unclear,
        witness=None if waves else signal.witness,  # by how much the content moved the map, the phases tell
    )
    text = "what is done to a frequency is done around the whole circle: a kernel as large as the map"
    op.report("T5", back, text, SMALL, breaks=("window", "canvas"))
    return stepped(op, result, strides, "frequencies are cut off:")


@dataclass(frozen=True)
class _Way:
    """Which transform is taken; `hfft` is `irfft` of the conjugate, and `ihfft` the conjugate of `rfft`.

    Args:
        back: whether it is an inverse by name: then its kernel is exp(+2 pi i k j / n), else exp(-2 pi i k j / n).
        kind: "r" and "h" for those from or to real numbers along the dimension `last`, "" for the others.
        last: the last of the dimensions that are transformed.
    """

    back: bool
    kind: str
    last: int

    @property
    def to_real(self) -> bool:
        """Whether real numbers come out, of half the frequencies along the last dimension."""
        return (self.kind, self.back) in (("r", True), ("h", False))

    def halves(self, at: int) -> bool:
        """Whether it gives half the frequencies along a dimension: of real numbers, the other half follows from them."""
        return at == self.last and bool(self.kind) and not self.to_real

    @property
    def sign(self) -> int:
        """The sign in the kernel."""
        return 1 if self.back else -1


def _frequencies(way: _Way, at: int, dim: Dim, length: int | None) -> tuple[int, ...] | None:
    """The number of each frequency of a dimension of positions; None if they are not those of one whole circle."""
    atom = only(dim)
    if atom is None or atom.wrapped or way.to_real or length not in (None, atom.size):
        return None
    count = atom.size // 2 + 1 if way.halves(at) else atom.size
    return tuple(-way.sign * k % atom.size for k in range(count))


def _positions(way: _Way, at: int, wave: Wave, length: int) -> Atom | None:
    """The positions that a transform of frequencies gives; None if it reads them as other frequencies than they are.

    Index i is read as frequency i of `length` cells. After a move by c cells of n it is turned by numbers[i] c / n, and a move
    by m cells of `length` would turn it by i m / length. Both agree for m = c length / n, where that is a whole number, if
    numbers[i] = i modulo the largest common divisor of n and `length`; for a map read backwards, or by the other kernel, if it
    is -i.
    """
    if way.halves(at) or length < 2:
        return None
    n = wave.atom.period
    used = wave.numbers[: length // 2 + 1 if way.to_real and at == way.last else length]
    common = gcd(n, length)
    for direction in (1, -1):
        if all(k is None or (k - direction * way.sign * i) % common == 0 for i, k in enumerate(used)):
            stride = Fraction(direction * wave.atom.stride * n, length)
            reach = wave.atom.reach if length == n and direction == 1 else Reach(length, 0)
            return Atom(length, wave.atom.axis, stride, length, reach)
    return None


def shifted(op: Op) -> Type:
    """`fftshift`, `ifftshift`: a roll by half the size, rounded down or up."""
    signal = op.signal("self")
    return roll(replace(op, operator="roll", arguments=rolled_by(op, signal)))


def rolled_by(op: Op, signal: Signal) -> dict:
    """The arguments of the roll that a shift is."""
    asked = op.get("dim")
    dims = range(len(signal.dims)) if asked is None else asked if isinstance(asked, list | tuple) else [asked]
    half = 1 if op.operator == "fft_ifftshift" else 0
    shifts = [(size(signal.dims[int(d)]) + half) // 2 for d in dims]
    return {"self": signal, "dims": [int(d) for d in dims], "shifts": shifts}


def _dims(op: Op) -> list[int]:
    """The dimensions that are transformed; without `dim` all of them, or as many at the end as there are sizes."""
    asked, n, sizes = op.get("dim"), len(op.signal("self").dims), op.get("s")
    every = range(n) if sizes is None else range(n - len(sizes), n)
    chosen = every if asked is None else asked if isinstance(asked, list | tuple) else [asked]
    return [index(int(d), n) for d in chosen]


def _lengths(op: Op, chosen: list[int]) -> list[int | None]:
    """To how many cells each dimension is cut or filled up before; None for as many as it has."""
    asked = op.get("s", op.get("n"))
    sizes = [asked] * len(chosen) if asked is None or isinstance(asked, int) else list(asked)
    return [None if n is None or int(n) == -1 else int(n) for n in sizes]


TRANSFORMS = [f"fft_{i}{r}fft{n}" for i in ("", "i") for r in ("", "r", "h") for n in ("", "2", "n")]

FOURIER: dict[str, Rule] = {
    **dict.fromkeys(TRANSFORMS, transformed),
    **dict.fromkeys(("fft_fftshift", "fft_ifftshift"), shifted),
}
