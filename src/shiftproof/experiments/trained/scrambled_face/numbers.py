"""What each network calls faces whose parts or tiles are in wrong places."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor, nn

from shiftproof.data import Labelled
from shiftproof.experiments.lab import Lab
from shiftproof.models import CapsuleNet, ConvNet, bag_of_parts, capsule_loss, face_detector, face_patches
from shiftproof.training import Loss, Training, cross_entropy
from shiftproof.translations import translate

BOX_PX = (5, 9)  # rows and columns that are moved about, none of them twice
BOXES = {"left eye": (6, 2), "right eye": (6, 11), "nose": (11, 7), "mouth": (16, 7)}  # upper left corners
TAKEN_FROM = {"left eye": "mouth", "right eye": "nose", "nose": "left eye", "mouth": "right eye"}  # none stays
BELOW = (20, 7)  # where an eye is put that is not at its place: at the chin
TILE_PX, MOVE_PX = 5, 3
BAG, TILES, TWO_STAGES = "bag of parts", "bag of tiles", "parts at their places"
DEEP, UNSHARED, CAPSULES = "cpcp", "unshared", "capsules"
SHOWN = {name: f"{name}, shown tiles" for name in (DEEP, UNSHARED, CAPSULES)}  # shuffled tiles are no face in training
NETWORKS = (BAG, TILES, TWO_STAGES, *SHOWN, *SHOWN.values())
CONDITIONS = WHOLE, SCRAMBLED, EYE, TILED, MOVED, OTHER = (
    "whole",
    "parts exchanged",
    "an eye below",
    "tiles shuffled",
    f"moved by {MOVE_PX} px",
    "no face",
)
COMPASS = [(MOVE_PX * dy, MOVE_PX * dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
TRAINING = Training(epochs=40, batch_size=25)
DRAWN = 8  # faces in the picture
LARGE = 5  # times 25 px: a face that is large enough to see that its parts are exchanged
FACE_PX = (slice(64, 182), slice(175, 293))  # of scikit-image's astronaut: eyes and mouth where the patches have them
LESS = 0.2  # by so much less often called a face: the network tells the two apart


def exchanged(faces: Float[Tensor, "n c s s"]) -> Float[Tensor, "n c s s"]:
    """The faces with eyes, nose and mouth in each other's places; every pixel is still there once.

    Args:
        faces: of 25 x 25 px or a multiple.
    """
    found, k = faces.clone(), faces.shape[-1] // 25
    h, w = (k * n for n in BOX_PX)
    for part, other in TAKEN_FROM.items():
        (y, x), (i, j) = ((k * n for n in BOXES[at]) for at in (part, other))
        found[..., y : y + h, x : x + w] = faces[..., i : i + h, j : j + w]
    return found


def eye_below(faces: Float[Tensor, "n c s s"]) -> Float[Tensor, "n c s s"]:
    """The faces with the left eye at the chin, and in its place the mean of the pixels around it.

    Args:
        faces: of 25 x 25 px or a multiple.
    """
    found, k = faces.clone(), faces.shape[-1] // 25
    h, w, y, x, i, j = (k * n for n in (*BOX_PX, *BOXES["left eye"], *BELOW))
    eye = faces[..., y : y + h, x : x + w]
    wider = faces[..., y - k : y + h + k, x - k : x + w + k]
    rim = (wider.sum((-2, -1)) - eye.sum((-2, -1))) / (wider[0, 0].numel() - eye[0, 0].numel())
    found[..., y : y + h, x : x + w] = rim[..., None, None]
    found[..., i : i + h, j : j + w] = eye
    return found


def shuffled(faces: Float[Tensor, "n c s s"], order: Int64[Tensor, " tiles"]) -> Float[Tensor, "n c s s"]:
    """The 5 x 5 tiles of each face in another order: the k-th place holds tile `order[k]`, row by row."""
    n, c, h, w = faces.shape
    side = TILE_PX * w // 25
    tiles = nn.functional.unfold(faces, side, stride=side)[..., order]
    return nn.functional.fold(tiles, (h, w), side, stride=side).reshape(n, c, h, w)


def bag_of_tiles() -> nn.Sequential:
    """32 features of each tile, the maximum of each over all tiles, a dense layer: the order of the tiles cannot matter."""
    return nn.Sequential(
        *(nn.Conv2d(1, 64, TILE_PX, TILE_PX), nn.ReLU(), nn.Conv2d(64, 32, 1), nn.ReLU()),
        *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, 2)),
    )


LEARNED: dict[str, tuple[Callable[[], nn.Module], Loss]] = {
    TILES: (bag_of_tiles, cross_entropy),
    DEEP: (functools.partial(ConvNet, "cpcp", filters=16, input_size=(1, 25, 25), classes=2), cross_entropy),
    UNSHARED: (functools.partial(ConvNet, "upup", filters=16, input_size=(1, 25, 25), classes=2), cross_entropy),
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
        EYE: eye_below(faces)[None],
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
        large: by network and condition, the fraction of seeds with which one large face is called a face.
        shown: some of the faces in every condition but the last, in [0, 1].
        picture: the large face: whole, with parts exchanged, an eye below, its tiles shuffled.
    """

    called: Mapping[str, Mapping[str, Float64[np.ndarray, "seeds pictures"]]]
    large: Mapping[str, Mapping[str, float]]
    shown: Float32[np.ndarray, "conditions faces 25 25"]
    picture: Float32[np.ndarray, "changes 125 125"]

    def rate(self, name: str, condition: str) -> float:
        """The mean over pictures and seeds."""
        return float(self.called[name][condition].mean())

    def apart(self, name: str, condition: str) -> bool:
        """Whether faces in this condition are called a face clearly less often than whole ones."""
        return self.rate(name, condition) < self.rate(name, WHOLE) - LESS


def large_face() -> Float[Tensor, "1 1 125 125"]:
    """The face of scikit-image's astronaut in grey, with eyes, nose and mouth where the small faces have them."""
    from PIL import Image
    from skimage.data import astronaut

    grey = Image.fromarray(astronaut()[FACE_PX]).convert("L")
    pixels = np.asarray(grey.resize((25 * LARGE, 25 * LARGE), Image.Resampling.BICUBIC), dtype=np.float32)
    return torch.from_numpy(pixels / 255)[None, None]


def with_tiles(data: Labelled, seed: int) -> Labelled:
    """The pictures, and each face once more with its tiles in a random order, which is no face."""
    faces, draw = data.pictures[data.labels == 1], torch.Generator().manual_seed(seed)
    orders = [torch.randperm(25, generator=draw) for _ in faces]
    tiles = torch.cat([shuffled(x[None].float(), order) for x, order in zip(faces, orders, strict=True)])
    none = torch.zeros(len(tiles), dtype=data.labels.dtype)
    word = f"{data.word}, and shuffled tiles"
    return Labelled(torch.cat([data.pictures, tiles.to(torch.uint8)]), torch.cat([data.labels, none]), word)


def models_of(lab: Lab, name: str, data: Labelled) -> list[nn.Module]:
    """The networks of a row: one per seed, or one in which nothing is random."""
    if name in FITTED:
        return [FITTED[name]()]
    kind = next((k for k, shown in SHOWN.items() if shown == name), name)
    build, loss = LEARNED[kind]
    word = "faces-" + name.replace(",", "").replace(" ", "-")
    return [
        lab.trained(word, build, TRAINING, seed, data=data if kind == name else with_tiles(data, seed), loss=loss)
        for seed in lab.seeds
    ]


def measure(lab: Lab) -> Numbers:
    """What each network calls held-out faces: whole, changed in each way, moved; and no face."""
    train, labels = face_patches("train")
    test, kinds = face_patches("test")
    data = Labelled((train * 255).round().to(torch.uint8), labels, "scikit-image's face patches")
    lab.used.add(data.word)
    test = (test * 255).round() / 255  # the grey values that the networks are trained on
    # One order for all faces: it could be learned, and networks that see positions still must call it no face.
    order = torch.randperm(25, generator=torch.Generator().manual_seed(0))
    views = conditions(test[kinds == 1], test[kinds == 0], order)
    face = large_face()
    large = {WHOLE: face, SCRAMBLED: exchanged(face), EYE: eye_below(face), TILED: shuffled(face, order)}
    called, of_large = {}, {}
    for name in lab.each("scrambled-face", NETWORKS):
        models = models_of(lab, name, data)
        called[name] = {c: torch.stack([called_a_face(model, v) for model in models]).numpy() for c, v in views.items()}
        small = {c: nn.functional.avg_pool2d(x, LARGE)[None] for c, x in large.items()}
        of_large[name] = {c: torch.stack([called_a_face(m, v) for m in models]).mean().item() for c, v in small.items()}
    shown = torch.stack([v[-1, :DRAWN, 0] for c, v in views.items() if c != OTHER]).numpy()
    return Numbers(called, of_large, shown, torch.cat(list(large.values()))[:, 0].numpy())
