"""assert_invariant passes what is invariant, and names the worst view of what is not."""

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.errors import InvarianceError, MeasureError


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect", "crop"])
def test_a_constant_is_invariant_to_everything(boundary):
    moves = sp.grid(2, boundary=boundary)
    images = torch.rand(3, 2, 12, 12)
    sp.testing.assert_invariant(lambda x: torch.ones(len(x), 4), images, moves, tolerance=0)


def test_a_circular_average_is_invariant_to_circular_moves_only():
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    images = torch.rand(3, 2, 8, 8)
    sp.testing.assert_invariant(model, images, sp.grid(3, boundary="circular"), tolerance=1e-5)
    with pytest.raises(InvarianceError, match="not invariant"):
        sp.testing.assert_invariant(model, images, sp.grid(3, boundary="zero"), tolerance=1e-5)


def test_the_error_is_an_assertion_and_names_the_worst_view():
    images = torch.zeros(2, 1, 4, 4)
    images[1, 0, 0, 0] = 3.0
    with pytest.raises(AssertionError, match=r"by 3, .*image 1, dy=.*boundary=circular, output 0"):
        sp.testing.assert_invariant(lambda x: x[:, 0, :1, 0], images, sp.grid(1, boundary="circular"))


def test_the_error_knows_its_witness():
    images = torch.zeros(2, 1, 4, 4)
    images[1, 0, 0, 0] = 3.0
    with pytest.raises(InvarianceError) as found:
        sp.testing.assert_invariant(nn.Flatten(), images, sp.grid(1, boundary="circular"))
    image, move = found.value.witness
    assert image == 1
    assert move != (0, 0)
    assert max(map(abs, move)) == 1


def test_nan_is_not_invariance():
    with pytest.raises(InvarianceError, match="inf"):
        sp.testing.assert_invariant(
            lambda x: x.sum((1, 2, 3))[:, None] * torch.nan, torch.rand(1, 1, 4, 4), sp.grid(1, boundary="circular")
        )


def test_a_negative_tolerance_is_refused():
    with pytest.raises(MeasureError, match="below zero"):
        sp.testing.assert_invariant(nn.Identity(), torch.rand(1, 1, 4, 4), sp.grid(1, "zero"), tolerance=-1)


def test_gradients_and_modes_are_left_alone():
    model = nn.Sequential(nn.Dropout(0.0), nn.AdaptiveAvgPool2d(1)).train()
    sp.testing.assert_invariant(model, torch.rand(1, 1, 4, 4), sp.grid(1, boundary="circular"))
    assert model.training


def test_batch_norm_counts_nothing():
    model = nn.Sequential(nn.BatchNorm2d(1), nn.AdaptiveAvgPool2d(1)).train()
    sp.testing.assert_invariant(model, torch.rand(2, 1, 4, 4), sp.grid(1, boundary="circular"))
    assert model[0].num_batches_tracked == 0
    assert model.training


def test_no_images_prove_nothing():
    with pytest.raises(MeasureError, match="no images"):
        sp.testing.assert_invariant(nn.Identity(), torch.rand(0, 1, 4, 4), sp.grid(1, "zero"))


def test_flattened_maps_keep_position_and_an_average_does_not():
    images, moves = torch.rand(2, 1, 6, 6), sp.grid(2, boundary="circular")
    sp.testing.assert_keeps_position(nn.Flatten(), images, moves)
    with pytest.raises(InvarianceError, match=r"position is lost.*image 0, dy=.*boundary=circular"):
        sp.testing.assert_keeps_position(nn.AdaptiveAvgPool2d(1), images, moves)


def test_one_axis_alone_is_not_position():
    rows = nn.AdaptiveAvgPool2d((6, 1))  # knows y, not x
    with pytest.raises(AssertionError, match=r"dy=0, dx="):
        sp.testing.assert_keeps_position(rows, torch.rand(1, 1, 6, 6), sp.grid(1, boundary="circular"))


def test_a_change_below_the_least_is_not_seen():
    def faint(x):
        return 0.25 * x.flatten(1)

    images, moves = torch.eye(6)[None, None], sp.grid(1, boundary="zero")
    sp.testing.assert_keeps_position(faint, images, moves, least=0.25)
    with pytest.raises(InvarianceError, match=r"no output by more than 0.25, less than 0.5"):
        sp.testing.assert_keeps_position(faint, images, moves, least=0.5)
    with pytest.raises(MeasureError, match="below zero"):
        sp.testing.assert_keeps_position(faint, images, moves, least=-1)


def test_moves_that_change_nothing_do_not_count():
    with pytest.raises(MeasureError, match="no move changes"):
        sp.testing.assert_keeps_position(nn.Flatten(), torch.ones(1, 1, 4, 4), sp.grid(1, boundary="circular"))
    rows = torch.arange(4.0)[None, None, :, None].expand(1, 1, 4, 4)  # moves along x leave it as it is
    sp.testing.assert_keeps_position(nn.Flatten(), rows, sp.grid(1, boundary="circular"))


def test_nan_keeps_nothing():
    with pytest.raises(InvarianceError, match="position is lost"):
        sp.testing.assert_keeps_position(
            lambda x: x.flatten(1) * torch.nan, torch.rand(1, 1, 4, 4), sp.grid(1, boundary="circular")
        )


def test_a_model_that_works_in_place_is_judged_by_the_pictures_as_they_were_given():
    moves = sp.grid(1, boundary="circular")
    images = -torch.rand(1, 1, 8, 8) - 0.1
    with pytest.raises(InvarianceError, match="position is lost"):
        sp.testing.assert_keeps_position(nn.Sequential(nn.ReLU(inplace=True), nn.Flatten()), images, moves)
