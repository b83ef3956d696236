"""Random networks with a trap in each: nothing is proved that a run contradicts, and a check leaves no trace.

Custom operators, state outside tensors, branches on how the code is run, lazy tensors, several outputs, frequencies behind
padding, scales that are nearly whole, unwritten memory, sums of integers, constants that share memory.
"""

from __future__ import annotations

import os

import pytest

import random_traps
import trap_layers

COUNT = int(os.environ.get("SHIFTPROOF_TRAPS", "60"))


def test_no_run_of_a_trapped_network_contradicts_what_is_proved_of_it():
    counts, found = random_traps.tried(range(COUNT))
    assert not found, "\n".join(found)
    assert min(counts["proved"], counts["unknown"], counts["not_proved"]) > COUNT // 20, counts


@pytest.mark.slow
def test_nor_of_many_more():
    _, found = random_traps.tried(range(1000, 1400))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ["an operator that writes unsaid", "an operator that returns its argument"])
def test_a_foreign_operator_may_write_to_what_it_is_given_and_return_it(name):
    net = random_traps.Network(
        [random_traps.Call(trap_layers.OPERATORS[name]), random_traps.Call(lambda m, x: x.relu())], "one"
    )
    verdict = random_traps.sp.check(net, (2, 8, 8))
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"unknown"}
