"""Eyes, nose and mouth to a face, in two stages, with the face at two places of a canvas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from shiftproof.experiments.drawing import png
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.measure import mean_interval
from shiftproof.models import PARTS, PartsNet, face_detector, face_patches
from shiftproof.records import Citation, Figure, Judged, Table
from shiftproof.records.numbers import percent
from shiftproof.translations import translate

SOURCE = Citation("A teaching example, not published", "eyes, nose and mouth make a face, and the face makes a body")
SIDE_PX, MARGIN_PX = 72, 14  # of the canvas; between the face and its border, so that no map reaches around it
ROUNDED = 1e-9  # a relative error below this is rounding: sums of some hundred products, normalised by small variances


@dataclass(frozen=True)
class Map:
    """How one map follows the face.

    Args:
        error: |map of the moved face - moved map of the face| / |moved map of the face|.
        followed: fraction of the faces for which the largest value moves with the face.
    """

    error: float
    followed: float


@dataclass(frozen=True)
class Called:
    """How often a kind of picture is called a face, at the upper left and at the lower left.

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
        move_px: the move (dy, dx) from the upper to the lower left.
        maps: by the name of the map.
        same: fraction of the pictures whose class is the same at both places.
        change: largest change of the probability of a face.
        faces: how often faces are called a face.
        backgrounds: how often backgrounds are.
        above: a face at the upper left: the picture and its maps.
        below: the same at the lower left.
    """

    move_px: tuple[int, int]
    maps: dict[str, Map]
    same: float
    change: float
    faces: Called
    backgrounds: Called
    above: list[Float64[np.ndarray, "h w"]]
    below: list[Float64[np.ndarray, "h w"]]

    @property
    def pictures(self) -> int:
        """How many there were."""
        return self.faces.n + self.backgrounds.n


def upper_left(faces: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 side side"]:
    """Each face near the upper left corner of a canvas of its own mean brightness."""
    n, _, h, w = faces.shape
    # The face's own mean: a black canvas would draw an edge about the face that no detector was fitted to.
    canvas = faces.mean((2, 3), keepdim=True).expand(n, 1, SIDE_PX, SIDE_PX).clone()
    canvas[..., MARGIN_PX : MARGIN_PX + h, MARGIN_PX : MARGIN_PX + w] = faces
    return canvas


def lower_left(faces: Float[Tensor, "n 1 h w"]) -> tuple[Float[Tensor, "n 1 side side"], tuple[int, int]]:
    """The same faces near the lower left corner, and the move (dy, dx) that brought them there."""
    move = (SIDE_PX - 2 * MARGIN_PX - faces.shape[2], 0)
    return translate(upper_left(faces), [move], "circular")[:, 0], move


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
    """How far each map is from moving with the face, and whether class and probability stay, on held-out faces."""
    pictures, labels = face_patches("test")
    lab.used.add("scikit-image's face patches")
    pictures, model, faces = pictures.double(), face_detector().double(), labels == 1
    above = upper_left(pictures)
    below, move = lower_left(pictures)
    maps, moved = stages(model, above), stages(model, below)
    with torch.inference_mode():
        p, q = model(above).softmax(1)[:, 1], model(below).softmax(1)[:, 1]
    # The face of which the network is surest.
    example = int((p * faces).argmax())
    return Numbers(
        move_px=move,
        maps={name: _map(maps[name], moved[name], move, faces) for name in maps},
        same=((p > 0.5) == (q > 0.5)).double().mean().item(),
        change=(p - q).abs().max().item(),
        faces=_called(p[faces], q[faces]),
        backgrounds=_called(p[~faces], q[~faces]),
        above=[m[example, 0].numpy() for m in (above, *maps.values())],
        below=[m[example, 0].numpy() for m in (below, *moved.values())],
    )


def _map(still: Tensor, moved: Tensor, move: tuple[int, int], faces: Tensor) -> Map:
    expected = translate(still, [move], "circular")[:, 0]
    steps = (peak(moved) - peak(still) - torch.tensor(move)) % SIDE_PX  # the canvas wraps
    return Map(
        error=((moved - expected).norm() / expected.norm()).item(),
        followed=(steps == 0).all(1)[faces].double().mean().item(),
    )


def _called(upper: Tensor, lower: Tensor) -> Called:
    a, b = (mean_interval((p > 0.5).double().numpy(), bounded=(0, 1)) for p in (upper, lower))
    return Called(a.value, b.value, (a.low, a.high), (b.low, b.high), a.n)  # type: ignore[arg-type]


def figures(n: Numbers) -> list[Figure]:
    """Whether each map follows, and what the class does."""
    found = []
    for row, m in n.maps.items():
        found += [
            Figure("maps", row, "relative equivariance error", m.error, "", holds=m.error < ROUNDED),
            Figure("maps", row, "largest value moves with the face", m.followed, holds=m.followed == 1),
        ]
    every = "all pictures"
    found += [
        Figure("class", every, "same class at both places", n.same, holds=n.same == 1),
        Figure("class", every, "largest change of the probability", n.change, "", holds=n.change < ROUNDED),
    ]
    for row, c in {"faces": n.faces, "backgrounds": n.backgrounds}.items():
        words = f"95 %, over {c.n} held-out pictures"
        for place, value, (low, high) in (
            ("upper left", c.upper, c.upper_interval),
            ("lower left", c.lower, c.lower_interval),
        ):
            found.append(Figure("class", row, f"called a face, {place}", value, low=low, high=high, interval=words))
    return found


def claims(n: Numbers) -> list[Judged]:
    """That the maps follow, and what is said of the class."""
    worst = max(m.error for m in n.maps.values())
    return [
        judged(
            "Part maps and face map move with the face.",
            SOURCE,
            [m.error < ROUNDED for m in n.maps.values()],
            holds=f"All {len(n.maps)} maps do; the largest error is {worst:.0e} of their size.",
            in_part=f"Not all of the {len(n.maps)} maps do; the largest error is {worst:.2g} of their size.",
            does_not=f"None of the {len(n.maps)} maps does; the largest error is {worst:.2g} of their size.",
            rests_on=[("maps", name, "relative equivariance error") for name in n.maps],
        ),
        judged(
            "After the dense layer and softmax the class is the same at the lower left and at the upper left.",
            SOURCE,
            [n.same == 1],
            holds=f"It is for all {n.pictures} pictures. This comes from the maximum over positions before the dense layer, "
            "not from the "
            "dense layer and softmax.",
            does_not=f"It is for {percent(n.same, 0)} of {n.pictures} pictures.",
            rests_on=[("class", "all pictures", "same class at both places")],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    worst = max(m.error for m in n.maps.values())
    moved = f"The face moved by {n.move_px[0]} px down: every part map and the face map"
    same = f"The class is the same at both places for {percent(n.same, 0)} of {n.pictures} pictures"
    called = f"{percent(n.faces.upper, 0)} of the held-out faces are called a face"
    others = f"{percent(n.backgrounds.upper, 0)} of the backgrounds"
    return [
        Said(
            worst == 0,
            yes=f"{moved} move with it, exactly to the last bit.",
            no=Said(
                worst < ROUNDED,
                yes=f"{moved} move with it, up to an error of {worst:.0e} of their size.",
                no=f"The face moved by {n.move_px[0]} px down: not every map moves with it; the error is up to {worst:.2g} of "
                "their size.",
            ),
        ),
        Said(n.same == 1, yes=f"{same}.", no=f"{same}, not for all."),
        Said(
            n.change == 0,
            yes="No probability changes at all.",
            no=f"A probability changes by up to {n.change:.0e}.",
        ),
        Said(
            n.faces.upper > n.backgrounds.upper,
            yes=f"{called}, and {others}.",
            no=f"{called}, and at least as many of the backgrounds: {percent(n.backgrounds.upper, 0)}.",
        ),
    ]


def tables(n: Numbers) -> list[Table]:
    """Maps and class."""
    note = "error: norm of the difference divided by the norm of the map"
    return [
        Table("maps", "Do the maps move with the face?", "map", note, "The map moves with the face."),
        Table("class", "Does the class stay the same?", "pictures", claim="The answer stays the same."),
    ]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """A face at both places, with its maps."""
    caption = f"A held-out face at the upper and at the lower left: the picture, the maps of {', '.join(PARTS)}, the face map."
    return {"maps.png": (drawn(n.above, n.below), caption)}


def drawn(above: list[Float64[np.ndarray, "h w"]], below: list[Float64[np.ndarray, "h w"]]) -> bytes:
    """Two rows of maps, each map scaled from its smallest value (black) to its largest (white), as PNG."""
    rows = []
    for row in (above, below):
        shown = [(m - m.min()) / (m.max() - m.min()) for m in row]
        rows.append(np.concatenate([np.pad(m, 1, constant_values=0.5) for m in shown], axis=1))
    return png(np.concatenate(rows), zoom=3)


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {
        "detector": "matched filters of four parts, a face map over them, the maximum, a dense layer, softmax; circular",
        "fitted to": f"half of scikit-image's face patches; the other {n.pictures} are held out, half of them faces",
        "canvas": f"{SIDE_PX} x {SIDE_PX} px of the picture's mean brightness, with the face {MARGIN_PX} px from the border",
        "arithmetic": "float64",
        "seed": "none: nothing is random",
    }


EXPERIMENT = Experiment(
    name="body",
    systems=("S8",),
    shows="a two-stage face detector (eyes, nose and mouth, then the face): every map moves with the face, the class stays",
    claim="Part maps and face map move with the face; after the dense layer and softmax the class is the same at the lower left "
    "and at the upper left.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    pictures=pictures,
    protocol=protocol,
    claims=claims,
)
