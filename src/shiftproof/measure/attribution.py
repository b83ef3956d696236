"""Which stage contributes how much: a score divided among the stages that produce it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shiftproof.errors import MeasureError


@dataclass(frozen=True)
class Contribution:
    """The contribution of one stage.

    Args:
        stage: name of the stage.
        alone: what it adds to no other stage.
        last: what is lost if it is removed from all stages.
        share: the mean of what it adds, over all orders in which the stages can be added; the shares of all stages sum to
            score(all) - score(none).
    """

    stage: str
    alone: float
    last: float
    share: float


def attribute(stages: Sequence[str], score: Callable[[frozenset[str]], float]) -> list[Contribution]:
    """How much each stage contributes to a score, from the scores of all 2^k subsets of the k stages.

    alone = v({s}) - v({}), last = v(N) - v(N - {s}), share = sum over S without s of |S|! (k - |S| - 1)! / k! (v(S + s) -
    v(S)), the Shapley value. Stages that help only together get equal shares; removing them one at a time would count the
    gain twice, and adding them one at a time would not count it at all.

    Args:
        stages: different names, for example ("sharing", "pooling", "readout", "augmentation").
        score: the score of a set of stages, for example the fraction of answers that a move does not change, for a network
            built and trained with exactly these stages. Called once for each of the 2^k sets.

    Returns:
        One contribution per stage, in the given order.

    Raises:
        MeasureError: there is no stage, a stage is named twice, or a score is not finite.

    >>> for c in attribute(("sharing", "readout"), lambda there: 0.5 + 0.4 * (len(there) == 2)):
    ...     print(c.stage, round(c.alone, 3), round(c.last, 3), round(c.share, 3))
    sharing 0.0 0.4 0.2
    readout 0.0 0.4 0.2

    Reference: Shapley 1953, A value for n-person games, Contributions to the Theory of Games II, 307-317,
    https://doi.org/10.1515/9781400881970-018
    """
    k = len(stages)
    if k == 0 or len(set(stages)) < k:
        raise MeasureError(
            f"stages {list(stages)}: there is none, or one is named twice",
            where="attribute",
            remedy="give different names",
        )
    # Every subset once, before anything is computed: a score is a training run,
    # and each enters the shares of all k stages.
    value: dict[frozenset[str], float] = {}
    for size in range(k + 1):
        for chosen in itertools.combinations(stages, size):
            there = frozenset(chosen)
            value[there] = float(score(there))
            if not math.isfinite(value[there]):
                raise MeasureError(f"the score of {sorted(there)} is {value[there]}", where="attribute")
    none, everything = frozenset(), frozenset(stages)
    found = []
    for stage in stages:
        parts = [
            # |S|! (k - |S| - 1)! / k! = 1 / (k C(k - 1, |S|)), without factorials.
            (value[there | {stage}] - value[there]) / (k * math.comb(k - 1, len(there)))
            for there in value
            if stage not in there
        ]
        alone = value[frozenset({stage})] - value[none]
        # `fsum` rounds once, so that the shares add up to the whole as far as the last digit allows.
        found.append(Contribution(stage, alone, value[everything] - value[everything - {stage}], math.fsum(parts)))
    return found
