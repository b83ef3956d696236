"""Measures: pure functions from answers (NumPy) or outputs (tensors) to one value per image, and their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shiftproof.measure.answers import (
    accuracy,
    accuracy_every_move,
    accuracy_unmoved,
    accuracy_worst_move,
    adjusted_consistency,
    chance_agreement,
    consistency,
    flip_rate,
    mean_flip_rate,
    right,
    wobble,
    worst_move,
)
from shiftproof.measure.attribution import Contribution, attribute
from shiftproof.measure.definitions import equivariance_error_by_move, invariance_error
from shiftproof.measure.dense import dense_agreement, equivariance_error, mask_agreement
from shiftproof.measure.pixels import partial_correlations, pixel_correlation, pixel_information
from shiftproof.measure.projection import Projection, project_to_convolution
from shiftproof.measure.sensitivity import (
    distance,
    in_units,
    sensitivity_cosine,
    sensitivity_euclidean,
    typical_distance,
)
from shiftproof.measure.stationarity import PositionTest, cell_means, position_test
from shiftproof.measure.statistics import (
    INTERVALS,
    function_interval,
    map_interval,
    mean_interval,
    moments_interval,
    radial,
)

METRICS: Mapping[str, Callable[..., Any]] = {  # name in a record -> what gives its values per image
    "accuracy_unmoved": accuracy_unmoved,
    "accuracy": accuracy,
    "accuracy_worst_move": accuracy_worst_move,
    "accuracy_every_move": accuracy_every_move,
    "consistency": consistency,
    "consistency_adjusted": adjusted_consistency,
    "flip_rate": flip_rate,
    "mean_flip_rate": mean_flip_rate,
    "wobble": wobble,
    "mask_agreement_interior": mask_agreement,
    "mask_agreement_border": mask_agreement,
    "equivariance_error_interior": equivariance_error,
    "equivariance_error_border": equivariance_error,
    "sensitivity": sensitivity_euclidean,
    "sensitivity_cosine": sensitivity_cosine,
}

__all__ = [
    "INTERVALS",
    "METRICS",
    "Contribution",
    "PositionTest",
    "Projection",
    "accuracy",
    "accuracy_every_move",
    "accuracy_unmoved",
    "accuracy_worst_move",
    "adjusted_consistency",
    "attribute",
    "cell_means",
    "chance_agreement",
    "consistency",
    "dense_agreement",
    "distance",
    "equivariance_error",
    "equivariance_error_by_move",
    "flip_rate",
    "function_interval",
    "in_units",
    "invariance_error",
    "map_interval",
    "mask_agreement",
    "mean_flip_rate",
    "mean_interval",
    "moments_interval",
    "partial_correlations",
    "pixel_correlation",
    "pixel_information",
    "position_test",
    "project_to_convolution",
    "radial",
    "right",
    "sensitivity_cosine",
    "sensitivity_euclidean",
    "typical_distance",
    "wobble",
    "worst_move",
]
