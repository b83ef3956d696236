"""The sensitivity experiment: maps of known networks, the ranking, and the claim held and refuted."""

import math

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.data.memory import Labelled
from shiftproof.experiments import moved_digits
from shiftproof.experiments import sensitivity as experiment
from shiftproof.experiments.moved_digits import Setting
from shiftproof.experiments.training import Training


class Column(nn.Module):
    """One-hot of the dot's column: all that a move to the side changes, and nothing that a move down does."""

    def forward(self, x):
        return x.amax((1, 2))


class Anywhere(nn.Module):
    """The brightest value and the mean: no move that keeps the dot in sight changes them."""

    def forward(self, x):
        return torch.stack([x.amax((1, 2, 3)), x.sum((1, 2, 3))], 1)


def dots(values):
    pictures = torch.zeros(7, 1, 11, 11, dtype=torch.uint8)
    pictures[range(7), 0, 5, range(2, 9)] = torch.tensor(values, dtype=torch.uint8)
    return Labelled(pictures, torch.arange(7), "dots")


def test_the_map_of_a_network_that_sees_columns_is_known():
    moves = sp.grid(2, "zero")
    found = experiment.sensitivity(Column(), dots([255] * 7), moves, 1)
    expected = [0.0 if dx == 0 else 1.0 for _, dx in moves.offsets]
    assert found["map"] == pytest.approx(expected, abs=1e-6)
    assert found["near"] == pytest.approx([6 / 8] * 7)
    assert found["far"] == pytest.approx([20 / 24] * 7)
    assert found["changed"] == pytest.approx([6 / 8] * 7)
    assert found["radial"][:2] == pytest.approx([0, 6 / 8])  # of length 1 after rounding: 4 along the axes, 4 diagonal


def test_a_network_that_sees_no_place_has_no_sensitivity():
    found = experiment.sensitivity(Anywhere(), dots(range(100, 240, 20)), sp.grid(2, "zero"), 2)
    assert max(found["map"]) == 0
    assert max(found["changed"]) == 0


KINDS = {"augmentation": "augmentation", "architecture": "architecture"}


def pairs(augmentation, architecture, spread=0.0, far=0.0):
    def runs(x):
        one = [{k: [x + s, x + s + 0.01] for k in ("near", "far", "changed")} for s in (-spread, 0, spread)]
        return [run | {"far": [v + far for v in run["far"]]} if x == 0.6 + augmentation else run for run in one]

    base = [{k: [0.6, 0.6] for k in ("near", "far", "changed")}] * 3
    return {
        "architecture": ("architecture", base, runs(0.6 + architecture)),
        "augmentation": ("augmentation", base, runs(0.6 + augmentation)),
    }


@pytest.mark.parametrize(
    ("augmentation", "architecture", "holds"), [(-0.3, -0.1, True), (-0.1, -0.3, False), (0.3, -0.1, False)]
)
def test_the_claim_is_compared_not_believed(augmentation, architecture, holds):
    listed, words = pairs(augmentation, architecture, 0.01), experiment.Words(3, 8)
    ranked, claim = experiment.rank(listed, words), experiment.claim_figure(listed)
    assert claim.holds is holds
    said = " ".join(experiment.finding([], ranked, claim, KINDS, words))
    assert ("Within the moves of the training, up to 3 px, augmentation outweighs architecture: even" in said) is holds
    least = "augmentation" if augmentation < architecture else "architecture"
    assert ranked[0].row == least
    assert f"comes from {least}" in said


def test_a_claim_within_chance_is_said_to_be_open():
    listed, words = pairs(-0.11, -0.1, 0.05), experiment.Words(3, 8)
    listed["architecture"][2].reverse()
    claim = experiment.claim_figure(listed)
    assert claim.holds is False
    assert "is not shown" in " ".join(experiment.finding([], experiment.rank(listed, words), claim, KINDS, words))


def test_what_holds_near_is_not_said_of_what_is_far():
    words = experiment.Words(3, 8)

    def said(far, seeds=slice(3), mixed=False):
        listed = pairs(-0.305, -0.105, 0.05, far=far)
        if mixed:
            listed["architecture"][2].reverse()
        listed = {row: (kind, a[seeds], b[seeds]) for row, (kind, a, b) in listed.items()}
        claim = experiment.claim_figure(listed)
        return experiment.finding([], experiment.rank(listed, words), claim, KINDS, words)[1:3]

    start = "Up to 8 px, farther than those moves, augmentation"
    near, far = said(0.0)
    assert near == (
        "Within the moves of the training, up to 3 px, augmentation outweighs architecture: even augmentation does more "
        "than architecture, by 0.20."
    )
    assert far == f"{start} (-0.30) lowers the sensitivity more than every change of architecture."
    assert said(0.19, mixed=True)[1] == f"{start} (-0.11) is not told apart from architecture (-0.10)."
    assert said(0.25)[1] == f"{start} (-0.05) lowers the sensitivity less than architecture."
    near, far = said(0.0, seeds=slice(1, 2))
    assert near.endswith("by 0.20, one seed only.")
    assert far == f"{start} (-0.30) with one seed only, against architecture (-0.10)."


def test_effects_change_one_thing():
    for kind, before, after in experiment.effects(Setting(28)).values():
        changed = [n for n in ("pattern", "wider", "augmented", "few") if getattr(before, n) != getattr(after, n)]
        assert changed == (["augmented"] if kind == "augmentation" else [changed[0]])
        assert changed != ["few"]


def test_end_to_end_on_small_digits_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr(moved_digits, "SMALL", Training(epochs=2, rate=3e-3))
    monkeypatch.setattr(experiment, "PICTURES", 20)
    record = sp.reproduce("sensitivity", folder=tmp_path, seeds=[0], data="digits")
    maps, radial, bars = record.charts
    assert len(maps.series) == len(radial.series) == 6
    for m, line in zip(maps.series, radial.series, strict=True):
        assert m.y[m.x.index([0.0, 0.0])] == 0.0
        by_hand = [v for (dy, dx), v in zip(m.x, m.y, strict=True) if round(math.hypot(dy, dx)) == 1]
        assert line.y[1] == pytest.approx(sum(by_hand) / len(by_hand))
        assert line.y[1] > 0
    assert bars.series[0].y == sorted(bars.series[0].y)
    monkeypatch.setattr(experiment, "sensitivity", None)  # all is read back
    assert sp.reproduce("sensitivity", folder=tmp_path, seeds=[0], data="digits").figures == record.figures
