"""What the tests of training loops share: a small network, pictures, the metrics, and what one of two processes does."""

import numpy as np
import torch
from torch import nn
from torchmetrics import MetricCollection

import shiftproof as sp
from shiftproof.metrics import EveryMoveAccuracy, FlipRate, MoveAccuracy, ShiftConsistency

BY_FIGURE = {
    "consistency": ShiftConsistency,
    "flip_rate": FlipRate,
    "accuracy": MoveAccuracy,
    "accuracy_every_move": EveryMoveAccuracy,
}


def network():
    """Random weights, the same in every process; a stride that makes it depend on the place."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=3), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    )


def pictures(count=37, side=12):
    """Blurred noise, and the class of each: the network's own unmoved answer for two of three."""
    x = nn.functional.avg_pool2d(torch.rand(count, 1, side + 4, side + 4, generator=torch.manual_seed(1)), 5, stride=1)
    x = (x - x.mean()) / x.std()
    with torch.no_grad():
        labels = network()(x).argmax(1)
    return x, torch.where(torch.arange(count) % 3 == 0, (labels + 1) % 4, labels)


def collection(moves):
    return MetricCollection({name: kind(moves) for name, kind in BY_FIGURE.items()})


def half(rank, rendezvous, out):
    """One of two processes: every second batch of five pictures; its figures go into a file."""
    torch.set_num_threads(1)  # a fork has no threads of its own
    torch.distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    metrics, model, (x, y) = collection(sp.grid(2, boundary="circular")), network(), pictures()
    for batch, target in list(zip(x.split(5), y.split(5), strict=True))[rank::2]:
        metrics.update(model, batch, target)
    figures = metrics.compute()
    np.savez(f"{out}/{rank}.npz", **{name: value.numpy() for name, value in figures.items()})
    torch.distributed.destroy_process_group()
