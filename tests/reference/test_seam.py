"""The seam's score by the formula, against slow loops over pixels in Python's own whole numbers."""

import math

import torch

from shiftproof.layers import seam


def slow_scores(x: torch.Tensor) -> list[int]:
    """score[r] = sum over columns of (a[r] - a[r - 1]) + (b[r] - b[r + 1]), of one picture (c, h, w)."""
    low, high = float(x.min()), float(x.max())
    c, h, w = x.shape
    q = [[[round((float(v) - low) / (high - low) * 255) for v in row] for row in plane] for plane in x]

    def logarithm(t: list[int]) -> int:
        return round(2**20 * math.log(1 + sum(abs(v) for v in t)))

    def a(r: int, j: int) -> int:  # the side above the line does not predict the row below it
        return logarithm([2 * q[k][(r - 1) % h][j] - q[k][(r - 2) % h][j] - q[k][r % h][j] for k in range(c)])

    def b(r: int, j: int) -> int:
        return logarithm([2 * q[k][r % h][j] - q[k][(r + 1) % h][j] - q[k][(r - 1) % h][j] for k in range(c)])

    return [sum(a(r, j) - a(r - 1, j) + b(r, j) - b(r + 1, j) for j in range(w)) for r in range(h)]


def test_the_formula_is_that_of_slow_loops():
    for size in ((3, 7, 5), (1, 4, 6)):
        x = torch.rand(size, dtype=torch.float64)
        q = seam.quantised(x.float()[None].double())
        for dim, turned in ((2, x), (3, x.mT)):
            found = seam.scores(seam.profiles(q, seam.tables(), dim), torch.tensor(seam.FORMULA))[0]
            assert found.tolist() == slow_scores(turned.float().double())


def test_the_seam_of_a_smooth_picture_is_its_border():
    """A ramp, moved: the jump from its end to its beginning is the one line across which nothing goes on."""
    ramp = torch.arange(16.0)[:, None] + torch.arange(12.0) * 0.5
    for score in (seam.SCORE, seam.FORMULA):
        cells = seam.seam_cells(ramp.roll((5, 7), (0, 1))[None, None], seam.tables(), torch.tensor(score))
        assert seam.first_cell(cells).tolist() == [[5, 7]]


def test_the_fitted_score_is_not_the_formula():
    assert len(seam.SCORE) == len(seam.FORMULA) == 3 * len(seam.SOFTENED)
    assert any(row[0] for row in seam.SCORE)
