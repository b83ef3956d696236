"""Distances between outputs, their unit, and the sensitivities made of them."""

import numpy as np
import pytest
import scipy.spatial.distance as oracle
import torch

from shiftproof.errors import MeasureError
from shiftproof.measure import sensitivity as of


@pytest.mark.parametrize("kind", ["euclidean", "cosine"])
def test_distance_against_scipy(kind):
    f, g = torch.randn(4, 3, 7, dtype=torch.float64), torch.randn(4, 1, 7, dtype=torch.float64)
    found = of.distance(f, g, kind)
    assert found.shape == (4, 3)
    for i in range(4):
        for t in range(3):
            assert found[i, t].item() == pytest.approx(
                getattr(oracle, kind)(f[i, t].numpy(), g[i, 0].numpy()), rel=1e-12
            )


@pytest.mark.parametrize("kind", ["euclidean", "cosine"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_equal_outputs_are_exactly_zero_apart(kind, dtype):
    f = torch.randn(50, 33).to(dtype)
    found = of.distance(f, f.clone(), kind)
    assert torch.equal(found, torch.zeros_like(found))
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_cosine_does_not_see_length_and_survives_extremes():
    f = torch.tensor([[1.0, 2.0], [1e-30, 2e-30], [1e30, 2e30], [-1.0, -2.0]])
    found = of.distance(f, torch.tensor([[1.0, 2.0]]), "cosine")
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 0.0, 2.0]), rtol=0, atol=1e-6)
    assert found.max() <= 2


def test_cosine_of_zero_outputs():
    zero, one = torch.zeros(1, 3), torch.ones(1, 3)
    assert of.distance(zero, zero, "cosine").item() == 0
    assert of.distance(zero, one, "cosine").item() == of.distance(one, zero, "cosine").item() == 1


def test_unknown_distance_is_refused():
    with pytest.raises((MeasureError, TypeError)):  # TypeError: the annotation, where checked
        of.distance(torch.ones(1, 2), torch.ones(1, 2), "manhattan")


def test_typical_distance_is_the_median_over_pairs():
    x = np.random.default_rng(0).normal(size=(31, 5))
    assert of.typical_distance(x) == pytest.approx(np.median(oracle.pdist(x)), rel=1e-12)
    assert of.typical_distance(x.astype(np.float32)) == pytest.approx(of.typical_distance(x), rel=1e-5)


def test_typical_distance_of_many_is_a_seeded_sample():
    x = np.random.default_rng(0).normal(size=(of.ALL_PAIRS + 500, 2))
    first, again, other = of.typical_distance(x), of.typical_distance(x), of.typical_distance(x, seed=1)
    assert first == again != other
    assert first == pytest.approx(np.median(oracle.pdist(x)), rel=0.2)


def test_typical_distance_needs_two_images():
    with pytest.raises(MeasureError, match="1 image"):
        of.typical_distance(np.ones((1, 3)))


def test_sensitivity_is_a_mean_over_moves_in_units():
    distances = np.array([[0.0, 3.0, np.nan], [1.0, 1.0, 1.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(of.sensitivity_euclidean(distances, 2.0), [0.75, 0.5, np.nan])
    np.testing.assert_array_equal(of.sensitivity_cosine(distances), [1.5, 1.0, np.nan])
    np.testing.assert_array_equal(of.in_units(distances, 2.0), distances / 2)


def test_a_constant_network_has_no_unit_and_no_sensitivity():
    np.testing.assert_array_equal(of.sensitivity_euclidean(np.zeros((2, 3)), 0.0), [0.0, 0.0])
    with pytest.raises(MeasureError, match="are equal, but moves change them"):
        of.sensitivity_euclidean(np.ones((2, 3)), 0.0)
    with pytest.raises(MeasureError, match="are equal, but moves change them"):
        of.in_units(np.ones((2, 3)), float("nan"))
