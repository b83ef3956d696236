"""Builds networks whose random initial weights depend only on a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def untrained(build: Callable[[], Network], seed: int = 0) -> Network:
    """Build a network in eval mode, with initial weights that the seed decides.

    The caller's random state is left as found.

    Args:
        build: makes the network.
        seed: seed of the initial weights.

    >>> a, b = (untrained(lambda: nn.Linear(2, 1), seed=3) for _ in range(2))
    >>> torch.equal(a.weight, b.weight)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().eval()
