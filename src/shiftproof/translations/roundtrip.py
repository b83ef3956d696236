"""What the interpolator of sub-pixel moves loses."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.translations.action import translate
from shiftproof.translations.boundaries import continued
from shiftproof.translations.interpolation import REACH_PX
from shiftproof.translations.sets import TranslationSet, offsets_tensor

CHUNK_CELLS = 2**23  # of moved pictures held at a time


def roundtrip_error(x: Float[Tensor, "n c h w"], translations: TranslationSet) -> float:
    """The loss in moving there and back, ||T^-1 T x - x|| / ||x|| over all moves of the set; 0.0 for whole pixels.

    Before, the picture is continued beyond its edge as the boundary says (`crop`: mirrored), so far that no content is
    lost over the edge. Cells that the interpolator reaches from the edge, 8 px, are left out, or as many as leave one
    (`circular` has no edge). It is the floor under every figure that is measured with the set.

    Args:
        x: pictures (n, c, h, w).
        translations: the set whose interpolator is measured.

    Returns:
        The relative Euclidean norm, >= 0; 0.0 also for pictures of zeros.

    >>> from shiftproof.translations import grid
    >>> roundtrip_error(torch.rand(1, 1, 8, 8), grid(2, "zero"))
    0.0
    """
    if translations.is_integer:
        return 0.0
    n, _, h, w = x.shape
    margin_px, rim_y, rim_x = translations.margin_px, min(REACH_PX, (h - 1) // 2), min(REACH_PX, (w - 1) // 2)
    far, beyond = 2 * margin_px, "reflect" if translations.boundary == "crop" else translations.boundary
    wide, acting = continued(x, (far, far, far, far), beyond, translations.fill), "crop"
    if translations.boundary == "circular":
        margin_px, rim_y, rim_x, wide, acting = 0, 0, 0, x, "circular"
    inner = (..., slice(rim_y, h - rim_y), slice(rim_x, w - rim_x))
    moves = offsets_tensor(translations)
    squares = 0.0
    for some in moves.split(max(1, CHUNK_CELLS // max(1, wide.numel()))):
        there = translate(wide, some, acting, margin_px=margin_px).flatten(0, 1)
        back = translate(there, -some.repeat(n, 1), acting, margin_px=margin_px, pairing="each").unflatten(0, (n, -1))
        squares += float((back - x[:, None])[inner].square().sum(dtype=torch.float64))
    whole = len(moves) * float(x[inner].square().sum(dtype=torch.float64))
    return math.sqrt(squares / whole) if whole else 0.0
