"""Circular padding at every place where a network pads or cuts: what leaves a map on one side comes in on the other."""

from __future__ import annotations

from torch import nn

from shiftproof.records import Change
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Edit, Mended
from shiftproof.repairing.methods.changes import with_findings
from shiftproof.repairing.methods.phase import aligned
from shiftproof.repairing.surrounding import surrounded
from shiftproof.repairing.windows import Way


def circular(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model with circular padding in place of every other, all weights kept.

    Raises:
        RepairError: an operator has no circular form, or a map's size is not a multiple of a stride.
    """
    network, replaced = with_circular_padding(job.network, job.input_size)
    changes = with_findings(replaced, job.verdict)
    if not changes:
        changes = (Change("kept", "", "", "no layer pads its maps or cuts cells off them"),)
    return Mended(network, None, job.input_size, job.dense, (Edit("circular"),)), changes


def circular_phase(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model with circular padding, behind a `PhaseAlign` of the step that is then proved of it.

    Raises:
        RepairError: as of `circular`, or the check still finds something that no padding mends.
    """
    mended, changes = circular(job)
    return aligned(job, mended.network, changes, mended.edits)


def with_circular_padding(network: nn.Module, size: tuple[int, int, int]) -> tuple[nn.Module, tuple[Change, ...]]:
    """A network that pads around the circle, and what was replaced in it.

    Every window is moved over all n / s places of a circle of n cells, s being its stride; its first place is the one that
    it had. Weights are shared with the network, which is left as it is.

    Raises:
        RepairError: as of `circular`.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1))
    >>> import torch
    >>> around, changes = with_circular_padding(net, (1, 4, 4))
    >>> x = torch.rand(1, 1, 4, 4)
    >>> torch.allclose(around(x.roll(1, 3)), around(x).roll(1, 3)), [str(c) for c in changes]
    (True, ['replaced 0 (conv2d): circular padding of rows (1, 1) and columns (1, 1) in place of its own'])
    """
    return surrounded(network, size, Way("kept"))
