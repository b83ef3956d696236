"""Run a network whose batch size is fixed on any number of pictures."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from shiftproof.models.answer import others, tensor_in

FREE_BATCH = 'export it with a free batch size: dynamic_shapes=({0: torch.export.Dim("n")},)'


def filled(batch: Shaped[Tensor, " n *picture"], rows: int) -> Shaped[Tensor, " m *picture"]:
    """The batch, filled up to `rows` pictures with copies of its last; itself if it has as many.

    >>> filled(torch.tensor([1, 2]), 4)
    tensor([1, 2, 2, 2])
    """
    missing = rows - len(batch)
    return torch.cat([batch, batch[-1:].expand(missing, *batch.shape[1:])]) if missing > 0 else batch


def unbatched(module: nn.Module) -> tuple[nn.Module, int | None]:
    """The network itself, and how many pictures it is to be run on at a time; None if that is free."""
    return (module.module, module.low) if isinstance(module, InBatches) else (module, None)


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
        output = self.module(filled(batch, self.low))
        self.taken = others(output)
        return tensor_in(output)[:n]
