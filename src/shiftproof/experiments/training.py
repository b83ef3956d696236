"""Training small classifiers on pictures that lie in memory; the same code on a CPU, a GPU, or several (Fabric)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from shiftproof.data import Labelled
from shiftproof.errors import ModelError
from shiftproof.experiments.memory import kept_memory
from shiftproof.experiments.untrained import untrained

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
    device: str = "cpu",
    devices: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """A trained network in eval mode, on the CPU: Adam (Kingma and Ba 2015), constant rate.

    The seed decides the initial weights, which pictures are used, their order and their moves; the same seed gives the same
    weights on one machine with one number of threads. The caller's random state is left as found. On several devices each
    takes its share of every batch, and the gradients are averaged: the same steps, but for the order of sums.

    Args:
        build: makes the untrained network; for several devices it must be picklable, as must the loss.
        data: the training pictures.
        training: how.
        seed: of everything random.
        loss: (model, pictures in [0, 1], labels) -> scalar, a mean over the pictures.
        device: Fabric's accelerator: "cpu", "cuda", "mps", "auto".
        devices: how many; more than one are processes of their own.
        progress: called with (steps done, steps in all) after each step; of several devices it hears nothing.
    """
    fabric = _fabric(device, devices)
    if devices == 1:
        return _fit(fabric, build, data, training, seed, loss, progress)
    model = untrained(build)
    how = {"build": build, "data": data, "training": training, "seed": seed, "loss": loss}
    found = fabric.launch(functools.partial(_fitted_state, **how))
    model.load_state_dict({k: torch.from_numpy(v) for k, v in found.items()})
    return model.eval()


def the_device(device: str, devices: int = 1) -> torch.device:
    """The device that `train` takes for these words.

    Raises:
        ModelError: there is no such device, or there are not so many of them.

    >>> the_device("cpu")
    device(type='cpu')
    """
    return _fabric(device, devices).device


def _fabric(device: str, devices: int):
    """Fabric on so many devices; on several, in processes that it starts itself."""
    import warnings

    from lightning_fabric import Fabric

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises on loggers and clusters that are not here
        try:
            return Fabric(accelerator=device, devices=devices, strategy="ddp_spawn" if devices > 1 else "auto")
        except Exception as e:  # of many kinds
            said = str(e).splitlines()[0] if str(e) else type(e).__name__
            raise ModelError(f"cannot train on {devices} x {device}: {said}", remedy="--device cpu") from e


def _fitted_state(fabric, **how) -> dict[str, np.ndarray]:
    """What a process of several gives back: the weights, as arrays (tensors would go with the process that shares them)."""
    return {k: v.numpy() for k, v in _fit(fabric, **how).state_dict().items()}


def _fit(fabric, build, data, training, seed, loss, progress=None) -> nn.Module:
    """The training itself, in a process of one device."""
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))), torch.enable_grad(), kept_memory():
        torch.manual_seed(seed)
        model = build().train().to(memory_format=torch.channels_last)
        adam = torch.optim.Adam(model.parameters(), lr=training.rate, fused=True)
        model, adam = fabric.setup(model, adam)
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(data), generator=generator)[: training.pictures]
        pictures, labels = data.pictures[chosen].to(fabric.device), data.labels[chosen].to(fabric.device)
        steps = training.epochs * math.ceil(len(chosen) / training.batch_size)
        done = 0
        for _ in range(training.epochs):
            for batch in torch.randperm(len(chosen), generator=generator).split(training.batch_size):
                moves = draw_moves(len(batch), training.moves_px, generator) if training.moves_px else None
                mine = _share(len(batch), fabric.global_rank, fabric.world_size)
                x, y = pictures[batch[mine].to(fabric.device)], labels[batch[mine].to(fabric.device)]
                if moves is not None:
                    x = moved(x, moves[mine].to(fabric.device))
                weight = len(y) * fabric.world_size / len(batch) if len(batch) >= fabric.world_size else 1.0
                adam.zero_grad()
                fabric.backward(loss(model, x.float().div_(255), y) * weight)
                adam.step()
                done += 1
                if progress is not None:
                    progress(done, steps)
    return model.module.cpu().eval()


def _share(n: int, rank: int, world: int) -> slice:
    """Which pictures of a batch a device takes: every `world`-th; all of a batch that is too small to share."""
    return slice(rank, None, world) if n >= world else slice(None)


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
