"""Statistics of each cell of a picture or part of a series."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from shiftproof.experiments.photographs.stationarity.specimens import Stack
from shiftproof.measure import cell_means

BINS = 8  # of the histogram of filter responses
STATISTICS = ("mean", "variance", "filter responses")


def statistics(stack: Stack, grid: tuple[int, int]) -> dict[str, Float64[np.ndarray, "n gy gx b"]]:
    """Mean, variance and histogram of filter responses of each cell of each picture or series (series: w = 1).

    - mean: of the grey level.
    - variance: squared deviation from the one mean of all pictures and positions. The mean at that position would tie the
      pictures to one another, and the test would err.
    - filter responses: x minus its neighbour along the last axis longer than 1, as the part of the cell's responses in
      each of 8 bins. Every picture has its own bins, equally full over the whole picture.

    Args:
        stack: pictures or series of one size.
        grid: cells along y and x.
    """
    deviation = (stack - stack.mean()) ** 2
    found: dict[str, list[np.ndarray]] = {name: [] for name in STATISTICS}
    for x, d in zip(stack, deviation, strict=True):
        response = responses(x)
        # Bins of the picture itself: contrast differs between pictures, and is not what is asked here.
        edges = np.quantile(response, np.arange(1, BINS) / BINS)
        onehot = np.searchsorted(edges, response, side="right")[..., None] == np.arange(BINS)
        found["mean"].append(cell_means(x, grid))
        found["variance"].append(cell_means(d, grid))
        found["filter responses"].append(cell_means(onehot.astype(np.float64), grid))
    return {name: np.stack(cells) for name, cells in found.items()}


def responses(x: Float64[np.ndarray, "h w"]) -> Float64[np.ndarray, "i j"]:
    """Each pixel minus its left neighbour; for a series (w = 1), each step minus the one before."""
    return np.diff(x, axis=1 if x.shape[1] > 1 else 0)


def peakedness(stack: Stack) -> Float64[np.ndarray, " n"]:
    """Kurtosis of each picture's filter responses: 3 if they are normal, far above 3 for a photograph."""
    found = []
    for x in stack:
        r = responses(x).ravel()
        r = r - r.mean()
        found.append(float((r**4).mean() / (r**2).mean() ** 2))
    return np.array(found)
