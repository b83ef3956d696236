"""The mean answer over a few small moves of the picture: steadier under a camera, and measured only."""

from __future__ import annotations

import math

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn

from shiftproof.errors import RepairError
from shiftproof.records import Change, Verdict
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Edit, Mended
from shiftproof.repairing.refusal import refused

SIDES = (3, 2)  # views along each axis; the first that the budget allows
AT_ONCE = 2**21  # numbers in the pictures of one forward pass
COARSE = 32  # the stride that is assumed of a model that cannot be read


class Averaged(nn.Module):
    """The mean of a network's answers to a grid of views of the picture, in as few forward passes as the cache allows.

    y = mean over views v of f(T_v x), v in {first, first + s, ..., first + (k - 1) s}^2; what moves in is the mirrored picture.
    The spacing s should have no factor in common with the network's stride, so that the views differ in the phase of its grid.

    Args:
        network: (n, c, h, w) -> tensors with one row per picture.
        side: k, views along each axis.
        spacing: s, in pixels.

    >>> blur = Averaged(nn.Identity(), 3, 1)
    >>> blur(torch.tensor([[[[0.0, 0.0, 9.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]]))[0, 0, 1].tolist()
    [0.0, 1.0, 1.0]
    """

    def __init__(self, network: nn.Module, side: int, spacing: int) -> None:
        super().__init__()
        self.network, self.side, self.spacing = network, side, spacing

    def forward(self, x: Tensor) -> object:
        """The mean answer."""
        _, _, h, w = x.shape
        before = self.spacing * ((self.side - 1) // 2)
        after = self.spacing * (self.side - 1) - before
        wide = nn.functional.pad(x, (before, after, before, after), mode="reflect")
        at = range(0, before + after + 1, self.spacing)
        views = [wide[:, :, i : i + h, j : j + w] for i in at for j in at]
        # Small pictures all at once; maps of many large ones would fall out of the cache, so that 9 views cost 13 passes.
        many = len(views) if torch.compiler.is_compiling() else max(1, AT_ONCE // max(1, x.numel()))
        found = [self.network(torch.cat(views[i : i + many])) for i in range(0, len(views), many)]
        return pytree.tree_map(lambda *y: self._mean(y) if isinstance(y[0], Tensor) else y[0], *found)

    def _mean(self, parts: tuple[Tensor, ...]) -> Tensor:
        return torch.cat(parts).unflatten(0, (self.side**2, -1)).mean(0)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"side={self.side}, spacing={self.spacing}"


def average(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model's mean answer over 3 x 3 views, or 2 x 2 where the budget allows no more.

    Raises:
        RepairError: the answer is a map, which would have to be put back; the picture is too small; or the budget is below 4.
    """
    if job.dense:
        raise refused("its answer is a map: means of moved maps are blurred", "the original model", job.goal)
    side = next((s for s in SIDES if job.budget is None or s * s <= job.budget), None)
    if side is None:
        raise RepairError(
            f"{SIDES[-1] ** 2} views cost as many forward passes, and the budget is {job.budget:g}",
            where="average",
            remedy="give a budget of 4 or more",
        )
    stride = coarsest(job.verdict)
    spacing = spaced(stride)
    if spacing * (side - 1) >= min(job.input_size[1:]):
        raise refused(
            f"views {spacing} px apart leave a picture of {job.input_size[1]} x {job.input_size[2]}",
            "average",
            job.goal,
        )
    network, changes = averaged(job.network, job.input_size, side=side, spacing=spacing)
    known = f"the coarsest stride is {stride} px" if job.verdict is not None else "its strides cannot be read"
    added = Change("added", changes[0].module, "", f"{changes[0].why}; {known}")
    edit = Edit("average", {"side": side, "spacing": spacing})
    return Mended(network, None, job.input_size, job.dense, (edit,)), (added,)


def averaged(
    network: nn.Module, size: tuple[int, int, int], *, side: int, spacing: int
) -> tuple[nn.Module, tuple[Change, ...]]:
    """The network's mean answer over a grid of views."""
    why = f"the mean answer over {side} x {side} views of the picture, {spacing} px apart"
    return Averaged(network, side, spacing), (Change("added", "Averaged", "", why),)


def coarsest(verdict: Verdict | None) -> int:
    """The largest stride of a network's maps, in whole pixels, below the side of the picture; `COARSE` if it cannot be read."""
    if verdict is None or not verdict.stages:
        return COARSE
    whole = [s for stage in verdict.stages for s in stage.stride if s is not None and s < min(verdict.input_size[1:])]
    return max([1, *map(math.ceil, whole)])


def spaced(stride: int) -> int:
    """About a sixth of the stride, with no factor in common: views are then in different phases of the grid, and not far apart.

    >>> [spaced(s) for s in (1, 4, 8, 16, 32)]
    [1, 1, 1, 3, 5]
    """
    wanted = max(1, round(stride / 6))
    return next(s for s in (*range(wanted, 0, -1), 1) if math.gcd(s, stride) == 1)
