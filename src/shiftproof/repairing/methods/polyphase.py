"""Adaptive polyphase sampling in place of strides: the content chooses the phase, and branches that meet share the choice."""

from __future__ import annotations

from torch import nn

from shiftproof.records import Change
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Edit, Mended
from shiftproof.repairing.methods.changes import with_findings
from shiftproof.repairing.surrounding import surrounded
from shiftproof.repairing.windows import Way


def polyphase(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model around the circle, each stride replaced by a choice of its phase.

    Raises:
        RepairError: an operator has no such form.
    """
    network, replaced = with_polyphase(job.network, job.input_size)
    changes = with_findings(replaced, job.verdict)
    return Mended(network, None, job.input_size, job.dense, (Edit("polyphase"),)), changes


def with_polyphase(network: nn.Module, size: tuple[int, int, int]) -> tuple[nn.Module, tuple[Change, ...]]:
    """A network that goes around the circle and chooses the phase of each stride by content, and what was replaced in it.

    Each strided operator is run at every place and then sampled by `PolyphasePool2d`. The first on a grid chooses, by the
    largest norm of its own map; every other of the same stride on that grid follows: the shortcut beside a residual branch,
    the pooling beside a convolution. What is made finer again is put back on the grid that was chosen.

    Raises:
        RepairError: as of `polyphase`.

    >>> import torch
    >>> net, changes = with_polyphase(nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1), nn.AdaptiveAvgPool2d(1)), (1, 4, 4))
    >>> x = torch.rand(1, 1, 4, 4)
    >>> torch.allclose(net(x.roll(1, 3)), net(x)), len(changes)
    (True, 1)

    Reference: Chaman and Dokmanic 2021, "Truly shift-invariant convolutional neural networks", sec. 4 and 5,
    https://arxiv.org/abs/2011.14214. Differs: any graph, not only blocks known by name.
    """
    return surrounded(network, size, Way("chosen"))
