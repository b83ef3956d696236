"""Training: the same seed gives the same weights, moves are translations, and a lab reads back what it trained."""

import functools

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.data.memory import open_labelled
from shiftproof.experiments import Lab
from shiftproof.experiments.training import Training, draw_moves, moved, train
from shiftproof.models.conv_net import ConvNet


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


def test_a_lab_reads_back_what_it_trained(digits, tmp_path):
    how, steps = Training(epochs=1, pictures=128), []
    lab = Lab(tmp_path, "x", data="digits", progress=steps.append)
    first = lab.trained("small", small, how, 0)
    assert steps
    steps.clear()
    again = Lab(tmp_path, "y", data="digits", progress=steps.append)
    second = again.trained("small", small, how, 0)
    assert not steps
    assert again.saved_s > 0
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in first.state_dict().items())
    other = again.trained("small", small, Training(epochs=1, pictures=127), 0)
    assert steps
    assert not all(torch.equal(v, other.state_dict()[k]) for k, v in first.state_dict().items())


def test_a_lab_keeps_what_it_computed(tmp_path):
    calls = []
    for _ in range(2):
        assert Lab(tmp_path, "x").kept("k", lambda: calls.append(1) or [1.5, {"a": 2}]) == [1.5, {"a": 2}]
    assert len(calls) == 1
    Lab(tmp_path, "x").kept("k2", lambda: calls.append(1))
    Lab(tmp_path, "x", data="digits").kept("k", lambda: calls.append(1))
    assert len(calls) == 3


def test_a_broken_file_is_trained_again(tmp_path):
    how = Training(epochs=1, pictures=64)
    lab = Lab(tmp_path, "x", data="digits")
    first = lab.trained("small", small, how, 0)
    (path,) = (tmp_path / "models").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:50])
    second = lab.trained("small", small, how, 0)
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in first.state_dict().items())


def test_two_devices_take_the_steps_of_one(digits):
    how = Training(epochs=1, moves_px=1, pictures=131, batch_size=32)  # the last batch has 3
    build = functools.partial(ConvNet, "cp", filters=4, input_size=(1, 8, 8))
    one = train(build, digits, how, seed=0).state_dict()
    two = train(build, digits, how, seed=0, devices=2).state_dict()
    for k, v in one.items():
        assert torch.allclose(v, two[k], rtol=0, atol=2e-4)  # Adam divides by tiny moments: sums in another order show
    start = build_seeded(build)
    assert not all(torch.allclose(v, start[k], rtol=0, atol=2e-4) for k, v in one.items())


def build_seeded(build):
    torch.manual_seed(0)
    return build().state_dict()
