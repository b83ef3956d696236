"""Pictures of the pooling and the augmentation experiments: the networks as diagrams, and a digit as it is moved."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import nn

from shiftproof.experiments.drawing import Box, Cells, chains, laid_out
from shiftproof.experiments.trained.moved_digits import LITTLE, MOVED, Setting
from shiftproof.training import moved, untrained

SHOWN_PX = 112  # about the side of a digit in the picture


def boxes(model: nn.Module, side_px: int) -> list[Box]:
    """The layers of a network from its input to its output.

    >>> from shiftproof.models import ConvNet
    >>> [box.text for box in boxes(ConvNet("cp"), 28)]
    ['28 x 28', 'conv 3 x 3, 32', 'max 2 x 2', 'dense, 10']
    """
    found = [Box(f"{side_px} x {side_px}")]
    for layer in model.children():
        if isinstance(layer, nn.Conv2d):
            apart = f", dilation {layer.dilation[0]}" if layer.dilation[0] > 1 else ""
            found.append(Box(f"conv {layer.kernel_size[0]} x {layer.kernel_size[1]}, {layer.out_channels}{apart}"))
        elif isinstance(layer, nn.MaxPool2d):
            found.append(Box(f"max {layer.kernel_size} x {layer.kernel_size}", strong=True))
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            found.append(Box("average over positions"))
        elif isinstance(layer, nn.Linear):
            found.append(Box(f"dense, {layer.out_features}"))
    return found


def in_words(here: Setting, models: Mapping[str, str]) -> dict[str, str]:
    """The layers of each network, from the picture to the scores.

    >>> in_words(Setting(28), {"B": "cp"})
    {'B': '28 x 28; conv 3 x 3, 32; max 2 x 2; dense, 10'}
    """
    built = {name: untrained(here.build(pattern)) for name, pattern in models.items()}
    return {name: layers_in_words(model, here.side_px) for name, model in built.items()}


def layers_in_words(model: nn.Module, side_px: int) -> str:
    """The layers of a network, from the picture to the scores."""
    return "; ".join(box.text for box in boxes(model, side_px))


def networks(here: Setting, models: Mapping[str, str]) -> bytes:
    """The networks as diagrams, as PNG.

    Args:
        here: the size of the digits.
        models: the pattern of each network, by name.
    """
    return chains([(name, boxes(untrained(here.build(pattern)), here.side_px)) for name, pattern in models.items()])


def moved_digit(here: Setting, digit: UInt8[ndarray, "h w"]) -> list[Cells]:
    """The digit where it was, moved a little, and moved as far as it goes in three directions."""
    little, far = here.reach_px[LITTLE], here.reach_px[MOVED]
    moves = torch.tensor([(0, 0), (little, -little), (far, -far), (-far, far), (far, far)])
    shown = moved(torch.from_numpy(digit).expand(len(moves), 1, -1, -1), moves)[:, 0].double() / 255
    return [Cells(one.numpy(), "grey", 1.0, side_px=max(1, SHOWN_PX // here.side_px)) for one in shown]


def digits_and_networks(
    here: Setting, models: Mapping[str, str], digit: UInt8[ndarray, "h w"]
) -> dict[str, tuple[bytes, str]]:
    """Both pictures with their captions, by file name."""
    far = here.reach_px[MOVED]
    above = ("unmoved", "moved little", *["moved"] * 3)
    return {
        "networks.png": (
            networks(here, models),
            "The networks, from the picture to the scores of the classes: the size of each kernel and how many filters there "
            "are, and the windows of the poolings. Behind each convolution comes a ReLU.",
        ),
        "moved.png": (
            laid_out([moved_digit(here, digit)], above=above),
            f"A test digit, and the same digit as the networks are asked to read it: moved by up to {here.reach_px[LITTLE]} px "
            f"and by up to {far} px along each axis.",
        ),
    }
