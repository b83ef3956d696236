"""The seam's score by the formula, against slow loops over pixels in Python's own whole numbers."""

import math

import torch

from shiftproof.layers import seam
from shiftproof.layers.seam_head import Head
from shiftproof.layers.seam_score import shipped


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


def slow_head(seen: list[list[int]], width: int, head: Head) -> list[int]:
    """outer * max(0, inner * means + bias), * around the circle, of the profiles [feature][line] of one picture."""
    lines = len(seen[0])
    mean = [[v // (width * 1024) for v in row] for row in seen]
    means = [[v - sum(row) // lines for v in row] for row in mean]
    inner, bias, outer = (p.tolist() for p in head)
    reach, far = len(inner[0][0]), len(outer[0])
    hidden = [
        [
            max(
                0,
                b
                + sum(
                    w[f][j] * means[f][(r + j - reach // 2) % lines] for f in range(len(means)) for j in range(reach)
                ),
            )
            for r in range(lines)
        ]
        for w, b in zip(inner, bias, strict=True)
    ]
    return [
        sum(o[i] * h[(r + i - far // 2) % lines] for o, h in zip(outer, hidden, strict=True) for i in range(far))
        for r in range(lines)
    ]


def test_the_head_is_that_of_slow_loops_in_whole_numbers():
    draw = torch.Generator().manual_seed(0)
    odd = Head(*(torch.randint(-4000, 4000, s, generator=draw) for s in ((3, 9, 4), (3,), (3, 6))))
    for size in ((3, 7, 5), (1, 4, 6)):
        q = seam.quantised(torch.rand(1, *size, generator=draw))
        for dim in (2, 3):
            seen = seam.profiles(q, seam.tables(), dim)
            for head in (odd, shipped()):
                assert seam.line_scores(q, seam.tables(), dim, head)[0].tolist() == slow_head(
                    seen[0].tolist(), size[4 - dim], head
                )


def test_weights_beyond_the_bounds_count_as_the_bounds():
    """Without bounds, float64 would round the sums of a stranger's weights, and the order of summation would matter."""
    q = seam.quantised(torch.rand(1, 1, 5, 6))
    most, more = (
        Head(torch.full((2, 9, 3), n), torch.zeros(2, dtype=torch.int64), torch.full((2, 3), -n))
        for n in (2**14, 2**50)
    )
    assert torch.equal(*(seam.line_scores(q, seam.tables(), 2, head) for head in (most, more)))


def test_the_seam_of_a_smooth_picture_is_its_border():
    """A ramp, moved: the jump from its end to its beginning is the one line across which nothing goes on."""
    ramp = torch.arange(16.0)[:, None] + torch.arange(12.0) * 0.5
    for score in (shipped(), torch.tensor(seam.FORMULA)):
        cells = seam.seam_cells(ramp.roll((5, 7), (0, 1))[None, None], seam.tables(), score)
        assert seam.first_cell(cells).tolist() == [[5, 7]]
