"""Writing arrays as PNG files: the counterpart of `decode.py`."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Real
from PIL import Image


def png(values: Real[np.ndarray, "h w *c"], *, low: float = 0.0, high: float = 1.0, zoom: int = 1) -> bytes:
    """The array as a PNG file: `low` is black, `high` is white, each value a square of `zoom` pixels.

    Args:
        values: grey (h, w) or colours (h, w, 3); values outside [low, high] are clipped.
        low: lower end of the range.
        high: upper end of the range.
        zoom: side of each value's square in px.

    >>> picture = Image.open(io.BytesIO(png(np.array([[0.0, 1.0]]), zoom=2)))
    >>> picture.size, np.asarray(picture).tolist()
    ((4, 2), [[0, 0, 255, 255], [0, 0, 255, 255]])
    """
    # A range without extent would divide by 0: the picture is then black.
    scaled = np.clip((values - low) / (high - low if high > low else 1.0), 0, 1)
    squares = np.repeat(np.repeat(np.rint(scaled * 255).astype(np.uint8), zoom, axis=0), zoom, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(squares).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
