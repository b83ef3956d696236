"""The networks of `shiftproof learn` in torch: trained by tests/golden/make_exhibits.py, read back from their files by tests."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from shiftproof.layers import CircularConv2d, CoordinateChannels, UnsharedConv2d

CONVOLUTIONS = ((1, 8, 5, 1), (8, 16, 3, 2), (16, 16, 3, 3))  # of exhibit 1: channels in and out, kernel, dilation
SIDE, POOL, GAIN, CLASSES = 28, 4, 10.0, 10


class TwoReadouts(nn.Module):
    """Three circular convolutions with ReLU, read in two ways: pooled and flattened, and averaged. Both end in a dense layer.

    The average is multiplied by a constant, which a dense layer could do itself, but would learn slowly.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            CircularConv2d(i, o, k, dilation=d, padding=d * (k - 1) // 2) for i, o, k, d in CONVOLUTIONS
        )
        channels = CONVOLUTIONS[-1][1]
        self.flat = nn.Linear(channels * (SIDE // POOL) ** 2, CLASSES)
        self.average = nn.Linear(channels, CLASSES)

    def maps(self, x: Tensor) -> Tensor:
        """The maps after the last convolution."""
        for conv in self.convs:
            x = conv(x).relu()
        return x

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The scores of both readouts."""
        m = self.maps(x)
        return self.flat(functional.max_pool2d(m, POOL).flatten(1)), self.average(m.mean((2, 3)) * GAIN)


def halves(values: Tensor) -> str:
    """The values, which half precision holds exactly, in base64."""
    half = values.detach().to(torch.float16)
    assert torch.equal(half.to(values.dtype), values.detach())
    return base64.b64encode(half.numpy().astype("<f2").tobytes()).decode()


def from_halves(text: str, shape: tuple[int, ...]) -> Tensor:
    """Values written by `halves`, in float64."""
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f2").astype(np.float64)).reshape(shape)


def to_file(net: TwoReadouts) -> dict[str, Any]:
    """What the page needs of the network."""

    def layer(p: Any, **more: int) -> dict[str, Any]:
        return {**more, "weight": halves(p.weight), "bias": halves(p.bias)}

    return {
        "side": SIDE,
        "pool": POOL,
        "gain": GAIN,
        "convs": [
            layer(conv, channelsIn=i, channelsOut=o, kernel=k, dilation=d)
            for conv, (i, o, k, d) in zip(net.convs, CONVOLUTIONS, strict=True)
        ],
        "flat": layer(net.flat),
        "average": layer(net.average),
    }


def chain_to_file(net: nn.Sequential) -> list[dict[str, Any]]:
    """The layers of a chain, as the page's `chain` reads them. Weights have to be halves."""
    found: list[dict[str, Any]] = []
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            shape = {"channelsIn": layer.in_channels, "channelsOut": layer.out_channels, "kernel": layer.kernel_size[0]}
            rim = {"padding": layer.padding[0], "border": "circular" if layer.padding_mode == "circular" else "zero"}
            assert layer.bias is not None
            weights = {"weight": halves(layer.weight), "bias": halves(layer.bias)}
            found.append({"kind": "convolution", **shape, "stride": layer.stride[0], **rim, **weights})
        elif isinstance(layer, nn.Linear):
            found.append({"kind": "dense", "weight": halves(layer.weight), "bias": halves(layer.bias)})
        elif isinstance(layer, nn.MaxPool2d):
            found.append({"kind": "pool", "k": layer.kernel_size})
        elif isinstance(layer, nn.ReLU):
            found.append({"kind": "relu"})
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            found.append({"kind": "average"})
        elif isinstance(layer, UnsharedConv2d):
            found.append(unshared_to_file(layer))
        elif isinstance(layer, CoordinateChannels):
            found.append({"kind": "coordinates"})
        else:
            assert isinstance(layer, nn.Flatten), layer
    return found


def from_file(held: dict[str, Any]) -> TwoReadouts:
    """The network of a file, in float64."""
    net = TwoReadouts().double().eval()
    pairs = [*zip(net.convs, held["convs"], strict=True), (net.flat, held["flat"]), (net.average, held["average"])]
    with torch.no_grad():
        for layer, kept in pairs:
            layer.weight.copy_(from_halves(kept["weight"], tuple(layer.weight.shape)))
            layer.bias.copy_(from_halves(kept["bias"], tuple(layer.bias.shape)))
    return net


def unshared_to_file(layer: UnsharedConv2d) -> dict[str, Any]:
    """An unshared layer with circular padding: weights as (place, row x column x input, output), biases as (output, place)."""
    assert layer.padding_mode == "circular"
    assert layer.bias is not None
    shape = {"channelsIn": layer.in_channels, "channelsOut": layer.out_channels, "kernel": layer.kernel_size[0]}
    return {"kind": "unshared", **shape, "weight": halves(layer.weight), "bias": halves(layer.bias)}


def chain_from_file(held: list[dict[str, Any]]) -> nn.Sequential:
    """The network of `chain_to_file`, in float64."""
    found: list[nn.Module] = []
    for p in held:
        if p["kind"] == "convolution":
            mode = "circular" if p["border"] == "circular" else "zeros"
            sizes = (p["channelsIn"], p["channelsOut"], p["kernel"], p["stride"], p["padding"])
            layer: nn.Module = nn.Conv2d(*sizes, padding_mode=mode)
        elif p["kind"] == "dense":
            bias = from_halves(p["bias"], (-1,))
            layer = nn.Linear(from_halves(p["weight"], (len(bias), -1)).shape[1], len(bias))
            found.append(nn.Flatten())
        else:
            layer = {
                "pool": lambda p=p: nn.MaxPool2d(p["k"]),
                "relu": nn.ReLU,
                "average": lambda: nn.AdaptiveAvgPool2d(1),
            }[p["kind"]]()
        layer = layer.double()
        with torch.no_grad():
            for name, weight in layer.named_parameters():
                weight.copy_(from_halves(p[name], tuple(weight.shape)))
        found.append(layer)
    return nn.Sequential(*found).eval()
