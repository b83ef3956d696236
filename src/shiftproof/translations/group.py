"""One translation: a group element."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Shaped
from torch import Tensor

from shiftproof.boundaries import Boundary
from shiftproof.errors import TranslationError
from shiftproof.translations.action import translate
from shiftproof.translations.boundaries import check_boundary


@dataclass(frozen=True)
class Translation:
    """One move of the content by (dy, dx) pixels under a stated boundary.

    Args:
        dy: down, in px; negative is up; may be fractional.
        dx: right, in px; negative is left; may be fractional.
        boundary: circular, zero, reflect or crop.
        fill: the constant that moves in under `zero`.

    Raises:
        TranslationError: an unknown boundary, or a number that is not finite.

    >>> import torch
    >>> right = Translation(dy=0, dx=1, boundary="circular")
    >>> right(torch.tensor([[[[1, 2, 3]]]])).tolist()
    [[[[3, 1, 2]]]]
    >>> right @ right.inverse() == Translation.identity("circular")
    True
    """

    dy: float
    dx: float
    boundary: Boundary
    fill: float = 0.0

    def __post_init__(self) -> None:
        check_boundary(self.boundary)
        if not all(map(math.isfinite, (self.dy, self.dx, self.fill))):
            raise TranslationError(
                f"dy={self.dy}, dx={self.dx}, fill={self.fill} is not a move", remedy="give finite numbers"
            )

    @classmethod
    def identity(cls, boundary: Boundary, *, fill: float = 0.0) -> Translation:
        """The move by (0, 0): every picture stays as it is."""
        return cls(0.0, 0.0, boundary, fill)

    @property
    def is_integer(self) -> bool:
        """Whether it moves by whole pixels and needs no interpolator."""
        return float(self.dy).is_integer() and float(self.dx).is_integer()

    def inverse(self) -> Translation:
        """The move back, (-dy, -dx). It undoes this one on all cells that stayed in the picture; under circular, on all cells."""
        # 0.0 - x, because -x of 0.0 is -0.0, which prints as "-0".
        return Translation(0.0 - self.dy, 0.0 - self.dx, self.boundary, self.fill)

    def compose(self, other: Translation) -> Translation:
        """This move after `other`, (dy + other.dy, dx + other.dx); also written `self @ other`.

        Raises:
            TranslationError: the two disagree on boundary or fill.
        """
        if (self.boundary, self.fill) != (other.boundary, other.fill):
            raise TranslationError(
                f"{self.boundary} (fill {self.fill:g}) does not compose with {other.boundary} (fill {other.fill:g})",
                remedy="compose moves of one boundary and one fill",
            )
        return Translation(self.dy + other.dy, self.dx + other.dx, self.boundary, self.fill)

    __matmul__ = compose

    def __call__(self, x: Shaped[Tensor, "n c h0 w0"], *, margin_px: int = 0) -> Shaped[Tensor, "n c h w"]:
        """Moves pictures as `translate` does; under `crop` they lose `margin_px` on every side."""
        return translate(x, [(self.dy, self.dx)], self.boundary, fill=self.fill, margin_px=margin_px)[:, 0]
