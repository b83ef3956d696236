"""Which views are run, in which batches, and the thread that makes them ahead."""

import threading

import numpy as np
import pytest
import torch

import shiftproof as sp
from shiftproof.auditing.stream import ahead, batches, find_period, is_out_of_memory, plan_moves, views
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


@pytest.mark.parametrize(("total", "size"), [(1, 64), (64, 64), (65, 64), (289, 32), (7, 3)])
def test_batches_are_few_equal_and_complete(total, size):
    cut = batches(total, size)
    assert np.array_equal(np.concatenate(cut), np.arange(total))
    lengths = [len(b) for b in cut]
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
    assert len(cut) == -(-total // size)


def test_views_are_the_moved_pictures_whichever_way_they_are_cut():
    stack = torch.rand(3, 2, 6, 6)
    moves = sp.grid(1, boundary="zero", fill=0.5)
    run = np.array(moves.offsets)
    expected = sp.translate(stack, torch.tensor(run), "zero", fill=0.5).flatten(0, 1)
    for size in (1, 4, 9, 27):
        made = list(views(stack, batches(27, size), run, moves, 0))
        assert np.array_equal(np.concatenate([flat for flat, _ in made]), np.arange(27))
        assert torch.equal(torch.cat([x for _, x in made]), expected)


def test_ahead_keeps_order_passes_errors_on_and_leaves_no_thread():
    before = threading.active_count()
    assert list(ahead(((lambda i=i: i) for i in range(20)), depth=2)) == list(range(20))

    def broken():
        raise ValueError("from the job")

    with pytest.raises(ValueError, match="from the job"):
        list(ahead(iter([lambda: 1, broken]), depth=1))
    jobs = ahead(((lambda i=i: i) for i in range(1000)), depth=1)
    assert next(jobs) == 0
    jobs.close()
    assert threading.active_count() == before


def test_ahead_leaves_the_callers_threads_alone():
    threads = torch.get_num_threads()
    list(ahead(((lambda i=i: torch.rand(8).sum() + i) for i in range(4)), depth=1))
    assert torch.get_num_threads() == threads


def test_what_counts_as_out_of_memory():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_find_period_finds_the_smallest_and_none_where_there_is_none():
    pool = wrap(lambda x: torch.nn.functional.avg_pool2d(x, 1, (2, 3)).amax((2, 3)), (1, 12, 12))
    picture = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    assert find_period(pool, picture, seed=0) == (2, 3)
    flat = wrap(lambda x: x.flatten(1), (1, 12, 12))
    assert find_period(flat, picture, seed=0) is None
    constant = wrap(lambda x: x.sum((2, 3)), (1, 12, 12))
    assert find_period(constant, picture, seed=0) == (1, 1)
