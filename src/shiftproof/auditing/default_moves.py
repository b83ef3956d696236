"""Moves that nobody asked for: the default set, and the boundary that fits the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shiftproof.data import Source, scaling
from shiftproof.errors import BadItemError
from shiftproof.models import LoadedModel
from shiftproof.translations import TranslationSet, grid

LOOKED_AT = 8  # pictures, evenly spread, whose sizes decide the boundary
MOST_PX = 8


@dataclass(frozen=True)
class Fitted:
    """Moves whose boundary was chosen to fit the data, because nobody named one.

    Args:
        translations: the moves.
        why: the boundary and the reason, in words.
    """

    translations: TranslationSet
    why: str


def default_moves(size: Sequence[int]) -> TranslationSet:
    """All moves by up to 8 px along each axis, and by up to half the side of smaller pictures.

    Args:
        size: (c, h, w) of the model's input, in pixels.

    >>> len(default_moves((3, 224, 224))), len(default_moves((1, 8, 8)))
    (289, 81)
    """
    return grid(min(MOST_PX, min(size[-2:]) // 2), "circular")


def fitted(moves: TranslationSet, source: Source | None, model: LoadedModel | None) -> Fitted:
    """The moves under the boundary that fits the data: `crop` where there is more of the scene, else `circular`.

    Args:
        moves: under any boundary.
        source: the pictures; None for tensors, of which nothing says how large the scene is.
        model: whose input the pictures are prepared for; None with tensors.
    """
    margin = replace(moves, boundary="crop").margin_px
    lacks = "a tensor is taken to be the model's input, without a margin around it"
    if source is not None and model is not None:
        lacks = _lack(source, model, margin)
    if not lacks:
        return Fitted(
            replace(moves, boundary="crop"),
            "crop, the camera moves over the scene, because the pictures are larger than the model's input",
        )
    return Fitted(
        replace(moves, boundary="circular"), f"circular, what leaves on one side enters on the other, because {lacks}"
    )


def _lack(source: Source, model: LoadedModel, margin_px: int) -> str:
    """Why the camera cannot move over the pictures that are looked at, in words; "" if it can.

    They must be larger than the model's input as they are (enlarged pictures show no more of the scene), and have the margin on
    every side once they are scaled for the model.
    """
    _, h, w = model.input_size
    count = min(LOOKED_AT, len(source))
    seen, small, narrow, bare = 0, 0, 0, source.unlabelled()
    for k in range(count):
        try:
            height, width = bare.read(k * len(source) // count).picture.shape[:2]
        except BadItemError:
            continue
        seen += 1
        small += min(height - h, width - w) <= 0
        factor = scaling((height, width), model.input_size, model.crop_fraction)
        narrow += int(height * factor + 1e-6) < h + 2 * margin_px or int(width * factor + 1e-6) < w + 2 * margin_px
    if not seen:
        return "no picture that was looked at can be read"
    # One is enough: its scene would be partly mirrored.
    lacking = "the pictures" if seen in (small, narrow) else f"{small or narrow} of {seen} pictures that were looked at"
    if small:
        return f"{lacking} are not larger than the model's input"
    if not narrow:
        return ""
    assumed = ", which nothing states" if "crop_fraction" in model.assumed else ""
    return (
        f"resized for the model (crop fraction {model.crop_fraction:g}{assumed}), {lacking} have no margin of {margin_px} px "
        "around its input"
    )
