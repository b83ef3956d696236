"""From dense to convolution: the book's indices, the counts, and a dense layer that becomes a convolution on moved data only."""

import functools

import pytest
import torch

from shiftproof.data import open_labelled
from shiftproof.experiments import Lab
from shiftproof.experiments.trained import dense_to_conv
from shiftproof.experiments.trained.dense_to_conv import MOVED, UNMOVED
from shiftproof.experiments.trained.tying import offsets_tensor, steps
from shiftproof.measure import project_to_convolution
from shiftproof.training.loop import Training, train


def test_the_offsets_are_the_books():
    side = 3
    weight = torch.arange(81.0).reshape(9, 9)
    v = offsets_tensor(weight, side)
    for i in range(side):
        for j in range(side):
            for a in range(side):
                for b in range(side):
                    to = (i + a) % side * side + (j + b) % side
                    assert v[i, j, a, b] == weight[i * side + j, to]


def test_counts_and_exact_steps():
    found = steps(28)
    assert list(found.weights.values()) == [614_656, 784, 9, 36]
    assert found.sums
    assert found.back == 0
    assert found.again
    assert found.random == pytest.approx(found.expected, abs=1e-3)


def test_the_task_is_what_it_says():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0, 0] = 1
    found = dense_to_conv.wanted(x, 4).reshape(4, 4)
    assert found[0, 0] == 4
    assert found[0, 3] == found[3, 0] == found[0, 1] == found[1, 0] == -1
    assert found.abs().sum() == 8


def test_the_record_on_digits_and_its_resumption(tmp_path):
    class KilledError(Exception):
        pass

    def kill(step):
        if list((tmp_path / "b" / "models").glob("*.safetensors")):
            raise KilledError

    def measured(folder, progress=lambda step: None):
        lab = Lab(folder, "dense-to-conv", seeds=(0,), data="digits", progress=progress)
        return dense_to_conv.measure(lab, size=8, epochs=(2, 12))

    found = measured(tmp_path / "a")
    assert found.end(MOVED) < 0.4
    assert found.end(MOVED) < 0.8 * found.end(UNMOVED)
    assert found.epochs == (10, 60)
    with pytest.raises(KilledError):
        measured(tmp_path / "b", kill)
    assert dense_to_conv.figures(measured(tmp_path / "b")) == dense_to_conv.figures(found)


def moved_ramp(model, pictures, labels):
    """The loss of a task that no convolution solves: the answer wanted grows along the picture."""
    dy, dx = torch.randint(8, (2,)).tolist()
    pictures = torch.roll(pictures, (dy, dx), (2, 3))
    answer = dense_to_conv.wanted(pictures, 8) * torch.linspace(0, 1, 64)
    return torch.nn.functional.mse_loss(model(pictures), answer)


def test_a_task_that_no_convolution_solves_does_not_lead_to_one():
    """The twin: on such a task moved data do not tie the weights."""
    digits = open_labelled("digits", "train")
    build, plan = functools.partial(dense_to_conv.dense_layer, 8), Training(epochs=60, rate=3e-3)
    model = train(build, digits, plan, seed=0, loss=moved_ramp)
    assert project_to_convolution(dense_to_conv.weight_of(model), (8, 8)).distance > 0.4
