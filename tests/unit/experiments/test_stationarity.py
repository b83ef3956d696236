"""Stationarity: what is done to the pictures is what it says, broken ones fail, and the record follows the figures."""

import numpy as np
import pytest

from shiftproof.experiments import reproduce, stationarity


@pytest.fixture
def fast(monkeypatch):
    for name, value in {"SIDE": 64, "DRAWS": 199, "TRIALS": 2, "LENGTH": 128, "RUNS": 40}.items():
        monkeypatch.setattr(stationarity, name, value)


def test_shuffles_keep_the_pixels():
    rng = np.random.default_rng(0)
    x = rng.random((3, 64, 64))
    for name, (change, _) in stationarity.PICTURES.items():
        found = change(x, np.random.default_rng(1))
        assert found.shape == x.shape
        if name not in ("photographs", "vignetted"):
            assert not np.array_equal(found, x)
            assert np.array_equal(np.sort(found.reshape(3, -1)), np.sort(x.reshape(3, -1))), name
    assert np.array_equal(stationarity.left_half_shuffled(x, rng)[:, :, 32:], x[:, :, 32:])


def test_the_record(fast, tmp_path):
    record = reproduce("stationarity", folder=tmp_path)

    def p(row: str, what: str, table: str = "pictures") -> float:
        return record.figure(table, row, f"{what}: p").measured

    assert p("vignetted", "mean") < 0.02
    assert p("left half's pixels shuffled", "filter responses") < 0.02
    assert p("patches in order of brightness", "mean") < 0.02
    assert p("random walk", "variance", "series") < 0.02
    assert p("random walk", "mean", "series") > 0.02
    assert p("AR(1) plus a trend", "mean", "series") < 0.02
    for what in stationarity.STATISTICS:
        assert p("all pixels shuffled", what) > 0.02
        assert p("AR(1), 0.9", what, "series") > 0.02
    assert "scikit-image" in record.data
    assert record.figure("peaked", "pictures that lose by shuffling", "fraction").measured == 1


def test_what_is_not_found_is_said(fast, monkeypatch, tmp_path):
    """The twin: a vignette that does nothing is not found, and the finding says so."""
    changed = {**stationarity.PICTURES, "vignetted": (stationarity.rolled, ("mean",))}
    monkeypatch.setattr(stationarity, "PICTURES", changed)
    record = reproduce("stationarity", folder=tmp_path)
    assert "not: vignetted" in record.finding[1]
    assert record.figure("pictures", "vignetted", "mean: p").holds is False
