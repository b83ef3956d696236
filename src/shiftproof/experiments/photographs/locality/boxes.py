"""Whether what is in one box of a photograph says something about a box further off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from shiftproof.experiments.photographs.locality.curves import DIRECTIONS, Curve, curve
from shiftproof.measure import partial_correlations, pixel_correlation

BOX_PX, BOX_FAR_PX = 16, 64  # side of a box, and how far apart the centres of the two boxes are
STEPS = tuple(range(1, 9))  # distances, in boxes
FAR = BOX_FAR_PX // BOX_PX
CONTENTS = {"brightness": np.mean, "contrast": np.std}
BOUNDS = (-1.0, 1.0)
NO_CORRELATION = 0.1  # a correlation whose interval has 0 inside and ends below this counts as none


@dataclass(frozen=True, eq=False)
class Boxes:
    """Correlations of two boxes of a photograph.

    Args:
        apart: what is compared -> direction -> its curve over `STEPS`.
        shuffled: what is compared -> the horizontal curve after the boxes of each picture were shuffled.
        between: what is compared -> direction -> what is left over 1 .. `FAR` boxes if the boxes in between are known.
    """

    apart: dict[str, dict[str, Curve]]
    shuffled: dict[str, Curve]
    between: dict[str, dict[str, Curve]]

    def nothing_in_common(self, content: str, direction: str) -> bool | None:
        """Whether two boxes `BOX_FAR_PX` apart are uncorrelated: no if the interval is beside 0, else not decided."""
        c = self.apart[content][direction]
        low, high = float(c.low[FAR - 1]), float(c.high[FAR - 1])
        if low > 0 or high < 0:
            return False
        return True if max(-low, high) < NO_CORRELATION else None


def contents(grey: Float64[np.ndarray, "h w"]) -> dict[str, Float64[np.ndarray, "y x"]]:
    """The mean and the standard deviation of each box; boxes side by side, without what is left at the right and below.

    >>> {name: values.tolist() for name, values in contents(np.eye(32)).items()}["brightness"]
    [[0.0625, 0.0], [0.0, 0.0625]]
    """
    y, x = (n // BOX_PX for n in grey.shape)
    cells = grey[: y * BOX_PX, : x * BOX_PX].reshape(y, BOX_PX, x, BOX_PX)
    return {name: of(cells, axis=(1, 3)) for name, of in CONTENTS.items()}


def along(values: Float64[np.ndarray, "y x"], direction: str) -> list[float]:
    """The correlation of two boxes at each of `STEPS`; NaN where the picture is too small for it."""
    y, x = DIRECTIONS[direction]
    found = []
    for d in STEPS:
        fits = d * y < values.shape[0] / 2 and d * x < values.shape[1] / 2
        found.append(pixel_correlation(values, d * y, d * x) if fits else math.nan)
    return found


def compared(pictures: list[np.ndarray]) -> Boxes:
    """Boxes of the same photograph, by distance; the same with its boxes shuffled."""
    every, rng = [contents(grey) for grey in pictures], np.random.default_rng(2)
    apart, shuffled, between = {}, {}, {}
    for name in CONTENTS:
        values = {d: np.array([along(boxes[name], d) for boxes in every]) for d in DIRECTIONS}
        apart[name] = {d: curve(v, BOUNDS) for d, v in values.items()}
        mixed = [rng.permutation(boxes[name].ravel()).reshape(boxes[name].shape) for boxes in every]
        shuffled[name] = curve(np.array([along(m, "horizontal") for m in mixed]), BOUNDS)
        between[name] = {
            d: curve(np.array([partial_correlations(row[:FAR]) for row in v]), BOUNDS) for d, v in values.items()
        }
    return Boxes(apart, shuffled, between)
