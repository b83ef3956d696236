"""What a method of repair is given."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from shiftproof.records import Verdict
from shiftproof.records.repair_parts import Goal


@dataclass(frozen=True)
class Job:
    """A model to be mended.

    Args:
        network: a copy of the caller's, in eval mode.
        input_size: (c, h, w) in pixels.
        goal: key of `GOALS`.
        verdict: what the check says of it; None where torch cannot read it.
        data: some inputs, (n, c, h, w); None if none were given.
        dense: whether its answer is a map that moves with the picture.
        budget: largest cost of the mended model, in forward passes of this network; None: any.
    """

    network: nn.Module
    input_size: tuple[int, int, int]
    goal: Goal
    verdict: Verdict | None
    data: Tensor | None
    dense: bool
    budget: float | None = None
