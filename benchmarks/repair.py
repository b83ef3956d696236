"""Before and after: the accuracy of pretrained, frozen networks that `sp.repair` puts behind a pose, and what it costs.

    python benchmarks/repair.py ../shared/data                       # all of them: half an hour of one core
    python benchmarks/repair.py ../shared/data resnet20 mnist        # these rows anew; the others stay

Each row: accuracy on the pictures as they are, of the original model and of the mended one; the accuracy of both after a move
(random, around the circle, of the first 2,000 pictures; on black for the goal "zero"; a camera for the goal "crop"); of how many
sampled pictures every circular move gets an answer that is equal to the last bit; forward passes of the original model that one
of the mended model takes. For the goal "crop" the consistency stands beside them, from an audit of both.
"""

from __future__ import annotations

import argparse
import fcntl
import itertools
import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import shiftproof as sp
from measuring import RESULTS, environment, write
from shiftproof.data import Source, open_data
from shiftproof.data.prepare import prepare
from shiftproof.errors import GuaranteeWarning
from shiftproof.models import LoadedModel
from shiftproof.models.answer import answer

BATCH, SAMPLED, MOVED, UNDER_CAMERA = 100, 4, 2000, 300


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
    before_consistency: float | None = None
    after_consistency: float | None = None


def main() -> None:
    """Measures the models that are named, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", help=", ".join(MODELS))
    asked = parser.parse_args()
    warnings.simplefilter("ignore", GuaranteeWarning)  # digits that are cut off are part of the question
    for name in asked.names or MODELS:
        for row in MODELS[name](asked.data):
            kept(row)
            print(
                f"{row.model:<14}{row.goal:<10}{row.pictures:>6} pictures: {row.before:.4f} -> {row.after:.4f};  {row.moved}: "
                f"{row.before_moved:.4f} -> {row.after_moved:.4f};  {row.exact};  {row.cost:.2f} FE",
                flush=True,
            )


def kept(row: Row) -> None:
    """Writes a row into the results, in the place of an older one. Several runs at once do not lose each other's."""
    lock = os.open(RESULTS, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = RESULTS / "repair.json"
        known = json.loads(file.read_text())["rows"] if file.exists() else []
        same = ("model", "goal", "moved")
        new = {**asdict(row), "run": environment()}
        rows = [r for r in known if any(r[k] != new[k] for k in same)] + [new]
        write("repair", {"rows": sorted(rows, key=lambda r: [r[k] for k in same])})
    finally:
        os.close(lock)


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
    some = x[:MOVED]
    moved = torch.cat([p.roll(tuple(int(draw.integers(n)) for n in (h, w)), (2, 3)) for p in some.split(1)])
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
        right(model.module, moved, labels[:MOVED]),
        right(mended, moved, labels[:MOVED]),
        f"{held} of {len(chosen)} the same to the last bit at {len(moves)} moves",
        cost(model.module, mended, x),
    )


def camera(name: str, load: Callable[[Path], tuple[LoadedModel, Source, Source]]) -> Callable[[Path], list[Row]]:
    """A model's mean answer over 3 x 3 views, audited under a camera that moves."""

    def rows(data: Path) -> list[Row]:
        model, test, others = load(data)
        mended = sp.repair(model, goal="crop", method="average", data=test, shown=others, max_drop=1)
        measured = mended.record.measured
        assert measured is not None
        assert measured.picked is not None
        before, after = measured.before, measured.picked.metrics
        return [
            Row(
                name,
                "crop",
                measured.pictures,
                before["accuracy_unmoved"].value,
                after["accuracy_unmoved"].value,
                f"{measured.moves} moves of a camera",
                before["accuracy"].value,
                after["accuracy"].value,
                "nothing is proved",
                mended.record.cost or 0,
                before["consistency"].value,
                after["consistency"].value,
            )
        ]

    return rows


def cifar_under_camera(data: Path) -> tuple[LoadedModel, Source, Source]:
    """ResNet-20, test pictures, and training pictures, which `average` does not need."""
    weights = data / "models" / "cifar10_resnet" / "resnet20.safetensors"
    word = f"cifar10:{data}/cifar10"
    model = sp.load_model("builtin:cifar-resnet20", weights=weights)
    return model, open_data(word, limit=UNDER_CAMERA), open_data(word, split="train", limit=100)


def photographs_under_camera(data: Path) -> tuple[LoadedModel, Source, Source]:
    """MobileNet v1 and the 125 photographs; Kodak's, which `average` does not need."""
    model = sp.load_model(str(data / "models" / "imagenet_mobilenet" / "mobilenet_v1_025.pt2"), crop_fraction=0.875)
    photos = data / "photos"
    return model, open_data(str(photos / "imagenet_samples")), open_data(str(photos / "kodak"))


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


def read(word: str, model: LoadedModel, count: int, *, split: str = "test") -> tuple[Tensor, Tensor]:
    """The first pictures of a split as the network takes them, and their labels."""
    source = open_data(word, split=split)
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
    "resnet20-crop": camera("resnet20", cifar_under_camera),
    "mobilenet1-crop": camera("mobilenet_v1_025", photographs_under_camera),
}

if __name__ == "__main__":
    main()
