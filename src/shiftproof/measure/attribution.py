"""Who is responsible: a figure shared out among the stages that bring it about."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shiftproof.errors import MeasureError


@dataclass(frozen=True)
class Contribution:
    """What one stage brings.

    Args:
        stage: which.
        alone: what it adds where no other stage is there.
        last: what is lost if it is taken away from the whole.
        share: the mean of what it adds over all orders in which the stages can be put together; the shares of all stages
            add up to score(all) - score(none).
    """

    stage: str
    alone: float
    last: float
    share: float


def attribute(stages: Sequence[str], score: Callable[[frozenset[str]], float]) -> list[Contribution]:
    """How much of a score each stage brings, from all 2^k ways to have some of the k stages and not the others.

    alone = v({s}) - v({}), last = v(N) - v(N - {s}), share = sum over S without s of |S|! (k - |S| - 1)! / k! (v(S + s) -
    v(S)), the Shapley value. Stages that help only together get equal parts of it; removing them one at a time would count
    it twice, adding them to nothing not at all.

    Args:
        stages: their names, all different, e.g. ("sharing", "pooling", "readout", "augmentation").
        score: the stages that are there -> the figure, e.g. the fraction of answers that a move leaves as they are, of a
            network that was built and trained with exactly these stages. Called once for each of the 2^k sets.

    Returns:
        A contribution a stage, in the order given.

    Raises:
        MeasureError: no stage, or one twice; a score that is not finite.

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
            f"stages {list(stages)}: none, or one twice", where="attribute", remedy="give different names"
        )
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
            (value[there | {stage}] - value[there]) / (k * math.comb(k - 1, len(there)))
            for there in value
            if stage not in there
        ]
        alone = value[frozenset({stage})] - value[none]
        found.append(Contribution(stage, alone, value[everything] - value[everything - {stage}], math.fsum(parts)))
    return found
