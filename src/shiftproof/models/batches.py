"""A network whose batch size is fixed, given any number of pictures."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from shiftproof.models.answer import answer


class InBatches(nn.Module):
    """The module's answer to any number of pictures, asked in batches of the sizes that it takes.

    The last batch is filled up with copies of its last picture, whose answers are thrown away.

    Args:
        module: takes (b, c, h, w) with `low` <= b <= `high` only.
        low: smallest batch.
        high: largest batch; `low` where the size is fixed.

    >>> class OnlyTwo(nn.Module):
    ...     def forward(self, x):
    ...         assert len(x) == 2
    ...         return x.flatten(1)
    >>> InBatches(OnlyTwo(), 2, 2)(torch.arange(3.0).reshape(3, 1, 1, 1)).flatten()
    tensor([0., 1., 2.])
    """

    def __init__(self, module: nn.Module, low: int, high: int) -> None:
        super().__init__()
        self.module, self.low, self.high = module, low, high

    def forward(self, x: Shaped[Tensor, " n *picture"]) -> Any:
        """The answers (n, k) or (n, k, h, w), as if all n had been asked at once."""
        return torch.cat([self._ask(batch) for batch in x.split(self.high)])

    def _ask(self, batch: Tensor) -> Tensor:
        n = len(batch)
        if n < self.low:
            batch = torch.cat([batch, batch[-1:].expand(self.low - n, *batch.shape[1:])])
        return answer(self.module(batch))[:n]
