"""Adding one picture at a time gives what looking at all of them at once gives."""

import numpy as np
import pytest

from shiftproof.measure import Moments, mean_interval


def folded(values):
    moments = Moments.of(values.shape[1])
    for row in values:
        moments.add(row)
    return moments


def are_those_of_all_values_at_once(moments, values):
    known = [column[np.isfinite(column)] for column in values.T]
    assert moments.n.tolist() == [len(c) for c in known]
    assert moments.mean == pytest.approx([c.mean() for c in known], rel=1e-12)
    for power, found in ((2, moments.m2), (3, moments.m3), (4, moments.m4)):
        assert found == pytest.approx([((c - c.mean()) ** power).sum() for c in known], rel=1e-6)


@pytest.fixture
def values():
    generator = np.random.default_rng(0)
    values = generator.gamma(0.3, size=(40, 6)) + 100
    values[generator.random(values.shape) < 0.2] = np.nan
    return values


def test_running_moments_are_those_of_all_values_at_once(values):
    are_those_of_all_values_at_once(folded(values), values)


@pytest.mark.parametrize("name", ["n", "mean", "m2", "m3", "m4"])
def test_twin_a_moment_that_misses_one_picture_is_caught(values, name):
    moments, fewer = folded(values), folded(values[:-1])
    setattr(moments, name, getattr(fewer, name))
    with pytest.raises(AssertionError):
        are_those_of_all_values_at_once(moments, values)


@pytest.mark.parametrize("bounded", [None, (0.0, 1.0), (0.0, np.inf)])
@pytest.mark.parametrize("n", [2, 3, 40])
def test_intervals_are_those_of_mean_interval(bounded, n):
    values = np.random.default_rng(1).beta(0.5, 0.5, (n, 4))
    moments = folded(values)
    for i in range(4):
        expected = mean_interval(values[:, i], bounded=bounded, confidence=0.9)
        found = moments.interval(i, bounded=bounded, confidence=0.9)
        assert found is not None
        ends = (found.value, found.low, found.high)
        assert ends == pytest.approx((expected.value, expected.low, expected.high), abs=1e-12)
        assert found.n == n


def test_a_figure_without_an_interval_is_not_given():
    one, none = folded(np.array([[0.5]])), Moments.of(1)
    assert none.interval(0, bounded=(0.0, 1.0)) is None
    assert one.interval(0, bounded=(0.0, np.inf)) is None
    bounded = one.interval(0, bounded=(0.0, 1.0))
    assert bounded is not None
    assert bounded.low < 0.5 < bounded.high


def test_the_scale_multiplies_figure_and_ends():
    moments = folded(np.array([[1.0], [2.0], [4.0]]))
    plain, scaled = (moments.interval(0, bounded=None, scale=s) for s in (1.0, 2.0))
    assert plain is not None
    assert scaled is not None
    assert (scaled.value, scaled.low, scaled.high) == (2 * plain.value, 2 * plain.low, 2 * plain.high)
