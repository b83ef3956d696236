"""The sensitivity experiment: maps of known networks, the ranking, and the claim held and refuted."""

import math

import pytest
import torch
from torch import nn

import shiftproof as sp
from few_digits import write_few_digits, written
from mutations.invariance import AUGMENTED, C_MOVED, CP, CP_WIDE, CPCP_MOVED, sensitivities
from shiftproof.data.memory import Labelled
from shiftproof.experiments.trained.moved_digits import Setting
from shiftproof.experiments.trained.sensitivity import numbers as experiment
from shiftproof.experiments.trained.sensitivity import words


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


LARGER = {CP: 0.2, CP_WIDE: 0.2}  # the largest effect of architecture, -0.8


@pytest.mark.parametrize(
    ("near", "holds"),
    [
        (AUGMENTED | {CP: 0.9}, True),
        (AUGMENTED | LARGER, False),
        ({C_MOVED: 1.5, CPCP_MOVED: 1.3, CP: 0.9}, False),  # a large effect of augmentation, but a rise
    ],
)
def test_the_claim_is_compared_not_believed(near, holds):
    numbers = sensitivities(near, {})
    found = experiment.compare(numbers)
    assert found.figure.holds is holds
    assert (found.least.name, found.most.name) == ("augmentation of cpcp", "pooling (c to cp)")
    assert found.figure.measured == pytest.approx(0.3 - (1 - near[CP]))
    said = " ".join(words.finding(numbers))
    assert ("up to 3 px, augmentation outweighs architecture: even the effect of augmentation of cpcp" in said) is holds


def test_changes_are_ranked_by_the_fall_of_the_sensitivity():
    names = [e.name for e in experiment.ranked(sensitivities({CP: 0.2, CPCP_MOVED: 0.4, C_MOVED: 1.2}, {}))]
    assert names[:2] == ["pooling (c to cp)", "augmentation of cpcp"]
    assert names[-1] == "wider filters in cp (3 to 7 px)"  # from 0.2 to 1
    rows = [f.row for f in words.figures(sensitivities({CP: 0.2}, {})) if f.table == "effects"]
    assert rows[0] == "pooling (c to cp)"


def test_what_holds_near_is_not_said_of_what_is_far():
    def said(far, **how):
        return words.finding(sensitivities(AUGMENTED | {CP: 0.9}, far, **how))[2:4]

    start = "For moves up to 8 px, beyond those of the training, augmentation of c"
    claim, far = said(AUGMENTED)
    assert claim == (
        "Within the moves of the training, up to 3 px, augmentation outweighs architecture: even the effect of augmentation "
        "of cpcp exceeds that of pooling (c to cp), by 0.20."
    )
    assert far == f"{start} (-0.50) lowers the sensitivity more than every change of architecture."
    assert "augmentation outweighs" in said({})[0]
    assert said({CP: 0.9, CP_WIDE: 0.9})[1].startswith(
        f"{start} (+0.00) does not lower the sensitivity more than every change of architecture: it lowers the "
        "sensitivity less than pooling (c to cp);"
        " these seeds show no difference from "
    )
    claim, far = said(AUGMENTED, seeds=1)
    assert claim.endswith("by 0.20, with a single seed.")
    assert far.startswith(f"{start} (-0.50) can only be listed beside pooling (c to cp) (+0.00), ")


def test_effects_change_one_thing():
    for effect in experiment.effects(Setting(28)):
        fields = ("pattern", "wider", "augmented", "few")
        changed = [n for n in fields if getattr(effect.before, n) != getattr(effect.after, n)]
        assert changed == (["augmented"] if effect.kind == experiment.AUGMENTATION else [changed[0]])
        assert changed != ["few"]


def test_end_to_end_on_a_few_digits_and_again(tmp_path):
    data, out = str(write_few_digits(tmp_path)), tmp_path / "out"
    record = sp.reproduce("sensitivity", folder=out, seeds=[0], data=data)
    maps, radial, bars = record.charts
    assert len(maps.series) == len(radial.series) == 6
    for m, line in zip(maps.series, radial.series, strict=True):
        assert m.y[m.x.index([0.0, 0.0])] == 0.0
        by_hand = [v for (dy, dx), v in zip(m.x, m.y, strict=True) if round(math.hypot(dy, dx)) == 1]
        assert line.y[1] == pytest.approx(sum(by_hand) / len(by_hand))
        assert line.y[1] > 0
    assert bars.series[0].y == sorted(bars.series[0].y)
    assert "for 40 pictures of any class" in record.footnotes[0]
    before = written(out)
    assert sp.reproduce("sensitivity", folder=out, seeds=[0], data=data).figures == record.figures
    assert written(out) == before
