"""The seam of a picture: the row and the column where its border lies after it was moved around the circle.

The check recognises these functions by what they compute (`shiftproof.checking.walk.posing`).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from shiftproof.layers.ordering import order_of_views
from shiftproof.layers.seam_head import FIXED_POINT, Head, around, head_scores

# What is seen of a line between two rows (columns alike), summed over channels, of q in 0..255:
#   first   |q[r] - q[r - 1]|, the step across the line
#   second  |q[r - 1] - 2 q[r] + q[r + 1]|, by how much a row is off the straight line through its neighbours
#   cross   |(2 q[r - 1] - q[r - 2]) - (2 q[r] - q[r + 1])|, by how much each side misses the other if it goes on straight
LEVELS, LARGEST = 255, 4095  # of q, and of what a table knows: a larger difference counts as the largest
SOFTENED = (1, 8, 64)  # s in log(s + t): the first sees faint differences, the last only plain ones

# A linear score, fitted to unlabelled pictures: weight of each of (first, second, cross) by each of `SOFTENED`, at the rows
# r - 6 ... r + 5 around the line above row r. It is one convolution, where a `Head` has two; `shiftproof learn` shows it.
SCORE: tuple[tuple[int, ...], ...] = (
    (48, 310, -145, 153, -384, -1345, -2293, -511, -426, -108, 122, 84),
    (-11, -513, 76, -539, -339, -103, 3442, -1411, -655, -62, -518, -35),
    (-78, 249, 140, 1115, 1455, 1186, -4096, 1474, 2006, 697, 804, -238),
    (-307, -344, -21, -451, -859, 734, 1291, -423, -42, -443, -151, -387),
    (111, -28, -134, -213, 1026, 1443, 124, 240, -183, 136, 90, 109),
    (485, 667, -176, 153, -1684, -1276, 826, -1069, -508, 318, 158, 384),
    (309, -132, 148, 298, 201, 583, -769, 727, 349, 524, -39, -83),
    (-371, 109, 61, 219, 936, 847, 491, 370, 477, -164, 255, -121),
    (-301, 75, -190, -615, -1136, -336, -114, -51, -804, -514, -301, 357),
)

# Needs no fitting: a[r] - a[r - 1] + b[r] - b[r + 1] of `second`. Each side predicts the other worse than its own rows.
FORMULA: tuple[tuple[int, ...], ...] = (*[(0, 0, 0, 0)] * 3, (-1, 1, 1, -1), *[(0, 0, 0, 0)] * 5)


def tables() -> Int[Tensor, "k t"]:
    """round(2^20 log(s + t)) of each difference t, for each s of `SOFTENED`.

    Looked up and not computed, because a logarithm may be rounded differently at another place in memory.

    >>> tables().shape, int(tables()[0, 0])
    (torch.Size([3, 4096]), 0)
    """
    rows = [[round(FIXED_POINT * math.log(s + t)) for t in range(LARGEST + 1)] for s in SOFTENED]
    return torch.tensor(rows, dtype=torch.int64)


def seam_cells(
    x: Shaped[Tensor, "n c h w"], known: Int[Tensor, "k t"], score: Int[Tensor, "f j"] | Head
) -> Bool[Tensor, "n h w"]:
    """The cells where the picture may begin: one, or several that see the very same picture around the circle.

    With S the set of cells that this function marks, S(T_v x) = S(x) + v for every circular move v, and T_{-a} x = T_{-b} x
    for all a, b in S(x). Both are exact, whatever the picture holds: all scores are sums of whole numbers.

    What is seen of row i (columns alike) is P[f, i], the sum over the row of a table's value for each feature f. Its score is a
    function of P in whole numbers (`scores`, `head_scores`). The highest score wins. Rows of equal score are compared by the
    scores of all rows as seen from each, then cells by the whole picture as seen from each (`order_of_views`).

    Args:
        x: pictures of any real dtype; NaN and infinite values count as 0.
        known: `tables()`, or any other table of whole numbers.
        score: whole numbers, (features, offsets), the features being (first, second, cross) by row of the table; or a `Head`.
    """
    with torch.no_grad():
        q = quantised(x.detach())
        rows, columns = (line_scores(q, known, dim, score) for dim in (2, 3))
        if torch.compiler.is_compiling():  # a graph cannot branch on data: every picture is ordered
            return decided(x, rows, columns)
        best = _crossed(rows == rows.amax(1, keepdim=True), columns == columns.amax(1, keepdim=True))
        tied = best.flatten(1).sum(1) > 1
        # Ordering sorts the whole picture log2(h w) times. Ties are rare in photographs, so only their pictures pay for it.
        if tied.any():
            best[tied] = decided(x[tied], rows[tied], columns[tied])
        return best


def decided(
    x: Shaped[Tensor, "n c h w"], rows: Int[Tensor, "n h"], columns: Int[Tensor, "n w"]
) -> Bool[Tensor, "n h w"]:
    """Of the cells of highest score those from which the scores, and then the picture, are largest (`seam_cells`)."""
    best = _crossed(highest(rows), highest(columns))
    # Ranks begin at 0: -1 loses against every cell that is still in the tie.
    views = torch.where(best, order_of_views(orderable(x.detach())), -1)
    return views == views.amax((1, 2), keepdim=True)


def orderable(x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n c2 h w"]:
    """The pictures with finite values only, and further channels that tell NaN and the infinities from 0."""
    if not x.is_floating_point():
        return x
    kind = x.isnan() + 2 * (x == torch.inf) + 3 * (x == -torch.inf)
    return torch.cat([x.nan_to_num(0.0, 0.0, 0.0), kind.to(x.dtype)], 1)


def quantised(x: Shaped[Tensor, "n c h w"]) -> Int[Tensor, "n c h w"]:
    """The pictures in 0..255, each from its own least to its own largest value.

    >>> quantised(torch.tensor([[[[-1.0, 0.0, 1.0, float("nan")]]]])).tolist()
    [[[[0, 128, 255, 128]]]]
    """
    x = x.to(torch.float32).nan_to_num(0.0, 0.0, 0.0)
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    # 0 / 0 in a picture of one value, and infinity / infinity in one whose range no float32 holds: all of it counts as 0.
    return ((x - low) / (high - low) * LEVELS).nan_to_num(0.0, 0.0, 0.0).round().to(torch.int16)


def profiles(q: Int[Tensor, "n c h w"], known: Int[Tensor, "k t"], dim: int) -> Int[Tensor, "n f m"]:
    """What is seen at each row (dim 2) or column (dim 3), summed along it: (first, second, cross) by row of the table."""
    step = q - q.roll(1, dim)  # q[r] - q[r - 1]
    bend = step.roll(-1, dim) - step  # q[r - 1] - 2 q[r] + q[r + 1]
    # (2 q[r - 1] - q[r - 2]) - (2 q[r] - q[r + 1]) = step[r + 1] - step[r] + step[r - 1] = bend[r] + step[r - 1]
    seen = torch.stack([step, bend, bend + step.roll(1, dim)], 1).abs()
    # In 32 bits: many channels would not fit into 16.
    size = seen.sum(2, dtype=torch.int32).clamp(max=known.shape[1] - 1)
    # For each table, summed along the other axis: (n, 3, h, w) -> (n, 3, m). All of them: (n, 3 k, m).
    looked_up = [t.index_select(0, size.flatten()).reshape(size.shape).sum(5 - dim) for t in known.unbind()]
    return torch.stack(looked_up, 2).flatten(1, 2)


def line_scores(
    q: Int[Tensor, "n c h w"], known: Int[Tensor, "k t"], dim: int, score: Int[Tensor, "f j"] | Head
) -> Int[Tensor, "n m"]:
    """The score of each row (dim 2) or column (dim 3)."""
    seen = profiles(q, known, dim)
    return scores(seen, score) if isinstance(score, Tensor) else head_scores(seen, q.shape[5 - dim], score)


def scores(profiles: Int[Tensor, "n f m"], weights: Int[Tensor, "f j"]) -> Int[Tensor, "n m"]:
    """A linear score of each line: the sum over features f and offsets j of weights[f, j] * P[f, r + j - J / 2]."""
    return (around(profiles, weights.shape[1]) * weights[:, None]).sum((1, 3))


def highest(scores: Int[Tensor, "n m"]) -> Bool[Tensor, "n m"]:
    """The lines of highest score; of several those from which the scores of all lines, in order, are largest.

    >>> highest(torch.tensor([[1, 3, 0, 3, 2, 0], [1, 2, 1, 2, 1, 2]])).int().tolist()
    [[0, 0, 0, 1, 0, 0], [0, 1, 0, 1, 0, 1]]
    """
    seen = order_of_views(scores[:, None, None])[:, 0]
    return seen == seen.amax(1, keepdim=True)


def _crossed(rows: Bool[Tensor, "n h"], columns: Bool[Tensor, "n w"]) -> Bool[Tensor, "n h w"]:
    return rows[:, :, None] & columns[:, None, :]


def first_cell(cells: Bool[Tensor, "n h w"]) -> Int[Tensor, "n 2"]:
    """(row, column) of the first marked cell.

    >>> first_cell(torch.tensor([[[False, False], [True, True]]])).tolist()
    [[1, 0]]
    """
    at, w = cells.flatten(1).int().argmax(1), cells.shape[2]
    return torch.stack([at // w, at % w], 1)


def first_phase(cells: Bool[Tensor, "n h w"], step: tuple[int, int]) -> Int[Tensor, "n 2"]:
    """The first phase (row mod step, column mod step) that a marked cell has. A move by the step leaves it as it is.

    >>> first_phase(torch.tensor([[[False, False, False, True]]]), (1, 2)).tolist()
    [[0, 1]]
    """
    n, h, w = cells.shape
    sy, sx = step
    # A picture that is a move of itself has several marked cells. The set of their phases does not change with a move by the
    # step, although another one of them comes first.
    return first_cell(cells.reshape(n, h // sy, sy, w // sx, sx).int().amax((1, 3)).bool())


def object_cell(x: Shaped[Tensor, "n c h w"], at: Int[Tensor, " 2"]) -> Int[Tensor, "n 2"]:
    """The cell that must come to (0, 0) so that the centre of mass of the object lies at `at`.

    The background is the median of the border, channel by channel. The mass of a cell is its distance from the background,
    summed over channels, in whole numbers from 0 to 255 per channel; the centre is rounded, halves up.

    >>> x = torch.zeros(1, 1, 4, 4)
    >>> x[0, 0, 2, 1] = 1
    >>> at = torch.tensor([1, 1])
    >>> object_cell(x, at).tolist(), object_cell(torch.zeros(1, 1, 4, 4), at).tolist()
    ([[1, 0]], [[0, 0]])
    """
    with torch.no_grad():
        x = x.detach().to(torch.float32).nan_to_num(0.0, 0.0, 0.0)
        far = (x - background(x)).abs()
        most = far.amax((1, 2, 3), keepdim=True)
        mass = (far / most * LEVELS).nan_to_num(0.0, 0.0, 0.0).round().to(torch.int64).sum(1)
        found = [_centre(mass.sum(2)), _centre(mass.sum(1))]
        # Without any mass the picture is all background, and stays as it is.
        return torch.where(mass.sum((1, 2))[:, None] > 0, torch.stack(found, 1) - at, 0)


def background(x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n c 1 1"]:
    """The median of the border of each channel: its value if more than half of the border has one value.

    >>> x = torch.ones(1, 1, 4, 4)
    >>> x[..., 0] = 7
    >>> background(x).item()
    1.0
    """
    edge = border(x)
    return edge.sort(2).values[:, :, (edge.shape[2] - 1) // 2, None, None]


def border(x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n c m"]:
    """The cells of the first and last row and column, each once; of a picture of one row or column, some twice."""
    return torch.cat([x[:, :, 0], x[:, :, -1], x[:, :, 1:-1, 0], x[:, :, 1:-1, -1]], 2)


def _centre(mass: Int[Tensor, "n m"]) -> Int[Tensor, " n"]:
    """floor(sum of i mass[i] / sum of mass[i] + 1/2)."""
    total = mass.sum(1)
    twice = 2 * (mass * torch.arange(mass.shape[1], device=mass.device)).sum(1)
    return (twice + total) // (2 * total).clamp(min=1)
