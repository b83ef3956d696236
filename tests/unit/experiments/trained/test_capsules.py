"""Capsules: the conditions of the test are what they say, and the whole run on digits."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mutations import layers
from shiftproof.data.memory import open_labelled
from shiftproof.experiments import Lab, told
from shiftproof.experiments.trained.capsules import numbers as capsules
from shiftproof.experiments.trained.capsules import words
from shiftproof.experiments.trained.capsules.decoder import Further, explained, poses, redrawn, train_further, turned
from shiftproof.experiments.trained.capsules.numbers import CAPSULES, NETWORKS, PLAIN, build, by_distance, count, right
from shiftproof.experiments.trained.deformation import Deformation, affine
from shiftproof.training.loop import Training


@pytest.fixture(scope="module")
def test():
    return open_labelled("digits", "test")[:60]


@pytest.mark.parametrize("size", [8, 28])
@pytest.mark.parametrize("network", NETWORKS)
def test_all_networks_score_ten_classes(network, size):
    assert build(network, size)(torch.rand(2, 1, size, size)).shape == (2, 10)


@pytest.mark.parametrize("size", [8, 28])
def test_the_plain_network_has_as_many_weights_as_the_capsules_that_read(size):
    whole, plain = build(CAPSULES, size), build(PLAIN, size)
    assert count(plain) == pytest.approx(count(whole) - count(whole.decoder), rel=0.01)


def test_a_decoder_that_is_trained_further_explains_more_and_the_capsules_stay(test):
    torch.manual_seed(0)
    model, x = build(CAPSULES, 8).eval(), test.pictures.float() / 255
    capsules, before = poses(model, x), explained(x, redrawn(model, x))
    train_further(model, test, Training(rate=3e-3, batch_size=20, moves_px=1), Further(passes=2, epochs=20), 0)
    assert explained(x, redrawn(model, x)) > before + 0.1
    assert torch.equal(poses(model, x), capsules)
    drawn = turned(model, x[:1])
    assert drawn.shape == (16 * 10, 11 * 10)
    middle = torch.from_numpy(drawn[1:9, 51:59].copy()).float() / 255
    assert torch.allclose(middle, redrawn(model, x[:1])[0, 0], atol=0.003)  # no turn in the middle, rounded to 1/255
    assert len({drawn[i : i + 10, 0:10].tobytes() for i in range(0, 160, 10)}) > 1


def test_affine_of_no_range_is_the_picture():
    x = torch.rand(5, 1, 9, 9)
    assert torch.allclose(affine(x, 0, torch.Generator(), Deformation(0.0, 0.0, (1.0, 1.0))), x, atol=1e-5)
    small = affine(torch.ones(1, 1, 16, 16), 0, torch.Generator(), Deformation(0.0, 0.0, (0.5, 0.5)))
    assert small.sum() == pytest.approx(16 * 16 / 4)  # half as high, half as wide
    turned = affine(x, 0, torch.Generator(), Deformation(20.0, 0.0, (1.0, 1.0)))
    assert not torch.allclose(turned, x, atol=1e-2)


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


SOON = Further(passes=1, epochs=2)


def short(size: int) -> Training:
    """A training of seconds."""
    return Training(epochs=2, rate=3e-3, moves_px=1, pictures=400)


def test_on_digits_and_again_after_a_kill(tmp_path):
    class KilledError(Exception):
        pass

    def kill(step):
        if list((tmp_path / "models").glob("*.safetensors")):
            raise KilledError

    def lab(folder, progress=lambda step: None) -> Lab:
        return Lab(folder, "capsules", seeds=(0, 1), data="digits", progress=progress)

    with pytest.raises(KilledError):
        capsules.measure(lab(tmp_path, kill), training=short, further=SOON)
    resumed = capsules.measure(lab(tmp_path), training=short, further=SOON)
    fresh = capsules.measure(lab(tmp_path / "fresh"), training=short, further=SOON)
    assert told(words.EXPERIMENT, resumed) == told(words.EXPERIMENT, fresh)
    assert set(resumed.right["C"]) == {"unmoved", "moved, 1 px", "moved, 2 px", capsules.AFFINE_COLUMN}
    assert resumed.curve["C"].shape == (2, 5)
    assert not resumed.mnist
    assert not any(f.published for f in words.figures(resumed))  # of MNIST, and of another test
    assert all(png[:4] == b"\x89PNG" for png, _ in words.pictures(resumed).values())


def test_what_holds_of_the_capsules():
    numbers = layers.capsules_ahead()

    def holds(ours, theirs, condition, **others):
        found = words.figures(replace(layers.with_rights(numbers, ours, theirs), **others))
        return next(f for f in found if (f.row, f.column) == ("capsules", condition))

    assert holds((0.9, 0.8), (0.7, 0.7), capsules.AFFINE_COLUMN).holds is True
    assert holds((0.9, 0.6), (0.7, 0.7), capsules.AFFINE_COLUMN).holds is False
    assert holds((0.9, 0.8), (0.7, 0.7), capsules.AFFINE_COLUMN).published is None
    assert holds((0.9,), (0.7,), capsules.AFFINE_COLUMN).holds is None
    assert (
        holds((0.9, 0.8), (0.7, 0.7), capsules.UNMOVED).holds is None
    )  # a tick says "ahead of the plain one"; the verdict says "near"

    def verdict(ours, **others):
        return words.claims(replace(layers.with_rights(numbers, ours, (0.7, 0.7)), **others))[1].outcome

    assert verdict((0.9, 0.8)) == "does not hold"
    assert verdict((0.997, 0.999)) == "holds"
    assert verdict((0.997, 0.999), mnist=False) == "not decided here"
    assert holds((0.9, 0.8), (0.7, 0.7), capsules.UNMOVED, mnist=False).published is None
    assert not any(f.holds for f in words.figures(numbers) if f.row == "C")
