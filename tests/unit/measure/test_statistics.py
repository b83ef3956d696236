"""Intervals: against scipy, at their edges, and their coverage by simulation, each beside one that must fail."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from shiftproof.errors import MeasureError
from shiftproof.measure import adjusted_consistency, consistency
from shiftproof.measure.statistics import function_interval, map_interval, mean_interval, moments_interval, radial
from shiftproof.records import Curve

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
import coverage

sys.path.pop(0)
UNIT = (0.0, 1.0)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("n", [2, 3, 5, 30, 60, 101, 10**6])
def test_the_t_interval_against_scipy(level, n):
    expected = scipy.stats.t.interval(level, n - 1, loc=2.0, scale=math.sqrt(3.0 / n))
    metric = moments_interval(2.0, 3.0, n, confidence=level)
    assert (metric.low, metric.high) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (37, 500), (0, 1), (1, 1)])
def test_yes_or_no_values_get_the_interval_of_clopper_and_pearson(k, n):
    values = np.array([1.0] * k + [0.0] * (n - k))
    expected = scipy.stats.binomtest(k, n).proportion_ci(method="exact")
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
            values.mean(),
            values.var(ddof=1),
            40,
            kurtosis=float(kurtosis),
            seen=(values.min(), values.max()),
            confidence=0.9,
            bounded=bounded,
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
        with pytest.raises(MeasureError, match="undefined without one of the images"):
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


@pytest.mark.parametrize("n", [1, 5, 60])
def test_a_model_that_never_changes_has_zero_as_its_lower_end(n):
    never, always = mean_interval(np.zeros(n), bounded=UNIT), mean_interval(np.ones(n), bounded=UNIT)
    assert (never.low, always.high) == (0.0, 1.0)
    assert (
        never.high == pytest.approx(1 - always.low) == pytest.approx(1 - 0.025 ** (1 / n))
    )  # the rule of three, exactly


# ---- coverage, by simulation: the populations and the methods are those of the benchmark ----------------------------

REPEATS = 1000
NEAR = coverage.CONFIDENCE - coverage.SLACK


def _coverage(interval, draw, truth):
    rng = np.random.default_rng(20261120)
    found = [interval(draw(rng)) for _ in range(REPEATS)]
    return sum(low <= truth <= high for low, high in found) / REPEATS


@pytest.mark.parametrize("population", coverage.SIMULATED)
def test_simulated_populations_are_covered_from_five_pictures_on(population):
    for n in coverage.PICTURES:
        assert coverage.covered(coverage.in_use, *coverage.simulated(population, n))[0] >= NEAR, n


@pytest.mark.parametrize("population", [name for name in coverage.real() if not name.startswith("sensitivity")])
def test_real_audits_are_covered_from_five_pictures_on(population):
    for n in coverage.PICTURES:
        assert coverage.covered(coverage.in_use, *coverage.drawn(coverage.real()[population], n))[0] >= NEAR, n


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99])
def test_yes_or_no_is_covered_at_every_rate_and_confidence(level):
    for n in (1, 2, *coverage.PICTURES):
        assert coverage.worst_yes_or_no(coverage.in_use, n, level)[0] >= level - 1e-9, n


def test_many_pictures_are_not_covered_at_any_price():
    drawn = [coverage.simulated(name, 400, 500) for name in coverage.SIMULATED]
    found = [coverage.covered(coverage.in_use, *draw) for draw in drawn]
    assert max(rate for rate, _ in found) <= 0.99
    wider = [coverage.covered(coverage.of_pictures, *draw) for draw in drawn]
    assert all(ours <= theirs for (_, ours), (_, theirs) in zip(found, wider, strict=True))


def test_twin_methods_that_were_not_chosen_undercover():
    few = coverage.simulated("seldom, uneven", 5)
    assert coverage.covered(coverage.effective, *few)[0] < 0.92  # the interval until 0.1
    many = coverage.drawn(coverage.real()["consistency, mobilenet1-imagenet-crop"], 100, 400)
    assert coverage.covered(coverage.beta_binomial, *many)[0] < 0.8  # rates are not beta distributed
    for method in (coverage.of_pictures, coverage.added(0.5)):
        assert coverage.worst_yes_or_no(method, 20)[0] < 0.9


def test_twin_counting_views_as_independent_undercovers():
    def views_as_independent(x, level):
        return coverage.wilson(x, np.full(len(x), coverage.z(level) ** 2 / (x.shape[1] * coverage.VIEWS)))

    for population in ("half, alike", "seldom, uneven", "rare, uneven"):
        assert coverage.covered(views_as_independent, *coverage.simulated(population, 50))[0] < 0.85


def test_the_table_in_the_documents_is_of_the_method_in_use():
    """What is committed of the benchmark is what its functions give now, wherever that takes no time."""
    rows = json.loads((coverage.RESULTS / "coverage.json").read_text())["fractions"]
    name = next(method for method, function in coverage.METHODS.items() if function is coverage.in_use)
    kept = [row for row in rows if row["method"] == name]
    assert {row["population"] for row in kept} >= {f"simulated: {p}" for p in coverage.SIMULATED}
    assert min(min(row["coverage"]) for row in kept) >= NEAR
    worst = next(row for row in kept if row["population"] == coverage.YES_OR_NO)
    assert worst["coverage"] == [round(coverage.worst_yes_or_no(coverage.in_use, n)[0], 4) for n in coverage.PICTURES]


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
