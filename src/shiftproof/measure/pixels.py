"""How much one pixel says about another: correlation and mutual information by distance."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Float64

from shiftproof.errors import MeasureError


def _pairs(picture: np.ndarray, dy: int, dx: int) -> tuple[np.ndarray, np.ndarray]:
    h, w = picture.shape
    if not (0 <= dy < h and 0 <= dx < w):
        raise MeasureError(f"no two pixels of {h} x {w} are ({dy}, {dx}) apart", where="dy, dx")
    return picture[: h - dy, : w - dx].ravel(), picture[dy:, dx:].ravel()


def pixel_correlation(picture: Float[np.ndarray, "h w"], dy: int, dx: int) -> float:
    """Pearson's correlation of the pixels at (y, x) and (y + dy, x + dx), over all such pairs; in [-1, 1].

    Args:
        picture: grey values.
        dy: distance down in px, 0 or more.
        dx: distance to the right in px, 0 or more.

    Raises:
        MeasureError: the distance is larger than the picture, or all pixels are equal.

    >>> pixel_correlation(np.tile([0.0, 1.0], (4, 4)), 0, 1)
    -1.0
    """
    a, b = _pairs(picture, dy, dx)
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    if scale == 0:
        raise MeasureError("the correlation of pixels that are all equal is not defined", where="picture")
    return float(np.clip(float(a @ b) / scale, -1, 1))


def pixel_information(picture: Float[np.ndarray, "h w"], dy: int, dx: int, *, levels: int = 16) -> float:
    """Mutual information in bits of the pixels at (y, x) and (y + dy, x + dx), each quantised to `levels` levels.

    I = sum p(a, b) log2 (p(a, b) / (p(a) p(b))) - (K_ab - K_a - K_b + 1) / (2 n ln 2)

    K is the number of levels, or pairs of levels, that occur; the second term is the first-order bias of the first. Each level
    holds equally many pixels, so that no monotone change of brightness changes the result. It is at most log2(levels).

    Args:
        picture: grey values.
        dy: distance down in px, 0 or more.
        dx: distance to the right in px, 0 or more.
        levels: 2 or more.

    Raises:
        MeasureError: the distance is larger than the picture, or there are fewer than 2 levels.

    >>> pixel_information(np.tile([0.0, 1.0], (64, 64)), 0, 2, levels=2) > 0.99
    True

    Reference: Cover and Thomas 2006, Elements of Information Theory, equation 2.28; the bias: Miller 1955 (Miller-Madow);
        Paninski 2003, https://doi.org/10.1162/089976603321780272, section 4.
    """
    if levels < 2:
        raise MeasureError(f"{levels} levels are too few", where="levels", remedy="give 2 or more")
    # Quantiles of the whole picture, not of the two shifted parts: both have the same levels.
    edges = np.quantile(picture, np.arange(1, levels) / levels)
    a, b = _pairs(np.searchsorted(edges, picture, side="right"), dy, dx)
    joint = np.bincount(a * levels + b, minlength=levels**2).reshape(levels, levels).astype(np.float64)
    n = joint.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    # p log p tends to 0 with p, so empty cells add nothing.
    here = joint > 0
    bits = float((joint[here] / n * np.log2(joint[here] * n / np.outer(rows, columns)[here])).sum())
    occupied = int(here.sum()) - int((rows > 0).sum()) - int((columns > 0).sum()) + 1
    return bits - occupied / (2 * float(n) * math.log(2))


def partial_correlations(correlations: Float[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """The correlation at distances 1..k that remains when the pixels in between are known (Durbin-Levinson).

    phi(k) = (r(k) - sum_j a_j r(k - j)) / (1 - sum_j a_j r(j)), where a is the best linear prediction from the k - 1 between.

    Args:
        correlations: at distances 1, 2, ..., k along one line.

    >>> partial_correlations(0.5 ** np.arange(1, 5)).round(12).tolist()  # a chain: only the neighbour counts
    [0.5, 0.0, 0.0, 0.0]

    Reference: Brockwell and Davis 1991, Time Series, section 5.2 (proposition 5.2.1) and definition 3.4.2.
    """
    r, found = np.asarray(correlations, dtype=np.float64), []
    a = np.zeros(0)
    for k in range(len(r)):
        left = 1 - float(a @ r[:k])
        # Where the cells between predict perfectly, nothing is left to be correlated.
        phi = (float(r[k]) - float(a @ r[:k][::-1])) / left if left > 1e-12 else 0.0
        # Durbin's recursion: the prediction from k cells out of that from k -
        # 1, in O(k) where solving again takes O(k^3).
        a = np.append(a - phi * a[::-1], phi)
        found.append(phi)
    return np.array(found)
