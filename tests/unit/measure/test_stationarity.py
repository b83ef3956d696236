"""The test of position: exact size where its null holds, power where it does not, slow loops as oracles."""

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
    assert found.p == 1 / 200


def test_the_size_is_right_where_the_content_wraps_though_neighbours_are_alike():
    """5 % of 300 albums, and the naive permutation of cells would call far more of them non-stationary."""
    rng, moved, permuted = np.random.default_rng(0), 0, 0
    wave = np.exp(-0.5 * np.minimum(np.arange(16), 16 - np.arange(16)) ** 2 / 9)
    for trial in range(300):
        x = np.fft.ifft(np.fft.fft(rng.normal(size=(4, 16))) * np.fft.fft(wave)).real
        found = position_test(x[:, :, None, None], draws=99, seed=trial)
        moved += found.p <= 0.05
        centred = x - x.mean(axis=1, keepdims=True)
        shares = [(np.stack([rng.permutation(r) for r in centred]).mean(0) ** 2).sum() for _ in range(99)]
        permuted += (1 + sum(s >= (centred.mean(0) ** 2).sum() for s in shares)) / 100 <= 0.05
    assert moved / 300 == pytest.approx(0.05, abs=0.035)
    assert permuted / 300 > 0.15


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
