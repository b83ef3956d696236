"""Rounding inside a model explains a difference; nothing else does."""

from __future__ import annotations

import pytest
import torch
from torch._higher_order_ops.map import map as mapped
from torch.nn.attention.flex_attention import flex_attention

import shiftproof as sp
from brute_force import Call
from shiftproof.checking.refuting.refute import refuted
from shiftproof.checking.refuting.runner import Coarsest
from shiftproof.checking.refuting.shaken import UNITS, shaken

EPS = torch.finfo(torch.float64).eps
SIZE = (1, 8, 8)
ROUNDED = {  # each exact, whatever the order of the cells; what is left of large numbers is rounding
    "a large number added and taken away": lambda m, x: (x + 1e9).mean((2, 3)) - 1e9,
    "variance in one pass": lambda m, x: ((x + 1000) ** 2).mean((2, 3)) - (x + 1000).mean((2, 3)) ** 2,
    "deviation in one pass, in kelvin": lambda m, x: (
        (((x * 0.01 + 273.15) ** 2).mean((2, 3)) - (x * 0.01 + 273.15).mean((2, 3)) ** 2).clamp(min=0).sqrt()
    ),
    "numbers of 16 bits": lambda m, x: ((x + 32768) ** 2).mean((2, 3)) - (x + 32768).mean((2, 3)) ** 2,
    "large sums": lambda m, x: (x + 1e8).sum((2, 3)) - 6.4e9 - x.sum((2, 3)),
    "the logarithm of large exponentials": lambda m, x: (x + 600).exp().sum((2, 3)).log() - 600,
}


@pytest.mark.parametrize("case", ROUNDED)
def test_rounding_inside_a_model_contradicts_no_proof(case):
    net = Call(ROUNDED[case])
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (1, 1))
    assert refuted(verdict, net).circular.status == "proved"


FAULTS = {
    "a cell that counts twice": lambda m, x: x.sum((2, 3)) + 1e-6 * x[..., 0, 0],
    "behind a large number": lambda m, x: (x + 1e6).sum((2, 3)) - 6.4e7 + x[..., 0, 0],
    "ties go by order": lambda m, x: x.relu().flatten(2).argmax(2).double(),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_small_difference_is_still_one(case):
    net = Call(FAULTS[case])
    assert refuted(sp.check(net, SIZE), net).circular.status in ("refuted", "unknown")
    x = torch.randint(-2, 3, (1, *SIZE), generator=torch.Generator().manual_seed(0)).double()
    off = max((shaken(net, x, seed) - net(x)).abs().max().item() for seed in range(8))
    far = (net(x.roll((1, 2), (2, 3))) - net(x)).abs().max().item()
    assert far > 1e3 * off


def test_every_operator_is_a_little_off_and_equal_numbers_stay_equal():
    x = torch.tensor([0.3, 0.3, -7.25, 0.0, float("inf"), float("nan")], dtype=torch.float64)
    for seed in range(4):
        found = shaken(lambda t: t * 1.7, x, seed)
        exact = x * 1.7
        assert found[0] == found[1]
        assert found[3] == 0
        assert found[4] == float("inf")
        assert found[5].isnan()
        assert ((found - exact)[:3].abs() <= 1.01 * UNITS * EPS * exact[:3].abs()).all()
    assert any(not torch.equal(shaken(lambda t: t * 1.7, x[:3], s), x[:3] * 1.7) for s in range(4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex128])
def test_every_kind_of_number(dtype):
    x = torch.linspace(0.1, 3, 20).to(dtype)
    found = shaken(lambda t: t * 3, x, 1)
    assert found.dtype == dtype
    eps = torch.finfo(dtype).eps
    assert 0 < (found - x * 3).abs().max().item() <= 2 * (UNITS + 1) * eps * 9


def test_whole_numbers_views_and_what_is_written_in_place():
    x = torch.linspace(0.1, 3, 20).double()
    assert torch.equal(shaken(lambda t: (t * 10).long().max()[None], x, 1), (x * 10).long().max()[None])
    assert torch.equal(shaken(lambda t: t.view(4, 5).t()[1:, ::2], x, 1), x.view(4, 5).t()[1:, ::2])
    assert torch.equal(shaken(lambda t: t.split(10)[1], x, 1), x[10:])
    kept = x.clone()
    found = shaken(lambda t: kept.view(4, 5)[0].mul_(3), x, 1)
    assert torch.equal(kept[:5], found)
    assert not torch.equal(found, x[:5] * 3)


def attended(m, x, inside=lambda s: s):
    tokens = x.flatten(2).mT[None]
    return flex_attention(tokens, tokens, tokens, score_mod=lambda s, b, h, i, j: inside(s) + (i - j))


def halved(x):
    return x.half().to(x)


compiled_half = torch.compile(lambda x: halved(x) + 1)
compiled_sum = torch.compile(lambda x: x.cumsum(2))
UNFUSED = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
IN_HALF_PRECISION = {
    "a branch": lambda m, x: torch.cond(x.sum() > 0, lambda t: halved(t).flip(2), halved, (x,)),
    "a map over channels": lambda m, x: mapped(halved, x[0])[None],
    "attention with a score of its own": lambda m, x: attended(m, x, halved),
    "what is compiled": lambda m, x: compiled_half(x),
}


@UNFUSED
@pytest.mark.parametrize("case", IN_HALF_PRECISION)
def test_what_an_operator_runs_inside_is_seen_and_a_little_off_too(case):
    net, x = Call(IN_HALF_PRECISION[case]), torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    with Coarsest() as seen:
        net(x)
    assert seen.eps == torch.finfo(torch.float16).eps
    far = (shaken(net, x, 1) - net(x)).abs().max()
    assert 1e-5 < far < 1e-1  # as half precision is, and not double


NOT_ALIKE = {
    "a branch": lambda m, x: torch.cond(x.sum() > 0, lambda t: t.cumsum(2), lambda t: t.cumsum(3), (x,)),
    "a map over channels": lambda m, x: mapped(lambda t: t.cumsum(0), x[0])[None],
    "attention with a score of its own": attended,
    "what is compiled": lambda m, x: compiled_sum(x),
}


@UNFUSED
@pytest.mark.parametrize("case", NOT_ALIKE)
def test_a_model_with_functions_inside_operators_is_run(case):
    net = Call(NOT_ALIKE[case])
    claim = refuted(sp.check(net, (2, 8, 8)), net, tries=2).circular
    assert claim.counterexample is not None or any("changes the answer by" in str(c) for c in claim.conditions)


def test_the_callers_stance_on_compiling_comes_back():
    def runs(x):
        return x + torch.compiler.is_dynamo_compiling()  # 1 where it was compiled

    twice = torch.compile(runs, backend="eager")
    with torch.compiler.set_stance("force_eager"):
        found = [twice(torch.zeros(1)).item()]
        shaken(twice, torch.zeros(1), 0)
        found.append(twice(torch.zeros(1)).item())
    assert found == [0, 0]
    assert twice(torch.zeros(1)).item() == 1
