"""Run a network whose batch size is fixed on any number of pictures."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from shiftproof.models.answer import others, tensor_in


class InBatches(nn.Module):
    """Split any number of pictures into batches of a size that the module accepts.

    A batch that is too small is filled up with copies of its last picture; their outputs are dropped.

    Args:
        module: accepts (b, c, h, w) only if `low` <= b <= `high`.
        low: smallest batch size.
        high: largest batch size; equal to `low` if the size is fixed.

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
        self.taken = ""  # which of several outputs was taken the last time, in words

    def forward(self, x: Shaped[Tensor, " n *picture"]) -> Any:
        """Return the outputs, as if all n pictures were one batch."""
        return torch.cat([self._ask(batch) for batch in x.split(self.high)])

    def _ask(self, batch: Tensor) -> Tensor:
        n = len(batch)
        if n < self.low:
            batch = torch.cat([batch, batch[-1:].expand(self.low - n, *batch.shape[1:])])
        output = self.module(batch)
        self.taken = others(output)
        return tensor_in(output)[:n]
