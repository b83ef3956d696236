"""Pooling and training on moved pictures, on digits and on photographs: networks of equal cost, verdicts, and a whole run."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from few_digits import write_few_digits, write_few_photographs, written
from mutations import larger
from shiftproof.data import Labelled
from shiftproof.errors import DataError
from shiftproof.experiments import Lab, reproduce, told
from shiftproof.experiments.trained.larger_pictures import words
from shiftproof.experiments.trained.larger_pictures.numbers import (
    DIGITS,
    FILTERS,
    KINDS,
    MODELS,
    PHOTOGRAPHS,
    build,
    measure,
    multiply_adds,
    training,
)
from shiftproof.experiments.trained.larger_pictures.pictures import moved_pictures
from shiftproof.experiments.trained.moved_digits import CONDITIONS, LITTLE, MOVED, UNMOVED, accuracies_of, collected
from shiftproof.training import untrained


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32)])
def test_networks_of_equal_cost_by_counting_every_product(channels, side):
    # Three stages of two 3 x 3 convolutions; every cell of every filter is a sum over 9 cells of every channel below.
    expected, into = 0, channels
    for stage, filters in enumerate(FILTERS):
        cells = (side // 2**stage) ** 2
        expected += cells * 9 * into * filters + cells * 9 * filters * filters
        into = filters
    expected += into * (side // 4) ** 2 * 10
    networks = [untrained(lambda m=model: build(m, channels, side)) for model in MODELS]
    assert [multiply_adds(n, channels, side) for n in networks] == [expected] * 3
    assert len({sum(p.numel() for p in n.parameters()) for n in networks}) == 1
    assert [sum(isinstance(layer, nn.MaxPool2d) for layer in n) for n in networks] == [0, 1, 2]
    assert [[layer.stride for layer in n if isinstance(layer, nn.Conv2d)].count((2, 2)) for n in networks] == [2, 1, 0]


def test_what_is_moved_in_training_and_how_many_pictures():
    assert training(PHOTOGRAPHS, 32, 50_000, augmented=True).moves_px == 3
    assert training(DIGITS, 28, 60_000, augmented=False).moves_px == 0
    assert [training(kind, 28, 40, augmented=True).pictures for kind in KINDS] == [40, 40]
    assert training(DIGITS, 28, 60_000, augmented=False).pictures == 30_000


class Inside(nn.Module):
    """Its class is the brightness of a cell that no move of up to 8 px reaches: it ignores moves."""

    def forward(self, x):
        return nn.functional.one_hot((x[:, 0, 15, 15] * 255).round().long(), 10).float()


def test_networks_that_ignore_moves_gain_nothing_and_lose_nothing():
    labels = torch.arange(40) % 10
    flat = Labelled(labels.to(torch.uint8)[:, None, None, None].expand(40, 3, 32, 32), labels, "flat")
    found = collected([accuracies_of(Inside(), flat, seed) for seed in (0, 1, 2)])
    assert {found.mean(c) for c in CONDITIONS} == {1.0}
    assert (found.curve == 1).all()
    alike = dict.fromkeys(MODELS, found)
    n = {kind: replace(m, plain=alike, augmented=alike) for kind, m in larger.as_on_digits().items()}
    assert {words.change(n, c, k, column).measured for c in words.COMPARED for k in KINDS for column in CONDITIONS} == {
        0
    }
    assert [c.outcome for c in words.claims(n)] == ["not decided here"] * 4
    assert words.readers(n)[f"A on {DIGITS}"] == 1


def test_a_change_is_the_mean_over_seeds_of_the_means_over_draws():
    n = larger.as_on_digits()
    more, less = n[PHOTOGRAPHS].plain["C"], n[PHOTOGRAPHS].plain["A"]
    by_hand = [
        math.fsum(more.drawn[MOVED][s]) / len(more.drawn[MOVED][s])
        - math.fsum(less.drawn[MOVED][s]) / len(less.drawn[MOVED][s])
        for s in range(3)
    ]
    found = words.change(n, words.TWO, PHOTOGRAPHS, MOVED)
    assert found.values == pytest.approx(by_hand)
    cost = words.change(n, words.TWO, PHOTOGRAPHS, words.COST)
    # C falls from 98 to 90 %, A from 96 to 81 %.
    assert cost.measured == pytest.approx((0.98 - 0.90) - (0.96 - 0.81))


def verdicts(n):
    return [c.outcome for c in words.claims(n)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda n: n, ["holds", "holds", "holds", "does not hold"]),
        (larger.opposite, ["does not hold", "does not hold", "does not hold", "holds"]),
        (larger.partly, ["holds in part", "holds in part", "holds in part", "holds in part"]),
        (larger.of_one_seed, ["not decided here"] * 4),
        (lambda n: larger.scattered(n, PHOTOGRAPHS), ["not decided here"] * 4),
        # What photographs show by themselves does not depend on digits; whether it carries over does.
        (lambda n: larger.scattered(n, DIGITS), ["holds", "holds", "holds", "not decided here"]),
    ],
)
def test_every_verdict_comes_out_of_its_numbers(change, expected):
    assert verdicts(change(larger.as_on_digits())) == expected


def test_small_pictures_are_only_cleared_by_every_difference_that_they_show():
    """One that cannot be told from chance on photographs leaves the sentence open; one that is not there on digits does not."""
    n = larger.as_on_digits()
    alike = {**larger.PLAIN[PHOTOGRAPHS], "B": larger.PLAIN[PHOTOGRAPHS]["A"]}
    open_there = larger.with_kind(n, PHOTOGRAPHS, alike)
    assert None in words.carried(open_there)
    assert verdicts(open_there)[3] == "not decided here"
    nothing_on_digits = {**larger.PLAIN[DIGITS], "B": larger.PLAIN[DIGITS]["A"]}
    assert verdicts(larger.with_kind(open_there, DIGITS, nothing_on_digits))[3] == "does not hold"


def test_a_tick_says_that_photographs_agree_with_digits():
    ticks = {
        (f.row, f.column): f.holds for f in words.figures(larger.partly(larger.as_on_digits())) if f.holds is not None
    }
    assert {row.rpartition(", ")[2] for row, _ in ticks} == {PHOTOGRAPHS}
    assert ticks[f"{words.ONE}, {PHOTOGRAPHS}", MOVED] is False
    assert ticks[f"{words.MOVES['A']}, {PHOTOGRAPHS}", MOVED] is True
    assert all((c, UNMOVED) not in words.CONCLUSIONS for c in words.COMPARED)


def test_the_picture_shows_both_kinds_moved():
    n = larger.as_on_digits()
    shown = moved_pictures(n)
    assert shown.shape == (2 * 34, 5 * 34, 3)
    photograph = shown[34:]
    assert (photograph[1:33, 1:33] == 200).all()  # unmoved
    little = photograph[1:33, 34 + 1 : 34 + 33]  # 1 px down and left
    assert (little[0] == 0).all()
    assert (little[:, -1] == 0).all()
    assert (little[1:, :-1] == 200).all()
    far = photograph[1:33, -33:-1]  # 3 px down and right
    assert (far[:3] == 0).all()
    assert (far[3:, 3:] == 200).all()


@pytest.mark.parametrize("data", ["digits", "mnist"])
def test_without_photographs_it_says_what_is_missing_before_anything_is_trained(data, tmp_path):
    with pytest.raises(DataError, match=r"no CIFAR-10 \(.*: give a folder .* get CIFAR-10 from https://"):
        reproduce("larger-pictures", folder=tmp_path, data=data)
    assert not (tmp_path / "models").exists()


def test_a_folder_without_photographs_is_refused_too(tmp_path):
    data = write_few_digits(tmp_path)
    with pytest.raises(DataError, match=r"no CIFAR-10 batch .*looked for .* get CIFAR-10 from https://"):
        measure(Lab(tmp_path / "out", "larger-pictures", data=str(data)))


class Killed(Lab):
    """Stops before the fourth training, as a run that is killed."""

    left = 3

    def trained(self, name, *args, **kwargs):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return super().trained(name, *args, **kwargs)


def test_a_killed_run_goes_on_to_the_same_figures(tmp_path):
    data = tmp_path / "few"
    data.mkdir()
    write_few_photographs(write_few_digits(data, train=40, test=10), train=40, test=10)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        measure(Killed(out, "larger-pictures", seeds=(0,), data=str(data)))
    before = written(out)
    assert len(before) == 3 * 3  # weights, their note, and the accuracies
    resumed = reproduce("larger-pictures", folder=out, seeds=(0,), data=str(data))
    assert before.items() <= written(out).items()
    whole = measure(Lab(tmp_path / "whole", "larger-pictures", seeds=(0,), data=str(data)))
    assert resumed.figures == told(words.EXPERIMENT, whole).figures
    assert resumed.data == "CIFAR-10, MNIST"
    assert not resumed.stand_in
    assert {p.name for p in resumed.pictures} == {"networks.png", "moved.png"}
    assert whole[PHOTOGRAPHS].channels == 3
    assert whole[DIGITS].plain["A"].drawn[LITTLE].shape == (1, 5)
    assert np.isfinite(whole[PHOTOGRAPHS].plain["C"].curve).all()
