"""Operators that a program may call keep to their tensors; and the fuzzer sees one that does not."""

import pytest
import torch

import fuzz_operators


@pytest.mark.parametrize("count", [1, pytest.param(40, marks=pytest.mark.slow)])
def test_no_admitted_operator_leaves_its_tensors(count):
    counts, broken = fuzz_operators.run(count, seed=0)
    assert broken == []
    assert counts["returned"] > 100


def test_a_read_behind_a_tensor_is_seen():
    def behind(self):
        torch.ops.aten._reshape_alias(self, [4096], [1]).sum()

    def before(self):
        memory = fuzz_operators.ctypes.string_at(self.data_ptr() - 8192, 1)
        assert memory

    for act in (behind, before):
        act._schema = torch.ops.aten.relu.default._schema
        counts, broken = fuzz_operators.run(12, seed=0, called=[act])
        assert any("SIGSEGV" in line for line in broken), act
        assert counts["returned"] + counts["raised"] + len(broken) == 12


def test_an_operator_that_divides_by_zero_is_seen():
    _, broken = fuzz_operators.run(40, seed=0, called=[torch.ops.aten.remainder.int])
    assert any("SIGFPE" in line for line in broken)


def test_memory_that_nobody_wrote_is_seen():
    def modes(self):
        return torch.ops.aten.grid_sampler_2d(torch.ones(1, 3, 8, 8), torch.zeros(1, 8, 8, 2), 31, 0, False)

    def whole(self):
        return torch.ops.aten.grid_sampler_2d(torch.ones(1, 3, 8, 8), torch.zeros(1, 8, 8, 2), 0, 0, False)

    for act, seen in ((modes, True), (lambda self: torch.empty(200), True), (whole, False)):
        act._schema = torch.ops.aten.relu.default._schema
        _, broken = fuzz_operators.run(6, seed=0, called=[act])
        assert any("unwritten memory" in line for line in broken) == seen
