"""The exported graph of a network, with every window moved around the circle."""

from __future__ import annotations

from functools import partial

from torch import nn

from shiftproof.records import Change
from shiftproof.repairing.editor import Rule, edited
from shiftproof.repairing.refusal import refused
from shiftproof.repairing.upsampling import resampling, transposed
from shiftproof.repairing.windows import Way, padding, placed, reshaped

PADDINGS = ("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d", "_pad_circular")
PLACED = ("roll", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "narrow", "select", "split", "chunk", "unfold")


def surrounded(network: nn.Module, size: tuple[int, int, int], way: Way) -> tuple[nn.Module, tuple[Change, ...]]:
    """A network that goes around the circle, and what was replaced in it; its weights are shared."""
    return edited(network, size, rules(way), partial(refused, goal="circular"))


def rules(way: Way) -> dict[str, Rule]:
    """Operator -> what becomes of it."""
    found: dict[str, Rule] = {
        "conv2d": way.convolution,
        "max_pool2d": way.largest,
        "avg_pool2d": way.mean,
        "adaptive_avg_pool2d": way.adaptive,
        "adaptive_max_pool2d": way.adaptive,
        "im2col": way.patches,
        "slice": way.every,
        "conv_transpose2d": transposed,
        "upsample_nearest2d": partial(resampling, "nearest"),
        "upsample_bilinear2d": partial(resampling, "bilinear"),
        "upsample_bicubic2d": partial(resampling, "bicubic"),
        **dict.fromkeys(PADDINGS, padding),
    }
    if way.strides != "kept":
        found |= dict.fromkeys(("view", "reshape"), reshaped)
    if way.strides == "dilated":
        found |= dict.fromkeys(PLACED, placed)
    return found
