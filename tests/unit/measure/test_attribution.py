"""Attribution: against the definition by all orders, its axioms, and games with known answers."""

import itertools
import math
import random

import pytest

from shiftproof.errors import MeasureError
from shiftproof.measure import attribute

STAGES = ("a", "b", "c", "d")


def game(seed):
    r = random.Random(seed)
    sets = [frozenset(s) for n in range(5) for s in itertools.combinations(STAGES, n)]
    return {s: float(r.randint(-1000, 1000)) for s in sets}


def by_orders(value):
    """The share as it is defined: the mean of what a stage adds, over all orders."""
    total = dict.fromkeys(STAGES, 0.0)
    for order in itertools.permutations(STAGES):
        for i, stage in enumerate(order):
            total[stage] += value[frozenset(order[: i + 1])] - value[frozenset(order[:i])]
    return {s: t / math.factorial(len(STAGES)) for s, t in total.items()}


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_the_mean_over_all_orders_and_add_up(seed):
    value = game(seed)
    found = attribute(STAGES, value.__getitem__)
    assert [c.stage for c in found] == list(STAGES)
    assert {c.stage: c.share for c in found} == pytest.approx(by_orders(value))
    whole = value[frozenset(STAGES)] - value[frozenset()]
    assert sum(c.share for c in found) == pytest.approx(whole)
    assert sum(c.last for c in found) != pytest.approx(whole)  # removing one at a time does not add up
    assert {c.stage: c.share for c in found} != pytest.approx(by_orders(game(seed + 1)))


def test_stages_that_do_not_meet_bring_their_own():
    brings = {"a": 1.0, "b": -2.0, "c": 0.0, "d": 8.0}
    for c in attribute(STAGES, lambda there: 5 + sum(brings[s] for s in there)):
        assert (c.alone, c.last) == (brings[c.stage],) * 2
        assert c.share == pytest.approx(brings[c.stage])


def test_stages_that_work_only_together_share_equally():
    found = attribute(STAGES, lambda there: float({"a", "b"} <= there))
    assert [(c.alone, c.last) for c in found] == [(0, 1), (0, 1), (0, 0), (0, 0)]
    assert [c.share for c in found] == pytest.approx([0.5, 0.5, 0, 0])


def test_each_set_is_asked_for_once():
    asked = []
    attribute(STAGES, lambda there: asked.append(there) or 0.0)
    assert len(asked) == len(set(asked)) == 16


@pytest.mark.parametrize(("stages", "score"), [((), 0.0), (("a", "a"), 0.0), (("a",), math.nan)])
def test_what_cannot_be_shared_out_is_refused(stages, score):
    with pytest.raises(MeasureError):
        attribute(stages, lambda there: score)
