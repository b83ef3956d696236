"""What a method of repair is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from shiftproof.models.answer import answer
from shiftproof.records import Verdict
from shiftproof.records.repair_parts import Goal
from shiftproof.training import Recipe


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
        budget: largest cost that the user allows, in forward passes; None: any.
        classes: of the data, (n,); None without labels.
        recipe: how a network is trained on.
        scores: the class scores in what the network returns.
        state: file that keeps the state of a training, so that a run that was killed goes on; None keeps none.
        progress: called with (steps done, total steps) while a network is trained.
    """

    network: nn.Module
    input_size: tuple[int, int, int]
    goal: Goal
    verdict: Verdict | None
    data: Tensor | None
    dense: bool
    budget: float | None = None
    classes: Tensor | None = None
    recipe: Recipe = field(default_factory=Recipe)
    scores: Callable[[Any], Tensor] = answer
    state: Path | None = None
    progress: Callable[[int, int], None] | None = None
