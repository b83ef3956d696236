"""Body: what is on the canvases, maps and readouts against slow ones, twins that would be caught, and the whole run."""

import pytest
import torch

from shiftproof.experiments import reproduce
from shiftproof.experiments.exact.body.canvas import MARGIN_PX, lowered, on_canvas
from shiftproof.experiments.exact.body.legs import (
    BODY,
    CENTRES,
    EXCHANGED,
    FACE,
    LEGS,
    LEGS_AT,
    body_map,
    drawn_legs,
    leg_map,
    put_together,
)
from shiftproof.experiments.exact.body.numbers import BODY_MAP, LEGS_MAP, SIDE_PX, peak, upper_left
from shiftproof.experiments.exact.body.readout import fitted
from shiftproof.models.networks.parts import PARTS


def test_the_same_face_at_both_places():
    faces = torch.rand(3, 1, 25, 25).double()
    above = upper_left(faces)
    below, move = lowered(above, 25)
    m = MARGIN_PX
    assert torch.allclose(above[..., m : m + 25, m : m + 25], faces)
    assert torch.allclose(below[..., SIDE_PX - m - 25 : SIDE_PX - m, m : m + 25], faces)
    assert move == (SIDE_PX - 2 * m - 25, 0)
    assert torch.allclose(above.mean((2, 3)), faces.mean((2, 3)))


def test_a_picture_on_a_canvas_is_there_and_nothing_else():
    x = torch.rand(2, 1, 3, 4)
    found = on_canvas(x, (2, 1), 9)
    assert torch.equal(found[..., 2:5, 1:5], x)
    assert found.sum() == pytest.approx(x.sum())


def test_peaks():
    maps = torch.zeros(1, 1, 4, 5)
    maps[0, 0, 2, 3] = 1
    assert peak(maps).tolist() == [[2, 3]]


def test_a_leg_map_is_the_correlation_with_the_patch():
    legs, x = drawn_legs(3, 0), torch.rand(1, 1, 40, 40).double()
    (a, b), found = legs.shape[2:], leg_map(x, legs)
    patch, mean = x[0, 0, 10 : 10 + a, 5 : 5 + b], legs.mean((0, 1))
    expected = torch.corrcoef(torch.stack([patch.flatten(), mean.flatten()]))[0, 1]
    # A variance of 1/12 beside a floor of 1/1000.
    assert found[0, 0, 10 + a // 2, 5 + b // 2].item() == pytest.approx(expected.item(), abs=0.01)


def test_the_body_map_is_largest_where_the_face_is():
    faces, legs = torch.zeros(1, 1, 60, 60), torch.zeros(1, 1, 60, 60)
    (y, x), (i, j) = CENTRES
    faces[0, 0, 5 + y, 5 + x] = legs[0, 0, 5 + LEGS_AT[0] + i, 5 + LEGS_AT[1] + j] = 1
    assert body_map(faces, legs)[0, 0, 5 + y, 5 + x] == 1
    assert body_map(faces, legs.roll(3, 2)).max() == 0.5


def test_every_kind_has_what_its_name_says():
    faces, legs = torch.rand(2, 1, 25, 25).double(), drawn_legs(2, 0)
    made = put_together(faces, legs)
    m, grey = MARGIN_PX, faces.mean((2, 3))[:, :, None]
    assert torch.allclose(made[BODY] - grey[..., None], made[FACE] + made[LEGS] - 2 * grey[..., None])
    assert torch.allclose(made[FACE][..., m : m + 25, m : m + 25], faces)
    assert not torch.allclose(made[EXCHANGED], made[BODY])
    assert made[EXCHANGED].sum() == pytest.approx(made[BODY].sum())


def test_left_out_one_by_one_by_fitting_anew():
    """The shortcut is what fitting without each picture gives, but for the mean of labels that are no longer balanced."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    maps = torch.randn(40, 5, generator=draw).double() + 0.6 * labels[:, None]
    x, y = maps.clone(), 2.0 * labels.double() - 1
    right = 0
    for i in range(40):
        keep = torch.arange(40) != i
        mean, offset = x[keep].mean(0), y[keep].mean()
        centred = x[keep] - mean
        weight = torch.linalg.solve(centred.T @ centred + 3 * torch.eye(5).double(), centred.T @ (y[keep] - offset))
        right += ((x[i] - mean) @ weight + offset).sign() == y[i]
    dense, left_out = fitted(maps, labels, 3.0)
    assert left_out == pytest.approx(right.item() / 40)
    assert 0.5 < left_out < 1
    assert ((dense(maps) > 0) == (labels == 1)).double().mean() >= left_out


def test_every_map_moves_and_the_class_stays(tmp_path):
    record = reproduce("body", folder=tmp_path)
    assert all(f.holds for f in record.figures if f.holds is not None)
    assert {f.row for f in record.figures if f.table == "maps"} == {*PARTS, "face", LEGS_MAP, BODY_MAP}
    assert record.figure("class", "faces", "called a face, upper left").measured > 0.5
    assert record.figure("class", "backgrounds", "called a face, upper left").measured < 0.5
    assert record.figure("bodies", BODY, "called a body, lower left").measured > 0.5
    assert record.figure("bodies", EXCHANGED, "called a body, lower left").measured < 0.5
    assert [c.outcome for c in record.claims] == ["holds", "holds in part", "holds"]
    assert record.images["maps.png"][:4] == record.images["body.png"][:4] == b"\x89PNG"
