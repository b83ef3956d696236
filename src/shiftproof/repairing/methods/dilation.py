"""Dilation in place of strides: every phase of a map is kept, and what follows is dilated, so that it sees what it saw."""

from __future__ import annotations

import time

import torch
from torch import nn

from shiftproof.models import evaluating
from shiftproof.records import Change
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Edit, Mended
from shiftproof.repairing.methods.changes import with_findings
from shiftproof.repairing.methods.phase import aligned
from shiftproof.repairing.refusal import refused
from shiftproof.repairing.surrounding import surrounded
from shiftproof.repairing.windows import Way


def dilation(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model around the circle, with every phase of every stride; under a budget, of the last strides only.

    The strides that are kept leave a step, which a `PhaseAlign` in front takes.

    Raises:
        RepairError: an operator has no such form, or every form costs more than the budget.
    """
    kept, limit = 1, max(job.input_size[1:])
    while True:
        network, replaced = with_dilation(job.network, job.input_size, kept)
        if job.budget is None or _cost(job, network) <= job.budget:
            break
        kept *= 2
        if kept > limit:
            what = f"its strides cost more than {job.budget:g} forward passes, however few of them are dilated"
            raise refused(what, "the original model", job.goal)
    changes = with_findings(replaced, job.verdict)
    edit = Edit("dilation", {"kept": kept})
    if kept == 1:
        return Mended(network, None, job.input_size, job.dense, (edit,)), changes
    return aligned(job, network, changes, (edit,))


def _cost(job: Job, network: nn.Module) -> float:
    """CPU seconds of a pass over those of the job's own network, the quickest of three each."""
    first = next((p for p in job.network.parameters() if p.is_floating_point()), torch.zeros(()))
    x = torch.zeros((1, *job.input_size), dtype=first.dtype, device=first.device)
    seconds = []
    for net in (network, job.network):
        with torch.no_grad(), evaluating(net):
            runs = []
            for _ in range(3):
                started = time.process_time()
                net(x)
                runs.append(time.process_time() - started)
        seconds.append(min(runs))
    return seconds[0] / max(seconds[1], 1e-9)


def with_dilation(
    network: nn.Module, size: tuple[int, int, int], kept: int = 1
) -> tuple[nn.Module, tuple[Change, ...]]:
    """A network that goes around the circle, dilated in place of its strides, and what was replaced in it.

    The map of a strided operator becomes that of the operator without its stride: all s x s phases of it, side by side. Each
    window behind it is dilated by s, so that in every phase it computes what it computed. A mean over positions at the end
    is then the mean over all phases. Costs s x s times as much from there on.

    Args:
        network: in eval mode; left as it is. Its weights are shared.
        size: (c, h, w) of its pictures.
        kept: strides whose product is at most this much stay as they are; only the later stages are then dilated.

    Raises:
        RepairError: as of `dilation`; or a map is made finer behind a stride, or cut into parts.

    >>> import torch
    >>> net, changes = with_dilation(nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1), nn.AdaptiveAvgPool2d(1)), (1, 4, 4))
    >>> x = torch.rand(1, 1, 4, 4)
    >>> torch.allclose(net(x.roll(1, 3)), net(x)), len(changes)
    (True, 1)
    """
    return surrounded(network, size, Way("dilated", kept))
