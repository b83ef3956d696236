"""A dense layer on the flattened face map, which has a weight of its own for every position."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)  # on the squared weights


@dataclass(frozen=True, eq=False)
class Dense:
    """One score per picture: positive for a face.

    Args:
        mean: the mean map of the pictures it was fitted to.
        weight: of each position.
    """

    mean: Float[Tensor, " p"]
    weight: Float[Tensor, " p"]

    def __call__(self, maps: Float[Tensor, "n p"]) -> Float[Tensor, " n"]:
        """The scores of flattened maps."""
        return (maps - self.mean) @ self.weight


def fitted(maps: Float[Tensor, "n p"], labels: Int64[Tensor, " n"], penalty: float) -> tuple[Dense, float]:
    """The dense layer by ridge regression on +1 (face) and -1, and its accuracy on pictures that are left out one by one.

    With as many faces as others the constant is 0 after the mean map is taken off.

    Args:
        maps: flattened.
        labels: 1 for faces, 0 for others, of equal number.
        penalty: times the sum of the squared weights.

    Reference: the left-out residual is the residual divided by 1 - leverage: Allen 1974, Technometrics 16, 125-127.
    """
    x, y = maps - maps.mean(0), 2 * labels.to(maps.dtype) - 1
    products = x @ x.T
    inverse = torch.linalg.inv(products + penalty * torch.eye(len(x), dtype=x.dtype, device=x.device))
    hat = products @ inverse + 1 / len(x)
    left_out = y - (y - hat @ y) / (1 - hat.diagonal())
    return Dense(maps.mean(0), x.T @ (inverse @ y)), (left_out.sign() == y).double().mean().item()
