"""The attribution experiment: its score on known networks, its stages, and the whole on small digits."""

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.data.memory import Labelled
from shiftproof.errors import ModelError
from shiftproof.experiments import attribute_invariance, attribution, moved_digits
from shiftproof.experiments.stages import AUGMENTATION, POOLING, READOUT, SHARING, STAGES, with_stages
from shiftproof.experiments.training import Training
from shiftproof.layers.unshared import UnsharedConv2d
from shiftproof.models.conv_net import ConvNet


class Brightness(nn.Module):
    """Reads the class from the brightest pixel, wherever it is."""

    def forward(self, x):
        return -(x.amax((1, 2, 3))[:, None] * 255 - torch.arange(10)).abs()


class Column(nn.Module):
    """Answers with the column."""

    def forward(self, x):
        return x.amax((1, 2))[:, :10]


class Constant(nn.Module):
    """Always the same answer."""

    def forward(self, x):
        return torch.eye(10)[torch.full((len(x),), 3)]


def dots():
    pictures = torch.zeros(6, 1, 12, 12, dtype=torch.uint8)
    pictures[range(6), 0, 5, range(2, 8)] = torch.arange(2, 8).to(torch.uint8)
    return Labelled(pictures, torch.arange(2, 8), "dots")


def test_the_score_tells_invariance_from_having_one_answer():
    moves = sp.grid(2, "zero")
    assert attribution.scores(Brightness(), dots(), moves) == {"kept": 1.0, "right": 1.0, "unmoved": 1.0}
    assert attribution.scores(Constant(), dots(), moves)["kept"] == 0.0
    column = attribution.scores(Column(), dots(), moves)
    assert column["unmoved"] == 1.0
    assert column["right"] == pytest.approx(4 / 24)  # moves straight up and down
    assert -0.1 < column["kept"] < 0.1 + 4 / 24


def test_a_network_has_exactly_the_stages_it_is_asked_for():
    for there in (frozenset(), frozenset(STAGES), frozenset({SHARING}), frozenset({POOLING, READOUT})):
        kinds = [type(m) for m in attribution.network(there, 28)]
        assert (nn.Conv2d in kinds) == (SHARING in there)
        assert (UnsharedConv2d in kinds) == (SHARING not in there)
        assert (nn.MaxPool2d in kinds) == (POOLING in there)
        assert (nn.AdaptiveAvgPool2d in kinds) == (READOUT in there)
        assert attribution.network(there, 28)(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
        assert attribution.training(there, 28, 3).moves_px == (3 if AUGMENTATION in there else 0)


def test_sharing_and_averaging_together_are_invariant_and_neither_alone_is():
    picture = torch.zeros(1, 1, 28, 28)
    picture[0, 0, 12:16, 11:17] = torch.rand(4, 6)
    torch.manual_seed(0)
    change = {}
    for there in ({SHARING, READOUT}, {SHARING}, {READOUT}):
        model = attribution.network(frozenset(there), 28).double()
        y = model(sp.translate(picture.double(), [(0, 0), (2, -3)], "zero")[0])
        change[frozenset(there)] = (y[0] - y[1]).abs().max().item()
    assert change.pop(frozenset({SHARING, READOUT})) < 1e-12
    assert min(change.values()) > 1e-4


def test_end_to_end_on_small_digits_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr(moved_digits, "SMALL", Training(epochs=1, rate=3e-3))
    monkeypatch.setattr(attribution, "PICTURES", 40)
    record = sp.reproduce("attribution", folder=tmp_path, seeds=[0], data="digits")
    every, none = (record.figure("networks", w, "answers kept beyond chance") for w in (", ".join(STAGES), "none"))
    for table in ("kept", "right"):
        shares = sum(record.figure(table, s, "share").measured for s in STAGES)
        assert shares == pytest.approx(record.figure(table, "all together", "share").measured)
    assert record.figure("kept", "all together", "share").measured == pytest.approx(every.measured - none.measured)
    (chart,) = record.charts
    assert [s.name for s in chart.series] == ["share", "alone", "last"]
    assert any("fewer than half" in note for note in record.footnotes)  # 2 epochs are few
    monkeypatch.setattr(attribution, "scores", None)  # all is read back
    assert sp.reproduce("attribution", folder=tmp_path, seeds=[0], data="digits").figures == record.figures


def test_the_stages_of_a_network_of_ones_own():
    net = ConvNet("cpcp", filters=3, input_size=(1, 12, 12))
    for there in (frozenset(), frozenset(STAGES), frozenset({SHARING, POOLING}), frozenset({READOUT})):
        made = with_stages(net, there, (1, 12, 12))
        kinds = [type(m) for m in made]
        assert kinds.count(nn.Conv2d) == (2 if SHARING in there else 0)
        assert kinds.count(UnsharedConv2d) == (0 if SHARING in there else 2)
        assert kinds.count(nn.MaxPool2d) == (2 if POOLING in there else 0)
        assert kinds.count(nn.AdaptiveAvgPool2d) == (READOUT in there)
        assert made(torch.zeros(2, 1, 12, 12)).shape == (2, 10)
    assert repr(list(with_stages(net, frozenset({SHARING, POOLING}), (1, 12, 12)))) == repr(list(net))
    with pytest.raises(ModelError, match="not a chain"):
        with_stages(Column(), frozenset(), (1, 12, 12))
    with pytest.raises(ModelError, match="no dense layer"):
        with_stages(nn.Sequential(nn.Conv2d(1, 2, 3)), frozenset(), (1, 12, 12))


def test_attribution_of_a_network_and_pictures_of_ones_own():
    data = dots()
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 10))
    found = attribute_invariance(net, data, data, reach_px=1, how=Training(epochs=2, batch_size=3))
    assert [c.stage for c in found] == list(STAGES)
    again = attribute_invariance(net, data, data, reach_px=1, how=Training(epochs=2, batch_size=3))
    assert found == again
