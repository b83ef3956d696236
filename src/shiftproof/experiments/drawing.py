"""Arrays as PNG pictures."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Float
from PIL import Image


def png(values: Float[np.ndarray, "h w *c"], *, low: float = 0.0, high: float = 1.0, zoom: int = 1) -> bytes:
    """The array as a picture: `low` is black, `high` white, each value a square of `zoom` pixels.

    Args:
        values: grey or RGB; what is outside [low, high] is cut.
        low: of the range shown.
        high: its other end.
        zoom: side of a value's square in px.
    """
    scaled = np.clip((values - low) / (high - low if high > low else 1.0), 0, 1)
    squares = np.repeat(np.repeat(np.rint(scaled * 255).astype(np.uint8), zoom, axis=0), zoom, axis=1)
    return _encoded(squares)


def side_by_side(parts: list[np.ndarray], *, gap_px: int = 8, zoom: int = 1) -> bytes:
    """Grey pictures (h, w) in [0, 1] next to one another, tops aligned, white between them."""
    height = max(p.shape[0] for p in parts)
    row = [np.ones((height, 0))]
    for i, part in enumerate(parts):
        row += [np.ones((height, gap_px))] if i else []
        row += [np.pad(part, ((0, height - part.shape[0]), (0, 0)), constant_values=1.0)]
    return png(np.concatenate(row, axis=1), zoom=zoom)


def _encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
