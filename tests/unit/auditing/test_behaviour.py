"""Answers that depend on more than the picture: noise, and neighbours in the batch."""

import pytest
import torch
from torch import nn

import shiftproof as sp

HOW = {"translations": sp.grid(1, boundary="circular"), "layers": 0, "answer": "scores"}


def pictures(n=12):
    bright = torch.linspace(0.2, 1, 12)[torch.randperm(12, generator=torch.Generator().manual_seed(1))][:n]
    return bright[:, None, None, None] * torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Dense(nn.Module):
    """A dense layer; `change` does something to its output."""

    def __init__(self, change=lambda y: y):
        super().__init__()
        self.linear, self.change = nn.Linear(192, 5), change

    def forward(self, x):
        return self.change(self.linear(x.flatten(1)))


def topics(model, n=12, **how):
    return [note.topic for note in sp.audit(model, pictures(n), **{**HOW, **how}).notes]


@pytest.mark.parametrize(
    "change",
    [
        lambda y: y + 0.01 * torch.randn_like(y),
        lambda y: nn.functional.dropout(y, 0.2, training=True),
        lambda y: y * (1 + 0.001 * torch.rand(())),
    ],
    ids=["noise", "dropout", "scale"],
)
def test_a_model_that_answers_differently_twice_is_said(change):
    record = sp.audit(Dense(change), pictures(), **HOW)
    (note,) = record.notes
    assert note.topic == "repeat"
    assert note.fails
    assert note.text in str(record)


@pytest.mark.parametrize(
    "change",
    [
        lambda y: nn.functional.batch_norm(y[..., None], None, None, training=True)[..., 0] if len(y) > 1 else y,
        lambda y: y - y.mean(0),
        lambda y: y - 0.1 * y[:1],
        lambda y: y - 0.1 * y[-1:],
        lambda y: y + 0.1 * y.roll(1, 0),
        lambda y: (y @ y.T).softmax(1) @ y,
        lambda y: (y / y.abs().max() * 127).round() * y.abs().max() / 127,
    ],
    ids=["batch norm", "mean", "first", "last", "neighbour", "attention", "quantised by batch"],
)
def test_an_answer_that_depends_on_its_batch_is_said(change):
    record = sp.audit(Dense(change), pictures(), **HOW)
    (note,) = record.notes
    assert note.topic == "neighbours"
    assert note.fails
    assert note.text in str(record)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch_size", [None, 1, 2, 7])
def test_rounding_is_not_called_dependence(dtype, batch_size):
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(1024, 5)
    )
    assert topics(model.to(dtype), batch_size=batch_size) == []


def test_one_picture_is_enough_to_find_both():
    assert topics(Dense(lambda y: y + 0.1 * torch.randn_like(y)), 1) == ["repeat"]
    assert topics(Dense(lambda y: y - y.mean(0)), 1) == ["neighbours"]
    assert topics(Dense(), 1) == []


def test_it_costs_four_forward_passes_of_one_small_batch():
    sizes = []
    model = Dense(lambda y: sizes.append(len(y)) or y)
    sp.audit(model, pictures(), batch_size=100, **HOW)
    # one batch, once more to see all outputs, and its two repetitions; its picture alone, and what its cost is measured with
    assert sizes.count(3) == 4
    assert sizes[:1] == [3]


def test_a_resumed_run_keeps_the_note(tmp_path):
    class StopError(Exception):
        pass

    def stop(progress):
        raise StopError

    model, x = Dense(lambda y: y - 0.1 * y.mean(0)), torch.rand(2000, 3, 8, 8)
    how = {**HOW, "out": tmp_path / "out", "batch_size": 32}
    with pytest.raises(StopError):
        sp.audit(model, x, progress=stop, **how)
    assert [n.topic for n in sp.audit(model, x, **how).notes] == ["neighbours"]


def test_random_weights_are_said_in_the_first_line():
    torch.manual_seed(0)
    model = sp.load_model("builtin:pooling-a")
    c, h, w = model.input_size
    record = sp.audit(model, torch.rand(4, c, h, w), **HOW)
    assert record.model.random_weights
    assert record.notes[0].topic == "weights"
    lines = str(record).splitlines()
    assert "random weights" in lines[0]
    assert "say nothing about the trained model" in lines[1]
    assert "random weights" in record._repr_html_()
