"""What a forward changes outside the model is as it was after a check, and the verdict names it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

import shiftproof as sp
from brute_force import Call
from shiftproof.checking.refuting.refute import refuted

SIZE = (2, 8, 8)


def _counts(m, x):
    os.environ["SHIFTPROOF_COUNT"] = str(int(os.environ.get("SHIFTPROOF_COUNT", "0")) + 1)


def _replaces(m, x):
    torch.relu = torch.tanh


def _marks(m, x):
    vars(torch)["_seen_by_a_model"] = True


# What the forward does, what tells whether it is as it was, and how the verdict names it.
CHANGES: dict[str, tuple[Callable[..., Any], Callable[[], Any], str]] = {
    "environment": (_counts, lambda: dict(os.environ), "os.environ.SHIFTPROOF_COUNT"),
    "folder": (lambda m, x: os.chdir("/"), os.getcwd, "os.getcwd"),
    "path": (lambda m, x: sys.path.append("/nowhere"), lambda: list(sys.path), "sys.path"),
    "determinism": (
        lambda m, x: torch.use_deterministic_algorithms(True),
        torch.are_deterministic_algorithms_enabled,
        "torch.deterministic_algorithms",
    ),
    "dtype": (lambda m, x: torch.set_default_dtype(torch.float16), torch.get_default_dtype, "torch.default_dtype"),
    "precision": (
        lambda m, x: torch.set_float32_matmul_precision("medium"),
        torch.get_float32_matmul_precision,
        "torch.backends.cuda.matmul.fp32_precision",
    ),
    "the newer precision": (
        lambda m, x: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
        lambda: torch.backends.cuda.matmul.fp32_precision,
        "torch.backends.cuda.matmul.fp32_precision",
    ),
    "cudnn": (
        lambda m, x: setattr(torch.backends.cudnn, "benchmark", True),
        lambda: torch.backends.cudnn.benchmark,
        "torch.backends.cudnn.benchmark",
    ),
    "threads": (
        lambda m, x: torch.set_num_threads(torch.get_num_threads() + 1),
        torch.get_num_threads,
        "torch.num_threads",
    ),
    "attention": (
        lambda m, x: torch.backends.cuda.enable_math_sdp(False),
        torch.backends.cuda.math_sdp_enabled,
        "torch.backends.cuda.math_sdp",
    ),
    "an attribute of torch": (_marks, lambda: hasattr(torch, "_seen_by_a_model"), "torch._seen_by_a_model"),
    "an attribute of functional": (
        lambda m, x: setattr(F, "scale_of_a_model", 2),
        lambda: hasattr(F, "scale_of_a_model"),
        "torch.nn.functional.scale_of_a_model",
    ),
    "a function of torch": (_replaces, lambda: torch.relu, "torch.relu"),
    "a hook on every module": (
        lambda m, x: register_module_forward_hook(lambda mod, given, found: None),
        lambda: len(nn.modules.module._global_forward_hooks),
        "torch.nn.modules.module._global_forward_hooks",
    ),
    "warnings": (lambda m, x: warnings.simplefilter("error"), lambda: list(warnings.filters), ""),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_a_forward_changes_outside_is_as_before(case):
    change, look, named = CHANGES[case]

    def forward(m, x):
        change(m, x)
        return x.mean((2, 3))

    net, before = Call(forward), look()
    verdict = sp.check(net, SIZE)
    assert look() == before
    refuted(verdict, net, tries=1)
    assert look() == before
    assert verdict.circular.status == "proved"
    told = [c for c in verdict.circular.conditions if "a run changes the model" in c]
    assert [named in c for c in told] == [True] * bool(named)


def test_a_plain_network_changes_nothing():
    told = sp.check(nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU()), SIZE).circular.conditions
    assert not any("a run changes the model" in c for c in told)


class Growing(nn.Module):
    """Makes a layer that its answer does not use: its first weights are random numbers."""

    def forward(self, x):
        self.late = nn.Conv2d(2, 2, 1)
        return x.mean((2, 3))


def test_random_numbers_that_no_answer_uses_are_not_kept():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert sp.check(Growing(), SIZE).circular.status == "proved"
    assert torch.equal(torch.get_rng_state(), before)


# Their answers have no numbers that could be compared, or no storage: neither is an error of torch's own.
WITHOUT_NUMBERS = {
    "an answer on no device": lambda m, x: x.mean((2, 3)).to("meta"),
    "a derivative": lambda m, x: torch.func.grad(lambda t: (t**2).sum())(x),
}


@pytest.mark.parametrize("case", WITHOUT_NUMBERS)
def test_an_answer_without_numbers_is_told(case):
    claim = sp.check(Call(WITHOUT_NUMBERS[case]), SIZE).circular
    assert claim.status == "unknown" or any("was not run" in c for c in claim.conditions)
