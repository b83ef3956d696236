"""Views in batches, and the threads that make them ahead."""

import threading

import numpy as np
import pytest
import torch

import shiftproof as sp
from shiftproof.auditing.stream import ahead, batches, views


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


def test_ahead_computes_no_more_than_it_was_told_to():
    begun: list[int] = []
    jobs = ahead(((lambda i=i: begun.append(i) or i) for i in range(100)), depth=3, threads=2)
    assert next(jobs) == 0
    jobs.close()
    assert max(begun) <= 3


def test_ahead_works_on_several_threads_and_keeps_order():
    both = threading.Barrier(2, timeout=20)  # two jobs that wait for each other: one thread alone would hang

    def job(i):
        both.wait()
        return i

    assert list(ahead(((lambda i=i: job(i)) for i in range(6)), depth=4, threads=2)) == list(range(6))
