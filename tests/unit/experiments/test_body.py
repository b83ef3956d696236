"""Body: the canvases are what they say, maps of a network with zero padding would be caught, and the whole run."""

import pytest
import torch
from torch import nn

from shiftproof.experiments import body, reproduce
from shiftproof.experiments.body import MARGIN_PX, SIDE_PX, lower_left, peak, upper_left
from shiftproof.models.parts import PARTS, face_detector, face_patches


def test_the_same_face_at_both_places():
    faces = torch.rand(3, 1, 25, 25)
    above, (below, move) = upper_left(faces), lower_left(faces)
    m = MARGIN_PX
    assert torch.equal(above[..., m : m + 25, m : m + 25], faces)
    assert torch.equal(below[..., SIDE_PX - m - 25 : SIDE_PX - m, m : m + 25], faces)
    assert move == (SIDE_PX - 2 * m - 25, 0)
    assert torch.allclose(above.mean((2, 3)), faces.mean((2, 3)))


def test_peaks():
    maps = torch.zeros(1, 1, 4, 5)
    maps[0, 0, 2, 3] = 1
    assert peak(maps).tolist() == [[2, 3]]


@pytest.fixture
def few(monkeypatch):
    """Every fifth of the held-out pictures."""
    monkeypatch.setattr(body, "face_patches", lambda split: tuple(t[::5] for t in face_patches(split)))


@pytest.mark.usefixtures("few")
def test_every_map_moves_and_the_class_stays(tmp_path):
    record = reproduce("body", folder=tmp_path)
    assert all(f.holds for f in record.figures if f.holds is not None)
    assert {f.row for f in record.figures if f.table == "maps"} == {*PARTS, "face"}
    assert record.figure("class", "faces", "called a face, upper left").measured > 0.5
    assert record.figure("class", "backgrounds", "called a face, upper left").measured < 0.5
    assert record.images["maps.png"][:4] == b"\x89PNG"


@pytest.mark.usefixtures("few")
def test_a_detector_that_weighs_the_rows_is_caught(tmp_path, monkeypatch):
    class Vignette(nn.Module):
        """Darker below: what is found depends on where it is."""

        def forward(self, x):
            return x * torch.linspace(1, 0, x.shape[2], dtype=x.dtype)[:, None]

    def broken():
        net = face_detector()
        net.template = nn.Sequential(net.template, Vignette())
        return net

    monkeypatch.setattr(body, "face_detector", broken)
    record = reproduce("body", folder=tmp_path)
    assert not any(f.holds for f in record.figures if f.column == "relative equivariance error")
    assert "are off by" in record.finding[0]
