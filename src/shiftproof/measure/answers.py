"""Measures of a classifier's answers: n images, each seen under m moves. Every measure gives one value per image.

Interval and mean over images are made afterwards (`statistics`), so that every figure is clustered by image.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Integer

from shiftproof.errors import MeasureError
from shiftproof.measure.statistics import function_interval, mean_interval
from shiftproof.records import Metric


def correct(answers: Integer[np.ndarray, "n m"], labels: Integer[np.ndarray, " n"]) -> Bool[np.ndarray, "n m"]:
    """Whether each answer is the true class. The map of accuracy is the mean of this over images.

    correct[i, t] = (answers[i, t] == labels[i])

    Args:
        answers: predicted class per image and move.
        labels: true class per image.

    Returns:
        True where the answer is correct, per image and move.

    >>> correct(np.array([[3, 5]]), np.array([3]))
    array([[ True, False]])

    Reference:
        Top-1 accuracy over translations, as mapped by Kauderer-Abrams 2017, https://arxiv.org/abs/1801.01450.
    """
    return answers == labels[:, None]


def agreement(answers: Integer[np.ndarray, "n m"], unmoved: Integer[np.ndarray, " n"]) -> Bool[np.ndarray, "n m"]:
    """Whether each answer is that for the unmoved picture. The map of agreement is the mean of this over images.

    agreement[i, t] = (answers[i, t] == unmoved[i])

    Args:
        answers: predicted class per image and move.
        unmoved: predicted class of the unmoved picture.

    Returns:
        True where the answer is the same, per image and move. One minus its mean over the moves is the `flip_rate`.

    >>> agreement(np.array([[7, 2]]), np.array([7]))
    array([[ True, False]])

    Reference:
        Azulay & Weiss 2019, https://arxiv.org/abs/1805.12177, resolved by move.
    """
    return answers == unmoved[:, None]


def accuracy_unmoved(unmoved: Integer[np.ndarray, " n"], labels: Integer[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Whether the answer for the unmoved picture is correct, 1 or 0 per image.

    Args:
        unmoved: predicted class of the unmoved picture.
        labels: true class per image.

    Returns:
        1.0 where correct, else 0.0, per image.

    >>> accuracy_unmoved(np.array([3, 5]), np.array([3, 3]))
    array([1., 0.])

    Reference:
        Plain top-1 accuracy.
    """
    return (unmoved == labels).astype(np.float64)


def accuracy(answers: Integer[np.ndarray, "n m"], labels: Integer[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The fraction of moves at which the answer is correct, per image.

    a_i = 1/m sum_t [answers[i, t] == labels[i]]

    Args:
        answers: predicted class per image and move.
        labels: true class per image.

    Returns:
        Fraction in [0, 1] per image.

    Raises:
        MeasureError: no moves.

    >>> accuracy(np.array([[3, 5], [4, 4]]), np.array([3, 4]))
    array([0.5, 1. ])

    Reference:
        Mean accuracy over random translations: Engstrom 2019, https://arxiv.org/abs/1712.02779.
    """
    _needs(answers, 1)
    return correct(answers, labels).mean(axis=1)


def worst_move(accuracies: Float[np.ndarray, " m"]) -> int:
    """The position 0..m-1 of the move at which the accuracy is lowest, the first of them.

    Args:
        accuracies: fraction of correct answers per move, over all images.

    Raises:
        MeasureError: no moves.

    >>> worst_move(np.array([1.0, 0.5]))
    1

    Reference:
        Ours: the minimum of the accuracy map.
    """
    if len(accuracies) < 1:
        raise MeasureError(
            "the worst move of no move", where="accuracies", remedy="give the accuracy of one move or more"
        )
    return int(np.argmin(accuracies))


def accuracy_worst_move(
    answers: Integer[np.ndarray, "n m"], labels: Integer[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Whether the answer is correct at the worst move of the set, 1 or 0 per image.

    w_i = [answers[i, t*] == labels[i]], t* = `worst_move` of the mean over images. One move for all images; for the worst
    move of each image on its own, see `accuracy_every_move`.

    The move is chosen from the same answers that it is judged by, so the mean is biased downward: the minimum of noisy
    means lies below the minimum of the true ones. The bias grows with the number of moves and falls with the number of
    images. The interval does not account for it.

    Args:
        answers: predicted class per image and move.
        labels: true class per image.

    Returns:
        1.0 where correct, else 0.0, per image.

    Raises:
        MeasureError: no moves.

    >>> accuracy_worst_move(np.array([[3, 5], [4, 4]]), np.array([3, 4]))
    array([0., 1.])

    Reference:
        Ours: the minimum of the accuracy map.
    """
    _needs(answers, 1)
    is_correct = correct(answers, labels)
    return is_correct[:, worst_move(is_correct.mean(axis=0))].astype(np.float64)


def accuracy_every_move(
    answers: Integer[np.ndarray, "n m"], labels: Integer[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Whether the answer is correct at every move of the set, 1 or 0 per image: accuracy against the worst case.

    e_i = min_t [answers[i, t] == labels[i]]

    Args:
        answers: predicted class per image and move.
        labels: true class per image.

    Returns:
        1.0 where all answers are correct, else 0.0, per image.

    Raises:
        MeasureError: no moves.

    >>> accuracy_every_move(np.array([[3, 5], [4, 4]]), np.array([3, 4]))
    array([0., 1.])

    Reference:
        Engstrom, Tran, Tsipras, Schmidt & Madry 2019, Exploring the Landscape of Spatial Robustness, worst case over a
        grid, https://arxiv.org/abs/1712.02779.
    """
    _needs(answers, 1)
    return np.asarray(correct(answers, labels).all(axis=1), dtype=np.float64)


def consistency(answers: Integer[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
    """The probability that two different moves of an image get the same class, from all pairs of the set, per image.

    C_i = sum_k c_ik (c_ik - 1) / (m (m - 1)), with c_ik the number of moves at which image i is given class k. Over pairs
    of positions in the set: a move that is listed twice pairs with itself.

    Args:
        answers: predicted class per image and move.

    Returns:
        Fraction in [0, 1] per image; 1 = the same class at every move.

    Raises:
        MeasureError: fewer than two moves.

    >>> consistency(np.array([[7, 7, 7, 7], [7, 7, 7, 2], [1, 2, 3, 4]]))
    array([1. , 0.5, 0. ])

    Reference:
        Zhang 2019, Making Convolutional Networks Shift-Invariant Again, classification consistency:
        E[argmax P(T x) == argmax P(T' x)], https://arxiv.org/abs/1904.11486.

    Differs:
        Zhang draws one random pair per image, where T = T' may happen. Here all m(m-1)/2 pairs of the set are counted, which
        has the same expectation over different moves and a smaller variance.
    """
    _needs(answers, 2)
    m = answers.shape[1]
    # Sorted, equal answers stand side by side: O(m log m) for each image, where comparing all pairs would be O(m^2).
    ordered = np.sort(answers, axis=1)
    at = np.arange(m)
    fresh = np.ones(ordered.shape, dtype=bool)  # where a run of equal answers begins
    fresh[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    begin = np.maximum.accumulate(np.where(fresh, at, 0), axis=1)
    return 2 * (at - begin).sum(axis=1) / (m * (m - 1))  # in a run of c: 0 + 1 + ... + (c - 1) pairs


def chance_agreement(accuracy: Float[np.ndarray, "*any"] | float, classes: int) -> Float[np.ndarray, "*any"] | float:
    """C0 = a^2 + (1-a)^2/(K-1): how often two independent answers of accuracy a agree, wrong ones spread evenly.

    Args:
        accuracy: a, in [0, 1].
        classes: K, at least 2.

    Returns:
        The probability of agreement, in [1/K, 1].

    >>> chance_agreement(0.1, 10)  # guessing among ten
    0.1

    Reference:
        Ours; with a = 1/K it is the chance agreement of Bennett, Alpert & Goldstein 1954, https://doi.org/10.1086/266520.
    """
    return accuracy**2 + (1 - accuracy) ** 2 / (classes - 1)


def adjusted_consistency(
    consistency: Float[np.ndarray, " n"],
    accuracy: Float[np.ndarray, " n"],
    *,
    classes: int,
    confidence: float = 0.95,
) -> Metric | None:
    """Agreement beyond what accuracy alone would give, with its interval; None where undefined.

    A = (C - C0) / (1 - C0), C0 = a^2 + (1-a)^2/(K-1)

    with C the mean consistency and a the mean accuracy over images and moves, K the number of classes. C0 is how often two
    answers agree that are drawn independently of each other and of the image: correct with probability a, else each of
    the K-1 wrong classes with the same probability. A = 1: the answer never differs. A = 0: answers agree as often as
    independent ones of that accuracy would. A < 0: less often. A is undefined for C0 = 1 (a = 1; or a = 0 with two
    classes).

    A is a function of two means over images, not a mean over images; its interval is the jackknife's
    (`statistics.function_interval`), cut at 1. Where no two answers of any image differ, A is 1 whatever image is left out;
    the lower end is then 1 - D/(1 - C0), with D the upper end of the disagreement's own interval.

    A near 1 says that answers do not change, not that they are correct: a model that is always correct on easy images and
    always gives the same wrong answer on hard ones has A = 1. Images of unequal difficulty raise A above 0 even when the
    answers to each are independent.

    Args:
        consistency: `consistency` per image.
        accuracy: `accuracy` per image.
        classes: K, the number of classes that the model can answer, at least 2.
        confidence: of the two-sided interval, in (0, 1).

    Returns:
        A (at most 1), low, high and the number of images; None if every answer is correct, or if leaving out one image
        would make A undefined (all wrong answers are to that image).

    Raises:
        MeasureError: fewer than two classes; no images.

    >>> c, a = np.array([1.0, 0.5, 0.25, 1.0]), np.array([1.0, 0.75, 0.25, 1.0])
    >>> adjusted_consistency(c, a, classes=10)
    Metric(value=0.2741..., low=-0.6470..., high=1.0, n=4)

    Reference:
        The definition is ours, made because consistency rewards accuracy. Its form is Cohen's kappa (1960,
        https://doi.org/10.1177/001316446002000104) with the accuracy in place of the raters' marginals.
    """
    if classes < 2:
        raise MeasureError(f"{classes} class(es) where at least 2 are needed", where="classes", remedy="give 2 or more")

    def adjust(means: Float[np.ndarray, "*any 2"]) -> Float[np.ndarray, "*any"]:
        room = 1 - chance_agreement(means[..., 1], classes)
        with np.errstate(invalid="ignore", divide="ignore"):
            # 1 - (1 - C) / (1 - C0) is (C - C0) / (1 - C0) without the difference of two
            # numbers near 1, and is exactly 1 for C = 1.
            return np.where(room > 1e-12, 1 - (1 - means[..., 0]) / room, np.nan)

    if not len(consistency):
        raise MeasureError("no images", where="adjusted_consistency")
    if np.isnan(adjust(np.array([consistency.mean(), accuracy.mean()]))):
        return None
    # The jackknife would see no variation and give an interval of zero width, though few images prove little.
    if (consistency == 1).all():
        disagreement = mean_interval(1 - consistency, confidence=confidence, bounded=(0, 1))
        low = adjust(np.array([1 - disagreement.high, accuracy.mean()]))
        return Metric(1.0, float(low), 1.0, disagreement.n)
    try:
        parts = np.stack([consistency, accuracy], axis=1)
        return function_interval(parts, adjust, confidence=confidence, bounded=(-math.inf, 1.0))
    except MeasureError:
        return None


def flip_rate(answers: Integer[np.ndarray, "n m"], unmoved: Integer[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The fraction of moves at which the answer is not that on the unmoved picture, per image.

    F_i = 1/m sum_t [answers[i, t] != unmoved[i]]. The move (0, 0), if it is in the set, counts as one that cannot flip:
    leave its column out for the rate among true moves.

    Args:
        answers: predicted class per image and move.
        unmoved: predicted class of the unmoved picture.

    Returns:
        Fraction in [0, 1] per image; 0 = never another class.

    Raises:
        MeasureError: no moves.

    >>> flip_rate(np.array([[7, 7, 2, 2]]), np.array([7]))
    array([0.5])

    Reference:
        Azulay & Weiss 2019, Why do deep convolutional networks generalize so poorly to small image transformations?,
        https://arxiv.org/abs/1805.12177 (there with one random move).
    """
    _needs(answers, 1)
    return (answers != unmoved[:, None]).mean(axis=1)


def mean_flip_rate(answers: Integer[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
    """The fraction of consecutive steps of a path at which the answer changes, per image.

    R_i = 1/(m-1) sum_{t=1}^{m-1} [answers[i, t] != answers[i, t-1]]

    Args:
        answers: predicted class per image and position on the path, in the path's order.

    Returns:
        Fraction in [0, 1] per image; 0 = no change on the way.

    Raises:
        MeasureError: fewer than two positions.

    >>> mean_flip_rate(np.array([[1, 1, 2, 1, 1]]))
    array([0.5])

    Reference:
        Hendrycks & Dietterich 2019, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations,
        flip probability FP, https://arxiv.org/abs/1903.12261.

    Differs:
        Their mFR divides FP by AlexNet's and averages over kinds of perturbation; this is FP itself, for translations.
    """
    _needs(answers, 2)
    return (answers[:, 1:] != answers[:, :-1]).mean(axis=1)


def wobble(probability: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " n"]:
    """How far the probability of the unmoved picture's class swings over the set, per image.

    W_i = max_t p_it - min_t p_it, with p_it the probability at move t of the class that the unmoved picture was given.

    Args:
        probability: p_it in [0, 1], per image and move.

    Returns:
        Difference in [0, 1] per image; 0 = constant. It can only grow when moves are added.

    Raises:
        MeasureError: no moves.

    >>> wobble(np.array([[0.5, 1.0, 0.75]]))
    array([0.5])

    Reference:
        Ours; one number for the curves of probability against shift in Zhang 2019, https://arxiv.org/abs/1904.11486.
    """
    _needs(probability, 1)
    return (probability.max(axis=1) - probability.min(axis=1)).astype(np.float64)


def _needs(answers: np.ndarray, moves: int) -> None:
    """Refuse sets of too few moves."""
    if answers.shape[1] < moves:
        raise MeasureError(
            f"{answers.shape[1]} move(s) where {moves} are needed", where="answers", remedy="use a larger set"
        )
