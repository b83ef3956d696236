"""How a method says that it cannot mend a model."""

from __future__ import annotations

from shiftproof.errors import RepairError

INSTEAD = {
    "circular": 'method="pose" (--method pose) works for any network: it puts every picture into one pose',
    "zero": 'goal="circular" (--goal circular), if the picture may wrap around instead',
    "crop": "train it with moves, or give it a larger picture: nothing else is known to help here",
}


def refused(what: str, where: str, goal: str) -> RepairError:
    """The error of a refusal: the reason, the module and operator concerned, and the method that would work.

    >>> str(refused("zeros(1)", "conv1 (conv2d)", "circular")).split(":")[0]
    'zeros(1) (conv1 (conv2d))'
    """
    return RepairError(what, where=where, remedy=INSTEAD[goal])
