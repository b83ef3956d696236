"""Training small classifiers on pictures that lie in memory; the same code on a CPU, a GPU, or several (Fabric)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from shiftproof.data.memory import Labelled

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Training:
    """How a network is trained, apart from its seed.

    Args:
        epochs: passes over the pictures.
        batch_size: pictures a step, over all devices together.
        rate: Adam's learning rate, constant.
        moves_px: each picture is moved by whole pixels, uniform in [-moves_px, moves_px] along each axis, anew each time it
            is seen, with zeros moved in; 0 for none (augmentation).
        pictures: how many training pictures are used, a random choice by the seed; None for all.
    """

    epochs: int = 5
    batch_size: int = 128
    rate: float = 1e-3
    moves_px: int = 0
    pictures: int | None = None


def cross_entropy(model: nn.Module, pictures: Float[Tensor, "n 1 h w"], labels: Int64[Tensor, " n"]) -> Tensor:
    """Mean cross-entropy of the model's scores in a batch, in nats."""
    return nn.functional.cross_entropy(model(pictures), labels)


def train(
    build: Callable[[], nn.Module],
    data: Labelled,
    training: Training,
    *,
    seed: int,
    loss: Loss = cross_entropy,
    fabric=None,
    progress: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """A trained network in eval mode, on the CPU: Adam (Kingma and Ba 2015), constant rate.

    The seed decides the initial weights, which pictures are used, their order and their moves; the same seed gives the same
    weights on one machine with one number of threads. The caller's random state is left as found.

    Args:
        build: makes the untrained network.
        data: the training pictures.
        training: how.
        seed: of everything random.
        loss: (model, pictures in [0, 1], labels) -> scalar.
        fabric: a launched `lightning_fabric.Fabric`; one device of the CPU if not given.
        progress: called with (steps done, steps in all) after each step.
    """
    if fabric is None:
        fabric = cpu_fabric()
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))), torch.enable_grad():
        torch.manual_seed(seed)
        model = build().train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        adam = torch.optim.Adam(model.parameters(), lr=training.rate, fused=True)
        model, adam = fabric.setup(model, adam)
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(data), generator=generator)[: training.pictures]
        pictures, labels = data.pictures[chosen].to(fabric.device), data.labels[chosen].to(fabric.device)
        rank, world = fabric.global_rank, fabric.world_size
        steps = training.epochs * math.ceil(len(chosen) / training.batch_size)
        done = 0
        for _ in range(training.epochs):
            for batch in torch.randperm(len(chosen), generator=generator).split(training.batch_size):
                moves = draw_moves(len(batch), training.moves_px, generator)[rank::world] if training.moves_px else None
                mine = batch[rank::world].to(fabric.device)
                x = pictures[mine] if moves is None else moved(pictures[mine], moves.to(fabric.device))
                adam.zero_grad()
                fabric.backward(loss(model, x.float().div_(255), labels[mine]))
                adam.step()
                done += 1
                if progress is not None:
                    progress(done, steps)
    return model.module.cpu().eval()


def cpu_fabric():
    """Fabric on one CPU process."""
    import warnings

    from lightning_fabric import Fabric

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises on loggers and clusters that are not here
        return Fabric(accelerator="cpu", devices=1)


def draw_moves(n: int, reach_px: int, generator: torch.Generator) -> Int64[Tensor, "n 2"]:
    """Moves (dy, dx) in pixels, each uniform over the whole numbers in [-reach_px, reach_px].

    >>> draw_moves(1000, 3, torch.Generator().manual_seed(0)).abs().amax().item()
    3
    """
    return torch.randint(-reach_px, reach_px + 1, (n, 2), generator=generator)


def moved(pictures: UInt8[Tensor, "n c h w"], moves: Int64[Tensor, "n 2"]) -> UInt8[Tensor, "n c h w"]:
    """Each picture moved by its own whole-pixel (dy, dx), positive = content moves down and right, zeros moved in.

    Out-of-sight pixels are lost. Equal to `shiftproof.translate` with boundary "zero", all pictures at once.

    >>> moved(torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8), torch.tensor([[1, 0]]))[0, 0].tolist()
    [[0, 0], [1, 2]]
    """
    n, _, h, w = pictures.shape
    reach = int(moves.abs().amax()) if n else 0
    windows = nn.functional.pad(pictures, [reach] * 4).unfold(2, h, 1).unfold(3, w, 1)  # a view: no copy
    rows = torch.arange(n, device=pictures.device)
    return windows[rows, :, reach - moves[:, 0], reach - moves[:, 1]]
