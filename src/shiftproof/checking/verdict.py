"""What was proved, in which world and for which moves; what was not, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import gcd
from typing import Any

from shiftproof.checking.findings import CODES, WORLDS, Finding
from shiftproof.checking.types import AXES, Atom, Constant, Join, Signal, Type, Unknown, atoms, joined

SCHEMA = 1


@dataclass(frozen=True)
class Claim:
    """What is known in one world.

    Args:
        status: "proved", "refuted", "unknown" or "not_proved".
        step: (y, x) pixels: proved for every move that is a multiple; None along an axis where nothing is.
        conditions: what it holds under, or what stands in its way.
        margins: window: cells at the (low, high) end of y and of x that padding reaches, on the last map.
        clean: window: (h, w) cells of the last map that it does not reach.
        distance_px: canvas: how far the object must stay from the border; None where no distance is enough.
        counterexample: an image, a move and the difference found by running the model.
    """

    status: str
    step: tuple[int | None, int | None] = (None, None)
    conditions: tuple[str, ...] = ()
    margins: tuple[tuple[int, int], tuple[int, int]] | None = None
    clean: tuple[int, int] | None = None
    distance_px: int | None = None
    counterexample: dict[str, Any] | None = None


@dataclass(frozen=True)
class Stage:
    """One column of the strip that draws the network from left to right."""

    name: str
    stride: tuple[str, str]
    step: tuple[int, int]
    margin: str


@dataclass(frozen=True)
class Verdict:
    """The verdict on a model; it prints itself.

    Args:
        model: its name.
        input_size: (c, h, w).
        circular: the picture wraps round.
        window: the camera moves over a larger scene.
        canvas: an object moves on a uniform background.
        output_type: type of the answer, as if every finding were mended.
        findings: in the order of the network.
        unknown_operators: operators without a rule, and how often.
        stages: the strip.
        seconds: {"export": torch's own time, "check": ours}.
    """

    model: str
    input_size: tuple[int, int, int]
    circular: Claim
    window: Claim
    canvas: Claim
    output_type: Type
    findings: tuple[Finding, ...] = ()
    unknown_operators: dict[str, int] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """One of "invariant", "equivariant", "none": what the answer would be if every finding were mended."""
        if isinstance(self.output_type, Unknown):
            return "none"
        return "equivariant" if isinstance(self.output_type, Signal) and self.output_type.axes else "invariant"

    @property
    def counts(self) -> dict[str, int]:
        """How many findings of each code."""
        return dict(Counter(f.code for f in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON holds it."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "input": list(self.input_size),
            "verdicts": {w: _claim(getattr(self, w)) for w in WORLDS},
            "output": {"kind": self.kind, "step": _output_step(self.output_type), "stride": _stride(self.output_type)},
            "findings": [
                {"code": f.code, "name": CODES[f.code], "module": f.module, "source": f.source, "operator": f.operator,
                 "detail": f.detail, "mend": f.mend, "axes": [a for a in AXES if a in f.axes],
                 "breaks": [w for w in WORLDS if w in f.breaks], "alias": f.alias}
                for f in self.findings
            ],
            "unknown_operators": self.unknown_operators,
            "seconds": {k: round(v, 3) for k, v in self.seconds.items()},
        }  # fmt: skip

    def __str__(self) -> str:
        from shiftproof.checking.words import text

        return text(self)

    def __repr__(self) -> str:
        return str(self)


def _claim(claim: Claim) -> dict[str, Any]:
    found: dict[str, Any] = {"status": claim.status, "step": list(claim.step), "conditions": list(claim.conditions)}
    if claim.clean is not None and claim.margins is not None:
        found |= {"margins": [list(m) for m in claim.margins], "clean": list(claim.clean)}
    if claim.distance_px is not None:
        found["distance_px"] = claim.distance_px
    if claim.counterexample is not None:
        found["counterexample"] = claim.counterexample
    return found


def _output_step(output: Type) -> list[int] | None:
    if isinstance(output, Unknown):
        return None
    return list(output.step) if isinstance(output, Signal) else [1, 1]


def _stride(output: Type) -> list[float | None]:
    found: dict[str, Fraction] = {}
    if isinstance(output, Signal):
        for a in atoms(output.dims):
            if a.axis is not None:
                found.setdefault(a.axis, a.stride)
    return [None if a not in found else float(found[a]) if found[a] % 1 else int(found[a]) for a in AXES]


def judged(
    findings: tuple[Finding, ...],
    outputs: list[Type],
    last: dict[str, Atom],
    input_size: tuple[int, int, int],
    distance: int,
    values: tuple[str, ...] = (),
) -> tuple[Claim, Claim, Claim, Type]:
    """(circular, window, canvas, type of the answer) out of what the walk found.

    Args:
        findings: all on the way to the answer.
        outputs: types of the tensors of the answer.
        last: for each axis the last spatial atom on the way, for the window world's margins.
        input_size: (c, h, w).
        distance: for the canvas world, pixels.
        values: further conditions, about values of parameters.
    """
    unknown = next((o for o in outputs if isinstance(o, Unknown)), None)
    extent = input_size[1:]
    signals = [o for o in outputs if isinstance(o, Signal)]
    one = signals[0] if signals else Constant("", ())
    output = unknown or (joined(one.dims, signals) if isinstance(one, Signal) else one)
    if isinstance(output, Signal):
        mapped = next((s for s in signals if s.axes), output)
        output = replace(output, dims=mapped.dims)
    steps = output.step if isinstance(output, Signal) else (1, 1)
    broken = {w: {a for f in findings if w in f.breaks for a in f.axes} for w in WORLDS}
    lost = "unknown" if any(f.code == "T0" for f in findings) or unknown else ""
    one_picture = ("exact arithmetic", f"one picture of {' x '.join(str(n) for n in input_size)}")

    found = [gcd(s, n) if a not in broken["circular"] and not unknown else None
             for s, n, a in zip(steps, extent, AXES, strict=True)]  # fmt: skip
    vacuous = [a for s, n, a in zip(found, extent, AXES, strict=True) if s == n and n > 1]
    found = [None if a in vacuous else s for s, a in zip(found, AXES, strict=True)]
    proved = None not in found
    note = tuple(f"the step along {a} is the whole extent: only the unmoved picture is left" for a in vacuous)
    one_picture += values
    circular = Claim("proved" if proved else lost or "not_proved", (found[0], found[1]), one_picture + note)

    window = _window(output, signals, last, broken["window"], steps, lost, one_picture)
    room = all(2 * distance + 1 + s <= n for s, n in zip(steps, extent, strict=True))
    if proved:
        why = (*one_picture, "the object does not wrap round")
        return circular, window, Claim("proved", circular.step, why, distance_px=0), output
    held = [s if a not in broken["canvas"] and room and not unknown else None for s, a in zip(steps, AXES, strict=True)]
    why = (*one_picture, "uniform background")
    if not room:
        why += (f"an object would have to stay {distance} px from the border: there is no room",)
    status = "proved" if None not in held else lost or "not_proved"
    return circular, window, Claim(status, (held[0], held[1]), why, distance_px=distance), output


def _window(output, signals, last, broken, steps, lost, why) -> Claim:
    margins, clean = [(0, 0), (0, 0)], [0, 0]
    whole = output.whole if isinstance(output, Signal) else frozenset()
    joined_up = any(isinstance(b, Join) for s in signals for d in s.dims for b in d)  # each part moves in itself only
    moving = isinstance(output, Signal) and not joined_up and all(s.axes == frozenset(AXES) for s in signals)
    for i, axis in enumerate(AXES):
        if axis in last:
            reach, n = last[axis].reach, last[axis].size
            margins[i], clean[i] = (reach.before, reach.after), max(0, n - reach.before - reach.after)
    found = tuple(
        steps[i] if a not in broken and a not in whole and moving and clean[i] > 0 else None for i, a in enumerate(AXES)
    )
    vacuous = [a for s, n, a in zip(found, clean, AXES, strict=True) if s is not None and s >= n * last[a].stride]
    found = tuple(None if a in vacuous else s for s, a in zip(found, AXES, strict=True))
    why += tuple(f"the step along {a} is all that padding does not reach: no cell is left to compare" for a in vacuous)
    if isinstance(output, Constant) and not broken:
        return Claim("proved", (1, 1), why, ((0, 0), (0, 0)), (0, 0))
    if not moving or whole:
        why = (*why, "the answer sees the whole picture: what enters and leaves changes it")
    status = "proved" if None not in found else lost or "not_proved"
    return Claim(status, (found[0], found[1]), why, (margins[0], margins[1]), (clean[0], clean[1]))
