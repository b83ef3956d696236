"""S20: the parts of a real face in wrong places, and what a bag of parts, deeper networks and capsules call it."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor, nn

from shiftproof.data import Labelled
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.training import Loss, Training, cross_entropy
from shiftproof.measure import mean_interval
from shiftproof.models import CapsuleNet, ConvNet, bag_of_parts, capsule_loss, face_detector, face_patches
from shiftproof.records import Chart, Figure, Series, Source, Table
from shiftproof.translations import translate

SOURCE = Source(
    "Project's source documents (specification row S20)",
    "the scrambled face; a bag of local features in a deep network: Brendel and Bethge 2019, https://arxiv.org/abs/1904.00760",
)
BOX_PX = (5, 9)  # rows and columns that are moved about, none of them twice
BOXES = {"left eye": (6, 2), "right eye": (6, 11), "nose": (11, 7), "mouth": (16, 7)}  # upper left corners
TAKEN_FROM = {"left eye": "mouth", "right eye": "nose", "nose": "left eye", "mouth": "right eye"}  # none stays
TILE_PX, MOVE_PX = 5, 3
BAG, TILES, TWO_STAGES, DEEP, CAPSULES = "bag of parts", "bag of tiles", "parts at their places", "cpcp", "capsules"
WHOLE, SCRAMBLED, TILED, MOVED, OTHER = (
    "whole",
    "parts exchanged",
    "tiles shuffled",
    f"moved by {MOVE_PX} px",
    "no face",
)
COMPASS = [(MOVE_PX * dy, MOVE_PX * dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
TRAINING = Training(epochs=40, batch_size=25)


def exchanged(faces: Float[Tensor, "n c 25 25"]) -> Float[Tensor, "n c 25 25"]:
    """Eyes, nose and mouth in each other's places; every pixel is still there once."""
    found, (h, w) = faces.clone(), BOX_PX
    for part, other in TAKEN_FROM.items():
        (y, x), (i, j) = BOXES[part], BOXES[other]
        found[..., y : y + h, x : x + w] = faces[..., i : i + h, j : j + w]
    return found


def shuffled(faces: Float[Tensor, "n c 25 25"], order: Int64[Tensor, " tiles"]) -> Float[Tensor, "n c 25 25"]:
    """The tiles of 5 x 5 pixels in another order: the k-th place holds tile `order[k]`, row by row."""
    n, c, h, w = faces.shape
    tiles = nn.functional.unfold(faces, TILE_PX, stride=TILE_PX)[..., order]
    return nn.functional.fold(tiles, (h, w), TILE_PX, stride=TILE_PX).reshape(n, c, h, w)


def bag_of_tiles() -> nn.Sequential:
    """32 features of each tile, the largest of each feature anywhere, a dense layer: it cannot know the tiles' order."""
    return nn.Sequential(
        *(nn.Conv2d(1, 64, TILE_PX, TILE_PX), nn.ReLU(), nn.Conv2d(64, 32, 1), nn.ReLU()),
        *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, 2)),
    )


LEARNED: dict[str, tuple[Callable[[], nn.Module], Loss]] = {
    TILES: (bag_of_tiles, cross_entropy),
    DEEP: (functools.partial(ConvNet, "cpcp", filters=16, input_size=(1, 25, 25), classes=2), cross_entropy),
    CAPSULES: (
        functools.partial(CapsuleNet, 16, 7, 4, hidden=(64, 128), input_size=(1, 25, 25), classes=2),
        capsule_loss,
    ),
}
FITTED = {BAG: bag_of_parts, TWO_STAGES: face_detector}  # nothing in them is random


def conditions(faces: Tensor, others: Tensor, order: Tensor) -> dict[str, Float[Tensor, "m n 1 25 25"]]:
    """The pictures of each condition: views of each of n pictures."""
    return {
        WHOLE: faces[None],
        SCRAMBLED: exchanged(faces)[None],
        TILED: shuffled(faces, order)[None],
        MOVED: translate(faces, COMPASS, "circular").transpose(0, 1),
        OTHER: others[None],
    }


def called_a_face(model: nn.Module, views: Float[Tensor, "m n 1 25 25"]) -> Float[Tensor, " n"]:
    """For each picture the fraction of its views that the network calls a face."""
    with torch.inference_mode():
        return torch.stack([(model(x).argmax(1) == 1).double() for x in views]).mean(0)


def measure(lab: Lab) -> Result:
    """What each network calls held-out faces, whole, with parts exchanged, in shuffled tiles, moved; and what is no face."""
    train, labels = face_patches("train")
    test, kinds = face_patches("test")
    data = Labelled((train * 255).round().to(torch.uint8), labels, "scikit-image's face patches")
    lab.used.add(data.word)
    test = (test * 255).round() / 255  # as in training
    order = torch.randperm(25, generator=torch.Generator().manual_seed(0))
    views = conditions(test[kinds == 1], test[kinds == 0], order)
    answers: dict[str, list[dict[str, Tensor]]] = {}
    for name in lab.each("scrambled-face", [BAG, TILES, TWO_STAGES, DEEP, CAPSULES]):
        if name in FITTED:
            models = [FITTED[name]()]
        else:
            build, loss = LEARNED[name]
            word = "faces-" + name.replace(" ", "-")
            models = [lab.trained(word, build, TRAINING, seed, data=data, loss=loss) for seed in lab.seeds]
        answers[name] = [{c: called_a_face(model, v) for c, v in views.items()} for model in models]
    figures = [_figure(name, c, [a[c] for a in found]) for name, found in answers.items() for c in views]
    unknowing = all(torch.equal(a[WHOLE], a[TILED]) for a in answers[TILES])
    at = {(f.row, f.column): f.measured for f in figures}
    faces = test[kinds == 1]
    return Result(
        finding=_finding(at, unknowing),
        figures=figures,
        tables=[
            Table("face", "Called a face", "network", f"{len(faces)} faces and {int((kinds == 0).sum())} backgrounds, held out; "
                  "intervals over pictures, after the mean over seeds")
        ],
        charts=[Chart("face", "Called a face", "bars", "network", "called a face",
                      [Series(c, list(answers), [at[n, c] for n in answers]) for c in views], percent=True)],
        pictures={"faces.png": (
            drawn([v[-1] for c, v in views.items() if c != OTHER]),
            f"Held-out faces: whole, parts exchanged, tiles shuffled, moved by ({MOVE_PX}, {MOVE_PX}) px.",
        )},
        footnotes=[
            f"{len(faces)} faces are few: intervals are up to {100 * _width(figures):.0f} points wide. The backgrounds are "
            "mostly smooth walls and edges, so a network may tell faces by their texture alone, and none was shown a scrambled "
            "face in training: an answer to one says what a network looks at, not how good it could be.",
        ],
        protocol={
            "data": "scikit-image's lfw_subset, 25 x 25 px: even patches train, odd ones are held out",
            "parts exchanged": {p: f"{BOX_PX[0]} x {BOX_PX[1]} px at {BOXES[p]} from the {TAKEN_FROM[p]}" for p in BOXES},
            "tiles shuffled": f"tiles of {TILE_PX} x {TILE_PX} px in one random order, the same for all faces",
            "moved": f"8 directions, {MOVE_PX} px along each axis, circular",
            "training": f"{TRAINING.epochs} epochs, batch {TRAINING.batch_size}, Adam at {TRAINING.rate}; {BAG} and "
            f"{TWO_STAGES} are fitted in closed form",
        },
    )  # fmt: skip


def _figure(row: str, column: str, per_seed: list[Tensor]) -> Figure:
    """The mean over seeds, with the interval over pictures."""
    mean = torch.stack(per_seed).mean(0).numpy()
    m = mean_interval(np.asarray(mean, dtype=np.float64), bounded=(0, 1))
    values = [float(v.mean()) for v in per_seed] if len(per_seed) > 1 else []
    holds = m.value > 0.5 if (row, column) == (BAG, SCRAMBLED) else None
    words = f"95 %, Wilson, {m.n} held-out pictures"
    return Figure("face", row, column, m.value, values=values, low=m.low, high=m.high, interval=words, holds=holds)


def _width(figures: list[Figure]) -> float:
    return max((f.high or 0) - (f.low or 0) for f in figures)


def _finding(at: dict[tuple[str, str], float], unknowing: bool) -> list[str]:
    def percent(x: float) -> str:
        return f"{100 * x:.0f} %"

    bag, whole = at[BAG, SCRAMBLED], at[BAG, WHOLE]
    first = f"The bag of parts calls {percent(bag)} of the faces with exchanged parts a face ({percent(whole)} of whole ones)"
    first += ": it does not see where the parts are." if bag > 0.5 else ": here it does not take them for faces."
    second = (
        "A bag of tiles gives every face with shuffled tiles exactly the answer that it gives the whole one."
        if unknowing
        else "A bag of tiles answers some faces differently when their tiles are shuffled, which it must not."
    )
    others = "Beside it, exchanged parts (whole): " + "; ".join(
        f"{n} {percent(at[n, SCRAMBLED])} ({percent(at[n, WHOLE])})" for n in (TWO_STAGES, DEEP, CAPSULES)
    )
    refuse = [n for n in (TWO_STAGES, DEEP, CAPSULES) if at[n, SCRAMBLED] < at[n, WHOLE] - 0.2]
    others += (
        f". Exchanging parts takes more than 20 points from {' and '.join(refuse)}."
        if refuse
        else ". None of them loses more than 20 points by it."
    )
    still = "Moved faces are called a face: " + ", ".join(
        f"{n} {percent(at[n, MOVED])}" for n in (BAG, TILES, TWO_STAGES, DEEP, CAPSULES)
    )
    return [first, second, others, still + "."]


def drawn(rows: list[Tensor], columns: int = 8) -> bytes:
    """The first faces of each condition, a row each, as PNG."""
    shown = [nn.functional.pad(r[:columns], [1] * 4, value=1.0).permute(2, 0, 3, 1).flatten(1) for r in rows]
    picture, buffer = Image.fromarray((torch.cat(shown) * 255).round().to(torch.uint8).numpy()), io.BytesIO()
    picture.resize((picture.width * 4, picture.height * 4), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


EXPERIMENT = Experiment(
    name="scrambled-face",
    systems=("S20",),
    shows="a face with its parts in wrong places: what a bag of parts, a deeper network and capsules call it",
    claim="A network that only asks which parts are there calls a scrambled face a face.",
    source=SOURCE,
    measure=measure,
    trains=True,
)
