"""Rounding inside a model explains a difference; nothing else does."""

from __future__ import annotations

import pytest
import torch

import shiftproof as sp
from brute_force import Call
from shiftproof.checking.refuting.refute import refuted
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
