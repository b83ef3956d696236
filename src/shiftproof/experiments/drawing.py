"""Pictures of an experiment, laid out for a reader; `png` is `shiftproof.data.encode`'s."""

from __future__ import annotations

import numpy as np

from shiftproof.data import png

__all__ = ["png", "side_by_side"]


def side_by_side(parts: list[np.ndarray], *, gap_px: int = 8, zoom: int = 1) -> bytes:
    """Grey pictures (h, w) in [0, 1] next to one another, tops aligned, white between them, as PNG."""
    height = max(p.shape[0] for p in parts)
    row = [np.ones((height, 0))]
    for i, part in enumerate(parts):
        row += [np.ones((height, gap_px))] if i else []
        row += [np.pad(part, ((0, height - part.shape[0]), (0, 0)), constant_values=1.0)]
    return png(np.concatenate(row, axis=1), zoom=zoom)
