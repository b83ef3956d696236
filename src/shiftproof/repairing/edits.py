"""What can be done to the layers of a network, by name, so that a file can build a mended network again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from shiftproof.errors import RepairError
from shiftproof.records import Change
from shiftproof.repairing.mended import Edit
from shiftproof.repairing.methods.average import averaged
from shiftproof.repairing.methods.circular import with_circular_padding
from shiftproof.repairing.methods.dilation import with_dilation
from shiftproof.repairing.methods.lowpass import with_low_pass
from shiftproof.repairing.methods.polyphase import with_polyphase
from shiftproof.repairing.methods.readout import with_averaged_positions

EDITS: dict[str, Callable[..., tuple[nn.Module, tuple[Change, ...]]]] = {
    "circular": with_circular_padding,
    "polyphase": with_polyphase,
    "dilation": with_dilation,
    "low-pass": with_low_pass,
    "readout": with_averaged_positions,
    "average": averaged,
}


def with_edits(network: nn.Module, size: tuple[int, int, int], edits: Sequence[Edit]) -> nn.Module:
    """The network after each of the edits, in order; its weights are shared.

    Raises:
        RepairError: there is no such edit, or it refuses the network.

    >>> with_edits(nn.Conv2d(1, 1, 3, padding=1), (1, 4, 4), [Edit("pie")])
    Traceback (most recent call last):
    shiftproof.errors.RepairError: 'pie' is not an edit (with_edits): use circular, ...
    """
    for edit in edits:
        if edit.name not in EDITS:
            raise RepairError(f"{edit.name!r} is not an edit", where="with_edits", remedy=f"use {', '.join(EDITS)}")
        network, _ = EDITS[edit.name](network, size, **edit.options)
    return network
