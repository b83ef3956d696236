"""The attribution experiment: its score on known networks, its stages, and the whole on small digits."""

import pytest
import torch
from torch import nn

import shiftproof as sp
from few_digits import write_few_digits, written
from shiftproof.data.memory import Labelled
from shiftproof.experiments import attribute_invariance
from shiftproof.experiments.trained import attribution
from shiftproof.layers.unshared import UnsharedConv2d
from shiftproof.repairing.stages import AUGMENTATION, POOLING, READOUT, SHARING, STAGES
from shiftproof.training.loop import Training


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


def test_end_to_end_on_a_few_digits_and_again(tmp_path):
    data, out = str(write_few_digits(tmp_path, train=100, test=20)), tmp_path / "out"
    record = sp.reproduce("attribution", folder=out, seeds=[0], data=data)
    every, none = (record.figure("networks", w, "answers kept beyond chance") for w in (", ".join(STAGES), "none"))
    for table in ("kept", "right"):
        shares = sum(record.figure(table, s, "share").measured for s in STAGES)
        assert shares == pytest.approx(record.figure(table, "all together", "share").measured)
    assert record.figure("kept", "all together", "share").measured == pytest.approx(every.measured - none.measured)
    (chart,) = record.charts
    assert [s.name for s in chart.series] == ["share", "alone", "last"]
    assert any("fewer than half" in note for note in record.footnotes)  # 100 digits are few
    before = written(out)
    assert sp.reproduce("attribution", folder=out, seeds=[0], data=data).figures == record.figures
    assert written(out) == before


def test_attribution_of_a_network_and_pictures_of_ones_own():
    data = dots()
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 10))
    found = attribute_invariance(net, data, data, reach_px=1, how=Training(epochs=2, batch_size=3))
    assert [c.stage for c in found] == list(STAGES)
    again = attribute_invariance(net, data, data, reach_px=1, how=Training(epochs=2, batch_size=3))
    assert found == again
