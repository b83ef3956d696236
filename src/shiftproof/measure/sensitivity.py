"""How far a network's output changes when its input moves: translation sensitivity, of logits or a layer's features."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.errors import MeasureError

ALL_PAIRS = 2000
"""The typical distance is over all pairs of up to this many images; of more, over those of a seeded sample."""


def distance(
    features: Float[Tensor, "*#batch d"], reference: Float[Tensor, "*#batch d"], kind: Literal["euclidean", "cosine"]
) -> Float[Tensor, "*batch"]:
    """How far each output on a moved picture lies from that on the unmoved one.

    euclidean: |f - g|; cosine: 1 - f.g / (|f| |g|), computed as |f/|f| - g/|g||^2 / 2 so that equal outputs give exactly 0.
    Where both are zero the cosine distance is 0; where one is, 1.

    Args:
        features: outputs on moved pictures, (n, m, d) say.
        reference: outputs on the unmoved pictures, (n, 1, d) say; broadcast against `features`.
        kind: which distance.

    Returns:
        Distances of the broadcast shape without d, float32 or wider, on the same device: at least 0; cosine at most 2.

    Raises:
        MeasureError: another kind.

    >>> distance(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.0]]), "euclidean")
    tensor([5.])
    >>> distance(torch.tensor([[0.0, 2.0], [2.0, 0.0]]), torch.tensor([[4.0, 0.0]]), "cosine")
    tensor([1., 0.])

    Reference:
        Euclidean: Kauderer-Abrams 2017, Quantifying Translation-Invariance in Convolutional Neural Networks,
        https://arxiv.org/abs/1801.01450. Cosine: Myburgh, Mouton & Davel 2021, Tracking Translation Invariance in CNNs,
        https://arxiv.org/abs/2104.05997.

    Differs:
        Myburgh et al. map the cosine similarity, 1 where nothing changes; this is one minus it, so that 0 = invariant.
    """
    wide = torch.promote_types(features.dtype, torch.float32)
    f, g = features.to(wide), reference.to(wide)
    if kind == "euclidean":
        return torch.linalg.vector_norm(f - g, dim=-1)
    if kind == "cosine":
        f_zero, g_zero = (f == 0).all(-1), (g == 0).all(-1)
        # |u - v|^2 / 2 = 1 - u.v for unit vectors. 1 - u.v itself may be 1e-7 for equal vectors, or below zero.
        half_chord = (_unit(f) - _unit(g)).square().sum(-1).div(2).clamp(max=2.0)
        return torch.where(f_zero ^ g_zero, torch.ones_like(half_chord), half_chord)
    raise MeasureError(f"no distance {kind!r}", where="kind", remedy="use 'euclidean' or 'cosine'")


def typical_distance(unmoved: Float[np.ndarray, "n d"], *, seed: int = 0) -> float:
    """The median Euclidean distance between the outputs on two different unmoved pictures: the unit of sensitivity.

    median over i < j of |f(x_i) - f(x_j)|, over all pairs of up to 2000 images, else of a seeded sample of 2000.

    Args:
        unmoved: outputs on the unmoved pictures.
        seed: of the sample.

    Returns:
        The median, in the unit of the outputs; 0 for a network whose output never changes.

    Raises:
        MeasureError: fewer than two images.

    >>> typical_distance(np.array([[0.0], [1.0], [3.0]]))
    2.0

    Reference:
        Kauderer-Abrams 2017, https://arxiv.org/abs/1801.01450.

    Differs:
        The pairs are of any two different images, whatever their classes, so that no labels are needed.
    """
    n = len(unmoved)
    if n < 2:
        raise MeasureError(
            f"{n} image(s) where 2 are needed for a distance",
            where="typical_distance",
            remedy="give two or more images",
        )
    if n > ALL_PAIRS:
        chosen = np.random.default_rng(seed).choice(n, ALL_PAIRS, replace=False)
        unmoved = unmoved[np.sort(chosen)]
    # n (n - 1) / 2 distances: 16 MB for 2,000 images.
    pairs = torch.nn.functional.pdist(torch.from_numpy(unmoved.astype(np.float64)))
    return float(np.median(pairs.numpy()))


def sensitivity_euclidean(distances: Float[np.ndarray, "n m"], unit: float) -> Float[np.ndarray, " n"]:
    """Translation sensitivity: the mean distance of the moved outputs from the unmoved one, per image.

    S_i = 1/m sum_t |f(T_t x_i) - f(x_i)| / unit. 0 = invariant; 1 = a move changes it as much as another picture does.

    Args:
        distances: Euclidean `distance`, per image and move; NaN = no value. Over `unit` they are the sensitivity map.
        unit: the `typical_distance`. Intervals over images treat it as a constant, though it comes from the same images.

    Returns:
        Sensitivity per image, at least 0; NaN where an image has no value.

    Raises:
        MeasureError: the unit is 0 but some distance is not.

    >>> sensitivity_euclidean(np.array([[0.0, 3.0], [1.0, 1.0]]), 2.0)
    array([0.75, 0.5 ])

    Reference:
        Kauderer-Abrams 2017, https://arxiv.org/abs/1801.01450.
    """
    return _row_mean(in_units(distances, unit))


def in_units(distances: Float[np.ndarray, "n m"], unit: float) -> Float[np.ndarray, "n m"]:
    """Distances over the normaliser: the values of the translation-sensitivity map, per image and move.

    Args:
        distances: Euclidean `distance`, per image and move.
        unit: the `typical_distance`; 0 only for a constant network, whose distances are all 0 and stay 0.

    Returns:
        distances / unit.

    Raises:
        MeasureError: the unit is 0 but some distance is not.

    >>> in_units(np.array([[0.0, 3.0]]), 2.0)
    array([[0. , 1.5]])

    Reference:
        Kauderer-Abrams 2017, https://arxiv.org/abs/1801.01450.
    """
    if unit > 0:
        return distances.astype(np.float64) / unit
    if unit == 0 and not np.nan_to_num(distances).any():
        return distances.astype(np.float64)
    raise MeasureError(
        f"typical distance {unit}: the outputs for unmoved pictures are equal, but moves change them",
        where="sensitivity",
        remedy="give more, and more different, pictures",
    )


def sensitivity_cosine(distances_cosine: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
    """Translation sensitivity by the cosine: the mean over moves of one minus the cosine similarity, per image.

    Args:
        distances_cosine: cosine `distance`, per image and move; NaN = no value.

    Returns:
        Sensitivity in [0, 2] per image; 0 = the output keeps its direction.

    >>> sensitivity_cosine(np.array([[0.0, 1.0]]))
    array([0.5])

    Reference:
        Myburgh, Mouton & Davel 2021, https://arxiv.org/abs/2104.05997.

    Differs:
        One minus the similarity; see `distance`.
    """
    return _row_mean(distances_cosine)


def _unit(f: Tensor) -> Tensor:
    """Each vector over its length, in two steps so that tiny and huge ones survive; zero stays zero."""
    largest = f.abs().amax(-1, keepdim=True)
    # The square of 1e-30 is 0 in float32, that of 1e30 infinite.
    f = f / torch.where(largest > 0, largest, torch.ones_like(largest))
    length = torch.linalg.vector_norm(f, dim=-1, keepdim=True)
    return f / torch.where(length > 0, length, torch.ones_like(length))


def _row_mean(values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
    """Mean over moves of the values that are there; NaN where there are none."""
    here = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(here, values, 0.0).astype(np.float64).sum(axis=1) / here.sum(axis=1)
