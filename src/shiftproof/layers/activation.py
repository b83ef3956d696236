"""A nonlinearity that creates no frequencies above those that the grid can represent."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers.law import Law
from shiftproof.layers.spectral import resampled

# the parabola nearest to GELU for standard normal inputs, from Hermite's polynomials: E g = 1 / (2 sqrt(pi)), E g' = 1 / 2,
# E g'' / 2 = 3 / (8 sqrt(pi)) for g(x) = x Phi(x), as coefficients of 1, x and x^2
GELU = (1 / (8 * math.sqrt(math.pi)), 0.5, 3 / (8 * math.sqrt(math.pi)))


class PolynomialActivation(nn.Module):
    """a + b x + c x^2 of the interpolated signal, sampled on the same grid: without aliasing, so equivariant to sub-pixel moves.

    A nonlinearity applied to samples creates high frequencies, which alias to low ones. This is why ReLU commutes with moves by
    whole cells only. The square of a signal with frequencies up to K has frequencies up to 2 K, and a grid twice as fine can
    represent them. The parabola is computed on that grid, the frequencies that the given grid cannot represent are removed,
    and the result is sampled: y = down(a + b up(x) + c up(x)^2).

    Args:
        num_parameters: 1, or the number of channels for one parabola per channel (as in `torch.nn.PReLU`). a, b, c are
            learned. They start at the parabola nearest to GELU for standard normal values, 0.0705 + 0.5 x + 0.2116 x^2.

    >>> PolynomialActivation()(torch.full((1, 1, 1, 3), 2.0)).detach()
    tensor([[[[1.9168, 1.9168, 1.9168]]]])

    Reference: Michaeli, Michaeli and Soudry 2023, "Alias-free convnets: fractional shift invariance via polynomial activations",
    sec. 3.1, https://arxiv.org/abs/2303.08085. Differs: the start above, in closed form.
    """

    def __init__(self, num_parameters: int = 1) -> None:
        super().__init__()
        if num_parameters < 1:
            raise LayerError(
                f"num_parameters={num_parameters}",
                where="PolynomialActivation",
                remedy="use 1, or the number of channels",
            )
        self.num_parameters = num_parameters
        self.weight = nn.Parameter(torch.tensor(GELU).repeat(num_parameters, 1))

    @property
    def laws(self) -> tuple[Law, ...]:
        """Equivariant to every real circular move."""
        why = "the square of the signal is computed on a grid twice as fine, which can represent it"
        circle = Law("equivariant", "circular", subpixel=True, exact=False, why=why)
        return circle, Law("none", "crop", why="each cell depends on the whole map")

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The activated map.

        Raises:
            LayerError: the number of channels is not the number of parabolas.
        """
        if self.num_parameters not in (1, x.shape[1]):
            raise LayerError(
                f"{x.shape[1]} channels for {self.num_parameters} parabolas",
                where="PolynomialActivation",
                remedy="give num_parameters=1, or the number of channels",
            )
        h, w = x.shape[2:]
        # Twice as fine holds 2 K exactly: 1 and x need less, and only the square reaches so far.
        fine = resampled(x, (2 * h, 2 * w))
        constant, linear, square = (a[:, None, None] for a in self.weight.unbind(1))
        # Horner's form: two products per cell instead of three.
        return resampled(constant + fine * (linear + square * fine), (h, w))

    def extra_repr(self) -> str:
        """The arguments."""
        return f"num_parameters={self.num_parameters}"
