"""Body: the canvases are what they say, maps of a network with zero padding would be caught, and the whole run."""

import torch

from shiftproof.experiments import reproduce
from shiftproof.experiments.exact.body import MARGIN_PX, SIDE_PX, lower_left, peak, upper_left
from shiftproof.models.networks.parts import PARTS


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


def test_every_map_moves_and_the_class_stays(tmp_path):
    record = reproduce("body", folder=tmp_path)
    assert all(f.holds for f in record.figures if f.holds is not None)
    assert {f.row for f in record.figures if f.table == "maps"} == {*PARTS, "face"}
    assert record.figure("class", "faces", "called a face, upper left").measured > 0.5
    assert record.figure("class", "backgrounds", "called a face, upper left").measured < 0.5
    assert record.images["maps.png"][:4] == b"\x89PNG"
