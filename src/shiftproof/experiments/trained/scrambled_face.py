"""The parts of a real face in wrong places, and what a bag of parts, deeper networks and capsules call it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor, nn

from shiftproof.data import Labelled
from shiftproof.experiments.drawing import png
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.sources import NOTES
from shiftproof.measure import mean_interval
from shiftproof.models import CapsuleNet, ConvNet, bag_of_parts, capsule_loss, face_detector, face_patches
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent, points
from shiftproof.training import Loss, Training, cross_entropy
from shiftproof.translations import translate

SOURCE = Citation(
    "Brendel and Bethge 2019, Approximating CNNs with Bag-of-local-Features models works surprisingly well on ImageNet",
    "a classifier that sees which local features are present, but not where they are",
    "https://arxiv.org/abs/1904.00760",
)
BOX_PX = (5, 9)  # rows and columns that are moved about, none of them twice
BOXES = {"left eye": (6, 2), "right eye": (6, 11), "nose": (11, 7), "mouth": (16, 7)}  # upper left corners
TAKEN_FROM = {"left eye": "mouth", "right eye": "nose", "nose": "left eye", "mouth": "right eye"}  # none stays
TILE_PX, MOVE_PX = 5, 3
NETWORKS = BAG, TILES, TWO_STAGES, DEEP, CAPSULES = (
    "bag of parts",
    "bag of tiles",
    "parts at their places",
    "cpcp",
    "capsules",
)
CONDITIONS = WHOLE, SCRAMBLED, TILED, MOVED, OTHER = (
    "whole",
    "parts exchanged",
    "tiles shuffled",
    f"moved by {MOVE_PX} px",
    "no face",
)
COMPASS = [(MOVE_PX * dy, MOVE_PX * dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
TRAINING = Training(epochs=40, batch_size=25)
SHOWN = 8  # faces in the picture
LESS = 0.2  # by so much less often called a face: the network tells the two apart


def exchanged(faces: Float[Tensor, "n c 25 25"]) -> Float[Tensor, "n c 25 25"]:
    """The faces with eyes, nose and mouth in each other's places; every pixel is still there once."""
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
    """32 features of each tile, the maximum of each over all tiles, a dense layer: the order of the tiles cannot matter."""
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


@dataclass(frozen=True)
class Numbers:
    """What each network calls the held-out pictures.

    Args:
        called: by network and condition, for each picture the fraction of its views that is called a face; one row for
            networks in which nothing is random.
        shown: some of the faces in every condition but the last, in [0, 1].
    """

    called: Mapping[str, Mapping[str, Float64[np.ndarray, "seeds pictures"]]]
    shown: Float32[np.ndarray, "conditions faces 25 25"]

    def rate(self, name: str, condition: str) -> float:
        """The mean over pictures and seeds."""
        return _figure(self, name, condition).measured


def measure(lab: Lab) -> Numbers:
    """What each network calls held-out faces: whole, with parts exchanged, in shuffled tiles, moved; and no face."""
    train, labels = face_patches("train")
    test, kinds = face_patches("test")
    data = Labelled((train * 255).round().to(torch.uint8), labels, "scikit-image's face patches")
    lab.used.add(data.word)
    test = (test * 255).round() / 255  # the grey values that the networks are trained on
    # One order for all faces: it could be learned, and networks that see positions still must call it no face.
    order = torch.randperm(25, generator=torch.Generator().manual_seed(0))
    views = conditions(test[kinds == 1], test[kinds == 0], order)
    called = {}
    for name in lab.each("scrambled-face", NETWORKS):
        if name in FITTED:
            models = [FITTED[name]()]
        else:
            build, loss = LEARNED[name]
            word = "faces-" + name.replace(" ", "-")
            models = [lab.trained(word, build, TRAINING, seed, data=data, loss=loss) for seed in lab.seeds]
        called[name] = {c: torch.stack([called_a_face(model, v) for model in models]).numpy() for c, v in views.items()}
    return Numbers(called, torch.stack([v[-1, :SHOWN, 0] for c, v in views.items() if c != OTHER]).numpy())


def _figure(numbers: Numbers, name: str, condition: str) -> Figure:
    """The mean over seeds, with the interval over pictures."""
    by_seed = numbers.called[name][condition]
    m = mean_interval(torch.from_numpy(by_seed).mean(0).numpy(), bounded=(0, 1))
    values = [float(v.mean()) for v in torch.from_numpy(by_seed)] if len(by_seed) > 1 else []
    holds = m.value > 0.5 if (name, condition) == (BAG, SCRAMBLED) else None
    words = f"95 %, over {m.n} held-out pictures"
    return Figure("face", name, condition, m.value, values=values, low=m.low, high=m.high, interval=words, holds=holds)


def figures(numbers: Numbers) -> list[Figure]:
    """How often each network calls the pictures of each condition a face."""
    return [_figure(numbers, name, condition) for name, found in numbers.called.items() for condition in found]


def claims(numbers: Numbers) -> list[Judged]:
    """What is said of networks that see parts, of deeper ones, and of capsules."""
    called = {
        n: (percent(numbers.rate(n, SCRAMBLED), 0), percent(numbers.rate(n, WHOLE), 0)) for n in (BAG, DEEP, CAPSULES)
    }

    def refuses(name: str, claim: str) -> Judged:
        scrambled, whole = called[name]
        told = f"It calls {scrambled} of the faces with exchanged parts a face, and {whole} of the whole ones"
        return judged(
            claim,
            NOTES,
            [True if numbers.rate(name, SCRAMBLED) < numbers.rate(name, WHOLE) - LESS else None],
            holds=f"{told}.",
            does_not="",
            undecided=f"{told}. But it was never shown a scrambled face that is called none, so it had no reason to look.",
            rests_on=[("face", name, SCRAMBLED), ("face", name, WHOLE)],
        )

    return [
        judged(
            "A network that only checks which parts are present calls a scrambled face a face.",
            SOURCE,
            [numbers.rate(BAG, SCRAMBLED) > 0.5],
            holds=f"The bag of parts calls {called[BAG][0]} of the faces with exchanged parts a face.",
            does_not=f"The bag of parts calls only {called[BAG][0]} of the faces with exchanged parts a face.",
            rests_on=[("face", BAG, SCRAMBLED)],
        ),
        refuses(DEEP, "A deeper network tells a scrambled face from a face."),
        refuses(CAPSULES, "A capsule network tells a scrambled face from a face."),
    ]


def finding(numbers: Numbers) -> list[Said | str]:
    """Which networks call a scrambled face a face."""

    def rate(name: str, condition: str) -> str:
        return percent(numbers.rate(name, condition), 0)

    start = (
        f"The bag of parts calls {rate(BAG, SCRAMBLED)} of the faces with exchanged parts a face, and {rate(BAG, WHOLE)} of the "
        "whole faces"
    )
    others = (TWO_STAGES, DEEP, CAPSULES)
    listed = "; ".join(f"{n} {rate(n, SCRAMBLED)} ({rate(n, WHOLE)})" for n in others)
    refuse = [n for n in others if numbers.rate(n, SCRAMBLED) < numbers.rate(n, WHOLE) - LESS]
    moved = ", ".join(f"{n} {rate(n, MOVED)}" for n in NETWORKS)
    return [
        Said(
            numbers.rate(BAG, SCRAMBLED) > 0.5,
            yes=f"{start}: it does not see where the parts are.",
            no=f"{start}: here it rejects most faces with exchanged parts.",
        ),
        Said(
            np.array_equal(numbers.called[TILES][WHOLE], numbers.called[TILES][TILED]),
            yes="The bag of tiles gives exactly the same answer for every face, whether its tiles are shuffled or not.",
            no="The bag of tiles gives some faces another answer if their tiles are shuffled, which it must not do.",
        ),
        Said(
            bool(refuse),
            yes=f"The other networks call faces with exchanged parts (whole faces) a face as follows: {listed}. Exchanging parts "
            f"lowers the rate of {' and '.join(refuse)} by more than 20 points.",
            no=f"The other networks call faces with exchanged parts (whole faces) a face as follows: {listed}. Exchanging parts "
            "lowers none of these rates by more than 20 points.",
        ),
        f"The networks call moved faces a face at these rates: {moved}.",
    ]


def tables(numbers: Numbers) -> list[Table]:
    """How the figures are laid out."""
    faces, backgrounds = (numbers.called[BAG][c].shape[1] for c in (WHOLE, OTHER))
    note = f"{faces} faces and {backgrounds} backgrounds, held out; intervals over pictures, after the mean over seeds"
    return [Table("face", "Called a face", "network", note, "Most are called a face.")]


def charts(numbers: Numbers) -> list[Chart]:
    """The same as bars."""
    series = [Series(c, list(NETWORKS), [numbers.rate(name, c) for name in NETWORKS]) for c in CONDITIONS]
    return [Chart("face", "Called a face", "bars", "network", "called a face", series, percent=True)]


def pictures(numbers: Numbers) -> dict[str, tuple[bytes, str]]:
    """Some of the faces, a row per condition."""
    framed = np.pad(numbers.shown, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1.0)
    rows = np.concatenate([np.concatenate(list(row), axis=1) for row in framed])
    caption = f"Held-out faces: whole, parts exchanged, tiles shuffled, moved by ({MOVE_PX}, {MOVE_PX}) px."
    return {"faces.png": (png(rows, zoom=4), caption)}


def footnotes(numbers: Numbers) -> list[Said | str]:
    """What limits the result."""
    widest = max((f.high or 0.0) - (f.low or 0.0) for f in figures(numbers))
    faces = numbers.called[BAG][WHOLE].shape[1]
    return [
        f"With {faces} faces, intervals are up to {points(widest, 0)} wide. The backgrounds are mostly smooth walls and "
        "edges, so a network may recognise faces by their texture alone. No network saw a scrambled face in training, so its "
        "answers to scrambled faces show which features it uses, not how well it could perform.",
    ]


def protocol(numbers: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    h, w = BOX_PX
    return {
        "data": "scikit-image's lfw_subset, 25 x 25 px: even patches train, odd ones are held out",
        "parts exchanged": {p: f"{h} x {w} px at {BOXES[p]} from the {TAKEN_FROM[p]}" for p in BOXES},
        "tiles shuffled": f"tiles of {TILE_PX} x {TILE_PX} px in one random order, the same for all faces",
        "moved": f"8 directions, {MOVE_PX} px along each axis, circular",
        "training": f"{TRAINING.epochs} epochs, batch {TRAINING.batch_size}, Adam at {TRAINING.rate}; {BAG} and "
        f"{TWO_STAGES} are fitted in closed form",
    }


EXPERIMENT = Experiment(
    name="scrambled-face",
    systems=("S20",),
    shows="faces with parts in wrong places: whether a bag of parts, a deeper network and capsules call them faces",
    claim="A network that only checks which parts are present calls a scrambled face a face.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    trains=True,
)
