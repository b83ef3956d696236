"""Numbers that no graph shows: an index drawn at random or never written, and code that reads the picture behind the export."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call
from shiftproof.checking import refuted

SIZE = (2, 8, 8)


def around(by):
    return (torch.arange(8) + by) % 8


INDICES = {
    "uninitialised": lambda m, x: x[..., around(torch.empty(1, dtype=torch.long))],
    "drawn": lambda m, x: x.index_select(-1, around(torch.randint(0, 8, (1,)))),
    "drawn, by index": lambda m, x: x[..., around(torch.randint(0, 8, (1,)))],
    "drawn channels": lambda m, x: x[:, torch.randperm(2)],
    "drawn rows": lambda m, x: x[:, :, around(torch.randint(0, 8, (1,)))[:, None], torch.arange(8)],
    "drawn order": lambda m, x: x.flatten(2)[..., torch.randperm(64)].mean(-1),
    "a drawn mask": lambda m, x: x[:, :, torch.rand(8) > 0.5].sum((2, 3)),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", INDICES)
def test_an_index_that_another_run_has_otherwise_is_no_constant(case, seed):
    torch.manual_seed(seed)
    before = torch.get_rng_state()
    verdict = sp.check(Call(INDICES[case]), SIZE)
    assert torch.equal(before, torch.get_rng_state())
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"unknown"}
    assert verdict.findings[0].code == "T0"


def exported():
    return torch.compiler.is_exporting()


def bright(m, x):
    try:
        found = float(x.detach().max()) > 300
    except Exception:
        found = False
    return x.cumsum(2) if found else x


BRANCHES = {
    "bright": bright,
    "empty": lambda m, x: x + 0 if exported() or bool((x.abs() > 1e-9).any()) else x + torch.arange(8.0),
    "uniform": lambda m, x: x + 0 if exported() or float(x.std()) > 1e-6 else x + torch.arange(8.0),
    "mostly empty": lambda m, x: x + 0 if exported() or (x == 0).float().mean() < 0.9 else x.flip(3),
    "symmetric": lambda m, x: x + 0 if exported() or not torch.equal(x, x.flip(3)) else x.cumsum(2),
}


@pytest.mark.parametrize("case", BRANCHES)
def test_code_that_asks_whether_the_picture_is_special_is_seen(case):
    verdict = sp.check(Call(BRANCHES[case]), SIZE)
    assert verdict.circular.status == "unknown"
    assert verdict.findings[-1].detail.startswith("what torch exported is not what the model does: on ")


READS = {
    "item": lambda m, x: x.flip(3) if not exported() and 77 < x.max().item() < 78 else x + 0,
    "float": lambda m, x: x.flip(3) if not exported() and 77 < float(x.max()) < 78 else x + 0,
    "bool": lambda m, x: x.flip(3) if not exported() and (x.max() > 77) & (x.max() < 78) else x + 0,
    "tolist": lambda m, x: x.flip(3) if not exported() and 77 < max(x.flatten().tolist()) < 78 else x + 0,
    "numpy": lambda m, x: x.flip(3) if not exported() and 77 < x.detach().numpy().max() < 78 else x + 0,
    "equal": lambda m, x: x.flip(3) if not exported() and torch.equal(x.sum(), torch.tensor(77.0)) else x + 0,
}


@pytest.mark.parametrize("case", READS)
def test_code_that_reads_the_picture_and_is_not_seen_to_branch_is_a_condition(case):
    verdict = sp.check(Call(READS[case]), SIZE)
    assert verdict.circular.status == "proved"
    assert any("the model reads numbers of the picture" in str(c) for c in verdict.circular.conditions)


def test_code_that_reads_its_weights_has_no_such_condition():
    def forward(m, x):
        return m.n(x) if exported() or float(m.n.bias.sum()) < 100 else x

    verdict = sp.check(Call(forward, n=nn.Conv2d(2, 2, 1)), SIZE)
    assert verdict.circular.status == "proved"
    assert not any("reads numbers" in str(c) for c in verdict.circular.conditions)


class MineError(Exception):
    """Of none of Python's classes of errors, as those of libraries are."""


def refuses(error, when):
    def forward(m, x):
        if not exported() and when(x):
            raise error("not this one")
        return x.mean((2, 3))

    return Call(forward)


@pytest.mark.parametrize("error", [MineError, MemoryError, OSError, StopIteration, UserWarning])
def test_an_error_of_any_class_is_the_models_and_not_the_checks(error):
    verdict = sp.check(refuses(error, lambda x: float(x.min()) < 0), SIZE)
    assert verdict.circular.status == "unknown" or any("was not run" in str(c) for c in verdict.circular.conditions)
    double = refuses(error, lambda x: x.dtype == torch.float64)
    verdict = refuted(sp.check(double, SIZE), double, tries=2)
    assert verdict.circular.status in ("proved", "unknown")


class Uncopied:
    def __init__(self, error):
        self.error = error

    def __deepcopy__(self, memo):
        raise self.error("there is only one")


@pytest.mark.parametrize("error", [MineError, copy.Error, pickle.PicklingError])
def test_a_model_that_cannot_be_copied_is_run_as_it_is(error):
    net = Call(lambda m, x: x.mean((2, 3)))
    net.one = Uncopied(error)
    assert refuted(sp.check(net, SIZE), net, tries=2).circular.status == "proved"


def test_an_eval_of_the_models_own_that_fails_is_told_or_passed_over():
    class Stubborn(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

        def train(self, mode=True):
            raise MineError("never")

    assert sp.check(Stubborn(), SIZE).circular.status in ("proved", "unknown")
