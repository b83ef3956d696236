"""Runs the detector with everything at the upper and at the lower left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from shiftproof.experiments.exact.body.canvas import MARGIN_PX, lowered, on_canvas
from shiftproof.experiments.exact.body.legs import (
    BODY,
    HEIGHT_PX,
    KINDS,
    LEGS_AT,
    body_map,
    drawn_legs,
    leg_map,
    put_together,
)
from shiftproof.experiments.exact.body.readout import PENALTIES, fitted
from shiftproof.experiments.lab import Lab
from shiftproof.measure import mean_interval
from shiftproof.models import PARTS, PartsNet, face_detector, face_patches
from shiftproof.translations import translate

SIDE_PX = 72  # of the canvas of a face alone
ROUNDED = 1e-9  # a relative error below this is rounding: sums of some hundred products, normalised by small variances
LEGS_MAP, BODY_MAP = "legs", "body"
BODIES = 25  # faces that get legs, of either half: maps of large canvases take long


@dataclass(frozen=True)
class Map:
    """How one map follows what is shown.

    Args:
        error: |map of the moved face - moved map of the face| / |moved map of the face|.
        followed: fraction of the faces for which the largest value moves with the face.
    """

    error: float
    followed: float


@dataclass(frozen=True)
class Rate:
    """How often something is so, at the upper left and at the lower left.

    Args:
        upper: fraction at the upper left.
        lower: fraction at the lower left.
        upper_interval: its ends.
        lower_interval: its ends.
        n: how many pictures.
    """

    upper: float
    lower: float
    upper_interval: tuple[float, float]
    lower_interval: tuple[float, float]
    n: int


@dataclass(frozen=True)
class Numbers:
    """What was measured.

    Args:
        move_px: the move (dy, dx) of the faces from the upper to the lower left.
        maps: by the name of the map.
        same: fraction of the pictures whose class is the same at both places.
        change: largest change of the probability of a face.
        faces: how often faces are called a face.
        backgrounds: how often backgrounds are.
        maximum: how often the class is correct, with the maximum over positions before the dense layer.
        flattened: the same for a dense layer on the flattened face map, fitted at the upper left, by its penalty.
        left_out: its accuracy at the upper left on training pictures that were left out one by one, by its penalty.
        bodies: how often pictures of each kind are called a body.
        above: a face at the upper left: the picture and its maps.
        below: the same at the lower left.
        body_above: a face above legs at the upper left: the picture, and the maps of face, legs and body.
        body_below: the same at the lower left.
    """

    move_px: tuple[int, int]
    maps: dict[str, Map]
    same: float
    change: float
    faces: Rate
    backgrounds: Rate
    maximum: Rate
    flattened: dict[float, Rate]
    left_out: dict[float, float]
    bodies: dict[str, Rate]
    above: list[Float64[np.ndarray, "h w"]]
    below: list[Float64[np.ndarray, "h w"]]
    body_above: list[Float64[np.ndarray, "i j"]]
    body_below: list[Float64[np.ndarray, "i j"]]

    @property
    def pictures(self) -> int:
        """How many there were."""
        return self.faces.n + self.backgrounds.n

    @property
    def penalty(self) -> float:
        """The penalty that is most often right of pictures left out; of equal ones the largest."""
        return max(self.left_out, key=lambda penalty: (self.left_out[penalty], penalty))

    @property
    def dense(self) -> Rate:
        """How often the dense layer on the flattened map is correct, with that penalty."""
        return self.flattened[self.penalty]


def upper_left(faces: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 side side"]:
    """Each face near the upper left corner of a canvas of its own mean brightness."""
    # The face's own mean: a black canvas would draw an edge about the face that no detector was fitted to.
    grey = faces.mean((2, 3), keepdim=True)
    return grey + on_canvas(faces - grey, (MARGIN_PX, MARGIN_PX), SIDE_PX)


def stages(model: PartsNet, x: Float[Tensor, "n 1 h w"]) -> dict[str, Float[Tensor, "n 1 h w"]]:
    """The maps of both stages by name: each part's, and the face's."""
    with torch.inference_mode():
        parts = model.part_maps(x)
        return {**dict(zip(PARTS, parts.split(1, 1), strict=True)), "face": model.face_map(x)}


def peak(maps: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 2"]:
    """Where each map is largest, (row, column)."""
    at = maps.flatten(1).argmax(1)
    return torch.stack([at // maps.shape[-1], at % maps.shape[-1]], 1).to(maps.dtype)


def measure(lab: Lab) -> Numbers:
    """How far each map is from moving with what is shown, and whether the answers of both readouts stay, on held-out faces."""
    pictures, labels = face_patches("test")
    lab.used.add("scikit-image's face patches")
    pictures, model, faces = pictures.double(), face_detector().double(), labels == 1
    above = upper_left(pictures)
    below, move = lowered(above, pictures.shape[2])
    maps, moved = stages(model, above), stages(model, below)
    with torch.inference_mode():
        p, q = model(above).softmax(1)[:, 1], model(below).softmax(1)[:, 1]
    # The face of which the network is surest.
    example = int((p * faces).argmax())
    train, kinds = face_patches("train")
    known = stages(model, upper_left(train.double()))["face"]
    flattened, left_out = readouts(known, kinds, maps["face"], moved["face"], labels)
    bodies, body_maps, drawn = body_stage(model, train[kinds == 1][:BODIES].double(), pictures[faces][:BODIES])
    return Numbers(
        move_px=move,
        maps={name: _map(maps[name][faces], moved[name][faces], move) for name in maps} | body_maps,
        same=((p > 0.5) == (q > 0.5)).double().mean().item(),
        change=(p - q).abs().max().item(),
        faces=_rate(p[faces] > 0.5, q[faces] > 0.5),
        backgrounds=_rate(p[~faces] > 0.5, q[~faces] > 0.5),
        maximum=_rate((p > 0.5) == faces, (q > 0.5) == faces),
        flattened=flattened,
        left_out=left_out,
        bodies=bodies,
        above=[m[example, 0].numpy() for m in (above, *maps.values())],
        below=[m[example, 0].numpy() for m in (below, *moved.values())],
        body_above=drawn[0],
        body_below=drawn[1],
    )


def readouts(
    known: Float[Tensor, "m 1 h w"],
    kinds: Int64[Tensor, " m"],
    upper: Float[Tensor, "n 1 h w"],
    lower: Float[Tensor, "n 1 h w"],
    labels: Int64[Tensor, " n"],
) -> tuple[dict[float, Rate], dict[float, float]]:
    """How often a dense layer on the flattened map is correct, by its penalty, and how often of what was left out.

    Args:
        known: the maps that it is fitted to, of what is at the upper left.
        kinds: 1 for a face, 0 for none.
        upper: held-out maps of what is at the upper left.
        lower: of the same at the lower left.
        labels: of the held-out maps.
    """
    found, left_out = {}, {}
    for penalty in PENALTIES:
        dense, left_out[penalty] = fitted(known.flatten(1), kinds, penalty)
        right = [(dense(m.flatten(1)) > 0) == (labels == 1) for m in (upper, lower)]
        found[penalty] = _rate(*right)
    return found, left_out


def body_stage(
    model: PartsNet, train: Float[Tensor, "m 1 25 25"], test: Float[Tensor, "n 1 25 25"]
) -> tuple[dict[str, Rate], dict[str, Map], list[list[np.ndarray]]]:
    """How often each kind is called a body; how the maps of legs and body move; one body with its maps at both places.

    Args:
        model: the face detector.
        train: faces from which the last stage is fitted.
        test: held-out faces.
    """
    known, shown = drawn_legs(len(train), 0), drawn_legs(len(test), 1)

    def three(x: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode():
            face, legs = model.face_map(x), leg_map(x, known)
            return {"face": face, LEGS_MAP: legs, BODY_MAP: body_map(face, legs)}

    evidence = {kind: three(x)[BODY_MAP].amax((1, 2, 3)) for kind, x in put_together(train, known).items()}
    called = boundary(evidence)
    rates, maps, rows = {}, {}, []
    for kind, upper in put_together(test, shown).items():
        lower, move = lowered(upper, LEGS_AT[0] + HEIGHT_PX)
        still, moved = three(upper), three(lower)
        rates[kind] = _rate(*(m[BODY_MAP].amax((1, 2, 3)) > called for m in (still, moved)))
        if kind == BODY:
            maps = {name: _map(still[name], moved[name], move) for name in (LEGS_MAP, BODY_MAP)}
            rows = [[m[0, 0].numpy() for m in (x, *found.values())] for x, found in ((upper, still), (lower, moved))]
    return rates, maps, rows


def boundary(evidence: Mapping[str, Float[Tensor, " n"]]) -> float:
    """The value above which a picture is called a body: half way from the mean of the others to that of bodies."""
    others = torch.cat([evidence[kind] for kind in KINDS if kind != BODY])
    return ((evidence[BODY].mean() + others.mean()) / 2).item()


def _map(still: Float[Tensor, "n 1 h w"], moved: Float[Tensor, "n 1 h w"], move: tuple[int, int]) -> Map:
    expected = translate(still, [move], "circular")[:, 0]
    steps = (peak(moved) - peak(still) - torch.tensor(move)) % still.shape[-1]  # the canvas wraps
    return Map(
        error=((moved - expected).norm() / expected.norm()).item(),
        followed=(steps == 0).all(1).double().mean().item(),
    )


def _rate(upper: Tensor, lower: Tensor) -> Rate:
    a, b = (mean_interval(said.double().numpy(), bounded=(0, 1)) for said in (upper, lower))
    return Rate(a.value, b.value, (a.low, a.high), (b.low, b.high), a.n)  # type: ignore[arg-type]
