"""The parts of a repair's record: the guarantee, the changes, and what was run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from shiftproof.records.repair_measured import Measured
from shiftproof.records.verdict_parts import CheckedModel, Mend, VerdictParts

GOALS = {
    "circular": "the answer does not depend on how far the picture was moved around the circle",
    "zero": "the answer does not depend on where an object lies on a uniform background",
    "crop": "the answer depends less on where a camera looks",
}

Goal = Literal["circular", "zero", "crop"]
PROVED_IN = {"circular": "circular", "zero": "canvas"}
"""The world in which the guarantee of a goal is proved; a goal that is not here is measured only, and nothing is proved."""

MethodName = Literal[
    "nothing",
    "phase",
    "pose",
    "pose+confidence",
    "circular+phase",
    "circular",
    "polyphase",
    "dilation",
    "readout",
    "average",
    "low-pass",
    "fine-tuning",
    "distillation",
]
Precision = Literal["float32", "float64"]
WRITTEN = ("mended.pt2", "mended.onnx", "mended.safetensors", "mended.py", "repair.json", "index.html")
"""The files of a repair."""


@dataclass(frozen=True)
class Guarantee:
    """What holds for every picture that a mended model sees.

    Args:
        kind: "invariant": the answer stays the same; "equivariant": it moves with the picture.
        world: "circular" or "canvas" (an object on a uniform background).
        step: (y, x) in pixels: it holds for every move that is a multiple.
        proof: "whole": `shiftproof.check` proved it of the mended model; "pose": it proved that every picture comes to the
            network in one pose, and the network behind it, which torch cannot read, was only run.
        preconditions: what must be so for the guarantee to hold. Those that can be read from a picture are checked at every
            call.
        uncovered: what the guarantee does not say.
    """

    kind: Literal["invariant", "equivariant"]
    world: Literal["circular", "canvas"]
    step: tuple[int, int]
    proof: Literal["whole", "pose"]
    preconditions: tuple[str, ...]
    uncovered: str

    def __str__(self) -> str:
        moves = "every move" if self.step == (1, 1) else f"moves by multiples of {self.step[0]}, {self.step[1]} px"
        where = "around the circle" if self.world == "circular" else "of an object on a uniform background"
        what = "the answer stays the same" if self.kind == "invariant" else "the answer moves with the picture"
        return f"proved: {what} for {moves} {where}"


@dataclass(frozen=True)
class Change:
    """What a repair did at one place of the network, or did not do.

    Args:
        action: "added", "replaced", "kept", or "refused": a method that was tried first.
        module: path of the module, or what was added, or the method; "" for the whole network.
        operator: the operator of the finding, if one led to this.
        why: the reason, in a sentence.
        mend: what the check suggests there, if it found anything.
        found: what the check found there, in its words.
    """

    action: Literal["added", "replaced", "kept", "refused"]
    module: str
    operator: str
    why: str
    mend: Mend | None = None
    found: str = ""

    @property
    def where(self) -> str:
        """The place, with what the check found there."""
        known = ": ".join(k for k in (self.operator, self.found) if k)
        return f"{self.module or 'the network'}{f' ({known})' if known else ''}"

    def __str__(self) -> str:
        if self.action == "refused":
            return f"not possible by the method {self.module}: {self.why}"
        if self.action == "kept":
            return f"left as it is, because {self.why}: {self.where}"
        return f"{self.action} {self.where}: {self.why}"


def changes_in_words(changes: Sequence[Change]) -> list[str]:
    """The changes, a line each; places that were left as they are for the same reason stand under it.

    >>> kept = [Change("kept", m, "conv2d", "it sees every picture in one pose", found="zeros(1)") for m in ("a", "b")]
    >>> changes_in_words(kept)
    ['left as it is, because it sees every picture in one pose:', '  a (conv2d: zeros(1))', '  b (conv2d: zeros(1))']
    """
    lines: list[str] = []
    for (action, why), found in groupby(changes, lambda c: (c.action, c.why)):
        same = list(found)
        if action == "kept" and len(same) > 1:
            lines += [f"left as it is, because {why}:", *(f"  {c.where}" for c in same)]
        else:
            lines += [str(c) for c in same]
    return lines


@dataclass(frozen=True)
class Confirmed:
    """What was run to see that the mended model does what was proved of it.

    Args:
        pictures: how many pictures, those that are moves of themselves included.
        moves: how many moves of each.
        dtypes: in which precisions.
        difference: largest difference from what the guarantee says, over the largest magnitude of the answer; 0 if every answer
            was equal to the last bit.
    """

    pictures: int
    moves: int
    dtypes: tuple[Precision, ...]
    difference: float


@dataclass(frozen=True)
class RepairParts:
    """What the record of a repair holds. `RepairRecord` adds how it is written and printed."""

    model: CheckedModel
    goal: Goal
    method: MethodName
    input_size: tuple[int, int, int]
    guarantee: Guarantee | None
    changes: tuple[Change, ...]
    before: VerdictParts | None
    after: VerdictParts | None
    confirmed: Confirmed | None
    cost: float | None = None
    files: tuple[str, ...] = ()
    versions: dict[str, str] | None = None
    date: str = ""
    measured: Measured | None = None
