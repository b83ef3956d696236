"""Capsules: the conditions of the test are what they say, and the whole run on digits."""

import pytest
import torch
from torch import nn

from shiftproof.data.memory import open_labelled
from shiftproof.experiments import capsules, reproduce
from shiftproof.experiments.capsules import NETWORKS, affine, build, by_distance, explained, right
from shiftproof.experiments.training import Training


@pytest.fixture(scope="module")
def test():
    return open_labelled("digits", "test")[:60]


@pytest.mark.parametrize("size", [8, 28])
@pytest.mark.parametrize("network", NETWORKS)
def test_both_networks_score_ten_classes(network, size):
    assert build(network, size)(torch.rand(2, 1, size, size)).shape == (2, 10)


def test_affine_of_no_range_is_the_picture(monkeypatch):
    x = torch.rand(5, 1, 9, 9)
    monkeypatch.setattr(capsules, "TURN_DEGREES", 0.0)
    monkeypatch.setattr(capsules, "SHEAR", 0.0)
    monkeypatch.setattr(capsules, "SCALE", (1.0, 1.0))
    assert torch.allclose(affine(x, 0, torch.Generator()), x, atol=1e-5)
    monkeypatch.setattr(capsules, "SCALE", (0.5, 0.5))
    small = affine(torch.ones(1, 1, 16, 16), 0, torch.Generator())
    assert small.sum() == pytest.approx(16 * 16 / 4)  # half as high, half as wide
    monkeypatch.setattr(capsules, "TURN_DEGREES", 20.0)
    assert not torch.allclose(affine(x, 0, torch.Generator()), x, atol=1e-2)


def test_affine_stays_in_its_ranges():
    x = torch.zeros(300, 1, 41, 41)
    x[:, :, 20, 30] = 1.0  # 10 px right of the centre
    at = torch.arange(41.0)
    y = affine(x, 2, torch.Generator().manual_seed(0))[:, 0]
    y = y / y.sum((1, 2), keepdim=True)
    dy, dx = (y.sum(2) * at).sum(1) - 20, (y.sum(1) * at).sum(1) - 20
    far = torch.hypot(dy, dx)
    assert far.max() <= 10 * 1.2 + 2 * 2**0.5 * 1.2 + 0.7
    assert far.min() >= 10 * 0.8 - 2 * 2**0.5 * 1.2 - 0.7
    assert far.std() > 0.5


def test_right_and_distance_of_a_network_that_reads_a_pixel(test):
    class Known(nn.Module):
        """Says whether the pixel at (4, 4) is the one that it was told of."""

        def forward(self, x):
            return nn.functional.one_hot((x[:, 0, 4, 4] > 0).long(), 10).float()

    pictures = torch.zeros_like(test.pictures)
    pictures[:, :, 4, 4] = 255
    data = type(test)(pictures, torch.ones_like(test.labels), "points")
    assert right(Known(), data.pictures.float() / 255, data.labels) == 1
    assert by_distance(Known(), data, 3) == [1, 0, 0, 0]


def test_explained_variance():
    x = torch.rand(10, 1, 4, 4)
    assert explained(x, x) == 1
    assert explained(x, x.mean(0).expand_as(x)) == pytest.approx(0)
    assert explained(x, torch.zeros_like(x)) < 0


def test_on_digits_and_again_after_a_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(capsules, "how", lambda size: Training(epochs=2, rate=3e-3, moves_px=1, pictures=400))

    class KilledError(Exception):
        pass

    def kill(step):
        if list((tmp_path / "models").glob("*.safetensors")):
            raise KilledError

    with pytest.raises(KilledError):
        reproduce("capsules", folder=tmp_path, seeds=(0, 1), data="digits", progress=kill)
    resumed = reproduce("capsules", folder=tmp_path, seeds=(0, 1), data="digits")
    fresh = reproduce("capsules", folder=tmp_path / "fresh", seeds=(0, 1), data="digits")
    assert resumed.figures == fresh.figures
    assert resumed.finding == fresh.finding
    assert not any(f.published for f in resumed.figures)  # of MNIST, and of another test
    assert "affNIST" in " ".join(resumed.finding)
    for column in ("moved, 1 px", "moved, 2 px", capsules.AFFINE_COLUMN):
        a, b = (resumed.figure("right", name, column) for name in NETWORKS)
        assert a.holds == all(x > y for x, y in zip(a.values, b.values, strict=True))
    assert len(resumed.charts[0].series) == 2
    assert resumed.images["drawn.png"][:4] == b"\x89PNG"


def test_what_holds_of_the_capsules():
    ahead, level = {"capsules": [0.9, 0.8], "C": [0.7, 0.7]}, {"capsules": [0.9, 0.6], "C": [0.7, 0.7]}
    assert capsules._right("capsules", capsules.AFFINE_COLUMN, ahead, 0.9975).holds is True
    assert capsules._right("capsules", capsules.AFFINE_COLUMN, level, 0.9975).holds is False
    assert capsules._right("capsules", capsules.AFFINE_COLUMN, ahead, 0.9975).published is None
    assert capsules._right("C", capsules.AFFINE_COLUMN, ahead, None).holds is None
    assert capsules._right("capsules", "unmoved", ahead, 0.9975).holds is False
    assert capsules._right("capsules", "unmoved", {"capsules": [0.997, 0.999], "C": [0, 0]}, 0.9975).holds is True
    assert capsules._right("capsules", "unmoved", ahead, None).published is None
