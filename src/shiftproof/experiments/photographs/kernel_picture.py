"""The kernels of layers at every position, and the same layers as matrices."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import nn

from shiftproof.experiments.drawing import Cells, laid_out


def matrix(layer: nn.Module, side: int) -> Float64[ndarray, "o i"]:
    """What the layer multiplies a flattened picture with: one row per output cell, one column per pixel."""
    with torch.no_grad():
        one_by_one = torch.eye(side * side, dtype=torch.float64).reshape(-1, 1, side, side)
        nothing = layer(torch.zeros(1, 1, side, side, dtype=torch.float64))
        return (layer(one_by_one) - nothing).flatten(1).T.numpy()


def drawn(layers: Mapping[str, nn.Module], side: int) -> bytes:
    """Each layer as its weights at the place of each output, and as a matrix, as PNG.

    Args:
        layers: by the words beside them; of one channel, with as many outputs as pixels.
        side: of the picture, in px.
    """
    rows = []
    for layer in layers.values():
        weights = matrix(layer, side)
        # Output (i, j) stands at row i, column j of blocks, and holds what it gives each pixel.
        blocks = weights.reshape(side, side, side, side).transpose(0, 2, 1, 3).reshape(side * side, -1)
        rows.append([Cells(blocks, "signed", every=side, side_px=7), Cells(weights, "signed", every=side, side_px=7)])
    above = ("what each output gives each pixel:\none block per output", "the same as a matrix:\none row per output")
    return laid_out(rows, above=above, beside=list(layers))
