"""Canonical poses in front of frozen networks: what each leaves of the accuracy, and how often it leaves a picture where it lay.

    python benchmarks/poses.py ../shared/data              # minutes; writes benchmarks/results/poses.json

Every pose brings all circular moves of a picture to one of them, so that the network's answer is the same for each. What differs
is which move that is. The Fourier phase and the centroid are given the place that most of 1,000 training pictures have (test
pictures for the photographs, of which there are no others), so that an unmoved picture stays as near as they can keep it.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import shiftproof as sp
from measuring import environment, write
from repair import read, right
from shiftproof.layers import CanonicalPose, seam
from shiftproof.models import LoadedModel

PICTURES, PLACED = 2000, 1000


@dataclass(frozen=True)
class Row:
    """What a pose does to one network."""

    model: str
    pose: str
    pictures: int
    accuracy: float
    kept: float


def intensity(x: Tensor) -> Tensor:
    """The mean over channels, from 0: (n, h, w)."""
    grey = x.mean(1)
    return grey - grey.amin((1, 2), keepdim=True)


def fourier(x: Tensor) -> Tensor:
    """The phase of the first harmonic of the rows' and of the columns' sums, as a cell."""
    grey, found = intensity(x), []
    for dim in (2, 1):
        line = torch.fft.fft(grey.sum(dim))[:, 1]
        n = grey.shape[3 - dim]
        found.append((-line.angle() * n / (2 * math.pi)).round().long() % n)
    return torch.stack(found, 1)


def centroid(x: Tensor) -> Tensor:
    """The mean direction on the circle of the energy, deviation from the mean squared, as a cell."""
    return fourier((intensity(x) - intensity(x).mean((1, 2), keepdim=True)).square()[:, None])


def brightest(x: Tensor) -> Tensor:
    """The cell of most energy."""
    energy = (x - x.mean((2, 3), keepdim=True)).square().sum(1).flatten(1).argmax(1)
    return torch.stack([energy // x.shape[3], energy % x.shape[3]], 1)


def placed(origin: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[Tensor], Tensor]:
    """The origin, less the place that most pictures have: an unmoved picture then stays where it is as often as can be."""
    sizes = torch.tensor(x.shape[2:])
    found = torch.cat([origin(p) for p in x.split(100)])
    usual = torch.stack([found[:, i].bincount(minlength=int(sizes[i])).argmax() for i in range(2)])
    return lambda y: (origin(y) - usual) % sizes


class Behind(nn.Module):
    """A network behind a pose."""

    def __init__(self, pose: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.pose, self.network = pose, network

    def forward(self, x: Tensor) -> object:
        """The network's answer to the pictures in their pose."""
        return self.network(self.pose(x))


def rows(name: str, model: LoadedModel, test: tuple[Tensor, Tensor], known: Tensor) -> list[Row]:
    """All poses in front of one network."""
    x, labels = test
    poses: dict[str, nn.Module] = {
        "none (not invariant)": nn.Identity(),
        "Fourier phase": CanonicalPose(placed(fourier, known)),
        "centroid": CanonicalPose(placed(centroid, known)),
        "largest energy": CanonicalPose(placed(brightest, known)),
        "seam, formula": CanonicalPose(score=seam.FORMULA),
        "seam, shipped score": CanonicalPose(),
    }
    found = []
    for word, pose in poses.items():
        kept = torch.cat([(pose(p) == p).flatten(1).all(1) for p in x.split(100)]).double().mean()
        row = Row(name, word, len(x), right(Behind(pose, model.module), x, labels), float(kept))
        print(f"{row.model:<14}{row.pose:<22}{row.accuracy:.4f}  left where it lay: {row.kept:.4f}", flush=True)
        found.append(row)
    return found


def main() -> None:
    """Measures all of them and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    data: Path = parser.parse_args().data
    found = []
    for file in ("mobilenet_v1_025", "mobilenet_v2_100"):
        model = sp.load_model(str(data / "models" / "imagenet_mobilenet" / f"{file}.pt2"), crop_fraction=0.875)
        x, labels = read(str(data / "photos" / "imagenet_samples"), model, 125)
        found += rows(file, model, (x, labels), x)
    for depth in (20, 32):
        weights = data / "models" / "cifar10_resnet" / f"resnet{depth}.safetensors"
        model = sp.load_model(f"builtin:cifar-resnet{depth}", weights=weights)
        known = read(f"cifar10:{data}/cifar10", model, PLACED, split="train")[0]
        found += rows(f"resnet{depth}", model, read(f"cifar10:{data}/cifar10", model, PICTURES), known)
    write("poses", {**environment(), "rows": [asdict(r) for r in found]})


if __name__ == "__main__":
    main()
