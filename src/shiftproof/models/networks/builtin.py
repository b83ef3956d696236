"""The built-in networks: for the demo, for the experiments, published ones, and three with known results."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from shiftproof.models.networks.capsule_net import CapsuleNet
from shiftproof.models.networks.conv_net import ConvNet
from shiftproof.models.networks.dense_net import DenseNet
from shiftproof.models.networks.digits import digits_cnn
from shiftproof.models.networks.parts import bag_of_parts, face_detector
from shiftproof.models.networks.resnet import CifarResNet


class Identity(nn.Module):
    """Returns the picture as a dense output: exactly equivariant to every translation, with any boundary."""

    input_size = (3, 32, 32)

    def forward(self, x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n c h w"]:
        """Return the picture."""
        return x


class Constant(nn.Module):
    """Returns the same scores for every picture: consistency 1, flip rate 0, accuracy at chance."""

    input_size = (3, 32, 32)

    def forward(self, x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n k"]:
        """Return ten scores; class 0 has the highest."""
        scores = torch.zeros(10, dtype=x.dtype, device=x.device)
        scores[0] = 1
        return scores.expand(len(x), 10)


class CircularAverage(nn.Module):
    """Convolution with circular padding, average over the map, dense layer: exactly invariant to circular translations.

    The weights are small whole numbers, so that on whole-valued float64 pictures of 2**k pixels every sum and the mean are
    exact, and outputs are `torch.equal`. On other pictures invariance holds up to rounding. The picture's channels are
    summed first, so any number of them is accepted.
    """

    input_size = (3, 32, 32)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5, padding=2, padding_mode="circular")
        self.linear = nn.Linear(8, 10)
        for i, p in enumerate(self.parameters()):
            whole = torch.arange(p.numel(), dtype=p.dtype).reshape(p.shape)
            # Multiples of 7, 15 and 19 modulo the prime 11 run through -5 to 5 out of order. Those of 11, for the bias of
            # the convolution, are all -5.
            p.data = (whole * (7 + 4 * i)).remainder(11) - 5

    def forward(self, x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n k"]:
        """Return ten scores."""
        return self.linear(nn.functional.relu(self.conv(x.sum(1, keepdim=True))).mean((2, 3)))


BUILTIN: dict[str, Callable[[], nn.Module]] = {
    "digits-cnn": digits_cnn,
    "pooling-a": functools.partial(ConvNet, "c"),
    "pooling-b": functools.partial(ConvNet, "cp"),
    "pooling-c": functools.partial(ConvNet, "cpcp"),
    "unshared": functools.partial(ConvNet, "u"),
    "dense": DenseNet,
    "capsules": CapsuleNet,
    "parts-to-face": face_detector,
    "bag-of-parts": bag_of_parts,
    "cifar-resnet20": functools.partial(CifarResNet, 20),
    "cifar-resnet32": functools.partial(CifarResNet, 32),
    "identity": Identity,
    "constant": Constant,
    "circular-average": CircularAverage,
}

# Only the structure of these comes with the package. The others are trained when they are built, or have fixed weights.
UNTRAINED = frozenset(
    {"pooling-a", "pooling-b", "pooling-c", "unshared", "dense", "capsules", "cifar-resnet20", "cifar-resnet32"}
)
