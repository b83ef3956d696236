"""The networks as diagrams, and a digit and a photograph as they are moved."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn

from shiftproof.experiments.drawing import Box, chains, png
from shiftproof.experiments.trained.larger_pictures.numbers import (
    CLASSES,
    FILTERS,
    MODELS,
    PHOTOGRAPHS,
    POOL,
    Measured,
    Numbers,
)
from shiftproof.experiments.trained.moved_digits import LITTLE, MOVED
from shiftproof.training import moved

SHOWN_PX = 3  # side of a pixel in the picture


def boxes(model: str, side_px: int) -> list[Box]:
    """The stages of a network from its input to its output."""
    found = [Box(f"{side_px} x {side_px}")]
    for filters, halved in zip(FILTERS, ("", *MODELS[model]), strict=True):
        found += [Box(halved, strong=halved == POOL)] if halved else []
        found.append(Box(f"2 conv 3 x 3, {filters}"))
    return [*found, Box(f"dense, {CLASSES}")]


def moved_pictures(n: Numbers) -> UInt8[np.ndarray, "h w 3"]:
    """A test picture of each kind, a row each: where it was, moved a little, and moved as far as it goes."""
    rows, most = [], max(m.setting.side_px for m in n.values())
    for m in n.values():
        little, far = m.setting.reach_px[LITTLE], m.setting.reach_px[MOVED]
        moves = torch.tensor([(0, 0), (little, -little), (far, -far), (-far, far), (far, far)])
        picture = torch.from_numpy(m.picture).permute(2, 0, 1).expand(len(moves), 3, -1, -1)
        around = most - m.setting.side_px
        frame = (around // 2 + 1, around - around // 2 + 1) * 2
        rows.append(torch.cat([*nn.functional.pad(moved(picture, moves), frame, value=255)], 2))
    return torch.cat(rows, 1).permute(1, 2, 0).numpy()


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The networks as diagrams, and pictures as they are moved."""
    m = n[PHOTOGRAPHS]
    far = m.setting.reach_px[MOVED]
    return {
        "networks.png": (
            chains([(model, boxes(model, m.setting.side_px)) for model in MODELS]),
            "The networks, from the picture to the scores of the classes. Stride 2: the first of the two convolutions behind it "
            f"computes every second cell. Cost for a photograph: {_in_words(m)}.",
        ),
        "moved.png": (
            png(moved_pictures(n), high=255, zoom=SHOWN_PX),
            f"A test digit and a test photograph: unmoved, moved by {m.setting.reach_px[LITTLE]} px, and moved by {far} px along "
            "each axis in three directions. Black moves in.",
        ),
    }


def _in_words(m: Measured) -> str:
    cost = {model: f"{m.multiply_adds[model]:,} multiply-adds and {m.weights[model]:,} weights" for model in MODELS}
    return "; ".join(f"{model} {words}" for model, words in cost.items())
