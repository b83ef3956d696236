"""How much the interpolator of sub-pixel moves loses."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.translations.action import translate
from shiftproof.translations.boundaries import continued
from shiftproof.translations.interpolation import REACH_PX
from shiftproof.translations.sets import TranslationSet, offsets_tensor

CHUNK_CELLS = 2**23  # cells of moved pictures in memory at a time


def roundtrip_error(x: Float[Tensor, "n c h w"], translations: TranslationSet) -> float:
    """The loss of moving there and back, ||T^-1 T x - x|| / ||x|| over all moves of the set; 0.0 for whole pixels.

    The picture is first continued beyond its edge as the boundary says (`crop`: mirrored), far enough that no content is lost
    over the edge. Cells within 8 px of the edge, which the interpolator reaches from outside, are left out, but at least one
    cell stays (`circular` has no edge). The loss is a lower bound of what can be measured with the set.

    Args:
        x: pictures (n, c, h, w).
        translations: the set whose interpolator is measured.

    Returns:
        The relative Euclidean norm, 0 or more; 0.0 for pictures of zeros.

    >>> from shiftproof.translations import grid
    >>> roundtrip_error(torch.rand(1, 1, 8, 8), grid(2, "zero"))
    0.0
    """
    if translations.is_integer:
        return 0.0
    n, _, h, w = x.shape
    margin_px, rim_y, rim_x = translations.margin_px, min(REACH_PX, (h - 1) // 2), min(REACH_PX, (w - 1) // 2)
    # Twice the margin: once for the way there, once for the way back.
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
