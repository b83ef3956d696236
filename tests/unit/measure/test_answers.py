"""Measures of answers on cases small enough to count by hand."""

import numpy as np
import pytest

from shiftproof.errors import MeasureError
from shiftproof.measure import answers as of
from shiftproof.records import Metric

ANSWERS = np.array([[3, 3, 3, 5], [4, 4, 1, 1], [2, 2, 2, 2]])
LABELS = np.array([3, 1, 7])
UNMOVED = np.array([3, 4, 2])


def test_accuracies():
    np.testing.assert_array_equal(of.accuracy(ANSWERS, LABELS), [0.75, 0.5, 0.0])
    np.testing.assert_array_equal(of.accuracy_unmoved(UNMOVED, LABELS), [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(of.accuracy_every_move(ANSWERS, LABELS), [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(of.accuracy_every_move(ANSWERS, np.array([3, 1, 2])), [0.0, 0.0, 1.0])


def test_worst_move_is_one_move_for_all_images():
    # right at moves: [1 1 1 0], [0 0 1 1], [0 0 0 0] -> sums 1 1 2 1: the first of the lowest
    assert of.worst_move(of.correct(ANSWERS, LABELS).mean(axis=0)) == 0
    np.testing.assert_array_equal(of.accuracy_worst_move(ANSWERS, LABELS), [1.0, 0.0, 0.0])
    assert of.worst_move(np.array([0.5, 0.5, 0.0])) == 2
    with pytest.raises(MeasureError, match="no move"):
        of.worst_move(np.array([]))


def test_worst_move_is_biased_downward():
    rng = np.random.default_rng(0)
    draws = (rng.random((200, 40, 30)) < 0.8).astype(np.int64)  # every move is right with probability 0.8
    worst = [of.accuracy_worst_move(a, np.ones(40, dtype=np.int64)).mean() for a in draws]
    assert np.mean(worst) < 0.72  # as the docstring warns


def test_consistency_counts_pairs():
    np.testing.assert_array_equal(of.consistency(ANSWERS), [3 / 6, 2 / 6, 1.0])


def test_consistency_of_wide_classes_and_dtypes():
    many = np.random.default_rng(0).integers(-5, 2**40, (3, 50))
    assert (of.consistency(many) < 0.01).all()
    np.testing.assert_array_equal(of.consistency(ANSWERS.astype(np.uint8)), of.consistency(ANSWERS))


def test_flips():
    np.testing.assert_array_equal(of.flip_rate(ANSWERS, UNMOVED), [0.25, 0.5, 0.0])
    np.testing.assert_array_equal(of.mean_flip_rate(ANSWERS), [1 / 3, 1 / 3, 0.0])


def test_wobble():
    np.testing.assert_array_equal(of.wobble(np.array([[0.25, 1.0], [0.5, 0.5]])), [0.75, 0.0])


@pytest.mark.parametrize("function", [of.consistency, of.mean_flip_rate])
def test_pairs_need_two_moves(function):
    with pytest.raises(MeasureError, match="1 move"):
        function(ANSWERS[:, :1])


def test_no_moves_are_refused():
    none = ANSWERS[:, :0]
    for call in (
        lambda: of.accuracy(none, LABELS),
        lambda: of.accuracy_every_move(none, LABELS),
        lambda: of.accuracy_worst_move(none, LABELS),
        lambda: of.flip_rate(none, UNMOVED),
        lambda: of.wobble(none.astype(float)),
    ):
        with pytest.raises(MeasureError, match="0 move"):
            call()


# ---- adjusted consistency ------------------------------------------------------------------------------------------


def test_chance_agreement():
    assert of.chance_agreement(1.0, 10) == 1.0
    assert of.chance_agreement(0.0, 3) == 0.5
    assert of.chance_agreement(0.5, 2) == 0.5


def test_adjusted_of_independent_answers_is_zero_where_plain_consistency_is_not():
    rng = np.random.default_rng(1)
    answers = np.where(rng.random((600, 25)) < 0.9, 0, rng.integers(1, 10, (600, 25)))
    c, a = of.consistency(answers), of.accuracy(answers, np.zeros(600, dtype=np.int64))
    adjusted = of.adjusted_consistency(c, a, classes=10)
    assert adjusted is not None
    assert adjusted.low < 0 < adjusted.high
    assert adjusted.half_width < 0.03
    assert c.mean() > 0.8  # what adjusting is for


def test_adjusted_where_nothing_differs_is_one_with_room_below():
    a = np.array([1.0] * 90 + [0.0] * 10)
    adjusted = of.adjusted_consistency(np.ones(100), a, classes=10)
    assert isinstance(adjusted, Metric)
    assert adjusted.value == adjusted.high == 1.0
    # Of 100 pictures all are consistent: Clopper and Pearson's lower end is (0.025)^(1/100). C0 = 0.81 + 0.01/9.
    assert adjusted.low == pytest.approx(1 - (1 - 0.025**0.01) / (1 - 0.81 - 0.01 / 9), rel=1e-6)


def test_adjusted_can_be_negative_and_is_cut_at_one():
    c = np.zeros(20)
    low = of.adjusted_consistency(c, np.full(20, 0.5), classes=2)
    assert low is not None
    assert low.value == -1.0
    high = of.adjusted_consistency(np.array([1.0] * 9 + [0.5]), np.array([1.0] * 8 + [0.0, 0.5]), classes=10)
    assert high is not None
    assert high.value < high.high <= 1.0


def test_adjusted_is_none_where_undefined():
    assert of.adjusted_consistency(np.ones(5), np.ones(5), classes=10) is None  # all right
    assert of.adjusted_consistency(np.ones(5), np.zeros(5), classes=2) is None  # all wrong, one way only
    rests_on_one = np.array([0.5, 1.0, 1.0])
    assert of.adjusted_consistency(rests_on_one, rests_on_one, classes=10) is None


def test_adjusted_refuses_one_class_and_no_images():
    with pytest.raises(MeasureError, match="at least 2 are needed"):
        of.adjusted_consistency(np.ones(5), np.ones(5), classes=1)
    with pytest.raises(MeasureError, match="no images"):
        of.adjusted_consistency(np.ones(0), np.ones(0), classes=10)
