"""The table of layers: what each is built from, the size of its input, and a broken one that its laws must refuse.

To add a layer, add a line to ROWS. `test_layers.py` in laws holds it to every law that it declares and to what layers survive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shiftproof import layers as sl
from shiftproof.layers.polyphase import components, taken


class Call(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@dataclass(frozen=True)
class Row:
    """A layer of the table.

    Args:
        make: builds it.
        size: (c, h, w) of its input.
        broken: builds a layer that must break the first law that `make`'s declares; where it declares none, one that has a law.
        margin: for the laws "zero" and "crop": how far from the border the object or cell must be, px of input.
        call: how it is called, if not by the picture alone.
        binary: pictures of 0 and 1 (ties), instead of whole numbers -4..4.
        gradient: whether the layer is differentiable in its input.
    """

    make: Callable[[], nn.Module]
    size: tuple[int, int, int]
    broken: Callable[[], nn.Module]
    margin: int = 4
    call: Callable[[nn.Module, Tensor], Tensor] = lambda layer, x: layer(x)
    binary: bool = False
    gradient: bool = True


def fixed_phases(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x, torch.tensor([[1, 0]], device=x.device).expand(len(x), 2))


def first_of_ties(x: Tensor) -> Tensor:
    """Adaptive polyphase sampling by (2, 3) as it is usually written: of components of equal norm the first."""
    parts = components(x, (2, 3))
    return taken(parts, parts.abs().sum((2, 3, 4)).argmax(1))


def bilinear() -> nn.Module:
    return nn.Upsample(scale_factor=(2, 3), mode="bilinear")


def first_row_zeroed(x: Tensor) -> Tensor:
    return x * (torch.arange(x.shape[2], device=x.device) > 0)[:, None]


def shared() -> nn.Module:
    return nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")


def listed(layer: nn.Module, x: Tensor) -> Tensor:
    """Positions as capsules below, and the capsules above as a map one pixel wide."""
    return layer(x.flatten(2).mT).unsqueeze(-1)


ROWS: dict[str, Row] = {
    "polyphase 2": Row(lambda: sl.PolyphasePool2d(2), (2, 6, 4), lambda: nn.MaxPool2d(2)),
    "polyphase 3x1": Row(lambda: sl.PolyphasePool2d((3, 1), p=1), (2, 9, 5), lambda: nn.AvgPool2d((3, 1))),
    "polyphase 2x3, ties": Row(lambda: sl.PolyphasePool2d((2, 3), 1), (1, 4, 6), lambda: Call(first_of_ties), binary=True),
    "polyphase, whole map": Row(lambda: sl.PolyphasePool2d(5), (1, 5, 5), lambda: nn.Conv2d(1, 1, 1, 5), binary=True),
    "polyphase up": Row(lambda: sl.PolyphaseUpsample2d((2, 3)), (2, 3, 4), bilinear, call=fixed_phases),
    "unshared": Row(lambda: sl.UnsharedConv2d(2, 3, 3, 1, 1, padding_mode="circular", input_size=(5, 4)), (2, 5, 4), shared),
    "unshared, groups": Row(lambda: sl.UnsharedConv2d(2, 4, (3, 2), 1, "same", 2, 2, input_size=5), (2, 5, 5), shared),
    "primary capsules": Row(lambda: sl.PrimaryCapsules(2, 2, 3, 3), (2, 5, 4), shared, call=lambda f, x: f(x).unsqueeze(-1)),
    "capsules": Row(lambda: sl.Capsules(12, 3, 2, 4), (2, 4, 3), shared, call=listed),
}  # fmt: skip
