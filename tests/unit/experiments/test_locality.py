"""Locality: on photographs dependence falls; on shuffled ones there is none, and the finding then says so."""

import math

import numpy as np
import pytest

from shiftproof.data.photographs import Album, Photograph, bundled_photographs
from shiftproof.experiments import Lab, locality, reproduce
from shiftproof.records import Figure


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(locality, "RESAMPLES", 200)
    few = Album(bundled_photographs().photographs[:3], "three photographs")
    monkeypatch.setattr(Lab, "photographs", lambda self, many=False: few)
    return few


def test_where_a_curve_falls_under_a_threshold():
    d = np.array([1.0, 2.0, 4.0])
    assert math.isinf(locality.falls_under(d, np.array([0.9, 0.8, 0.7]), 0.5))
    assert locality.falls_under(d, np.array([0.3, 0.8, 0.7]), 0.5) == 1
    assert locality.falls_under(d, np.array([0.9, 0.7, 0.3]), 0.5) == pytest.approx(2 * 2**0.5)


def test_the_record(fast, tmp_path):
    record = reproduce("locality", folder=tmp_path)
    for direction in locality.DIRECTIONS:
        near = record.figure("correlation", direction, "1 px")
        assert near.measured > 0.8
        assert near.low <= near.measured <= near.high
        assert record.figure("threshold", direction, "correlation").measured > 3
    assert abs(record.figure("correlation", "horizontal, shuffled", "1 px").measured) < 0.01
    assert abs(record.figure("information", "horizontal, shuffled", "1 px").measured) < 0.01
    assert "Dependence falls with distance" in record.finding[0]
    assert "nothing is left" in record.finding[2]
    shuffled = [f.holds for f in record.figures if f.row.endswith("shuffled")]
    assert shuffled
    assert all(shuffled)
    assert record.figure("correlation", "horizontal", "64 px").holds is not None
    assert record.figure("direct", "horizontal", "16 px").holds is not None


def test_pictures_of_noise_are_said_to_have_no_fall(fast, monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    noise = [Photograph(str(i), rng.integers(0, 256, (300, 300), dtype=np.uint8)) for i in range(3)]
    monkeypatch.setattr(Lab, "photographs", lambda self, many=False: Album(tuple(noise), "noise"))
    record = reproduce("locality", folder=tmp_path)
    assert "No fall with distance" in record.finding[0]
    assert record.figure("correlation", "horizontal", "64 px").holds is False
    assert record.figure("threshold", "horizontal", "correlation").measured == 1


def test_what_holds_is_compared():
    def figure(table, row, column, value):
        return Figure(table, row, column, value, "", [], value - 0.05, value + 0.05)

    rows = [figure("correlation", "horizontal", "1 px", 0.9), figure("correlation", "horizontal", "64 px", 0.2),
            figure("correlation", "horizontal, shuffled", "1 px", 0.5), figure("direct", "vertical", "1 px", 0.9),
            figure("direct", "vertical", "16 px", 0.4)]  # fmt: skip
    assert [f.holds for f in locality._with_claims(rows)] == [None, True, False, None, False]
    rows[1], rows[4] = figure("correlation", "horizontal", "64 px", 0.85), figure("direct", "vertical", "16 px", 0.1)
    assert [f.holds for f in locality._with_claims(rows)] == [None, False, False, None, True]
