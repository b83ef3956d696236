"""A network without any built-in knowledge of pictures: every hidden unit is connected to every pixel."""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import nn


class DenseNet(nn.Sequential):
    """Flatten, dense, ReLU, dense. Untrained.

    Args:
        width: units of the hidden layer. The default is the size of the map of `ConvNet("c")`, 32 channels of 26 x 26, so
            that the two networks differ only in weight sharing and receptive field.
        input_size: (channels, height, width).
        classes: number of scores.

    >>> sum(p.numel() for p in DenseNet(100).parameters())
    79510

    Reference: Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating errors" (a layer of hidden
    units between input and output), https://doi.org/10.1038/323533a0. Differs: ReLU.
    """

    def __init__(
        self, width: int = 32 * 26 * 26, *, input_size: tuple[int, int, int] = (1, 28, 28), classes: int = 10
    ) -> None:
        layers: dict[str, nn.Module] = {
            "flatten": nn.Flatten(),
            "hidden": nn.Linear(math.prod(input_size), width),
            "relu": nn.ReLU(),
            "dense": nn.Linear(width, classes),
        }
        super().__init__(OrderedDict(layers))
        self.input_size = input_size
        self.labels = tuple(str(k) for k in range(classes))
