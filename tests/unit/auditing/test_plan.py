"""Which moves are run, and the period that saves most of them."""

import numpy as np
import torch

from shiftproof.auditing.plan import find_period, plan_moves
from shiftproof.models import wrap


def test_the_unmoved_picture_comes_first_and_every_move_runs_once():
    asked = np.array([(1, 0), (0, 0), (2, -1), (1, 0)], float)
    plan = plan_moves(asked)
    assert plan.run[0].tolist() == [0, 0]
    assert len(plan.run) == 3
    assert np.array_equal(plan.run[plan.source], asked)
    assert plan_moves(np.array([(3.0, 3.0)])).run.tolist() == [[0, 0], [3, 3]]


def test_a_period_folds_the_moves():
    asked = np.array([(0, 0), (5, 1), (-1, 9)], float)
    plan = plan_moves(asked, (4, 8))
    assert np.array_equal(plan.run[plan.source], np.array([(0, 0), (1, 1), (3, 1)]))


def test_find_period_finds_the_smallest_and_none_where_there_is_none():
    pool = wrap(lambda x: torch.nn.functional.avg_pool2d(x, 1, (2, 3)).amax((2, 3)), (1, 12, 12))
    picture = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    assert find_period(pool, picture, seed=0) == (2, 3)
    flat = wrap(lambda x: x.flatten(1), (1, 12, 12))
    assert find_period(flat, picture, seed=0) is None
    constant = wrap(lambda x: x.sum((2, 3)), (1, 12, 12))
    assert find_period(constant, picture, seed=0) == (1, 1)
