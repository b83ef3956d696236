"""What the other tests rely on: annotations are checked, runs repeat."""

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import settings

from shiftproof.translations import Translation, grid, translate


def test_a_wrong_type_is_caught():
    with pytest.raises(jaxtyping.TypeCheckError):
        grid("8", "circular")


def test_a_wrong_shape_is_caught():
    with pytest.raises(jaxtyping.TypeCheckError):
        translate(torch.zeros(3, 8, 8), [(0, 1)], "circular")


def test_a_wrong_field_is_caught():
    with pytest.raises(jaxtyping.TypeCheckError):
        Translation(0, 1, "zero", fill="0")


def test_an_int_is_a_float():
    assert grid(1, "circular", step_px=1) == grid(1.0, "circular", step_px=1.0)


def test_seeds_and_threads():
    torch.manual_seed(0)
    assert torch.rand(1).item() == torch.rand(1, generator=torch.Generator().manual_seed(0)).item()
    assert settings().derandomize
    assert settings().deadline is None


@pytest.mark.parametrize("_", range(2))
def test_each_test_starts_from_the_same_seed(_: int):
    assert torch.rand(1).item() == torch.rand(1, generator=torch.Generator().manual_seed(0)).item()
    assert np.random.rand() == np.random.RandomState(0).rand()  # noqa: NPY002
