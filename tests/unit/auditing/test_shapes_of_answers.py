"""Outputs of one, three and five axes: each figure is that of an independent loop, or the refusal is one sentence."""

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.errors import ModelError

MOVES = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
GRID = sp.grid(1, boundary="circular")


class Squeezed(nn.Module):
    """One logit per picture, without the axis of classes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 1)

    def forward(self, x):
        return self.linear(x.flatten(1)).squeeze(-1)


class Depth(nn.Module):
    """A map of one channel, without its axis; position matters, so that the map does not follow the moves exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        return self.conv(x)[:, 0]


class Tokens(nn.Module):
    """Sixteen vectors of three numbers per picture, as of a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 2, stride=2)

    def forward(self, x):
        return self.conv(x).flatten(2).mT


@pytest.fixture
def pictures():
    torch.manual_seed(1)
    return torch.randn(12, 1, 8, 8)


@pytest.mark.parametrize("layers", [0, 4])  # the layer profile takes its answers from other forward passes
def test_one_logit_without_an_axis(pictures, layers):
    torch.manual_seed(0)
    model = Squeezed()
    record = sp.audit(model, pictures, translations=GRID, layers=layers, answer="logit")
    with torch.no_grad():
        first = model(pictures) > 0
        flips = [(model(pictures.roll(m, (2, 3))) > 0) != first for m in MOVES if m != (0, 0)]
    truth = torch.stack(flips).float().mean().item()
    assert 0 < truth < 1
    assert record.metrics["flip_rate"].value == pytest.approx(truth)
    with pytest.raises(ModelError, match="one output per picture, and nothing says whether it is a logit"):
        sp.audit(model, pictures, translations=GRID, layers=layers)


@pytest.mark.parametrize("layers", [0, 4])
@pytest.mark.parametrize("answer", [None, "values"])
def test_a_map_without_an_axis_of_channels_is_the_same_map_with_one(pictures, answer, layers):
    torch.manual_seed(0)
    bare = Depth()
    model = nn.Sequential(bare, nn.Unflatten(1, (1, 8)))
    how = {"translations": GRID, "layers": layers, "answer": answer or "mask"}
    found = sp.audit(bare, pictures, **{**how, "answer": answer})
    same = sp.audit(model, pictures, **how)
    assert found.model.task == "dense"
    assert_same(found, same)
    assert found.metrics["equivariance_error_border"].value > 0.1  # zero padding: position matters


def assert_same(found, same):
    """The figures agree; batches of another size round differently."""
    assert list(found.metrics) == list(same.metrics)
    for name, metric in found.metrics.items():
        assert metric.value == pytest.approx(same.metrics[name].value, rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("layers", [0, 4])
def test_tokens_are_one_vector_where_they_are_declared_an_embedding(pictures, layers):
    torch.manual_seed(0)
    model = Tokens()
    record = sp.audit(model, pictures, translations=GRID, layers=layers, answer="embedding")
    with torch.no_grad():
        y = model(pictures).flatten(1)
        distances = torch.stack([(model(pictures.roll(m, (2, 3))).flatten(1) - y).norm(dim=1) for m in MOVES])
    same = sp.audit(nn.Sequential(model, nn.Flatten()), pictures, translations=GRID, layers=0, answer="embedding")
    assert distances.max() > 0
    assert record.metrics["sensitivity"].value == pytest.approx(same.metrics["sensitivity"].value, rel=1e-5)
    assert record.model.answer == "embedding"


@pytest.mark.parametrize("net", [Tokens(), nn.Unflatten(1, (1, 1))])
def test_other_shapes_are_refused_in_one_sentence(pictures, net):
    with pytest.raises(
        ModelError, match=r"the model returns a tensor of shape \(\d+, .*(say what it is|it must be \(n, k\))"
    ):
        sp.audit(net, pictures, translations=GRID, layers=0)


def test_a_model_that_squeezes_a_batch_of_one_is_audited(pictures):
    torch.manual_seed(0)
    inner = Squeezed()
    record = sp.audit(lambda x: inner(x).squeeze(), pictures, translations=GRID, layers=0, answer="logit", batch_size=1)
    assert_same(record, sp.audit(inner, pictures, translations=GRID, layers=0, answer="logit"))
