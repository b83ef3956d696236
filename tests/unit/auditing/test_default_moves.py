"""The boundary that nobody asked for: what it is, and that the reason given is true."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from torch import nn

import shiftproof as sp
from shiftproof.auditing.default_moves import fitted
from shiftproof.data import open_data
from shiftproof.models import wrap

MOVES = sp.grid(2, boundary="circular")


def said(tmp_path, pictures, model=16, crop_fraction=1.0, assumed=()):
    """(boundary, reason) for square pictures of so many pixels."""
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (pictures, pictures, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    net = replace(wrap(nn.Identity(), (3, model, model)), crop_fraction=crop_fraction, assumed=assumed)
    found = fitted(MOVES, open_data(str(tmp_path)), net)
    return found.translations.boundary, found.why


def test_a_camera_where_the_pictures_are_larger(tmp_path):
    boundary, why = said(tmp_path, 32, crop_fraction=0.5)
    assert boundary == "crop"
    assert "larger than the model's input" in why


@pytest.mark.parametrize("pictures", [8, 16])
def test_pictures_that_were_enlarged_show_no_more_of_the_scene(tmp_path, pictures):
    """Resized to twice the model's input they would have a margin; a camera would still see nothing new in it."""
    boundary, why = said(tmp_path, pictures, crop_fraction=0.5)
    assert boundary == "circular"
    assert "not larger than the model's input" in why


def test_large_pictures_that_are_shrunk_to_the_input_are_said_to_be_shrunk(tmp_path):
    boundary, why = said(tmp_path, 40, assumed=("crop_fraction",))
    assert boundary == "circular"
    assert "resized for the model (crop fraction 1, which nothing states), the pictures have no margin of 2 px" in why
    assert "which nothing states" not in said(tmp_path, 40)[1]


def test_tensors_have_no_margin():
    assert "tensors have no margin of 2 px" in fitted(MOVES, None, None).why
