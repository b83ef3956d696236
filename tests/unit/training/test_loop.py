"""Training: the same seed gives the same weights, moves are translations, and several devices take the steps of one."""

import functools

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.data.memory import open_labelled
from shiftproof.models.networks.conv_net import ConvNet
from shiftproof.training.loop import Training, draw_moves, moved, train
from shiftproof.training.untrained import untrained


def small() -> nn.Module:
    return ConvNet("cp", filters=4, input_size=(1, 8, 8))


@pytest.fixture(scope="module")
def digits():
    return open_labelled("digits", "train")


def test_moves_are_translations_with_zeros_moved_in():
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(0, 256, (40, 1, 9, 7), dtype=torch.uint8, generator=generator)
    moves = draw_moves(40, 4, generator)
    expected = [
        sp.translate(x[i : i + 1].double(), [tuple(m)], "zero")[0, 0] for i, m in enumerate(moves.double().tolist())
    ]
    assert torch.equal(moved(x, moves).double(), torch.stack(expected))
    assert not torch.equal(moved(x, -moves).double(), torch.stack(expected))


def test_one_seed_one_network(digits):
    how = Training(epochs=1, moves_px=1, pictures=256)
    a, b, other = (train(small, digits, how, seed=s).state_dict() for s in (0, 0, 1))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], other[k]) for k in a)


def test_training_leaves_the_random_state_as_found(digits):
    before = torch.get_rng_state()
    train(small, digits, Training(epochs=1, pictures=64), seed=5)
    assert torch.equal(before, torch.get_rng_state())


def test_training_learns(digits):
    test = open_labelled("digits", "test")
    model = train(small, digits, Training(epochs=20, rate=1e-2), seed=0)
    right = (model(test.pictures.float() / 255).argmax(1) == test.labels).double().mean()
    assert right > 0.85


def test_two_devices_take_the_steps_of_one(digits):
    how = Training(epochs=1, moves_px=1, pictures=131, batch_size=32)  # the last batch has 3
    build = functools.partial(ConvNet, "cp", filters=4, input_size=(1, 8, 8))
    one = train(build, digits, how, seed=0).state_dict()
    two = train(build, digits, how, seed=0, devices=2).state_dict()
    for k, v in one.items():
        assert torch.allclose(v, two[k], rtol=0, atol=2e-4)  # Adam divides by tiny moments: sums in another order show
    start = untrained(build, seed=0).state_dict()
    assert not all(torch.allclose(v, start[k], rtol=0, atol=2e-4) for k, v in one.items())
