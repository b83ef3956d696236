"""A picture comes back from PNG as it was."""

import io

import numpy as np
import pytest
from PIL import Image

from shiftproof.data.encode import png


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3)])
def test_every_level_comes_back(shape):
    levels = np.random.default_rng(0).integers(0, 256, shape)
    np.testing.assert_array_equal(decoded(png(levels / 255)), levels)


def test_a_range_is_stretched_and_what_lies_outside_is_cut():
    np.testing.assert_array_equal(decoded(png(np.array([[-3.0, -1.0, 1.0, 9.0]]), low=-1, high=1)), [[0, 0, 255, 255]])
    np.testing.assert_array_equal(decoded(png(np.array([[2.0, 2.0]]), low=2, high=2)), [[0, 0]])  # no range


def test_zoom_makes_squares():
    np.testing.assert_array_equal(decoded(png(np.array([[0.0, 1.0]]), zoom=2)), [[0, 0, 255, 255]] * 2)


def test_whole_numbers_are_taken_as_they_are():
    levels = np.array([[0, 96, 255]], np.uint8)
    np.testing.assert_array_equal(decoded(png(levels, high=255)), levels)
