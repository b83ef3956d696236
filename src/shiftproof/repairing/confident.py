"""A network's answer to the pose of which it is most certain, of a few that are likely."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.utils._pytree as pytree
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from shiftproof.layers import PoseCandidates
from shiftproof.layers.pose import rolled
from shiftproof.models.answer import answer


def most_certain(poses: PoseCandidates, network: Callable[[Tensor], Any], x: Shaped[Tensor, "n c h w"]) -> Any:
    """What the network returns for the pose of each picture at which its largest probability is largest.

    The poses come in an order that does not depend on where the picture lay, and of equal certainties the first counts. So the
    network sees the same pictures in the same order for every circular move, and the answer is the same.

    Args:
        poses: of each picture, the likeliest first.
        network: (n, c, h, w) -> class scores (n, k), in whatever the model wraps them.
        x: (n, c, h, w).
    """
    origins = poses.origins_of(x)
    if torch.compiler.is_compiling():  # a graph cannot branch on data: every pose of every picture is run
        return _all(network, x, origins)
    first = network(rolled(x, -origins[:, 0]))
    # Poses that are too unlikely stand as copies of the first, and need no forward pass of their own.
    others = (origins != origins[:, :1]).any(2)
    if not others.any():
        return first
    of = others.nonzero()[:, 0]
    more = network(rolled(x[of], -origins[others]))
    sure = torch.full(others.shape, -torch.inf, dtype=torch.float64, device=x.device)
    sure[:, 0], sure[others] = certainty(first), certainty(more)
    chosen = sure.argmax(1)
    # Where the answer to the j-th pose of a picture stands among all of them.
    place = torch.zeros_like(origins[:, :, 0])
    place[:, 0] = torch.arange(len(x), device=x.device)
    place[others] = len(x) + torch.arange(len(of), device=x.device)
    at = place.gather(1, chosen[:, None])[:, 0]
    return pytree.tree_map(lambda a, b: torch.cat([a, b])[at] if isinstance(a, Tensor) else a, first, more)


def _all(network: Callable[[Tensor], Any], x: Tensor, origins: Int[Tensor, "n k 2"]) -> Any:
    k = origins.shape[1]
    views = torch.stack([rolled(x, -origins[:, j]) for j in range(k)], 1).flatten(0, 1)
    found = network(views)
    chosen = certainty(found).unflatten(0, (-1, k)).argmax(1)
    return pytree.tree_map_only(Tensor, lambda y: _taken(y, chosen, k), found)


def _taken(y: Tensor, chosen: Int[Tensor, " n"], k: int) -> Tensor:
    parts = y.unflatten(0, (-1, k))
    at = chosen.reshape(-1, *[1] * (parts.ndim - 1)).expand(-1, 1, *parts.shape[2:])
    return parts.gather(1, at)[:, 0]


def certainty(output: Any) -> Float[Tensor, " n"]:
    """The logarithm of the largest probability of a class; NaN counts as none at all.

    >>> certainty(torch.tensor([[0.0, 0.0], [0.0, torch.nan]])).exp()
    tensor([0.5000, 0.0000], dtype=torch.float64)
    """
    largest = answer(output).detach().to(torch.float64).log_softmax(1).amax(1)
    return torch.where(largest.isnan(), -torch.inf, largest)
