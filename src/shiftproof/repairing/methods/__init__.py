"""The methods of repair: each makes a mended model of a job, or refuses it with the operator, the reason and the remedy."""

from __future__ import annotations

from collections.abc import Callable

from shiftproof.errors import RepairError
from shiftproof.records import Change
from shiftproof.records.repair_parts import Goal, MethodName
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.methods.average import average
from shiftproof.repairing.methods.circular import circular, circular_phase
from shiftproof.repairing.methods.confidence import confidence
from shiftproof.repairing.methods.dilation import dilation
from shiftproof.repairing.methods.lowpass import low_pass
from shiftproof.repairing.methods.nothing import nothing
from shiftproof.repairing.methods.phase import phase
from shiftproof.repairing.methods.polyphase import polyphase
from shiftproof.repairing.methods.pose import pose
from shiftproof.repairing.methods.readout import readout
from shiftproof.repairing.methods.training import TRAINED, distillation, fine_tuning
from shiftproof.repairing.refusal import refused

Method = Callable[[Job], tuple[Mended, tuple[Change, ...]]]

METHODS: dict[MethodName, Method] = {
    "nothing": nothing,
    "phase": phase,
    "pose": pose,
    "pose+confidence": confidence,
    "circular+phase": circular_phase,
    "circular": circular,
    "polyphase": polyphase,
    "dilation": dilation,
    "readout": readout,
    "average": average,
    "low-pass": low_pass,
    "fine-tuning": fine_tuning,
    "distillation": distillation,
}

# Those that change least come first: for each goal in the order in which they are tried.
# What is made for the circle makes a model no steadier under a camera, so it is never offered for the goal "crop".
ORDER: dict[Goal, tuple[MethodName, ...]] = {
    "circular": (
        "nothing",
        "phase",
        "pose",
        "pose+confidence",
        "circular+phase",
        "polyphase",
        "dilation",
        "circular",
        "readout",
    ),
    "zero": ("pose",),
    "crop": ("average", "low-pass"),
}

# What takes long is tried only if it is asked for.
ON_REQUEST: dict[Goal, tuple[MethodName, ...]] = {"circular": (), "zero": (), "crop": TRAINED}


def tried(job: Job, asked: MethodName | None) -> tuple[Mended, MethodName, tuple[Change, ...]]:
    """The model by the first method that does not refuse it, the method's name, and what was changed.

    Raises:
        RepairError: every method refuses; the error is that of the last one.
    """
    names = (asked,) if asked else ORDER[job.goal]
    passed: list[Change] = []
    last: RepairError | None = None
    for name in names:
        try:
            mended, changes = METHODS[name](job)
        except RepairError as e:
            last = e
            if name != "nothing":  # that there is something to mend is why a repair was asked for
                passed.append(Change("refused", name, "", f"{e.what}; see {e.where}"))
        else:
            return mended, name, (*passed, *changes)
    assert last is not None
    raise last


__all__ = ["METHODS", "ON_REQUEST", "ORDER", "Method", "refused", "tried"]
