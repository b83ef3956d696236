"""Training: the same seed gives the same weights, moves are translations, and a lab reads back what it trained."""

import functools
import pickle
import shlex

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import shiftproof as sp
from shiftproof.data.memory import open_labelled
from shiftproof.errors import ModelError, RecordError
from shiftproof.experiments import EXPERIMENTS, Lab, find, reproduce
from shiftproof.experiments import lab as lab_module
from shiftproof.experiments import run as run_module
from shiftproof.experiments.training import Training, draw_moves, moved, train
from shiftproof.experiments.untrained import untrained
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
    assert again.spent.earlier_s > 0
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
    other = Lab(tmp_path, "x", data="digits")
    other.digits("test")
    other.kept("k", lambda: calls.append(1))
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


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if find(name).trains])
def test_what_an_experiment_trains_can_be_sent_to_other_processes(name, tmp_path, monkeypatch):
    def sent(build, data, training, *, loss, **_):
        pickle.loads(pickle.dumps((build, loss)))
        raise StoppedError

    monkeypatch.setattr(lab_module, "train", sent)
    with pytest.raises(StoppedError):
        reproduce(name, folder=tmp_path, seeds=(0,), data="digits")


def test_what_is_kept_is_of_the_same_pictures(tmp_path):
    album, found = tmp_path / "album", []
    album.mkdir()
    for level in (0, 0, 200):
        Image.fromarray(np.full((16, 16), level, dtype=np.uint8)).save(album / "a.png")
        lab = Lab(tmp_path / "out", "x", data=str(album))
        pixels = lab.photographs().photographs[0].pixels
        found.append(lab.kept("mean", lambda pixels=pixels: float(pixels.mean())))
    assert found == [0, 0, 200]


def test_what_is_kept_is_of_the_same_device_and_versions(tmp_path, monkeypatch):
    assert Lab(tmp_path, "x").kept("a", lambda: 1) == 1
    assert Lab(tmp_path, "x").kept("a", lambda: 2) == 1
    assert Lab(tmp_path, "x", device="cuda").kept("a", lambda: 3) == 3
    monkeypatch.setattr(lab_module, "library_version", lambda name: "another")
    assert Lab(tmp_path, "x").kept("a", lambda: 4) == 4


@pytest.mark.parametrize("device", ["bogus", "cuda" if not torch.cuda.is_available() else "mps"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_done(device, tmp_path):
    with pytest.raises(ModelError, match=device):
        reproduce("softmax", folder=tmp_path, device=device)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused_first(tmp_path):
    (tmp_path / "softmax").write_text("a file")
    with pytest.raises(RecordError, match="softmax"):
        reproduce("softmax", folder=tmp_path)


def test_the_command_repeats_the_run(tmp_path):
    assert reproduce("softmax", folder=tmp_path).command == "shiftproof reproduce softmax"
    said = run_module._command(find("locality"), (0, 1, 2), "two words", "cpu", 1)
    assert shlex.split(said) == ["shiftproof", "reproduce", "locality", "--data", "two words"]
    said = run_module._command(find("pooling"), (0, 1), "digits", "cuda", 2)
    assert said == "shiftproof reproduce pooling --seeds 2 --data digits --device cuda --devices 2"
    said = run_module._command(find("pooling"), (5, 7), "digits", "cpu", 1)
    assert said == 'shiftproof.experiments.reproduce("pooling", folder=Path("out"), seeds=(5, 7), data=\'digits\')'


def test_an_experiment_that_trains_leaves_the_random_state_as_found(tmp_path, monkeypatch):
    monkeypatch.setattr(lab_module, "train", lambda build, *_, **__: untrained(build))
    before = torch.get_rng_state()
    reproduce("efficiency", folder=tmp_path, seeds=(0,), data="digits")
    assert torch.equal(before, torch.get_rng_state())
