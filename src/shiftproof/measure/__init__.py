"""Measures: pure functions from answers (NumPy) or outputs (tensors) to one value per image, and their intervals."""

from shiftproof.measure.answer_kinds import ANSWERS, Answer, contradiction, recognise
from shiftproof.measure.answers import (
    accuracy,
    accuracy_every_move,
    accuracy_unmoved,
    accuracy_worst_move,
    adjusted_consistency,
    agreement,
    chance_agreement,
    consistency,
    correct,
    flip_rate,
    mean_flip_rate,
    wobble,
    worst_move,
)
from shiftproof.measure.attribution import Contribution, attribute
from shiftproof.measure.definitions import equivariance_error_by_move, invariance_error
from shiftproof.measure.dense import dense_agreement, equivariance_error, mask_agreement
from shiftproof.measure.moments import Moments
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

__all__ = [
    "ANSWERS",
    "INTERVALS",
    "Answer",
    "Contribution",
    "Moments",
    "PositionTest",
    "Projection",
    "accuracy",
    "accuracy_every_move",
    "accuracy_unmoved",
    "accuracy_worst_move",
    "adjusted_consistency",
    "agreement",
    "attribute",
    "cell_means",
    "chance_agreement",
    "consistency",
    "contradiction",
    "correct",
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
    "recognise",
    "sensitivity_cosine",
    "sensitivity_euclidean",
    "typical_distance",
    "wobble",
    "worst_move",
]
