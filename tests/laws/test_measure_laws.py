"""Laws of the measures, each as a function that raises, run over random cases and then on a broken case it must catch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn import functional as fn

from shiftproof import measure
from shiftproof.measure import dense_agreement, function_interval, map_interval, mean_interval

FRACTIONS: dict[str, Callable] = {  # every measure of answers, as a function of (answers, labels)
    "accuracy": measure.accuracy,
    "accuracy_every_move": measure.accuracy_every_move,
    "accuracy_worst_move": measure.accuracy_worst_move,
    "consistency": lambda answers, labels: measure.consistency(answers),
    "flip_rate": measure.flip_rate,  # the labels stand in for the unmoved answers
    "mean_flip_rate": lambda answers, labels: measure.mean_flip_rate(answers),
}
EACH = pytest.mark.parametrize("name", FRACTIONS)


@st.composite
def scenes(draw, images=8, moves=7, classes=4):
    n, m = draw(st.integers(1, images)), draw(st.integers(2, moves))
    cell = st.integers(0, classes - 1)
    return draw(hnp.arrays(np.int64, (n, m), elements=cell)), draw(hnp.arrays(np.int64, n, elements=cell))


def floats(shape, least=0.0, most=1.0):
    return hnp.arrays(np.float64, shape, elements=st.floats(least, most).map(lambda v: round(v, 9)))


# ---- bounds --------------------------------------------------------------------------------------------------------


def is_a_fraction(values, n):
    assert values.shape == (n,)
    assert values.dtype == np.float64
    assert (values >= 0).all()
    assert (values <= 1).all()


@EACH
@given(scene=scenes())
def test_every_measure_is_a_fraction_per_image(name, scene):
    is_a_fraction(FRACTIONS[name](*scene), len(scene[0]))


@pytest.mark.parametrize("name", FRACTIONS)
def test_twin_a_measure_over_the_wrong_count_is_caught(name):
    measured = FRACTIONS[name](np.array([[1, 1, 1, 2], [1, 1, 1, 1]]), np.array([1, 1]))
    with pytest.raises(AssertionError):
        is_a_fraction(measured + 1, 2)  # a count too many
    with pytest.raises(AssertionError):
        is_a_fraction(measured.mean(keepdims=True), 2)  # averaged over pictures too soon


# ---- order of moves and of images, names of classes ----------------------------------------------------------------


def ignores_the_order_of_moves(measured, answers, labels, order):
    np.testing.assert_array_equal(measured(answers, labels), measured(answers[:, order], labels))


@pytest.mark.parametrize("name", sorted(set(FRACTIONS) - {"mean_flip_rate", "accuracy_worst_move"}))
@given(scene=scenes(), seed=st.integers(0, 99))
def test_the_order_of_moves_does_not_matter(name, scene, seed):
    order = np.random.default_rng(seed).permutation(scene[0].shape[1])
    ignores_the_order_of_moves(FRACTIONS[name], *scene, order)


def test_twin_the_flip_rate_along_a_path_is_caught_depending_on_order():
    answers, labels = np.array([[1, 1, 2, 2]]), np.array([1])
    with pytest.raises(AssertionError):
        ignores_the_order_of_moves(FRACTIONS["mean_flip_rate"], answers, labels, [0, 2, 1, 3])


def goes_with_the_images(measured, answers, labels, order):
    np.testing.assert_array_equal(measured(answers, labels)[order], measured(answers[order], labels[order]))


@EACH
@given(scene=scenes(), seed=st.integers(0, 99))
def test_values_go_with_their_images(name, scene, seed):
    goes_with_the_images(FRACTIONS[name], *scene, np.random.default_rng(seed).permutation(len(scene[0])))


def test_twin_a_measure_that_mixes_images_is_caught():
    answers, labels = np.array([[1, 1], [2, 2], [3, 4]]), np.array([1, 1, 1])
    cumulative = lambda a, y: np.cumsum(measure.accuracy(a, y))  # noqa: E731
    with pytest.raises(AssertionError):
        goes_with_the_images(cumulative, answers, labels, [2, 1, 0])


def ignores_the_names_of_classes(measured, answers, labels, names):
    np.testing.assert_array_equal(measured(answers, labels), measured(names[answers], names[labels]))


@EACH
@given(scene=scenes(), seed=st.integers(0, 99))
def test_the_names_of_classes_do_not_matter(name, scene, seed):
    ignores_the_names_of_classes(FRACTIONS[name], *scene, np.random.default_rng(seed).permutation(4) * 1000 - 7)


def test_twin_a_measure_of_class_numbers_is_caught():
    spread = lambda a, y: np.ptp(a, axis=1).astype(float)  # noqa: E731
    with pytest.raises(AssertionError):
        ignores_the_names_of_classes(spread, np.array([[0, 1]]), np.array([0]), np.array([0, 5, 2, 3]))


# ---- null tests ----------------------------------------------------------------------------------------------------


def never_flips(answers, unmoved):
    np.testing.assert_array_equal(measure.consistency(answers), 1.0)
    np.testing.assert_array_equal(measure.flip_rate(answers, unmoved), 0.0)
    np.testing.assert_array_equal(measure.mean_flip_rate(answers), 0.0)
    interval = mean_interval(measure.consistency(answers), bounded=(0, 1))
    assert interval.value == interval.high == 1.0
    assert interval.low < 1.0  # never sure, from finitely many images


@given(unmoved=hnp.arrays(np.int64, st.integers(1, 8), elements=st.integers(0, 9)), m=st.integers(2, 9))
def test_constant_answers_are_consistent_and_never_flip(unmoved, m):
    never_flips(np.repeat(unmoved[:, None], m, axis=1), unmoved)


@given(unmoved=hnp.arrays(np.int64, st.integers(1, 8), elements=st.integers(0, 9)), m=st.integers(2, 9), at=st.data())
def test_twin_one_changed_answer_is_caught(unmoved, m, at):
    answers = np.repeat(unmoved[:, None], m, axis=1)
    answers[at.draw(st.integers(0, len(unmoved) - 1)), at.draw(st.integers(0, m - 1))] += 1
    with pytest.raises(AssertionError):
        never_flips(answers, unmoved)


@given(scene=scenes(images=12))
def test_adjusted_consistency_is_one_exactly_for_constant_answers_and_less_otherwise(scene):
    answers, labels = scene
    c, a = measure.consistency(answers), measure.accuracy(answers, labels)
    adjusted = measure.adjusted_consistency(c, a, classes=4)
    if adjusted is not None:
        assert (adjusted.value == 1.0) == (c == 1).all()
        assert adjusted.low <= adjusted.value <= adjusted.high <= 1.0
        assert adjusted.low < 1.0


# ---- relations between measures ------------------------------------------------------------------------------------


def flips_bound_disagreement(consistency, flip_rate):
    """Of two moves that disagree, one at least has flipped, and each move is in equally many pairs: 1 - C <= 2F."""
    assert (1 - consistency <= 2 * flip_rate + 1e-12).all()


@given(scene=scenes())
def test_disagreement_is_at_most_twice_the_flip_rate(scene):
    flips_bound_disagreement(measure.consistency(scene[0]), measure.flip_rate(*scene))


def test_twin_disagreement_without_flips_is_caught():
    with pytest.raises(AssertionError):
        flips_bound_disagreement(np.array([0.5]), np.array([0.1]))


def more_moves_only_make_it_worse(measured, answers, labels, fewer):
    assert (measured(answers, labels) <= measured(answers[:, :fewer], labels)).all()


@given(scene=scenes(), fewer=st.integers(1, 7))
def test_the_worst_case_only_falls_as_moves_are_added(scene, fewer):
    more_moves_only_make_it_worse(measure.accuracy_every_move, *scene, fewer)


def test_twin_mean_accuracy_is_no_worst_case():
    with pytest.raises(AssertionError):
        more_moves_only_make_it_worse(measure.accuracy, np.array([[1, 0, 0]]), np.array([0]), 1)


@given(scene=scenes())
def test_every_move_is_no_better_than_the_worst_and_the_worst_than_the_mean(scene):
    every, worst, mean = (FRACTIONS[f"accuracy{w}"](*scene).mean() for w in ("_every_move", "_worst_move", ""))
    assert every <= worst <= mean + 1e-12


@given(p=floats((3, 6)))
def test_wobble_bounds_every_swing(p):
    swing = measure.wobble(p)
    is_a_fraction(swing, 3)
    assert (swing[:, None] >= np.abs(p - p[:, :1])).all()


# ---- intervals -----------------------------------------------------------------------------------------------------


def holds_its_value(metric, least, most):
    assert least <= metric.low <= metric.value <= metric.high <= most
    assert metric.low < metric.high


@given(values=floats(st.integers(1, 30)), confidence=st.floats(0.01, 0.999))
def test_bounded_intervals_hold_their_value_and_have_width(values, confidence):
    holds_its_value(mean_interval(values, confidence=confidence, bounded=(0, 1)), 0, 1)


def test_twin_the_wald_interval_has_no_width_at_the_ends():
    with pytest.raises(AssertionError):
        holds_its_value(mean_interval(np.zeros(10)), 0, 1)


@given(values=floats(st.integers(2, 30)), confidence=st.floats(0.05, 0.9))
def test_more_confidence_is_wider(values, confidence):
    for bounded in (None, (0, 1)):
        narrow, wide = (mean_interval(values, confidence=c, bounded=bounded) for c in (confidence, confidence + 0.05))
        assert wide.low <= narrow.low
        assert narrow.high <= wide.high


@given(values=floats(st.integers(2, 30)))
def test_fractions_mirror(values):
    there, back = mean_interval(values, bounded=(0, 1)), mean_interval(1 - values, bounded=(0, 1))
    mirrored = [1 - there.high, 1 - there.value, 1 - there.low]
    np.testing.assert_allclose([back.low, back.value, back.high], mirrored, atol=1e-6)  # 1 - v rounds where v is 1e-9


@given(values=floats((6, 4)), seed=st.integers(0, 99))
def test_maps_go_with_their_moves(values, seed):
    offsets = np.array([(0, 0), (0, 1), (2, 0), (-1, -1)], dtype=float)
    order = np.random.default_rng(seed).permutation(4)
    there = map_interval(offsets, values, bounded=(0, 1))
    back = map_interval(offsets[order], values[:, order], bounded=(0, 1))
    np.testing.assert_allclose(np.array(there.values)[order], back.values, rtol=1e-12)
    np.testing.assert_allclose(there.radial.values, back.radial.values, rtol=1e-12, atol=1e-15)


@given(values=floats((8, 2), least=0.5))
def test_functions_of_means_hold_their_value(values):
    metric = function_interval(values, lambda means: means[..., 0] / means[..., 1])
    assert metric.low <= metric.value <= metric.high


# ---- distances -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["euclidean", "cosine"])
@given(f=floats((4, 3), -9, 9), g=floats((4, 3), -9, 9), scale=st.floats(0.125, 8))
def test_distances_are_symmetric_and_scale_as_they_should(kind, f, g, scale):
    a, b = torch.from_numpy(f), torch.from_numpy(g)
    there = measure.distance(a, b, kind)
    assert torch.equal(there, measure.distance(b, a, kind))
    assert (there >= 0).all()
    assert kind == "euclidean" or (there <= 2).all()
    factor = scale if kind == "euclidean" else 1.0
    torch.testing.assert_close(measure.distance(a * scale, b * scale, kind), there * factor, rtol=1e-9, atol=1e-12)


@given(x=floats((5, 3), -9, 9), scale=st.floats(0.125, 8))
def test_sensitivity_has_no_unit(x, scale):
    if len(np.unique(np.round(x, 6), axis=0)) < 5:
        return
    distances = measure.distance(torch.from_numpy(x[:, None] + 1), torch.from_numpy(x[:, None]), "euclidean").numpy()
    plain = measure.sensitivity_euclidean(distances, measure.typical_distance(x))
    np.testing.assert_allclose(
        measure.sensitivity_euclidean(distances * scale, measure.typical_distance(x * scale)), plain, rtol=1e-9
    )


# ---- dense outputs -------------------------------------------------------------------------------------------------

SIZE = 8


def is_exactly_equivariant(net, x, offsets):
    moved = torch.stack([x.roll(o, (-2, -1)) for o in offsets])
    found = dense_agreement(
        net(moved), net(x[None])[0], offsets, boundary="circular", input_size=(SIZE, SIZE), border_px=2
    )
    for name, values in found.items():
        np.testing.assert_array_equal(values[~np.isnan(values)], 1.0 if "mask" in name else 0.0, err_msg=name)


def _conv(seed, dilation, padding_mode="circular"):
    weight = torch.randint(-4, 5, (2, 2, 3, 3), generator=torch.Generator().manual_seed(seed)).double()
    kind = {"circular": {"mode": "circular"}, "zeros": {}}[padding_mode]
    return lambda z: fn.conv2d(fn.pad(z, (dilation,) * 4, **kind), weight, dilation=dilation)


def _picture(seed):
    return torch.randint(-8, 9, (2, SIZE, SIZE), generator=torch.Generator().manual_seed(seed)).double()


MOVES = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=5)


@given(seed=st.integers(0, 999), dilation=st.integers(1, 3), offsets=MOVES)
def test_circular_convolutions_are_exactly_equivariant(seed, dilation, offsets):
    is_exactly_equivariant(_conv(seed, dilation), _picture(seed + 1), offsets)


@given(seed=st.integers(0, 999), offsets=MOVES)
def test_strided_ones_are_on_their_stride(seed, offsets):
    net = _conv(seed, 1)
    on = [(2 * dy, 2 * dx) for dy, dx in offsets]
    is_exactly_equivariant(lambda z: net(z)[..., ::2, ::2], _picture(seed + 1), on)


@pytest.mark.parametrize(
    "net",
    [
        _conv(0, 1, "zeros"),
        lambda z: z + torch.arange(SIZE, dtype=torch.float64),
        lambda z: z.roll(1, -1) if len(z) == 1 else z,
        lambda z: z[..., ::2, ::2],
    ],
    ids=["zero padding", "coordinates", "off by one", "subsampling"],
)
def test_twin_networks_that_are_not_equivariant_are_caught(net):
    with pytest.raises(AssertionError):
        is_exactly_equivariant(net, _picture(0), [(0, 1), (3, 2)])
