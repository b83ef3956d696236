"""Receptive fields: worked sizes, brute force, and a layer that sees more than it says."""

import pytest
import torch
from torch import nn

from shiftproof.experiments import Lab
from shiftproof.experiments.photographs.receptive_field import words
from shiftproof.experiments.photographs.receptive_field.numbers import Field, fields, measure, unmoved_by_the_rest
from shiftproof.models.networks.conv_net import ConvNet


def test_worked_sizes():
    found = fields(ConvNet("cpcp"), torch.zeros(1, 1, 28, 28))
    assert [f.size for f in found.values()] == [3, 4, 8, 10]
    assert [f.jump for f in found.values()] == [1, 2, 2, 4]
    assert Field().through(3, 1, 1, 1).through(3, 2, 1, 1).box(0) == (-2, 2)


@pytest.mark.parametrize("padding", [0, 1])
def test_the_box_by_changing_each_pixel(padding):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, 2, padding=padding), nn.Conv2d(2, 1, 3, dilation=2)).double()
    x = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    field = fields(model, x)["1"]
    base, cell = model(x), 2
    for at in range(21):
        moved = x.clone()
        moved[:, :, 10, at] = 1
        low, high = field.box(cell)
        changed = bool((model(moved) != base)[0, 0, :, cell].any())
        assert not changed or low <= at <= high
    assert all(
        bool((model(x.index_fill(3, torch.tensor([at]), 1.0)) != base)[0, 0, :, cell].any()) for at in field.box(cell)
    )


def test_a_layer_that_sees_more_is_found_out():
    class Leak(nn.Conv2d):
        def forward(self, x):
            return super().forward(x) + x.mean()

    torch.manual_seed(0)
    x = torch.rand(2, 1, 12, 12, dtype=torch.float64)
    for kind, alone in ((nn.Conv2d, True), (Leak, False)):
        model = nn.Sequential(kind(1, 1, 3)).double()
        assert unmoved_by_the_rest(model, "0", x, fields(model, x)["0"], 5) is alone


def test_the_networks_of_the_record(tmp_path):
    found = measure(Lab(tmp_path, "receptive-field"), inputs=2)
    sizes = [layer.field.size for layer in found.layers["ResNet-20"]]
    assert (sizes[0], sizes[-1], len(sizes)) == (3, 81, 19)
    assert all(f.holds for f in words.figures(found) if f.holds is not None)
    assert "at 4 of 4 layers" in words.finding(found)[2]
    assert set(words.pictures(found)) == {"unfolding.png", "gradients.png"}
