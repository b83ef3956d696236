"""Before and after: the accuracy of pretrained, frozen networks that `sp.repair` puts behind a pose, and what it costs.

    python benchmarks/repair.py ../shared/data                       # what is not in the results yet; an hour of one core
    python benchmarks/repair.py ../shared/data resnet20 mnist        # these anew; the others stay

Each row: accuracy on the pictures as they are, of the original model and of the mended one; the accuracy of both after a move
(random, around the circle, of the first 2,000 pictures; on black for the goal "zero"; a camera for the goal "crop"); of how many
sampled pictures every circular move gets an answer that is equal to the last bit; forward passes of the original model that one
of the mended model takes. For the goal "crop" the consistency stands beside them, from an audit of both. "harm": what the pose
for the circle does to the consistency in the other worlds, where it should change nothing. Every row is written as soon as it is
measured, and a training that was killed goes on from the state that it left.
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
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

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
from shiftproof.records.repair_parts import MethodName
from shiftproof.repairing import Mended
from shiftproof.training import remove_finished

BATCH, SAMPLED, MOVED, UNDER_CAMERA, TRAINED = 100, 4, 2000, 300, 30_000
FILE = RESULTS / "repair.json"


@dataclass(frozen=True)
class Row:
    """What was measured of one model."""

    model: str
    goal: str
    method: str
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
    done = {r["name"] for r in known_rows()}
    for name in asked.names or [n for n in MODELS if n not in done]:
        for row in MODELS[name](asked.data):
            kept(name, row)
            print(
                f"{row.model:<18}{row.method:<17}{row.pictures:>6} pictures: {row.before:.4f} -> {row.after:.4f};  {row.moved}: "
                f"{row.before_moved:.4f} -> {row.after_moved:.4f};  {row.exact};  {row.cost:.2f} FE",
                flush=True,
            )


def known_rows() -> list[dict[str, Any]]:
    """The rows in the results."""
    return json.loads(FILE.read_text())["rows"] if FILE.exists() else []


def kept(name: str, row: Row) -> None:
    """Writes a row into the results, in the place of an older one. Several runs at once do not lose each other's."""
    lock = os.open(RESULTS, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        same = ("name", "model", "goal", "method", "moved")
        new = {"name": name, **asdict(row), "run": environment()}
        rows = [r for r in known_rows() if any(r[k] != new[k] for k in same)] + [new]
        write("repair", {"rows": sorted(rows, key=lambda r: [r[k] for k in same])})
    finally:
        os.close(lock)


def cifar(depth: int, method: MethodName = "pose") -> Callable[[Path], list[Row]]:
    """ResNet-20 or ResNet-32 on CIFAR-10's 10,000 test pictures."""

    def rows(data: Path) -> list[Row]:
        model = resnet(data, depth)
        return [circular(f"resnet{depth}", model, *read(f"cifar10:{data}/cifar10", model, 10_000), method)]

    return rows


def mobilenet(file: str, method: MethodName = "pose") -> Callable[[Path], list[Row]]:
    """A MobileNet on the 125 photographs."""

    def rows(data: Path) -> list[Row]:
        model = photographic(file)(data)
        return [circular(file, model, *read(str(data / "photos" / "imagenet_samples"), model, 125), method)]

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
                "pose",
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


def circular(name: str, model: LoadedModel, x: Tensor, labels: Tensor, method: MethodName) -> Row:
    """A model behind the seam's pose, or behind the likely one of which it is most certain."""
    mended = sp.repair(model, goal="circular", method=method)
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
        method,
        len(x),
        right(model.module, x, labels),
        right(mended, x, labels),
        "moved at random",
        right(model.module, moved, labels[:MOVED]),
        right(mended, moved, labels[:MOVED]),
        f"{held} of {len(chosen)} the same to the last bit at {len(moves)} moves",
        cost(model.module, mended, x),
    )


def harm(name: str, word: str, load: Callable[[Path], LoadedModel], count: int) -> Callable[[Path], list[Row]]:
    """What the pose for the circle does under a camera and on black: audits of the model as it is, and behind the pose."""

    def rows(data: Path) -> list[Row]:
        model = load(data)
        source = open_data(word.format(data), limit=count)
        mended = sp.repair(model, goal="circular", method="pose")
        return [_harmed(name, model, mended, source, world) for world in ("crop", "zero")]

    return rows


def _harmed(name: str, model: LoadedModel, mended: Mended, source: Source, world: Literal["crop", "zero"]) -> Row:
    moves = sp.random(9, 4 if model.input_size[1] < 64 else 8, boundary=world, seed=0)
    audits = [sp.audit(replace(model, module=m), source, translations=moves, layers=0) for m in (model.module, mended)]
    a, b = (r.metrics for r in audits)
    where = "of a camera" if world == "crop" else "on black"
    values = [m[k].value for k in ("accuracy_unmoved", "accuracy", "consistency") for m in (a, b)]
    return Row(
        name,
        "circular",
        "pose",
        audits[0].data.used,
        *values[:2],
        f"9 moves {where}",
        *values[2:4],
        "nothing is proved there",
        mended.record.cost or 0,
        *values[4:],
    )


def resnet(data: Path, depth: int = 20) -> LoadedModel:
    """A published ResNet of CIFAR-10."""
    weights = data / "models" / "cifar10_resnet" / f"resnet{depth}.safetensors"
    return sp.load_model(f"builtin:cifar-resnet{depth}", weights=weights)


def photographic(file: str) -> Callable[[Path], LoadedModel]:
    """A published MobileNet."""
    return lambda data: sp.load_model(str(data / "models" / "imagenet_mobilenet" / f"{file}.pt2"), crop_fraction=0.875)


def trained(data: Path) -> list[Row]:
    """ResNet-20 trained on to answer alike for two crops; and the mean over 2 x 2 views after that."""
    model, word = resnet(data), f"cifar10:{data}/cifar10"
    test, shown = open_data(word, limit=MOVED), open_data(word, split="train", limit=TRAINED)
    state = RESULTS / ".resnet20-training"  # a run that was killed goes on from it
    first = sp.repair(model, goal="crop", method="fine-tuning", data=test, shown=shown, max_drop=1, state=state)
    after = replace(model, module=first.network)
    both = sp.repair(after, goal="crop", method="average", data=test, shown=shown, max_drop=1, budget=4.5)
    rows = [
        under_camera("resnet20", method, m, first) for method, m in (("fine-tuning", first), ("average after it", both))
    ]
    if not remove_finished(state):
        state.rmdir()
    return rows


def under_camera(name: str, method: str, mended: Mended, first: Mended) -> Row:
    """What the audits of a repair for a camera say; `before` is that of the first of two repairs."""
    begun, measured = first.record.measured, mended.record.measured
    assert begun is not None
    assert measured is not None
    assert measured.picked is not None
    before, after = begun.before, measured.picked.metrics
    return Row(
        name,
        "crop",
        method,
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


def camera(name: str, load: Callable[[Path], tuple[LoadedModel, Source, Source]]) -> Callable[[Path], list[Row]]:
    """A model's mean answer over 3 x 3 views, audited under a camera that moves."""

    def rows(data: Path) -> list[Row]:
        model, test, others = load(data)
        mended = sp.repair(model, goal="crop", method="average", data=test, shown=others, max_drop=1)
        return [under_camera(name, "average", mended, mended)]

    return rows


def cifar_under_camera(data: Path) -> tuple[LoadedModel, Source, Source]:
    """ResNet-20, test pictures, and training pictures, which `average` does not need."""
    word = f"cifar10:{data}/cifar10"
    return resnet(data), open_data(word, limit=UNDER_CAMERA), open_data(word, split="train", limit=100)


def photographs_under_camera(data: Path) -> tuple[LoadedModel, Source, Source]:
    """MobileNet v1 and the 125 photographs; Kodak's, which `average` does not need."""
    photos = data / "photos"
    return (
        photographic("mobilenet_v1_025")(data),
        open_data(str(photos / "imagenet_samples")),
        open_data(str(photos / "kodak")),
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
    "resnet20-confidence": cifar(20, "pose+confidence"),
    "resnet32-confidence": cifar(32, "pose+confidence"),
    "mobilenet1-confidence": mobilenet("mobilenet_v1_025", "pose+confidence"),
    "mobilenet2-confidence": mobilenet("mobilenet_v2_100", "pose+confidence"),
    "mnist": mnist,
    "resnet20-crop": camera("resnet20", cifar_under_camera),
    "mobilenet1-crop": camera("mobilenet_v1_025", photographs_under_camera),
    "resnet20-harm": harm("resnet20", "cifar10:{}/cifar10", resnet, UNDER_CAMERA),
    "mobilenet2-harm": harm("mobilenet_v2_100", "{}/photos/imagenet_samples", photographic("mobilenet_v2_100"), 125),
    "resnet20-trained": trained,
}

if __name__ == "__main__":
    main()
