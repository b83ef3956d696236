"""The pooling and augmentation experiments: moves, spreads, findings, and both end to end on small digits."""

import math

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.data.memory import Labelled
from shiftproof.experiments import Lab, augmentation, moved_digits, other_protocols, pooling
from shiftproof.experiments.moved_digits import answered_right, draw_at_distance, spreads, within_spread
from shiftproof.records import Figure


class Column(nn.Module):
    """Its answer is the column of the brightest pixel: it knows exactly when a picture moved."""

    def forward(self, x):
        return x.amax((1, 2))


def dot(columns):
    pictures = torch.zeros(len(columns), 1, 9, 9, dtype=torch.uint8)
    pictures[torch.arange(len(columns)), 0, 4, columns] = 255
    return Labelled(pictures, torch.tensor(columns), "dots")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Networks are trained once for the tests below."""
    return tmp_path_factory.mktemp("out")


def test_right_is_counted_picture_by_picture():
    data, moves = dot([3, 4, 5, 4]), torch.tensor([[0, 0], [2, 0], [0, 1], [-1, -1]])
    assert answered_right(Column(), data).tolist() == [True] * 4
    assert answered_right(Column(), data, moves).tolist() == [True, True, False, False]


def test_moves_at_a_distance_are_all_moves_of_the_square_ring():
    moves = draw_at_distance(4000, 2, torch.Generator().manual_seed(1))
    found, count = moves.unique(dim=0, return_counts=True)
    assert len(found) == 16
    assert torch.equal(found.abs().amax(1), torch.full((16,), 2))
    assert ((count - 250).abs() < 5 * math.sqrt(250)).all()  # evenly


def test_a_fraction_of_a_pixel_is_between_whole_ones():
    x = torch.randint(0, 256, (5, 1, 7, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = torch.tensor([[1, 2], [0, -3], [-2, 0], [3, 3], [0, 0]])
    expected = sp.translate(x, whole.double(), "zero", pairing="each")
    assert torch.equal(other_protocols.moved_between(x, whole.float()), expected)
    half = other_protocols.moved_between(x, torch.tensor([[0.5, 0.0]] * 5)).double()
    low = sp.translate(x, [(0, 0), (1, 0)], "zero").double().mean(1)
    assert (half - low).abs().max() <= 0.5
    assert (other_protocols.moved_between(x, torch.tensor([[0.25, 0.0]] * 5)).double() - low).abs().max() > 0.5


def test_the_two_spreads_are_told_apart():
    g = torch.Generator().manual_seed(0)
    networks, draws = torch.randn(400, 1, generator=g, dtype=torch.float64), torch.randn(400, 5, generator=g).double()
    only_draws = spreads((2 * draws).tolist())
    assert only_draws.draws == pytest.approx(2, rel=0.05)
    assert only_draws.seeds is not None
    assert only_draws.seeds < 0.4
    both = spreads((3 * networks + 2 * draws).tolist())
    assert both.draws == pytest.approx(2, rel=0.05)
    assert both.seeds == pytest.approx(3, rel=0.1)
    assert both.both == pytest.approx(math.sqrt(13), rel=0.1)
    assert spreads([[0.5, 0.6]]).both is None
    assert spreads([[0.5], [0.7]]).draws is None


def test_a_published_figure_is_held_against_the_spread_of_one_run():
    runs = [[0.70, 0.71], [0.72, 0.70], [0.71, 0.73]]
    both = spreads(runs).both
    mean = sum(map(sum, runs)) / 6
    for sign in (-1, 1):
        assert within_spread(mean + sign * (both + 0.0004), runs) is True
        assert within_spread(mean + sign * (both + 0.0006), runs) is False
    assert within_spread(0.72, runs[:1]) is None
    assert within_spread(0.80, [[0.700], [0.704]]) is False  # two seeds do not make everything agree


def test_a_tick_is_where_no_footnote_is():
    """Every figure that is refused is listed in the first footnote, and none that is ticked."""
    measured = runs([0.68, 0.70], [0.71, 0.73], [0.80, 0.81])
    figures = moved_digits.accuracy_figures("accuracy", measured, pooling.PUBLISHED, pooling.SOURCE)
    assert {f.holds for f in figures} == {True, False}
    note = other_protocols.explain(figures, measured, [], [])[0]
    for f in figures:
        assert (f"{f.row} {f.column}: " in note) == (f.holds is False)


def runs(a, b, c):
    return {m: [dict(zip(moved_digits.CONDITIONS, ([0.98], [0.95], [x]), strict=True)) for x in xs]
            for m, xs in zip("ABC", (a, b, c), strict=True)}  # fmt: skip


def test_the_finding_says_what_was_measured():
    right = runs([0.68, 0.69, 0.685], [0.71, 0.72, 0.715], [0.84, 0.85, 0.845])
    wrong = runs([0.84, 0.85, 0.845], [0.71, 0.72, 0.715], [0.68, 0.69, 0.685])
    said = []
    for measured in (right, wrong):
        gains = pooling.gain_figures(measured)
        figures = moved_digits.accuracy_figures("accuracy", measured, pooling.PUBLISHED, pooling.SOURCE)
        said.append(" ".join(pooling.finding(figures, gains)))
        assert [g.holds for g in gains if g.column == "moved"] == [measured is right] * 2
    assert "the order is the published one" in said[0]
    assert "not the published" in said[1]


def test_a_difference_is_explained_only_where_there_is_one():
    measured = {
        m: [{c: [x] for c, x in zip(moved_digits.CONDITIONS, pooling.PUBLISHED[m], strict=True)}] * 2 for m in "ABC"
    }
    figures = moved_digits.accuracy_figures("accuracy", measured, pooling.PUBLISHED, pooling.SOURCE)
    assert other_protocols.explain(figures, measured, [], []) == []
    far = runs([0.5, 0.51], [0.71, 0.72], [0.84, 0.85])
    figures = moved_digits.accuracy_figures("accuracy", far, pooling.PUBLISHED, pooling.SOURCE)
    ours = other_protocols.READINGS["moved"][0]

    def other(distance, accuracy):
        return [
            Figure("other", f"moved: {ours}", other_protocols.DISTANCE, 0.1),
            Figure("other", "moved: else", other_protocols.DISTANCE, distance),
            Figure("other", f"moved: {ours}", "A", 0.505),
            Figure("other", "moved: else", "A", accuracy),
        ]

    notes = other_protocols.explain(figures, far, other(0.05, 0.69), [])
    assert "A moved: 50.5 % against 68.6 %" in notes[0].replace("%", " %")
    assert "the nearest is else" in notes[1]
    assert f"{other_protocols.FOUND}: A moved, else: 69.0%." in notes
    part = other_protocols.explain(figures, far, other(0.08, 0.62), [])
    assert f"{other_protocols.IN_PART}: A moved, else: 62.0%." in part
    near = other_protocols.explain(figures, far, other(0.15, 0.45), [])
    assert "the moves are not the cause" in near[1]
    assert any(n.startswith(other_protocols.NOT_FOUND) and "A moved (excluded: else 45.0%)" in n for n in near)
    again = [Figure("longer", f"A, {n} epochs", "moved", v) for n, v in ((5, 0.50), (10, 0.68))]
    longer = other_protocols.explain(figures, far, [], again)
    assert f"{other_protocols.FOUND}: A moved, trained twice as long: 68.5%." in longer
    none = other_protocols.explain(figures, far, [], [])
    assert any(n.startswith(other_protocols.NOT_FOUND) and "no other protocol" in n for n in none)


@pytest.mark.parametrize("name", ["pooling", "augmentation"])
def test_end_to_end_on_small_digits_and_again(name, folder, monkeypatch):
    trained = []
    real = moved_digits.network
    monkeypatch.setattr(moved_digits, "network", lambda *a, **k: trained.append(1) or real(*a, **k))
    record = sp.reproduce(name, folder=folder, seeds=[0], data="digits")
    assert record.data == "digits"
    unmoved = [record.figure("accuracy", m, "unmoved") for m in "ABC"]
    assert all(f.measured > 0.6 and f.published is None for f in unmoved)
    assert record.figure("accuracy", "C", "moved").measured < unmoved[2].measured
    if name == "augmentation":
        assert all(record.figure("gain", m, "moved").measured > 0.05 for m in "ABC")
    (chart,) = record.charts
    assert [s.y[0] for s in chart.series][-1] == unmoved[2].measured
    assert all(s.y[-1] < s.y[0] for s in chart.series)
    assert len(trained) == 3  # what the other experiment measured is read back
    again = sp.reproduce(name, folder=folder, seeds=[0], data="digits")
    assert len(trained) == 3
    assert again.figures == record.figures


def test_a_killed_run_goes_on(folder, tmp_path, monkeypatch):
    (tmp_path / "models").symlink_to(folder / "models")
    real, calls = moved_digits.network, []

    def killed(*args, **named):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **named)

    monkeypatch.setattr(moved_digits, "network", killed)
    with pytest.raises(KeyboardInterrupt):
        sp.reproduce("pooling", folder=tmp_path, seeds=[0], data="digits")
    record = sp.reproduce("pooling", folder=tmp_path, seeds=[0], data="digits")
    assert len(calls) == 4  # the first network's figures were read back
    assert record.figures == sp.reproduce("pooling", folder=folder, seeds=[0], data="digits").figures


def test_augmentation_that_does_not_help_is_not_praised():
    same = runs([0.68, 0.69, 0.685], [0.71, 0.72, 0.715], [0.84, 0.85, 0.845])
    figures = moved_digits.accuracy_figures("accuracy", same, None, None)
    said = augmentation.finding(figures, augmentation.gain_figures(same, same))
    assert said[0].startswith("Augmentation does not always raise")


def test_augmentation_with_one_seed_says_so_and_nothing_of_chance():
    plain, augmented = (runs([a], [b], [c]) for a, b, c in ((0.68, 0.71, 0.84), (0.94, 0.94, 0.96)))
    figures = moved_digits.accuracy_figures("accuracy", augmented, None, None)
    first, second, _ = augmentation.finding(figures, augmentation.gain_figures(plain, augmented))
    assert first.endswith("A +26.0% to 94.0%, B +23.0% to 94.0%, C +12.0% to 96.0% (one seed only).")
    assert second == "On unmoved digits the accuracy changes, one seed only: A +0.0%, B +0.0%, C +0.0%."
    more = runs([0.94, 0.60], [0.94, 0.94], [0.96, 0.96])  # the twin: with an interval chance is spoken of
    less = runs([0.68, 0.68], [0.71, 0.71], [0.84, 0.84])
    gains = augmentation.gain_figures(less, more)
    said = augmentation.finding(moved_digits.accuracy_figures("accuracy", more, None, None), gains)
    assert "not beyond chance for all" in said[0]
    assert "no loss can be told from chance" in said[1]


def test_readings_and_longer_training_are_measured(folder):
    lab = Lab(folder, "pooling", seeds=(0,), data="digits")
    figures = other_protocols.other_protocols(lab, pooling.PUBLISHED, augmented=False, source=pooling.SOURCE)
    found = {(f.row, f.column): f.measured for f in figures}
    one, side = (found[f"moved little: {r}", "C"] for r in other_protocols.READINGS["moved little"][:2])
    two, three = (found[f"moved: whole pixels, {px} px", "C"] for px in (2, 3))
    assert side > one > two > three
    off = [found["moved: whole pixels, 2 px", m] - pooling.PUBLISHED[m][2] for m in "ABC"]
    expected = math.sqrt(sum(d * d for d in off) / 3)
    assert found["moved: whole pixels, 2 px", other_protocols.DISTANCE] == pytest.approx(expected)
    augmented = other_protocols.other_protocols(lab, pooling.PUBLISHED, augmented=True, source=pooling.SOURCE)
    gained = [
        a.measured - f.measured for a, f in zip(augmented, figures, strict=True) if f.row == "moved: whole pixels, 3 px"
    ]
    assert all(g > 0 for g in gained[:3])  # other networks, the same moves
    again = other_protocols.longer(lab, ("B",), pooling.PUBLISHED, augmented=False, source=pooling.SOURCE)
    assert [f.row for f in again] == ["B, 15 epochs"] * 3 + ["B, 30 epochs"] * 3
    usual = moved_digits.accuracies(lab, "cp", augmented=False, seed=0)
    assert [f.measured for f in again[:3]] == [usual[c][0] for c in moved_digits.CONDITIONS]
    assert [f.measured for f in again[3:]] != [f.measured for f in again[:3]]
    assert all(f.source for f in (*figures, *again) if f.published is not None)


def test_digits_that_are_not_all_of_mnist_are_said(monkeypatch, tmp_path):
    lab = Lab(tmp_path, "pooling", data="digits")
    (note,) = other_protocols.only_a_part(lab)
    assert f"{len(lab.digits('train')):,} and tested on 500 digits" in note
    monkeypatch.setattr(Lab, "digits", lambda self, split: range(other_protocols.WHOLE[split]))
    assert other_protocols.only_a_part(lab) == []
