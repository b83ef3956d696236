"""Networks that have a finding, one for every code, and the same networks mended: what docs/findings shows and runs."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent, indent
from typing import Any

from torch import nn

SIDE = 12  # pixels of the pictures
HEAD = """\
import torch
from torch import nn
from torch.nn import functional as F

import shiftproof as sp

torch.manual_seed(0)
"""


@dataclass(frozen=True)
class Example:
    """A network with a finding, and the same network without it.

    Args:
        name: of the finding.
        before: the body of `build()`, which returns the network.
        after: the same, mended.
        told: what the change does, and what it costs.
        moves: whether the answer is a map, which should move along.
        window: whether the picture shows two windows on one scene, and not a move around the circle.
        px: by how many pixels the content moves.
        down: whether it moves down, and not to the right.
    """

    name: str
    before: str
    after: str
    told: str
    moves: bool = False
    window: bool = False
    px: int = 1
    down: bool = False


EXAMPLES = {
    "T0": Example(
        "unknown operator",
        """
        class Net(nn.Module):
            def forward(self, x):
                return torch.linalg.svdvals(x).flatten(1)

        return Net()
        """,
        """
        class Net(nn.Module):
            def forward(self, x):
                return torch.linalg.vector_norm(x, dim=(2, 3))

        return Net()
        """,
        "Use an operator that the check knows, or write a rule for this one. Until then nothing is claimed, "
        "neither that the answer stays nor that it changes: the singular values of this picture do stay when it "
        "moves around the circle, and no rule says so.",
    ),
    "T1": Example(
        "subsampling",
        """
        conv = nn.Conv2d(1, 6, 3, stride=2, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.ReLU(), sp.layers.GlobalPool2d())
        """,
        """
        conv = nn.Conv2d(1, 6, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, sp.layers.PolyphasePool2d(2), nn.ReLU(), sp.layers.GlobalPool2d())
        """,
        "The content chooses which of the four grids of cells is kept, and the choice moves with the content. It costs the "
        "convolution at every cell. `shiftproof repair --method polyphase` makes this change with the weights as they are; "
        "`--method phase` moves the picture once by less than the step, and leaves the network alone.",
    ),
    "T2": Example(
        "padding",
        """
        return nn.Conv2d(1, 1, 3, padding=1)
        """,
        """
        return nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
        """,
        "What leaves on one side comes in again on the other. `shiftproof repair --method circular` changes every "
        "padding of a network. For a camera, padding is not a finding: the cells that it reaches are a margin.",
        moves=True,
    ),
    "T3": Example(
        "ragged",
        """
        conv = nn.Conv2d(1, 6, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.MaxPool2d(5), sp.layers.GlobalPool2d())
        """,
        """
        conv = nn.Conv2d(1, 6, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.MaxPool2d(4), sp.layers.GlobalPool2d())
        """,
        "Windows of 5 cells leave 2 of 12 cells out, and which those are depends on where the content is. With "
        "windows that divide the map every cell is in one. An input of 10 or 15 px would do the same. What is "
        "left is a `T1`: the step is the stride.",
        px=4,
    ),
    "T4": Example(
        "position constant",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
                self.position = nn.Parameter(torch.randn(1, 1, 12, 12))

            def forward(self, x):
                return self.conv(x) + self.position

        return Net()
        """,
        """
        return nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
        """,
        "A network that has to know where something is needs it. One that has to say what it is does not: leave "
        "the values out, or make them the same at every position. `shiftproof repair --method readout` averages "
        "them.",
        moves=True,
    ),
    "T5": Example(
        "position readout",
        """
        conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(2 * 12 * 12, 6))
        """,
        """
        conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.ReLU(), sp.layers.GlobalPool2d(), nn.Linear(2, 6))
        """,
        "A pool over all positions stands before the readout, which then has one weight per channel. It has to be "
        "trained again. `shiftproof repair --method readout` keeps the weights, and averages what the readout "
        "says of every move.",
    ),
    "T6": Example(
        "unshared weights",
        """
        return sp.layers.UnsharedConv2d(1, 1, 3, padding=1, padding_mode="circular", input_size=(12, 12))
        """,
        """
        return nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
        """,
        "One kernel for all positions. The layer has 1/144 of the weights, and what it learns at one place it knows at all.",
        moves=True,
    ),
    "T7": Example(
        "order",
        """
        class Net(nn.Module):
            def forward(self, x):
                return x.cumsum(3)

        return Net()
        """,
        """
        class Net(nn.Module):
            def forward(self, x):
                return x / x.sum(3, keepdim=True)

        return Net()
        """,
        "A sum up to each cell depends on where counting starts. A sum over all cells does not; nor do means, "
        "maxima, sorting, and attention without position embeddings.",
        moves=True,
    ),
    "T8": Example(
        "indexing",
        """
        class Net(nn.Module):
            def forward(self, x):
                return x[:, :, 6]

        return Net()
        """,
        """
        class Net(nn.Module):
            def forward(self, x):
                return x.mean(2)

        return Net()
        """,
        "The row in the middle shows what happens to be there. The mean over all rows does not ask where.",
        down=True,
    ),
    "T9": Example(
        "resampling",
        """
        class Net(nn.Module):
            def forward(self, x):
                x = F.interpolate(x, size=(8, 8), mode="bilinear")
                return x.amax((2, 3))

        return Net()
        """,
        """
        class Net(nn.Module):
            def forward(self, x):
                x = F.interpolate(x, size=(6, 6), mode="area")
                return x.amax((2, 3))

        return Net()
        """,
        "From 12 cells to 8, each new cell is another mixture of old ones: no move by a pixel or two is a move by whole new "
        "cells. The mean of whole windows of 2 x 2 is the same mixture everywhere; what is left is a `T1`, because a move by "
        "one pixel still changes what is in which window.",
        px=2,
    ),
    "T10": Example(
        "global context",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")

            def forward(self, x):
                y = self.conv(x)
                return y - y.mean((2, 3), keepdim=True)

        return Net()
        """,
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")

            def forward(self, x):
                y = self.conv(x)
                return y - F.avg_pool2d(y, 3, 1, 1)

        return Net()
        """,
        "As the camera moves, the mean of all that it sees changes, and with it every cell. The mean of a "
        "neighbourhood of fixed size does not know what happens elsewhere. Statistics that are stored in "
        "training, as batch normalisation has them, do the same.",
        moves=True,
        window=True,
        px=3,
    ),
}


def built(body: str) -> nn.Module:
    """The network that the body of a `build()` returns."""
    shared: dict[str, Any] = {}
    exec(compile(file_of(body), "net.py", "exec"), shared)
    return shared["build"]().eval()


def file_of(body: str) -> str:
    """The file NET.py of an example."""
    return f"{HEAD}\n\ndef build():\n{indent(dedent(body).strip(), '    ')}\n"
