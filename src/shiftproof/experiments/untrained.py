"""Networks as they are before training, by a seed of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def untrained(build: Callable[[], Network], seed: int = 0) -> Network:
    """The network that `build` makes, in eval mode, with the seed's initial weights; the caller's random state is kept.

    Args:
        build: makes it.
        seed: of the initial weights.

    >>> a, b = (untrained(lambda: nn.Linear(2, 1), seed=3) for _ in range(2))
    >>> torch.equal(a.weight, b.weight)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().eval()
