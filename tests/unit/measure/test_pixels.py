"""Dependence of two pixels: slow loops as oracles, worked cases, and shuffles that must give none."""

import math

import numpy as np
import pytest

from shiftproof.errors import MeasureError
from shiftproof.measure.pixels import partial_correlations, pixel_correlation, pixel_information


def test_correlation_by_a_slow_loop():
    x = np.random.default_rng(0).integers(0, 9, (7, 9)).astype(float)
    for dy, dx in ((0, 1), (1, 0), (2, 3), (0, 0)):
        a, b = zip(*[(x[i, j], x[i + dy, j + dx]) for i in range(7 - dy) for j in range(9 - dx)], strict=True)
        assert pixel_correlation(x, dy, dx) == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-12)


def test_information_by_a_slow_loop():
    x = np.random.default_rng(0).permutation(80).reshape(8, 10).astype(float)
    level = np.empty((8, 10), int)
    for rank, at in enumerate(np.argsort(x.ravel())):
        level.ravel()[at] = rank * 4 // 80
    pairs = [(level[i, j], level[i, j + 1]) for i in range(8) for j in range(9)]
    n, bits = len(pairs), 0.0
    for a, b in set(pairs):
        p = pairs.count((a, b)) / n
        q, r = sum(s == a for s, _ in pairs) / n, sum(t == b for _, t in pairs) / n
        bits += p * math.log2(p / (q * r))
    bias = (len(set(pairs)) - len({a for a, _ in pairs}) - len({b for _, b in pairs}) + 1) / (2 * n * math.log(2))
    assert pixel_information(x, 0, 1, levels=4) == pytest.approx(bits - bias, abs=1e-12)


def test_independent_pixels_share_nothing_and_copies_share_all():
    x = np.random.default_rng(1).normal(size=(300, 300))
    assert abs(pixel_information(x, 0, 1)) < 2e-3
    assert abs(pixel_correlation(x, 1, 1)) < 0.02
    assert pixel_information(np.repeat(x[:, :1], 300, axis=1), 0, 1) == pytest.approx(4, abs=0.02)  # log2 16
    assert pixel_information(np.exp(x), 0, 0) == pytest.approx(pixel_information(x, 0, 0), abs=1e-12)


def test_only_the_neighbour_counts_in_a_chain_and_the_twin_has_two():
    rng, x = np.random.default_rng(2), np.zeros(200_000)
    noise = rng.normal(size=len(x))
    for t in range(2, len(x)):
        x[t] = 0.6 * x[t - 1] + 0.3 * x[t - 2] + noise[t]
    r = np.array([pixel_correlation(x[None], 0, k) for k in range(1, 6)])
    found = partial_correlations(r)
    assert found[1] == pytest.approx(0.3, abs=0.02)
    assert np.abs(found[2:]).max() < 0.02
    design = np.stack(
        [x[2:-1], x[1:-2], x[:-3]], axis=1
    )  # by least squares: the last weight is the partial correlation
    assert found[2] == pytest.approx(np.linalg.lstsq(design, x[3:], rcond=None)[0][2], abs=0.01)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(MeasureError):
        pixel_correlation(np.ones((4, 4)), 0, 1)
    with pytest.raises(MeasureError):
        pixel_information(np.eye(4), 4, 0)
    with pytest.raises(MeasureError):
        pixel_information(np.eye(4), 1, 0, levels=1)
