"""From a dense layer to a convolution in steps: how many weights each step leaves, and how far a layer is from one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.measure import project_to_convolution

CHANNELS, REACH = 4, 1
DENSE = "dense, V[i, j, a, b]"
TIED, LOCAL, CHANNELED = "tied over (i, j), V[a, b]", f"and local, |a|, |b| <= {REACH}", f"and {CHANNELS} channels"


def offsets_tensor(weight: Float[Tensor, "o i"], side: int) -> Float[Tensor, "side side side side"]:
    """V[i, j, a, b]: the weight from the input at (i + a, j + b) to the output at (i, j), wrapping around, a, b >= 0."""
    w, index = weight.reshape(side, side, side, side), torch.arange(side)
    to = (index[:, None] + index[None]) % side  # to[i, a]
    return w[index[:, None, None, None], index[None, :, None, None], to[:, None, :, None], to[None, :, None, :]]


@dataclass(frozen=True)
class Steps:
    """What ties and locality leave of a dense layer with normal random weights.

    Args:
        weights: step -> how many weights are left.
        sums: whether the sum over V[i, j, a, b] equals the dense layer, in whole numbers.
        back: distance of a convolution from the nearest convolution.
        again: whether the kernel of that convolution is found again exactly.
        random: distance of the random weights from the nearest convolution.
        expected: the same in theory, sqrt(1 - 1 / positions).
    """

    weights: dict[str, int]
    sums: bool
    back: float
    again: bool
    random: float
    expected: float


def steps(side: int) -> Steps:
    """The steps counted, and how far random weights and a true convolution are from a convolution."""
    generator = torch.Generator().manual_seed(0)
    positions = side**2
    dense = torch.randn(positions, positions, generator=generator, dtype=torch.float64)
    tied = project_to_convolution(dense, (side, side))
    local = project_to_convolution(dense, (side, side), reach_px=REACH)
    many = project_to_convolution(dense.repeat(CHANNELS, 1), (side, side), reach_px=REACH)
    back = project_to_convolution(tied.weight, (side, side))
    left = {DENSE: dense, TIED: tied.kernel, LOCAL: local.kernel, CHANNELED: many.kernel}
    return Steps(
        weights={name: w.numel() for name, w in left.items()},
        sums=sums_equal(generator),
        back=back.distance,
        again=torch.equal(back.kernel, tied.kernel),
        random=tied.distance,
        # A projection on the mean over n positions keeps 1 / n of the energy of independent weights.
        expected=math.sqrt(1 - 1 / positions),
    )


def sums_equal(generator: torch.Generator, side: int = 6) -> bool:
    """Whether the sum of the book's equation 7.1.1 equals the dense layer, in whole numbers."""
    weight = torch.randint(-9, 10, (side**2, side**2), generator=generator).double()
    x = torch.randint(-9, 10, (1, side, side), generator=generator).double()
    around = torch.stack([torch.stack([torch.roll(x[0], (-a, -b), (0, 1)) for b in range(side)]) for a in range(side)])
    found = torch.einsum("ijab,abij->ij", offsets_tensor(weight, side), around)
    return torch.equal(found.flatten(), weight @ x.flatten())
