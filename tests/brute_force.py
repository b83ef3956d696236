"""What the laws of the check are held to: the model itself, run for every move."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import nn

from shiftproof.checking.refute import difference


class Call(nn.Module):
    """A function with modules in it."""

    def __init__(self, function: Callable, **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def whole(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with small whole numbers for weights, in float64: sums are exact in any order."""
    random = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for p in [*module.parameters(), *module.buffers()]:
            if p.is_floating_point():
                p.copy_(torch.randint(-3, 4, p.shape, generator=random))
        for m in module.modules():
            if isinstance(getattr(m, "running_var", None), torch.Tensor):
                m.running_var.fill_(1)
    return module


def circular(i, o, k, s=1, p=None, d=1, g=1):
    return nn.Conv2d(i, o, k, s, (d * (k - 1)) // 2 if p is None else p, d, g, padding_mode="circular")


def worst(module: nn.Module, verdict, size, steps, seed: int = 1) -> float:
    """The largest difference over every move that is a multiple of the steps (None: no move along that axis)."""
    picture = torch.randint(-4, 5, (1, *size), generator=torch.Generator().manual_seed(seed)).double()
    moves = [range(0, n, s) if s else (0,) for n, s in zip(size[1:], steps, strict=True)]
    return max(difference(module, picture, verdict.output_type, m) for m in itertools.product(*moves))
