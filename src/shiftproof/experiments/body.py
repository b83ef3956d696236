"""S8: eyes, nose and mouth to a face, in two stages, with the face at two places of a canvas."""

from __future__ import annotations

import io

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.measure import mean_interval
from shiftproof.models import PARTS, PartsNet, face_detector, face_patches
from shiftproof.records import Figure, Source, Table
from shiftproof.translations import translate

SOURCE = Source("Project's source documents (specification row S8)", "eyes and nose to face to body")
SIDE_PX, MARGIN_PX = 72, 14  # of the canvas; between the face and its border: no map reaches round it


def upper_left(faces: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 side side"]:
    """Each face near the upper left corner of a canvas of its own mean brightness."""
    n, _, h, w = faces.shape
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


def measure(lab: Lab) -> Result:
    """How far each map is from moving with the face, and whether class and probability stay, on held-out faces."""
    pictures, labels = face_patches("test")
    lab.used.add("scikit-image's face patches")
    pictures, model = pictures.double(), face_detector().double()
    above = upper_left(pictures)
    below, move = lower_left(pictures)
    maps, moved = stages(model, above), stages(model, below)
    figures, faces = [], labels == 1
    for name, y in maps.items():
        expected = translate(y, [move], "circular")[:, 0]
        error = ((moved[name] - expected).norm() / expected.norm()).item()
        steps = (peak(moved[name]) - peak(y) - torch.tensor(move)) % SIDE_PX  # the canvas wraps
        followed = (steps == 0).all(1)[faces].double().mean().item()
        figures.append(Figure("maps", name, "relative equivariance error", error, "", holds=error < 1e-9))
        figures.append(Figure("maps", name, "largest value moves with the face", followed, holds=followed == 1))
    with torch.inference_mode():
        p, q = model(above).softmax(1)[:, 1], model(below).softmax(1)[:, 1]
    same = ((p > 0.5) == (q > 0.5)).double()
    change = (p - q).abs().max().item()
    figures += [
        Figure("class", "all pictures", "same class at both places", same.mean().item(), holds=bool(same.all())),
        Figure("class", "all pictures", "largest change of the probability", change, "", holds=change < 1e-9),
    ]
    for name, chosen in (("faces", faces), ("backgrounds", ~faces)):
        for place, found in (("upper left", p), ("lower left", q)):
            m = mean_interval((found[chosen] > 0.5).double().numpy(), bounded=(0, 1))
            words = f"95 %, Wilson, {m.n} held-out pictures"
            figures.append(
                Figure("class", name, f"called a face, {place}", m.value, low=m.low, high=m.high, interval=words)
            )
    called = next(f for f in figures if f.row == "faces")
    worst = max(f.measured for f in figures if f.column == "relative equivariance error")
    example = int((p * faces).argmax())
    return Result(
        finding=[
            f"The face moved by {move[0]} px down: every part map and the face map " + _following(worst),
            f"The class is the same at both places for {100 * same.mean().item():.0f} % of {len(pictures)} pictures; "
            + ("no probability changes at all." if change == 0 else f"a probability changes by up to {change:.0e}."),
            f"{100 * called.measured:.0f} % of the held-out faces are called a face.",
        ],
        figures=figures,
        tables=[
            Table("maps", "Do the maps move with the face?", "map", "error: norm of the difference over the norm of the map"),
            Table("class", "Does the class stay?", "pictures"),
        ],
        pictures={"maps.png": (
            drawn([above, *maps.values()], [below, *moved.values()], example),
            "A held-out face at the upper and at the lower left: the picture, the maps of "
            + ", ".join(PARTS) + ", the face map.",
        )},
        protocol={
            "detector": "matched filters of four parts, a face map over them, the maximum, a dense layer, softmax; circular",
            "fitted to": f"the other half of scikit-image's face patches; {len(pictures)} are held out, half of them faces",
            "canvas": f"{SIDE_PX} x {SIDE_PX} px of the picture's mean brightness, the face {MARGIN_PX} px from the border",
            "arithmetic": "float64",
            "seed": "none: nothing is random",
        },
    )  # fmt: skip


def _following(worst: float) -> str:
    if worst == 0:
        return "move with it exactly, to the last bit."
    return (
        f"move with it, to {worst:.0e} of their size."
        if worst < 1e-9
        else f"are off by up to {worst:.2g} of their size."
    )


def drawn(above: list[Tensor], below: list[Tensor], example: int) -> bytes:
    """Two rows of maps, each map scaled from its smallest value (black) to its largest (white), as PNG."""
    rows = []
    for row in (above, below):
        shown = [m[example, 0] for m in row]
        shown = [(m - m.min()) / (m.max() - m.min()) for m in shown]
        rows.append(torch.cat([nn.functional.pad(m, [1] * 4, value=0.5) for m in shown], 1))
    pixels = (torch.cat(rows) * 255).round().to(torch.uint8).numpy()
    picture, buffer = Image.fromarray(pixels), io.BytesIO()
    picture.resize((picture.width * 3, picture.height * 3), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


EXPERIMENT = Experiment(
    name="body",
    systems=("S8",),
    shows="eyes, nose and mouth to a face in two stages: every map moves with the face, and the class stays",
    claim="Part maps and face map move with the face; after the dense layer and softmax the class is the same at the lower left "
    "and at the upper left.",
    source=SOURCE,
    measure=measure,
)
