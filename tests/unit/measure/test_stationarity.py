"""The test of position: exact size where its null holds, power where it does not, slow loops as oracles."""

import itertools

import numpy as np
import pytest

from shiftproof.errors import MeasureError
from shiftproof.measure.stationarity import cell_means, position_test


def test_the_share_by_a_slow_loop():
    x = np.random.default_rng(0).normal(size=(4, 3, 2, 2))
    found = position_test(x, draws=9)
    centred = x - x.mean(axis=(1, 2), keepdims=True)
    top = sum(4 * float((centred[:, i, j].mean(axis=0) ** 2).sum()) for i in range(3) for j in range(2))
    assert found.share == pytest.approx(top / float((centred**2).sum()), abs=1e-12)
    assert np.allclose(found.map, centred.mean(axis=0))


def test_equal_pictures_are_explained_wholly():
    x = np.tile(np.random.default_rng(0).normal(size=(1, 4, 4, 1)), (6, 1, 1, 1))
    found = position_test(x, draws=199)
    assert found.share == pytest.approx(1)
    assert found.p == pytest.approx(2 / 64, abs=0.03)  # all signs alike: 2 of 64


def test_the_draws_by_a_slow_loop():
    """Every choice of signs of six pictures, one by one: p counts those that reach the share of the data."""
    x = np.random.default_rng(1).normal(size=(6, 5, 1, 1)) + np.linspace(0, 1, 5)[:, None, None]
    centred = x - x.mean(axis=1, keepdims=True)
    signs = [np.array(s).reshape(6, 1, 1, 1) for s in itertools.product((-1, 1), repeat=6)]
    shares = np.array([((s * centred).mean(axis=0) ** 2).sum() for s in signs])
    found = position_test(x, draws=20_000)
    assert found.p == pytest.approx((shares >= (centred.mean(axis=0) ** 2).sum() * (1 - 1e-12)).mean(), abs=0.015)
    assert found.chance == pytest.approx(6 * shares.mean() / float((centred**2).sum()))


def windows(rng, n):
    """Parts of long series that wrap around far outside the part: neighbours are alike, and the two ends are not."""
    f = np.maximum(np.fft.rfftfreq(64), 1 / 64)
    return np.fft.irfft(np.fft.rfft(rng.normal(size=(n, 64))) / f**1.5)[:, :16]


def test_the_size_is_right_where_the_content_does_not_wrap():
    """5 % of 400 albums; moves around the circle, or a permutation of cells, would call far more of them non-stationary."""
    rng, said = np.random.default_rng(0), {"flipped": 0, "moved": 0, "permuted": 0}
    for trial in range(400):
        x = windows(rng, 8)
        said["flipped"] += position_test(x[:, :, None, None], draws=99, seed=trial).p <= 0.05
        draws = np.broadcast_to(x - x.mean(axis=1, keepdims=True), (99, 8, 16))
        found = (draws[0].mean(axis=0) ** 2).sum()
        rolls = (np.arange(16) + rng.integers(16, size=(99, 8, 1))) % 16
        for name, other in (("moved", np.take_along_axis(draws, rolls, 2)), ("permuted", rng.permuted(draws, axis=2))):
            said[name] += (1 + ((other.mean(axis=1) ** 2).sum(axis=1) >= found).sum()) / 100 <= 0.05
    assert said["flipped"] / 400 == pytest.approx(0.05, abs=0.03)  # 2.7 standard errors
    assert said["moved"] / 400 > 0.08
    assert said["permuted"] / 400 > 0.15


def test_what_differs_by_position_is_found():
    rng, hits = np.random.default_rng(0), 0
    for trial in range(100):
        x = windows(rng, 8)
        x += x.std() * np.linspace(-1, 1, 16) ** 2
        hits += position_test(x[:, :, None, None], draws=99, seed=trial).p <= 0.05
    assert hits > 50


def test_nothing_to_explain_is_no_difference():
    found = position_test(np.ones((3, 2, 2, 1)), draws=9)
    assert (found.share, found.p) == (0, 1)


def test_cells_share_out_the_pixels():
    x = np.arange(35.0).reshape(5, 7)
    found = cell_means(x, (2, 3))[..., 0]
    assert found.shape == (2, 3)
    assert found[0, 0] == x[:2, :2].mean()
    assert found[1, 2] == x[2:, 5:].mean()


def test_bad_input_is_refused():
    with pytest.raises(MeasureError):
        position_test(np.ones((1, 2, 2, 1)))
    with pytest.raises(MeasureError):
        position_test(np.full((3, 2, 2, 1), np.nan))
