"""The pooling and augmentation experiments: moves, spreads, findings, and both end to end on small digits."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import shiftproof as sp
from few_digits import write_few_digits, written
from mutations.invariance import DIGIT, OFF, OURS_NEAREST, accuracies, one_seed, others, scattered, two_convolutions
from shiftproof.data.memory import Labelled
from shiftproof.experiments import Lab
from shiftproof.experiments.trained import augmentation, moved_digits, other_protocols, pooling
from shiftproof.experiments.trained.moved_digits import Setting, draw_at_distance, is_correct, spreads, within_spread


class Column(nn.Module):
    """Its answer is the column of the brightest pixel: it knows exactly when a picture moved."""

    def forward(self, x):
        return x.amax((1, 2))


def dot(columns):
    pictures = torch.zeros(len(columns), 1, 9, 9, dtype=torch.uint8)
    pictures[torch.arange(len(columns)), 0, 4, columns] = 255
    return Labelled(pictures, torch.tensor(columns), "dots")


def test_correct_answers_are_counted_picture_by_picture():
    data, moves = dot([3, 4, 5, 4]), torch.tensor([[0, 0], [2, 0], [0, 1], [-1, -1]])
    assert is_correct(Column(), data).tolist() == [True] * 4
    assert is_correct(Column(), data, moves).tolist() == [True, True, False, False]


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
    only_draws = spreads((2 * draws).numpy())
    assert only_draws.draws == pytest.approx(2, rel=0.05)
    assert only_draws.seeds is not None
    assert only_draws.seeds < 0.4
    both = spreads((3 * networks + 2 * draws).numpy())
    assert both.draws == pytest.approx(2, rel=0.05)
    assert both.seeds == pytest.approx(3, rel=0.1)
    assert both.both == pytest.approx(math.sqrt(13), rel=0.1)
    assert spreads(np.array([[0.5, 0.6]])).both is None
    assert spreads(np.array([[0.5], [0.7]])).draws is None


def test_a_published_figure_is_held_against_the_spread_of_one_run():
    runs = np.array([[0.70, 0.71], [0.72, 0.70], [0.71, 0.73]])
    both, mean = spreads(runs).both, float(runs.mean())
    for sign in (-1, 1):
        assert within_spread(mean + sign * (both + 0.0004), runs) is True
        assert within_spread(mean + sign * (both + 0.0006), runs) is False
    assert within_spread(0.72, runs[:1]) is None
    assert within_spread(0.80, np.array([[0.700], [0.704]])) is False  # two seeds do not make everything agree


def test_a_tick_is_where_no_footnote_is():
    """Every figure that is refused is listed in the first footnote, and none that is ticked."""
    measured = accuracies(pooling.PUBLISHED.by_model | {"A": (0.974, 0.9, 0.6)})
    figures = moved_digits.accuracy_figures(measured, pooling.PUBLISHED)
    assert {f.holds for f in figures} == {True, False}
    note = other_protocols.explain(measured, pooling.PUBLISHED, None)[0]
    for f in figures:
        assert (f"{f.row} {f.column}, " in note) == (f.holds is False)


def test_a_difference_is_explained_only_where_there_is_one():
    def notes(measured, other):
        return [str(note) for note in other_protocols.explain(measured, pooling.PUBLISHED, other) if note]

    agree = accuracies(pooling.PUBLISHED.by_model)
    assert notes(agree, None) == ["Every accuracy equals the published one within the spread of one run."]
    assert notes(one_seed(accuracies(OFF)), None) == []  # the spread between seeds is not known
    far = accuracies(pooling.PUBLISHED.by_model | {"A": (0.974, 0.959, 0.5)})
    best = {"moved": {0: (0.5, 0.5, 0.5), 2: (0.686, 0.7, 0.8)}}
    found = notes(far, others(best, {}))
    assert found[0].startswith(
        "These accuracies differ from the published ones by more than the spread of one run: A moved, 50.0 % instead of 68.6 %"
    )
    assert "the nearest is whole pixels, 2 px." in found[1]
    assert found[2:] == [f"{other_protocols.FOUND}: A moved, whole pixels, 2 px: 68.6 %."]
    part = notes(far, others({"moved": {2: (0.62, 0.7, 0.8)}}, {}))
    assert f"{other_protocols.IN_PART}: A moved, whole pixels, 2 px: 62.0 %." in part
    near = notes(far, others(OURS_NEAREST, {"A": (0.0, 0.0, -0.1)}))
    assert "the moves are not the cause" in near[1]
    assert near[2].startswith(f"{other_protocols.NOT_FOUND}: A moved (excluded: whole pixels, 3 px, only digits that ")
    assert near[2].endswith("trained twice as long 40.0 %).")
    longer = notes(far, others(OURS_NEAREST, {"A": (0.0, 0.0, 0.18)}))
    assert f"{other_protocols.FOUND}: A moved, trained twice as long: 68.0 %." not in longer  # 0.6 points off still
    assert f"{other_protocols.IN_PART}: A moved, trained twice as long: 68.0 %." in longer
    none = notes(far, None)
    assert none[1:] == [f"{other_protocols.NOT_FOUND}: A moved (no other protocol was measured)."]
    unmoved = notes(accuracies(OFF), others(OURS_NEAREST, {}))
    assert "B unmoved (no other protocol was measured)" in unmoved[3]
    assert unmoved[-1].startswith("The moves in the test cannot explain")


def numbers(rows, seeds=None):
    found = accuracies(rows)
    seeds = seeds or (lambda found: found)
    return pooling.Numbers(Setting(28), 10, 10, seeds(found), seeds(two_convolutions()), None, DIGIT)


def test_the_finding_says_what_was_measured():
    right = numbers({"A": (0.98, 0.95, 0.685), "B": (0.98, 0.95, 0.715), "C": (0.98, 0.95, 0.845)})
    wrong = replace(right, accuracy=dict(zip("CBA", right.accuracy.values(), strict=True)))
    for measured in (right, wrong):
        gains = [f for f in pooling.figures(measured) if f.table == "gain" and f.column == "moved"]
        assert [g.holds for g in gains] == (
            [True] * 6 if measured is right else [False, False, True, False, False, False]
        )
    assert "the models have the published order, A < B < C: A 68.5 %, B 71.5 %, C 84.5 %." in pooling.finding(right)[0]
    assert "do not have the published" in pooling.finding(wrong)[0]
    assert pooling.finding(right)[7].startswith(
        "Of what C is ahead of B, the second pooling brings more than the second convolution: +9.5 points and +3.5 points"
    )
    assert pooling.finding(right)[8] == (
        "Pooling makes none of the models invariant: moving the digits lowers the accuracy of A by 29.5 points, "
        "B by 26.5 points, C by 13.5 points."
    )
    assert pooling.footnotes(right) == []  # nothing was published of other digits


def augmented(plain, rows, seeds=lambda found: found):
    both = (seeds(accuracies(r)) for r in (plain, rows))
    return augmentation.Numbers(Setting(28), 10, 10, *both, None, DIGIT)


PLAIN = {"A": (0.98, 0.95, 0.68), "B": (0.98, 0.95, 0.71), "C": (0.98, 0.95, 0.84)}
MORE = {"A": (0.98, 0.95, 0.94), "B": (0.98, 0.95, 0.94), "C": (0.98, 0.95, 0.96)}


def test_augmentation_that_does_not_help_is_not_praised():
    said = augmentation.finding(augmented(PLAIN, PLAIN))
    assert said[0].startswith("Augmentation does not always raise")


def test_augmentation_with_one_seed_says_so_and_nothing_of_chance():
    first, chance, unmoved, _ = augmentation.finding(augmented(PLAIN, MORE, one_seed))
    assert first.endswith("A 93.9 % (+26.0 points), B 93.9 % (+23.0 points), C 95.9 % (+12.0 points).")
    assert chance.startswith("With a single seed")
    assert (
        unmoved
        == "On unmoved digits, the accuracy changes as follows, with a single seed: A +0.0 points, B +0.0 points, "
        "C +0.0 points."
    )
    # The twin: with an interval, chance is spoken of.
    wide = replace(augmented(PLAIN, MORE), augmented=scattered(accuracies(MORE)))
    said = augmentation.finding(wide)
    assert said[1] == "Not all of these changes are gains beyond chance."
    assert "no loss can be distinguished from chance" in said[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Networks are trained once for the tests below."""
    return tmp_path_factory.mktemp("out")


@pytest.mark.parametrize("name", ["pooling", "augmentation"])
def test_end_to_end_on_small_digits_and_again(name, folder):
    record = sp.reproduce(name, folder=folder, seeds=[0], data="digits")
    assert record.data == "digits"
    unmoved = [record.figure("accuracy", m, "unmoved") for m in "ABC"]
    assert all(f.measured > 0.6 and f.published is None for f in unmoved)
    assert record.figure("accuracy", "C", "moved").measured < unmoved[2].measured
    if name == "augmentation":
        assert all(record.figure("gain", m, "moved").measured > 0.05 for m in "ABC")
    (chart,) = record.charts
    assert chart.series[2 if name == "pooling" else -1].y[0] == unmoved[2].measured
    assert all(s.y[-1] < s.y[0] for s in chart.series)
    # What the other experiment trained is read back: three networks more, not six.
    assert len(list((folder / "models").glob("*.safetensors"))) == (5 if name == "pooling" else 8)
    before = written(folder)
    assert sp.reproduce(name, folder=folder, seeds=[0], data="digits").figures == record.figures
    assert written(folder) == before


def test_a_killed_run_goes_on(folder, tmp_path):
    def killed(step):
        if step.stage == "networks" and step.done == 1:
            raise KeyboardInterrupt

    (tmp_path / "models").symlink_to(folder / "models")
    with pytest.raises(KeyboardInterrupt):
        sp.reproduce("pooling", folder=tmp_path, seeds=[0], data="digits", progress=killed)
    first = written(tmp_path / ".kept")
    record = sp.reproduce("pooling", folder=tmp_path, seeds=[0], data="digits")
    after = written(tmp_path)
    assert len(list((tmp_path / ".kept").iterdir())) == 5
    assert all(after[path] == when for path, when in first.items())  # the first network's figures were read back
    assert record.figures == sp.reproduce("pooling", folder=folder, seeds=[0], data="digits").figures


def test_readings_and_longer_training_are_measured(folder):
    lab = Lab(folder, "pooling", seeds=(0,), data="digits")
    plain = other_protocols.measure_other_protocols(lab, augmented=False, longer=("B",))
    figures = other_protocols.other_figures(plain, pooling.PUBLISHED)
    found = {(f.row, f.column): f.measured for f in figures if f.table == "other"}
    one, side = (found[f"moved little: {r}", "C"] for r in other_protocols.READINGS["moved little"][:2])
    two, three = (found[f"moved: whole pixels, {px} px", "C"] for px in (2, 3))
    assert side > one > two > three
    off = [found["moved: whole pixels, 2 px", m] - pooling.PUBLISHED.at(m, "moved") for m in "ABC"]
    expected = math.sqrt(sum(d * d for d in off) / 3)
    assert found["moved: whole pixels, 2 px", other_protocols.DISTANCE] == pytest.approx(expected)
    augmented = other_protocols.measure_other_protocols(lab, augmented=True, longer=())
    assert (augmented.readings["moved"][0] > plain.readings["moved"][0]).all()  # other networks, the same moves
    again = [f for f in figures if f.table == "longer"]
    assert [f.row for f in again] == ["B, 15 epochs"] * 3 + ["B, 30 epochs"] * 3
    usual = moved_digits.measure_models(lab, augmented=False)["B"].drawn
    assert [f.measured for f in again[:3]] == [usual[c][0, 0] for c in moved_digits.CONDITIONS]
    assert [f.measured for f in again[3:]] != [f.measured for f in again[:3]]
    assert all(f.source for f in figures if f.published is not None)


def test_digits_that_are_not_all_of_mnist_are_said(tmp_path):
    data = str(write_few_digits(tmp_path, train=60, test=20))
    record = sp.reproduce("pooling", folder=tmp_path / "out", seeds=[0], data=data)
    assert record.footnotes[0].startswith("These networks were trained on 60 and tested on 20 digits")
    assert other_protocols.only_a_part(**other_protocols.WHOLE) == ""
