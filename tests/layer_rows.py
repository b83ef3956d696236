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
        margin: for the laws "zero" and "crop": how far from the border the object or cell must be, px of input; None: the
            map is too small for them.
        call: how it is called, if not by the picture alone.
        binary: pictures of 0 and 1 (ties), instead of whole numbers -4..4.
        gradient: whether the layer is differentiable in its input.
    """

    make: Callable[[], nn.Module]
    size: tuple[int, int, int]
    broken: Callable[[], nn.Module]
    margin: int | None = 4
    call: Callable[[nn.Module, Tensor], Tensor] = lambda layer, x: layer(x)
    binary: bool = False
    gradient: bool = True


def fixed_phases(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x, torch.tensor([[1, 0]], device=x.device).expand(len(x), 2))


def first_of_ties(x: Tensor) -> Tensor:
    """Adaptive polyphase sampling by (2, 3) as it is usually written: of components of equal norm the first."""
    parts = components(x, (2, 3))
    return taken(parts, parts.abs().sum((2, 3, 4)).argmax(1))


def first_of_seams(x: Tensor) -> Tensor:
    """The picture with a row of largest step in front: of several such rows the first, and only as far as a row is from 0."""
    at = (x - x.roll(1, 2)).abs().sum((1, 3)).argmax(1).clamp(max=2)
    return torch.stack([p.roll(-int(r), 1) for p, r in zip(x, at, strict=True)])


def side_by_side(layer: nn.Module, x: Tensor) -> Tensor:
    """The poses of a picture as channels."""
    y = layer(x)
    return y.flatten(1, 2) if y.ndim == 5 else y


def rows_apart(x: Tensor) -> Tensor:
    return x + torch.arange(x.shape[2], device=x.device, dtype=x.dtype)[:, None]


def bilinear() -> nn.Module:
    return nn.Upsample(scale_factor=(2, 3), mode="bilinear")


def knows_rows(layer: nn.Module) -> nn.Module:
    """The layer behind one that adds each cell's row number."""
    return nn.Sequential(Call(lambda x: x + torch.arange(x.shape[2], device=x.device, dtype=x.dtype)[:, None]), layer)


def shared() -> nn.Module:
    return nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular")


def listed(layer: nn.Module, x: Tensor) -> Tensor:
    """Positions as capsules below, and the capsules above as a map one pixel wide."""
    return layer(x.flatten(2).mT).unsqueeze(-1)


ROWS: dict[str, Row] = {
    "polyphase 2": Row(lambda: sl.PolyphasePool2d(2), (2, 6, 4), lambda: nn.MaxPool2d(2)),
    "polyphase 3x1": Row(lambda: sl.PolyphasePool2d((3, 1), p=1), (2, 9, 5), lambda: nn.AvgPool2d((3, 1))),
    "polyphase 2x3, ties": Row(
        lambda: sl.PolyphasePool2d((2, 3), 1), (1, 4, 6), lambda: Call(first_of_ties), binary=True
    ),
    "polyphase, one cell": Row(lambda: sl.PolyphasePool2d(5), (1, 5, 5), lambda: nn.Conv2d(1, 1, 1, 5), binary=True),
    "polyphase up": Row(lambda: sl.PolyphaseUpsample2d((2, 3)), (2, 3, 4), bilinear, call=fixed_phases),
    "learned polyphase": Row(lambda: sl.LearnedPolyphasePool2d(2, 2, 4), (2, 6, 4), lambda: nn.MaxPool2d(2)),
    "learned polyphase, ties": Row(
        lambda: sl.LearnedPolyphasePool2d(1, 2), (1, 4, 4), lambda: nn.MaxPool2d(2), binary=True
    ),
    "blur 3, circular": Row(lambda: sl.BlurPool2d(3, 2, "circular"), (2, 12, 14), lambda: sl.BlurPool2d(3, 2, "zeros")),
    "blur 1": Row(lambda: sl.BlurPool2d(1, 2), (2, 12, 12), lambda: knows_rows(sl.BlurPool2d(1, 2))),
    "blur 2, zeros": Row(lambda: sl.BlurPool2d(2, 2, "zeros"), (1, 14, 16), lambda: knows_rows(sl.BlurPool2d(2))),
    "blur 4, zeros": Row(lambda: sl.BlurPool2d(4, 2, "zeros"), (1, 14, 16), lambda: knows_rows(sl.BlurPool2d(4))),
    "blur 7x4, wraps": Row(
        lambda: sl.BlurPool2d((7, 4), (1, 3), "circular"), (2, 2, 3), lambda: knows_rows(nn.AvgPool2d(1, (1, 3))), None
    ),
    "blur 5, reflected": Row(lambda: sl.BlurPool2d(5, 3), (1, 16, 18), lambda: knows_rows(sl.BlurPool2d(5, 3))),
    "blur 6, replicated": Row(
        lambda: sl.BlurPool2d(6, (2, 1), "replicate"), (1, 16, 16), lambda: knows_rows(sl.BlurPool2d(6, (2, 1)))
    ),
    "pad": Row(lambda: sl.CircularPad2d((1, 2, 3, 0)), (1, 14, 14), lambda: knows_rows(sl.CircularPad2d(1))),
    "conv": Row(lambda: sl.CircularConv2d(2, 3, 3, padding="same"), (2, 12, 12), lambda: nn.Conv2d(2, 3, 3, padding=1)),
    "conv, wraps": Row(
        lambda: sl.CircularConv2d(2, 2, (5, 7), padding="same", dilation=2),
        (2, 3, 2),
        lambda: nn.Conv2d(2, 2, 3, padding=1),
        None,
    ),
    "conv, strided": Row(
        lambda: sl.CircularConv2d(2, 4, (4, 3), (2, 3), 1, groups=2), (2, 12, 15), lambda: nn.Conv2d(2, 4, 3, (2, 3), 1)
    ),
    "conv, padded too little": Row(
        lambda: sl.CircularConv2d(1, 2, 5, padding=1), (1, 16, 16), lambda: knows_rows(nn.Conv2d(1, 2, 5))
    ),
    "readout": Row(sl.ChannelReadout, (3, 12, 13), lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 13, 3))),
    "global mean": Row(sl.GlobalPool2d, (2, 12, 12), lambda: knows_rows(nn.AdaptiveMaxPool2d(1))),
    "global maximum": Row(lambda: sl.GlobalPool2d("max"), (2, 12, 12), lambda: knows_rows(sl.GlobalPool2d("max"))),
    "global norm": Row(
        lambda: sl.GlobalPool2d("lp", 3, keepdim=True), (2, 12, 12), lambda: knows_rows(sl.GlobalPool2d("lp"))
    ),
    "coordinates": Row(sl.CoordinateChannels, (1, 12, 13), nn.Identity),
    "coordinates and radius": Row(lambda: sl.CoordinateChannels(with_radius=True), (2, 12, 12), nn.Identity),
    "ideal 2": Row(sl.IdealLowPass2d, (2, 12, 8), lambda: sl.BlurPool2d(7, 2, "circular"), 1),
    "ideal 3x1": Row(lambda: sl.IdealLowPass2d((3, 1)), (1, 18, 5), lambda: nn.AvgPool2d((3, 1)), 1),
    "ideal, one cell": Row(lambda: sl.IdealLowPass2d(4), (1, 4, 4), lambda: nn.MaxPool2d(4), None),
    "polynomial": Row(sl.PolynomialActivation, (2, 8, 7), nn.GELU, 1),
    "polynomial a channel": Row(lambda: sl.PolynomialActivation(3), (3, 6, 6), lambda: Call(torch.square), 1),
    "pose by the seam": Row(sl.CanonicalPose, (2, 7, 6), lambda: Call(first_of_seams), 1),
    "pose by the seam, ties": Row(sl.CanonicalPose, (1, 4, 6), lambda: Call(first_of_seams), None, binary=True),
    "likely poses": Row(lambda: sl.PoseCandidates(3), (2, 7, 6), lambda: Call(rows_apart), 1, call=side_by_side),
    "likely poses, ties": Row(sl.PoseCandidates, (1, 4, 6), lambda: Call(rows_apart), None, side_by_side, binary=True),
    "pose by the object": Row(lambda: sl.CanonicalPose("object"), (2, 9, 10), nn.Identity, 1),
    "phases of the seam": Row(lambda: sl.PhaseAlign((2, 3)), (2, 6, 9), lambda: Call(rows_apart), None),
    "phases of the seam, ties": Row(lambda: sl.PhaseAlign(2), (1, 4, 6), lambda: Call(rows_apart), None, binary=True),
    "unshared": Row(
        lambda: sl.UnsharedConv2d(2, 3, 3, 1, 1, padding_mode="circular", input_size=(5, 4)), (2, 5, 4), shared
    ),
    "unshared, groups": Row(lambda: sl.UnsharedConv2d(2, 4, (3, 2), 1, "same", 2, 2, input_size=5), (2, 5, 5), shared),
    "unshared, one dimension": Row(
        lambda: sl.UnsharedConv1d(2, 3, 3, padding=1, padding_mode="circular", input_size=5),
        (2, 5, 1),
        shared,
        call=lambda f, x: f(x.flatten(2)).unsqueeze(-1),
    ),
    "primary capsules": Row(
        lambda: sl.PrimaryCapsules(2, 2, 3, 3), (2, 5, 4), shared, call=lambda f, x: f(x).unsqueeze(-1)
    ),
    "capsules": Row(lambda: sl.Capsules(12, 3, 2, 4), (2, 4, 3), shared, call=listed),
    "decoder": Row(
        lambda: sl.ReconstructionDecoder(4, 3, (2, 4, 3), (8, 8)), (1, 4, 3), nn.Identity, call=lambda f, x: f(x[:, 0])
    ),
}
