"""Smoothing: the definition as a double loop, the variance by theory, the flip; and windows that theory must refuse."""

import numpy as np

from shiftproof.experiments import reproduce
from shiftproof.experiments.exact import smoothing


def test_it_is_the_sum_in_the_definition():
    rng = np.random.default_rng(2)
    x, w = rng.integers(-9, 10, (3, 20)).astype(float), rng.integers(-9, 10, 4).astype(float)
    found = smoothing.smoothed(x, w)
    for row in range(3):
        for t in range(3, 20):
            assert found[row, t - 3] == sum(x[row, a] * w[t - a] for a in range(t - 3, t + 1))
    assert not np.array_equal(found, smoothing.smoothed(x, w[::-1]))


def test_every_window_sums_to_one():
    for name, w in smoothing.WINDOWS.items():
        assert abs(sum(w) - 1) < 1e-12, name


def test_the_record(tmp_path):
    record = reproduce("smoothing", folder=tmp_path)
    assert all(f.holds for f in record.figures if f.holds is not None)
    five = record.figure("noise", "5 equal", "variance, measured")
    assert five.low < 1 / 5 < five.high
    assert record.figure("flip", "convolution and cross-correlation", "difference").measured > 0
    assert "7 of 7 windows" in record.finding[0]
