"""Trains small classifiers on pictures in memory, with the same code on a CPU, a GPU or several devices (Fabric)."""

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
from shiftproof.printable import said
from shiftproof.training.malloc import kept_memory
from shiftproof.training.untrained import untrained

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Training:
    """How a network is trained, apart from its seed.

    Args:
        epochs: passes over the pictures.
        batch_size: pictures per step, over all devices together.
        rate: learning rate of Adam, constant.
        moves_px: augmentation. Each time a picture is used, it is moved by whole pixels, uniform in [-moves_px, moves_px]
            along each axis, with zeros moved in; 0 for no moves.
        pictures: number of training pictures, chosen at random by the seed; None for all.

    >>> Training(epochs=1, moves_px=2).rate
    0.001
    """

    epochs: int = 5
    batch_size: int = 128
    rate: float = 1e-3
    moves_px: int = 0
    pictures: int | None = None


def cross_entropy(model: nn.Module, pictures: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"]) -> Tensor:
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
    """Train a network with Adam (Kingma and Ba 2015) at a constant rate; return it in eval mode on the CPU.

    The seed decides the initial weights, which pictures are used, their order and their moves. The same seed gives the same
    weights on one machine with one number of threads. The caller's random state is left as found. With several devices, each
    takes its share of every batch and the gradients are averaged, so the steps differ only in the order of sums.

    Args:
        build: makes the untrained network. For several devices it must be picklable, as must the loss.
        data: the training pictures.
        training: how it is trained.
        seed: seed of everything random.
        loss: (model, pictures in [0, 1], labels) -> scalar, a mean over the pictures.
        device: Fabric's accelerator: "cpu", "cuda", "mps", "auto".
        devices: number of devices. If there is more than one, each runs in its own process.
        progress: called with (steps done, total steps) after each step; not called with several devices.

    Raises:
        ModelError: the device does not exist, or there are fewer devices than asked for.

    >>> pictures = Labelled(torch.zeros(8, 1, 4, 4, dtype=torch.uint8), torch.zeros(8, dtype=torch.int64), "black")
    >>> build = functools.partial(nn.Sequential, nn.Flatten(), nn.Linear(16, 2))
    >>> train(build, pictures, Training(epochs=20, rate=0.1), seed=0)(torch.zeros(1, 1, 4, 4)).argmax().item()
    0

    Reference: Kingma and Ba 2015, Adam: A Method for Stochastic Optimization, https://arxiv.org/abs/1412.6980
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
    """The device that `train` would use.

    Raises:
        ModelError: the device does not exist, or there are fewer devices than asked for.

    >>> the_device("cpu")
    device(type='cpu')
    """
    return _fabric(device, devices).device


def _fabric(device: str, devices: int):
    """Fabric on these devices; for several devices it starts one process each."""
    import warnings

    from lightning_fabric import Fabric

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on loggers and clusters, which are not used here
        try:
            return Fabric(accelerator=device, devices=devices, strategy="ddp_spawn" if devices > 1 else "auto")
        except Exception as e:  # Fabric raises different types for a missing device
            raise ModelError(f"cannot train on {devices} x {device}: {said(e)}", remedy="--device cpu") from e


def _fitted_state(fabric, **how) -> dict[str, np.ndarray]:
    """The weights that a process sends back, as arrays, because shared tensors are lost when their process ends."""
    return {k: v.numpy() for k, v in _fit(fabric, **how).state_dict().items()}


def _fit(fabric, build, data, training, seed, loss, progress=None) -> nn.Module:
    """Train in the process of one device."""
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))), torch.enable_grad(), kept_memory():
        torch.manual_seed(seed)
        # Convolutions on a CPU are faster with channels last, and the result is the same up to rounding.
        model = build().train().to(memory_format=torch.channels_last)
        adam = torch.optim.Adam(model.parameters(), lr=training.rate, fused=True)
        model, adam = fabric.setup(model, adam)
        # A stream of its own: what layers draw (dropout, say) does not change the order of the pictures.
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(data), generator=generator)[: training.pictures]
        pictures, labels = data.pictures[chosen].to(fabric.device), data.labels[chosen].to(fabric.device)
        steps = training.epochs * math.ceil(len(chosen) / training.batch_size)
        done = 0
        for _ in range(training.epochs):
            for batch in torch.randperm(len(chosen), generator=generator).split(training.batch_size):
                # For the whole batch, on every device: each draws the same numbers and takes its share of them.
                moves = draw_moves(len(batch), training.moves_px, generator) if training.moves_px else None
                mine = _share(len(batch), fabric.global_rank, fabric.world_size)
                x, y = pictures[batch[mine].to(fabric.device)], labels[batch[mine].to(fabric.device)]
                if moves is not None:
                    x = moved(x, moves[mine].to(fabric.device))
                # Fabric averages the gradients over devices, and each is a mean over its share, so shares are weighted by size.
                weight = len(y) * fabric.world_size / len(batch) if len(batch) >= fabric.world_size else 1.0
                adam.zero_grad()
                fabric.backward(loss(model, x.float().div_(255), y) * weight)
                adam.step()
                done += 1
                if progress is not None:
                    progress(done, steps)
    return model.module.cpu().eval()


def _share(n: int, rank: int, world: int) -> slice:
    """The pictures of a batch that a device takes: every `world`-th, or all if the batch is too small to share."""
    return slice(rank, None, world) if n >= world else slice(None)


def draw_moves(n: int, reach_px: int, generator: torch.Generator) -> Int64[Tensor, "n 2"]:
    """Moves (dy, dx) in pixels, each uniform over the whole numbers in [-reach_px, reach_px].

    >>> draw_moves(1000, 3, torch.Generator().manual_seed(0)).abs().amax().item()
    3
    """
    return torch.randint(-reach_px, reach_px + 1, (n, 2), generator=generator)


def moved(pictures: UInt8[Tensor, "n c h w"], moves: Int64[Tensor, "n 2"]) -> UInt8[Tensor, "n c h w"]:
    """Each picture moved by its own whole-pixel (dy, dx), positive = content moves down and right, zeros moved in.

    Pixels that leave the picture are lost. Equal to `shiftproof.translate` with boundary "zero", for all pictures at once.

    >>> moved(torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8), torch.tensor([[1, 0]]))[0, 0].tolist()
    [[0, 0], [1, 2]]
    """
    n, _, h, w = pictures.shape
    reach = int(moves.abs().amax()) if n else 0
    windows = nn.functional.pad(pictures, [reach] * 4).unfold(2, h, 1).unfold(3, w, 1)  # a view, nothing is copied
    rows = torch.arange(n, device=pictures.device)
    return windows[rows, :, reach - moves[:, 0], reach - moves[:, 1]]
