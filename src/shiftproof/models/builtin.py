"""The networks that come with the package: of the demo, of the experiments, published ones, and three with known truth."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from shiftproof.models.capsule_net import CapsuleNet
from shiftproof.models.conv_net import ConvNet
from shiftproof.models.dense_net import DenseNet
from shiftproof.models.digits import digits_cnn
from shiftproof.models.factory import declared
from shiftproof.models.found import Found, unknown
from shiftproof.models.parts import bag_of_parts, face_detector
from shiftproof.models.resnet import CifarResNet
from shiftproof.models.weights import load_state


class Identity(nn.Module):
    """The picture itself as a dense answer: exactly equivariant to every translation, at any boundary."""

    input_size = (3, 32, 32)

    def forward(self, x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n c h w"]:
        """The picture."""
        return x


class Constant(nn.Module):
    """The same scores for every picture: consistency 1, flip rate 0, accuracy that of guessing."""

    input_size = (3, 32, 32)

    def forward(self, x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n k"]:
        """Ten scores, class 0 ahead."""
        scores = torch.zeros(10, dtype=x.dtype, device=x.device)
        scores[0] = 1
        return scores.expand(len(x), 10)


class CircularAverage(nn.Module):
    """Convolution with circular padding, average over the map, dense layer: exactly invariant to circular translations.

    The weights are small whole numbers, so that on whole-valued float64 pictures of 2**k cells every sum and the mean are
    exact and invariance is `torch.equal`; elsewhere it holds to rounding. Channels are added up: any number of them will do.
    """

    input_size = (3, 32, 32)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5, padding=2, padding_mode="circular")
        self.linear = nn.Linear(8, 10)
        for i, p in enumerate(self.parameters()):
            whole = torch.arange(p.numel(), dtype=p.dtype).reshape(p.shape)
            p.data = (whole * (7 + 4 * i)).remainder(11) - 5

    def forward(self, x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n k"]:
        """Ten scores."""
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


def load_builtin(name: str, state: dict[str, Tensor] | None) -> Found:
    """The built-in network of that name, with the given weights in it if there are any.

    Args:
        name: a key of `BUILTIN`.
        state: tensors by name; None leaves the weights as built.

    Raises:
        ModelError: an unknown name, or weights of another network.
    """
    if name not in BUILTIN:
        raise unknown("built-in model", name, BUILTIN, where=f"builtin:{name}")
    module = BUILTIN[name]()
    if state is not None:
        load_state(module, state, f"builtin:{name}")
    return declared(module)
