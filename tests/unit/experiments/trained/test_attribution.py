"""The attribution experiment: its score on known networks, its stages, and the whole on small digits."""

import pytest
import torch
from torch import nn

import shiftproof as sp
from few_digits import write_few_digits, written
from shiftproof.data.memory import Labelled
from shiftproof.experiments import attribute_invariance
from shiftproof.experiments.trained.attribution import numbers as attribution
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
        model = attribution.network(frozenset(there), 28).double().eval()
        y = model(sp.translate(picture.double(), [(0, 0), (2, -3)], "zero")[0])
        change[frozenset(there)] = (y[0] - y[1]).abs().max().item()
    assert change.pop(frozenset({SHARING, READOUT})) < 1e-12
    assert min(change.values()) > 1e-4


def test_end_to_end_on_a_few_digits_and_again(tmp_path):
    data, out = str(write_few_digits(tmp_path, train=100, test=20)), tmp_path / "out"
    record = sp.reproduce("attribution", folder=out, seeds=[0], data=data)
    every, none = (record.figure("networks", w, "answers kept beyond chance") for w in (", ".join(STAGES), "none"))
    shares = sum(record.figure("kept", stage, "share").measured for stage in STAGES)
    assert shares == pytest.approx(record.figure("kept", "all together", "share").measured)
    assert shares == pytest.approx(every.measured - none.measured)
    means = [record.figure("given", row, "mean").measured for row in attribution.GIVEN]
    assert means[0] - means[1] == pytest.approx(means[2] - means[3])  # what two stages bring together has no order
    alone = record.figure("given", "averaging readout, given weight sharing", "alone").measured
    cells = [record.figure("square", row, "weight sharing").measured for row in ("averaging readout", "dense readout")]
    assert alone == pytest.approx(cells[0] - cells[1])
    assert [[s.name for s in c.series] for c in record.charts] == [["weight sharing", "no weight sharing"]] * 2
    assert record.finding[0].startswith("Only")  # 100 digits are few
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


class Residual(nn.Module):
    """A branch around a convolution."""

    def __init__(self):
        super().__init__()
        self.first, self.block = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.pool, self.average, self.head = nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Linear(4, 10)

    def forward(self, x):
        x = self.pool(self.first(x).relu())
        return self.head(torch.flatten(self.average((x + self.block(x)).relu()), 1))


def test_attribution_of_a_residual_network():
    data = Labelled(dots().pictures * 30, dots().labels, "dots")
    how = Training(epochs=30, batch_size=3, rate=1e-2)
    found = attribute_invariance(Residual(), data, data, reach_px=1, how=how)
    assert [c.stage for c in found] == list(STAGES)
    assert any(c.share != 0 for c in found)
