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


def test_a_tensor_is_taken_whole():
    """Whether it holds a margin, nothing says: of one that does it would be false that there is none."""
    why = fitted(MOVES, None, None).why
    assert why.endswith("because a tensor is taken to be the model's input, without a margin around it")


@pytest.mark.parametrize(
    ("one", "reason"), [(10, "are not larger than the model's input"), (17, "have no margin of 2 px")]
)
def test_a_reason_that_holds_of_one_picture_is_not_said_of_all(tmp_path, one, reason):
    for i, side in enumerate([64, 64, 64, one]):
        Image.new("RGB", (side, side)).save(tmp_path / f"{i}.png")
    net = replace(wrap(nn.Identity(), (3, 16, 16)), crop_fraction=0.9 if one > 16 else 0.5)
    data = open_data(str(tmp_path))
    why = fitted(MOVES, data, net).why
    assert reason in why
    assert ("1 of 4 pictures that were looked at" in why) == (one < 16), "resized, all of them lack the margin"
