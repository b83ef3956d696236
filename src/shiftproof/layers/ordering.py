"""An order of the cells of a picture on a torus, by the whole picture as seen from each: it moves with the content."""

from __future__ import annotations

import torch
from jaxtyping import Int, Shaped
from torch import Tensor


def order_of_views(x: Shaped[Tensor, "n c h w"]) -> Int[Tensor, "n h w"]:
    """For each cell, the rank of the whole picture as seen from that cell; equal ranks mean equal views.

    r[i] < r[j] says that T_{-i} x comes before T_{-j} x in an order of pictures that depends on the picture's values alone, and
    r[i] = r[j] that T_{-i} x = T_{-j} x. So r of T_v x is T_v r, and the cells of largest rank differ by symmetries of x.

    By doubling: ranks of single cells, then of runs of 2, 4, 8 ... cells along x, each from the ranks of its two halves,
    until a run goes around the circle; then the same along y. O(c h w log(c h w)) for each of log2(h w) sorts.

    >>> order_of_views(torch.tensor([[[[0.0, 0.0, 1.0, 0.0]]]])).tolist()
    [[[1, 2, 3, 0]]]

    Reference: Karp, Miller and Rosenberg 1972, "Rapid identification of repeated patterns in strings, trees and arrays",
    sec. 3, https://doi.org/10.1145/800152.804905. Differs: on a torus.
    """
    n, c, h, w = x.shape
    # NaN differs from itself: equal views with NaN in them would get different ranks, by where they stand.
    ranks = dense_ranks(x.nan_to_num().reshape(n * c, h * w)).reshape(n, c, h, w)
    while ranks.shape[1] > 1:  # channels in pairs; an odd one waits
        c = ranks.shape[1] // 2
        paired = _joined(ranks[:, :c], ranks[:, c : 2 * c])
        ranks = torch.cat([paired, ranks[:, 2 * c :]], 1)
    for dim, size in ((3, w), (2, h)):
        reach = 1
        while reach < size:
            # Runs may overlap once they go around: 2^k >= size cells say at least
            # what `size` cells say, and order the same.
            ranks = _joined(ranks, ranks.roll(-reach, dim))
            reach *= 2
    return ranks[:, 0]


def _joined(first: Int[Tensor, "n c h w"], second: Int[Tensor, "n c h w"]) -> Int[Tensor, "n c h w"]:
    """Ranks of pairs, the first counting most."""
    n, c, h, w = first.shape
    # Ranks are below h w, so the pair is one number without loss, up to (h w)^2: 64 bits are enough for 3e9 cells.
    return dense_ranks((first * (h * w) + second).reshape(n * c, h * w)).reshape(n, c, h, w)


def dense_ranks(keys: Shaped[Tensor, "n m"]) -> Int[Tensor, "n m"]:
    """Each key's place among the different keys of its row: 0, 1, ... without gaps."""
    ordered, order = keys.sort(1)
    new = (ordered[:, 1:] != ordered[:, :-1]).long().cumsum(1)
    # The smallest key has rank 0 and is not in `new`.
    return torch.zeros_like(order).scatter(1, order[:, 1:], new)
