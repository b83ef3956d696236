"""Stationarity: what is done to the pictures is what it says, and what was made to differ is found."""

from dataclasses import replace

import numpy as np
import pytest

from shiftproof.experiments import Lab
from shiftproof.experiments.photographs.stationarity.numbers import Sizes, measure
from shiftproof.experiments.photographs.stationarity.specimens import (
    PICTURES,
    VIGNETTED,
    Change,
    left_half_shuffled,
    rolled,
)
from shiftproof.experiments.photographs.stationarity.words import EXPERIMENT

FAST = Sizes(side=64, draws=199, length=128, runs=40, albums=3)


def test_shuffles_keep_the_pixels():
    rng = np.random.default_rng(0)
    x = rng.random((3, 64, 64))
    for name, change in PICTURES.items():
        found = change.make(x, np.random.default_rng(1))
        assert found.shape == x.shape
        if name not in ("photographs", "vignetted"):
            assert not np.array_equal(found, x)
            assert np.array_equal(np.sort(found.reshape(3, -1)), np.sort(x.reshape(3, -1))), name
    assert np.array_equal(left_half_shuffled(x, rng)[:, :, 32:], x[:, :, 32:])


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return measure(Lab(tmp_path_factory.mktemp("lab"), "stationarity"), sizes=FAST)


def test_what_was_made_to_differ_is_found_and_the_rest_is_not(measured):
    pictures, series = measured.pictures, measured.series
    assert pictures["vignetted"].tests["mean"].differs
    assert pictures["left half's pixels shuffled"].tests["filter responses"].differs
    assert pictures["patches in order of brightness"].tests["mean"].differs
    assert pictures["all pixels shuffled"].differing == []
    assert series["random walk"].differing == ["variance"]
    assert series["AR(1) plus a trend"].tests["mean"].differs
    assert series["AR(1), 0.9"].differing == []
    assert measured.lose == 1
    assert "photographs" in measured.album


def test_only_what_is_expected_is_judged(measured):
    vignetted, walked = measured.pictures["vignetted"], measured.pictures["rolled by a random amount"]
    assert vignetted.holds("mean") is True
    assert vignetted.holds("variance") is None
    assert measured.pictures["photographs"].holds("mean") is None
    assert walked.holds("variance") is not walked.tests["variance"].differs


def test_a_vignette_that_does_nothing_is_not_found(tmp_path):
    """The twin: what only rolls the pictures is named in the finding, and its figure does not hold."""
    changes = {**PICTURES, VIGNETTED: Change(rolled, ("mean",))}
    found = measure(Lab(tmp_path, "stationarity"), sizes=FAST, changes=changes)
    assert "it misses vignetted" in EXPERIMENT.finding(found)[2]
    held = {(f.row, f.column): f.holds for f in EXPERIMENT.figures(found)}
    assert held["vignetted", "mean: p"] is False


def test_maps_are_centred_on_the_middle(measured):
    chart = EXPERIMENT.charts(measured)[0]
    assert [s.name for s in chart.series] == list(PICTURES)
    assert chart.series[0].x[0] == [-4, -4]
    assert chart.series[0].y[0] == measured.pictures["photographs"].tests["mean"].map[0, 0]


def test_a_loss_that_chance_explains_is_called_not_shown_everywhere(measured):
    by_chance = replace(measured, sign_p=0.3)
    about_peaks = [s for s in (*EXPERIMENT.finding(by_chance), *EXPERIMENT.footnotes(by_chance)) if "peak" in s]
    assert len(about_peaks) == 2
    assert all("not shown to" in s for s in about_peaks)


def test_mostly_is_decided_by_what_position_explains(measured):
    """The strict claim is decided by p; the one of the paper by the share that position explains."""
    photographs = measured.pictures["photographs"]

    def told(*shares):
        tests = {
            s: replace(t, explained=share, p=0.001)
            for (s, t), share in zip(photographs.tests.items(), shares, strict=True)
        }
        rows = measured.pictures | {"photographs": replace(photographs, tests=tests)}
        return [c.outcome for c in EXPERIMENT.claims(replace(measured, pictures=rows))]

    assert told(0.01, 0.02, 0.04) == ["does not hold", "holds"]
    assert told(0.01, 0.02, 0.06) == ["does not hold", "holds in part"]
    assert told(0.06, 0.07, 0.08) == ["does not hold", "does not hold"]
