"""Intervals: against scipy, at their edges, and their coverage by simulation, each beside one that must fail."""

import math

import numpy as np
import pytest
import scipy.stats

from shiftproof.errors import MeasureError
from shiftproof.measure import adjusted_consistency, consistency, statistics
from shiftproof.measure.statistics import function_interval, map_interval, mean_interval, moments_interval, radial
from shiftproof.records import Curve

UNIT = (0.0, 1.0)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_t_quantile_against_scipy(level):
    for df in (*range(1, 60), 100, 1000, 10**6):
        assert statistics._t(level, df) == pytest.approx(scipy.stats.t.ppf((1 + level) / 2, df), rel=2e-6)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (37, 500), (0, 1), (1, 1)])
def test_yes_or_no_values_get_wilsons_interval(k, n):
    values = np.array([1.0] * k + [0.0] * (n - k))
    expected = scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
    metric = mean_interval(values, bounded=UNIT)
    assert (metric.low, metric.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (metric.value, metric.n) == (k / n, n)


def test_unbounded_is_students_t():
    values = np.random.default_rng(0).uniform(size=30)  # kurtosis 1.8: n - 1 degrees of freedom
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    metric = mean_interval(values, confidence=0.9)
    assert (metric.low, metric.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_heavy_tails_cost_degrees_of_freedom():
    values = np.array([1.0] + [0.0] * 29)
    plain, wide = moments_interval(values.mean(), values.var(ddof=1), 30), mean_interval(values)
    assert wide.half_width > 1.5 * plain.half_width


def test_moments_give_the_same_interval():
    values = np.random.default_rng(0).beta(0.3, 2, 40)
    kurtosis = scipy.stats.kurtosis(values, fisher=False)
    for bounded in (None, UNIT, (0.0, math.inf)):
        by_moments = moments_interval(
            values.mean(), values.var(ddof=1), 40, kurtosis=float(kurtosis), confidence=0.9, bounded=bounded
        )
        metric = mean_interval(values, confidence=0.9, bounded=bounded)
        assert (by_moments.low, by_moments.high) == pytest.approx((metric.low, metric.high), rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 2, 30, 1000])
def test_equal_fractions_never_have_zero_width(value, n):
    metric = mean_interval(np.full(n, value), bounded=UNIT)
    assert metric.value == value
    assert 0 <= metric.low <= value <= metric.high <= 1
    assert metric.half_width > 0.3 / n


def test_bounds_scale():
    values = np.random.default_rng(0).uniform(-1, 3, 25)
    wide, unit = mean_interval(values, bounded=(-1, 3)), mean_interval((values + 1) / 4, bounded=UNIT)
    assert (wide.value, wide.low, wide.high) == pytest.approx(
        tuple(4 * v - 1 for v in (unit.value, unit.low, unit.high))
    )


def test_half_open_bounds_cut_the_t_interval():
    values = np.array([0.0, 0.0, 0.0, 1.0])
    assert mean_interval(values).low < 0
    assert mean_interval(values, bounded=(0.0, math.inf)).low == 0
    assert mean_interval(values, bounded=(0.0, math.inf)).high == mean_interval(values).high


def test_missing_values_are_left_out():
    metric = mean_interval(np.array([1.0, np.nan, 0.0]), bounded=UNIT)
    assert metric == mean_interval(np.array([1.0, 0.0]), bounded=UNIT)
    assert metric.n == 2


@pytest.mark.parametrize(
    ("values", "bounded", "words"),
    [
        ([], None, "no image"),
        ([np.nan], UNIT, "no image"),
        ([1.0], None, "one image"),
        ([1.0, np.inf], None, "not finite"),
        ([0.5, 1.5], UNIT, "not finite numbers in"),
        ([0.5, 0.5], (1.0, 0.0), "no room"),
    ],
)
def test_refusals(values, bounded, words):
    with pytest.raises(MeasureError, match=words):
        mean_interval(np.array(values, dtype=float), bounded=bounded)


def test_moments_refusals():
    for mean, n in ((0.5, 0), (1.5, 5), (math.nan, 5)):
        with pytest.raises(MeasureError):
            moments_interval(mean, 0.1, n, bounded=UNIT)
    with pytest.raises(MeasureError, match="one image"):
        moments_interval(0.5, math.nan, 1)
    assert moments_interval(0.5, math.nan, 1, bounded=UNIT).n == 1


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_confidence_must_be_a_fraction(confidence):
    with pytest.raises(MeasureError, match="confidence"):
        mean_interval(np.array([0.0, 1.0]), confidence=confidence)


# ---- functions of means --------------------------------------------------------------------------------------------


def _ratio(means):
    return means[..., 0] / means[..., 1]


def test_jackknife_of_the_mean_is_the_t_interval():
    values = np.random.default_rng(0).normal(size=(30, 1))
    jackknife, plain = function_interval(values, lambda means: means[..., 0]), mean_interval(values[:, 0])
    assert (jackknife.value, jackknife.low, jackknife.high) == pytest.approx((plain.value, plain.low, plain.high))


def test_function_leaves_out_images_without_a_value_and_cuts_at_bounds():
    parts = np.array([[1.0, 1.0], [0.0, 1.0], [np.nan, 1.0], [1.0, 1.0]])
    metric = function_interval(parts, _ratio, bounded=UNIT)
    assert metric.n == 3
    assert metric.value == pytest.approx(2 / 3)
    assert (metric.low, metric.high) == (0.0, 1.0)


def test_function_refusals():
    with np.errstate(all="ignore"):
        with pytest.raises(MeasureError, match=r"1 image\(s\)"):
            function_interval(np.ones((1, 2)), _ratio)
        with pytest.raises(MeasureError, match="undefined at these means"):
            function_interval(np.zeros((4, 2)), _ratio)
        with pytest.raises(MeasureError, match="rests on one image"):
            function_interval(np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]]), _ratio)


# ---- maps and radial curves ----------------------------------------------------------------------------------------

OFFSETS = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (3.0, 4.0)]


def test_map_is_mean_interval_by_column():
    values = np.random.default_rng(0).random((20, 5))
    values[3, 2] = np.nan
    m = map_interval(OFFSETS, values, bounded=UNIT)
    assert m.offsets_px == [list(o) for o in OFFSETS]
    for j in range(5):
        metric = mean_interval(values[:, j], bounded=UNIT)
        assert (m.values[j], m.low[j], m.high[j]) == pytest.approx((metric.value, metric.low, metric.high), rel=1e-12)
    assert m.radial == radial(OFFSETS, values, bounded=UNIT)


def test_map_has_none_where_nothing_is_known():
    values = np.array([[1.0, np.nan, 0.0, 1.0, 1.0], [1.0, np.nan, np.nan, 1.0, 1.0]])
    m = map_interval(OFFSETS, values)
    assert (m.values[1], m.low[1], m.high[1]) == (None, None, None)
    assert (m.values[2], m.low[2], m.high[2]) == (0.0, None, None)
    assert map_interval(OFFSETS, values[:1]).radial == Curve([], [], [], [])


def test_radial_averages_within_an_image_first():
    values = np.array([[1.0, 0.0, 0.5, 0.25, 0.0], [0.0, 1.0, np.nan, 0.75, 1.0]])
    curve = radial(OFFSETS, values, bounded=UNIT)
    assert curve.radius_px == [0.0, 1.0, 5.0]
    per_image = np.array([[0.25], [0.875]])  # means of (0, .5, .25) and of (1, .75): sqrt 2 rounds to 1
    metric = mean_interval(per_image[:, 0], bounded=UNIT)
    assert (curve.values[1], curve.low[1], curve.high[1]) == pytest.approx((metric.value, metric.low, metric.high))


def test_moves_and_columns_must_agree():
    for function in (map_interval, radial):
        with pytest.raises(MeasureError, match="4 moves for 5 columns"):
            function(OFFSETS[:4], np.zeros((2, 5)))


# ---- coverage, by simulation ---------------------------------------------------------------------------------------

REPEATS, VIEWS = 1000, 33


def _clustered(rng, n, p, icc, share=1.0):
    """Per-image fractions of yes among views: a share of the images says yes at its own beta-distributed rate."""
    mean = p / share
    rate = rng.beta(mean * (1 - icc) / icc, (1 - mean) * (1 - icc) / icc, n) * (rng.random(n) < share)
    return rng.binomial(VIEWS, rate) / VIEWS


def _coverage(interval, draw, truth):
    rng = np.random.default_rng(20261120)
    found = [interval(draw(rng)) for _ in range(REPEATS)]
    return sum(low <= truth <= high for low, high in found) / REPEATS


def _ours(values):
    metric = mean_interval(values, bounded=UNIT)
    return metric.low, metric.high


def _views_as_independent(values):
    """Broken: counts every view as one more image."""
    n = len(values) * VIEWS
    ci = scipy.stats.binomtest(round(values.sum() * VIEWS), n).proportion_ci(method="wilson")
    return ci.low, ci.high


def _all_degrees_of_freedom(values):
    """Broken where few images say yes: n - 1 degrees of freedom whatever the tails."""
    metric = moments_interval(values.mean(), values.var(ddof=1), len(values), bounded=UNIT)
    return metric.low, metric.high


SCENES = [  # images, mean, intra-image correlation, share of the images that can say yes
    (50, 0.5, 0.1, 1.0),
    (50, 0.1, 0.1, 0.2),
    (50, 0.1, 0.5, 1.0),
    (100, 0.9, 0.3, 1.0),
    (100, 0.03, 0.3, 0.2),
    (200, 0.03, 0.5, 1.0),
    (200, 0.5, 0.9, 1.0),
    (200, 0.01, 0.1, 1.0),
]


@pytest.mark.parametrize(("n", "p", "icc", "share"), SCENES)
def test_fractions_are_covered(n, p, icc, share):
    assert 0.93 <= _coverage(_ours, lambda rng: _clustered(rng, n, p, icc, share), p) <= 0.98


def test_twin_counting_views_as_independent_undercovers():
    for n, p, icc, share in SCENES[:4]:
        assert _coverage(_views_as_independent, lambda rng, s=(n, p, icc, share): _clustered(rng, *s), p) < 0.85


def test_twin_without_the_kurtosis_undercovers_rare_flips():
    n, p, icc = 50, 0.03, 0.5
    assert _coverage(_all_degrees_of_freedom, lambda rng: _clustered(rng, n, p, icc), p) < 0.90
    assert 0.92 <= _coverage(_ours, lambda rng: _clustered(rng, n, p, icc), p) <= 0.98


def test_unbounded_means_are_covered_and_one_standard_error_is_not():
    def draw(rng):
        return rng.gamma(4.0, 0.25, 100)

    def ours(values):
        metric = mean_interval(values)
        return metric.low, metric.high

    def one_error(values):
        half = values.std(ddof=1) / math.sqrt(len(values))
        return values.mean() - half, values.mean() + half

    assert 0.93 <= _coverage(ours, draw, 1.0) <= 0.98
    assert _coverage(one_error, draw, 1.0) < 0.75


def _answers(rng, n):
    """Images always right, always wrong in one way, wavering between two classes, or wrong at random."""
    kind = rng.choice(4, p=(0.5, 0.2, 0.2, 0.1), size=(n, 1))
    right = np.choose(kind, [1.0, 0.0, rng.beta(2, 1, (n, 1)), rng.beta(2, 1, (n, 1))])
    wrong = np.where(kind == 3, rng.integers(1, 10, (n, 25)), 1)
    answers = np.where(rng.random((n, 25)) < right, 0, wrong)
    return consistency(answers), (answers == 0).mean(axis=1)


def test_adjusted_consistency_is_covered_and_unscaled_it_is_not():
    c, a = _answers(np.random.default_rng(0), 400_000)
    by_chance = a.mean() ** 2 + (1 - a.mean()) ** 2 / 9
    truth = (c.mean() - by_chance) / (1 - by_chance)

    def ours(parts):
        metric = adjusted_consistency(*parts, classes=10)
        return (metric.low, metric.high) if metric else (-math.inf, math.inf)

    def unscaled(parts):
        """Broken: the interval of C itself, moved to the estimate of A but not scaled."""
        metric, plain = adjusted_consistency(*parts, classes=10), mean_interval(parts[0], bounded=UNIT)
        return metric.value + plain.low - plain.value, metric.value + plain.high - plain.value

    assert 0.93 <= _coverage(ours, lambda rng: _answers(rng, 150), truth) <= 0.98
    assert _coverage(unscaled, lambda rng: _answers(rng, 150), truth) < 0.90
