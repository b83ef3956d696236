"""Whether the statistics of pictures or series are the same at every position: a share, a test and a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from shiftproof.errors import MeasureError


@dataclass(frozen=True, eq=False)
class PositionTest:
    """The share of a statistic's variation that position explains, and how likely that share is by chance.

    Args:
        share: explained part of the variation within pictures, in [0, 1].
        chance: mean share under the null hypothesis, 1 / n.
        p: (1 + draws with at least this share) / (1 + draws).
        map: the mean over pictures at each position, minus the mean over positions.
    """

    share: float
    chance: float
    p: float
    map: Float64[np.ndarray, "h w b"]

    @property
    def explained(self) -> float:
        """The share beyond chance, (share - chance) / (1 - chance); about 0 if position explains nothing."""
        return (self.share - self.chance) / (1 - self.chance)


def position_test(cells: Float[np.ndarray, "n h w b"], *, draws: int = 999, seed: int = 0) -> PositionTest:
    """Whether a statistic differs by position more than it does if each picture's deviations change sign at random.

    With x_i(p) the b values of picture i at position p, minus the picture's mean over positions, and m(p) their mean over the
    n pictures:

        share = n sum_p |m(p)|^2 / sum_i sum_p |x_i(p)|^2

    Null hypothesis: the expected value of x_i(p) is 0 at every position. If the pictures are independent and each x_i is as
    likely as -x_i, changing the signs of whole pictures does not change the distribution, and the share is one of its draws.
    All cells of a picture change sign together, so neighbours stay as alike as they are. A permutation of cells would make
    them independent, and would call every smooth picture non-stationary.

    Args:
        cells: for each picture, a statistic of each cell of a regular grid; series are grids of width 1.
        draws: number of times that every picture is given a sign at random.
        seed: seed of the draws; the global random state is not used.

    Raises:
        MeasureError: there are fewer than two pictures or positions, or a value is not finite.

    >>> gradient = np.arange(8.0).reshape(1, 8, 1, 1) + np.random.default_rng(0).normal(size=(20, 8, 1, 1))
    >>> found = position_test(gradient)
    >>> found.p, bool(found.explained > 0.5)
    (0.001, True)

    Reference: Fisher 1935, The Design of Experiments, section 21; Winkler et al. 2014, Permutation inference for the general
        linear model, NeuroImage 92, 381-397: sign flipping; (1 + r) / (1 + draws): Davison and Hinkley 1997, Bootstrap
        Methods, section 4.2.
    Differs: the test is exact if x_i is as likely as -x_i, and nearly so for many pictures. The experiment *stationarity*
        measures its size and its power. With n pictures, two of the 2^n choices of signs give the data back, so p is hardly
        ever below 2^(1 - n).
    """
    n, h, w, b = cells.shape
    if n < 2 or h * w < 2 or not np.isfinite(cells).all():
        raise MeasureError(
            f"{n} pictures of {h} x {w} cells, or a value is not finite",
            where="position_test",
            remedy="give at least two pictures, two positions and finite values",
        )
    x = cells.astype(np.float64).reshape(n, h * w, b)
    # Without each picture's own mean: a dark and a bright picture differ, but not by position.
    x = x - x.mean(axis=1, keepdims=True)
    # Signs change no square, so the denominator is the same in every draw.
    total = float((x**2).sum())
    if total == 0:
        return PositionTest(0.0, 1 / n, 1.0, np.zeros((h, w, b)))
    # n sum_p |m(p)|^2 with signs s is s G s / n, where G holds the products of every two pictures.
    products = x.reshape(n, -1) @ x.reshape(n, -1).T
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (draws, n))
    drawn = ((signs @ products) * signs).sum(axis=1)
    found = products.sum()
    # The data count as a draw of their own, so p is never 0. Draws equal up to rounding count as equal: all signs changed
    # is the same share again.
    p = (1 + int((drawn >= found * (1 - 1e-12)).sum())) / (1 + draws)
    return PositionTest(float(found) / (n * total), 1 / n, p, x.mean(axis=0).reshape(h, w, b))


def cell_means(values: Float[np.ndarray, "h w *b"], grid: tuple[int, int]) -> Float64[np.ndarray, "gy gx b"]:
    """The mean of each cell of a regular grid over an array.

    Args:
        values: one value, or b values, per pixel.
        grid: number of cells along y and x; pixels are divided among them as evenly as possible.

    >>> cell_means(np.arange(6.0).reshape(2, 3), (1, 3))[..., 0].tolist()
    [[1.5, 2.5, 3.5]]
    """
    x = values.reshape(*values.shape[:2], -1).astype(np.float64)
    for axis, count in enumerate(grid):
        edges = np.linspace(0, x.shape[axis], count + 1).round().astype(int)
        x = np.add.reduceat(x, edges[:-1], axis=axis) / np.diff(edges).reshape(-1, *(1,) * (2 - axis))
    return x
