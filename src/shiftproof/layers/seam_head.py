"""A learned score of the seam: two convolutions along the lines of a picture, in whole numbers only."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

FIXED_POINT = 2**20  # of the tables
# What is seen of a line is a whole number of 1 / UNIT; weights are whole numbers of 1 / WEIGHTED.
UNIT, WEIGHTED = 2**10, 2**10
# With these bounds every sum is a whole number below 2^53, whatever the weights are, and float64 holds it exactly. So no order
# of summation matters, and a matrix product in any library gives the same.
MOST_SEEN, MOST_WEIGHT, MOST_INSIDE = 2**14, 2**14, 2**30


class Head(NamedTuple):
    """Weights of a learned score, whole numbers, in units of 1 / `WEIGHTED`.

    Args:
        inner: (hidden, features, offsets) of the first convolution.
        bias: (hidden,), in units of 1 / (`UNIT` `WEIGHTED`).
        outer: (hidden, offsets) of the second.
    """

    inner: Int[Tensor, "k f j"]
    bias: Int[Tensor, " k"]
    outer: Int[Tensor, "k i"]


def around(profiles: Int[Tensor, "n f m"], reach: int) -> Int[Tensor, "n f m j"]:
    """Each profile at the lines r - reach / 2 ... r + (reach - 1) / 2, around the circle, for each line r.

    >>> around(torch.tensor([[[1, 2, 3]]]), 2).tolist()
    [[[[3, 1], [1, 2], [2, 3]]]]
    """
    m, device = profiles.shape[2], profiles.device
    lines = (torch.arange(m, device=device)[:, None] + torch.arange(reach, device=device) - reach // 2) % m
    return profiles[:, :, lines]


def line_means(profiles: Int[Tensor, "n f m"], width: int) -> Int[Tensor, "n f m"]:
    """What is seen of each line, as a mean over its cells and less the mean over all lines, in units of 1 / `UNIT`.

    >>> line_means(torch.tensor([[[0, 4 * FIXED_POINT]]]), 2).tolist()
    [[[-1024, 1024]]]
    """
    mean = profiles // (width * (FIXED_POINT // UNIT))
    return (mean - mean.sum(2, keepdim=True) // mean.shape[2]).clamp(-MOST_SEEN, MOST_SEEN)


def head_scores(profiles: Int[Tensor, "n f m"], width: int, head: Head) -> Int[Tensor, "n m"]:
    """The score of each line: outer * max(0, inner * seen + bias), * a convolution around the circle of lines.

    Args:
        profiles: what is seen of each line, summed over its cells (`seam.profiles`).
        width: number of cells of a line.
        head: the weights; larger ones than `MOST_WEIGHT` count as that.
    """
    inner, outer = (w.clamp(-MOST_WEIGHT, MOST_WEIGHT).to(torch.float64) for w in (head.inner, head.outer))
    seen = around(line_means(profiles, width), inner.shape[2]).transpose(1, 2).flatten(2).to(torch.float64)
    bias = head.bias.clamp(-MOST_INSIDE, MOST_INSIDE).to(torch.float64)
    hidden = (seen @ inner.flatten(1).T + bias).clamp(0, MOST_INSIDE)
    parts = (hidden @ outer).to(
        torch.int64
    )  # (n, m, offsets): what each line adds to the score of each of its neighbours
    reach, lines = parts.shape[2], parts.shape[1]
    near = (torch.arange(lines, device=parts.device)[:, None] + torch.arange(reach, device=parts.device)) - reach // 2
    return parts.gather(1, (near % lines).expand(parts.shape[0], -1, -1)).sum(2)
