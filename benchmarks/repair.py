"""Before and after: the accuracy of pretrained, frozen networks that `sp.repair` puts behind a pose, and what it costs.

    python benchmarks/repair.py ../shared/data                       # all of them: minutes
    python benchmarks/repair.py ../shared/data resnet20 mnist

Each row: accuracy on the pictures as they are, of the original model and of the mended one; the accuracy of both after a move
(random, around the circle; on black for the goal "zero"); of how many sampled pictures every circular move gets an answer that is
equal to the last bit; forward passes of the original model that one of the mended model takes.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import shiftproof as sp
from measuring import environment, write
from shiftproof.data import open_data
from shiftproof.data.prepare import prepare
from shiftproof.errors import GuaranteeWarning
from shiftproof.models import LoadedModel
from shiftproof.models.answer import answer

BATCH, SAMPLED = 100, 4


@dataclass(frozen=True)
class Row:
    """What was measured of one model."""

    model: str
    goal: str
    pictures: int
    before: float
    after: float
    moved: str
    before_moved: float
    after_moved: float
    exact: str
    cost: float


def main() -> None:
    """Measures the models that are named, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", help=", ".join(MODELS))
    asked = parser.parse_args()
    warnings.simplefilter("ignore", GuaranteeWarning)  # digits that are cut off are part of the question
    found = []
    for name in asked.names or MODELS:
        for row in MODELS[name](asked.data):
            found.append(row)
            print(
                f"{row.model:<14}{row.goal:<10}{row.pictures:>6} pictures: {row.before:.4f} -> {row.after:.4f};  {row.moved}: "
                f"{row.before_moved:.4f} -> {row.after_moved:.4f};  {row.exact};  {row.cost:.2f} FE",
                flush=True,
            )
    if not asked.names:
        write("repair", {**environment(), "rows": [asdict(r) for r in found]})


def cifar(depth: int) -> Callable[[Path], list[Row]]:
    """ResNet-20 or ResNet-32 on CIFAR-10's 10,000 test pictures."""

    def rows(data: Path) -> list[Row]:
        weights = data / "models" / "cifar10_resnet" / f"resnet{depth}.safetensors"
        model = sp.load_model(f"builtin:cifar-resnet{depth}", weights=weights)
        return [circular(f"resnet{depth}", model, *read(f"cifar10:{data}/cifar10", model, 10_000))]

    return rows


def mobilenet(file: str) -> Callable[[Path], list[Row]]:
    """A MobileNet on the 125 photographs."""

    def rows(data: Path) -> list[Row]:
        model = sp.load_model(str(data / "models" / "imagenet_mobilenet" / f"{file}.pt2"), crop_fraction=0.875)
        return [circular(file, model, *read(str(data / "photos" / "imagenet_samples"), model, 125))]

    return rows


def mnist(data: Path) -> list[Row]:
    """MNIST's ONNX model on the first 2,000 test digits, moved on black."""
    model = sp.load_model(str(data / "models" / "mnist_onnx" / "opt-mnist.onnx"), scale=255)
    x, labels = read(f"mnist:{data}/mnist", model, 2000)
    mended = sp.repair(model, goal="zero")
    found = []
    for v in ((4, 4), (8, 8)):
        there = sp.translate(x, [v], "zero")[:, 0]
        # Nothing has left the picture where the last rows and columns that come to lie outside were black.
        whole = (x[:, :, -v[0] :].amax((1, 2, 3)) == 0) & (x[:, :, :, -v[1] :].amax((1, 2, 3)) == 0)
        kept = whole.nonzero()[:, 0].tolist()
        one = [torch.equal(scores(mended, there[i : i + 1]), scores(mended, x[i : i + 1])) for i in kept]
        found.append(
            Row(
                "mnist",
                "zero",
                len(x),
                right(model.module, x, labels),
                right(mended, x, labels),
                f"moved by {v} on black",
                right(model.module, there, labels),
                right(mended, there, labels),
                f"{sum(one)} of {len(one)} that are whole: the same to the last bit",
                mended.record.cost or 0,
            )
        )
    return found


def circular(name: str, model: LoadedModel, x: Tensor, labels: Tensor) -> Row:
    """A model behind the seam's pose."""
    mended = sp.repair(model, goal="circular")
    h, w = x.shape[2:]
    draw = np.random.default_rng(0)
    moved = torch.cat([p.roll(tuple(int(draw.integers(n)) for n in (h, w)), (2, 3)) for p in x.split(1)])
    moves = list(itertools.product(range(h), range(w)))
    moves = moves if len(moves) <= 1024 else [moves[i] for i in draw.permutation(len(moves))[:64]]
    chosen = draw.permutation(len(x))[:SAMPLED].tolist()
    held = sum(
        all(torch.equal(scores(mended, x[i : i + 1].roll(v, (2, 3))), scores(mended, x[i : i + 1])) for v in moves)
        for i in chosen
    )
    return Row(
        name,
        "circular",
        len(x),
        right(model.module, x, labels),
        right(mended, x, labels),
        "moved at random",
        right(model.module, moved, labels),
        right(mended, moved, labels),
        f"{held} of {len(chosen)} the same to the last bit at {len(moves)} moves",
        cost(model.module, mended, x),
    )


def cost(network: nn.Module, mended: nn.Module, x: Tensor) -> float:
    """CPU seconds of the mended model over those of the network, on the same batches, in turns; the median of the ratios."""
    seconds: list[list[float]] = [[], []]
    for i in range(10):
        batch = x[(i * BATCH) % max(1, len(x) - BATCH) :][:BATCH]
        for net, into in zip((network, mended), seconds, strict=True):
            started = time.process_time()
            scores(net, batch)
            into.append(time.process_time() - started)
    return float(np.median(np.array(seconds[1]) / np.array(seconds[0])))


def read(word: str, model: LoadedModel, count: int) -> tuple[Tensor, Tensor]:
    """The first pictures as the network takes them, and their labels."""
    source = open_data(word)
    items = [source.read(i) for i in range(min(count, len(source)))]
    # (h, w, c) bytes -> the model's size
    how = {"crop_fraction": model.crop_fraction, "interpolation": model.interpolation}
    whole = [prepare(i.picture, model.input_size, **how)[0] for i in items]
    pictures = torch.from_numpy(np.stack(whole)).float() / 255
    return model.ready(pictures), torch.tensor([i.label for i in items])


def scores(net: nn.Module, x: Tensor) -> Tensor:
    """The network's scores."""
    with torch.no_grad():
        return answer(net(x))


def right(net: nn.Module, x: Tensor, labels: Tensor) -> float:
    """The fraction of pictures whose highest score is that of their class."""
    found = torch.cat([scores(net, p).argmax(1) for p in x.split(BATCH)])
    return float((found == labels).double().mean())


MODELS: dict[str, Callable[[Path], list[Row]]] = {
    "resnet20": cifar(20),
    "resnet32": cifar(32),
    "mobilenet1": mobilenet("mobilenet_v1_025"),
    "mobilenet2": mobilenet("mobilenet_v2_100"),
    "mnist": mnist,
}

if __name__ == "__main__":
    main()
