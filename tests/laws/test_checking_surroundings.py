"""What a forward changes outside the model is as it was after a check, and the verdict names it."""

from __future__ import annotations

import builtins
import contextvars
import decimal
import gc
import inspect
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

import shiftproof as sp
from brute_force import Call
from shiftproof.checking.graph import surroundings as surroundings_module
from shiftproof.checking.refuting.refute import refuted

SIZE = (2, 8, 8)


def _blocks_of_autocast():
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


COUNT = contextvars.ContextVar("count", default=0)


def _rights():
    was = os.umask(0o077)
    os.umask(was)
    return was


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
    "autocast": (
        lambda m, x: torch.set_autocast_dtype("cpu", torch.float16),
        lambda: torch.get_autocast_dtype("cpu"),
        "torch.autocast.cpu.dtype",
    ),
    "a block of autocast that is not left": (
        lambda m, x: bool(torch.autocast_increment_nesting()),
        _blocks_of_autocast,
        "torch.autocast.nesting",
    ),
    "autocast's cache": (
        lambda m, x: torch.set_autocast_cache_enabled(False),
        torch.is_autocast_cache_enabled,
        "torch.autocast.cache",
    ),
    "printing": (
        lambda m, x: torch.set_printoptions(precision=2),
        lambda: dict(vars(torch._tensor_str.PRINT_OPTS)),
        "torch.printoptions",
    ),
    "how modules are converted": (
        lambda m, x: torch.__future__.set_swap_module_params_on_conversion(True),
        torch.__future__.get_swap_module_params_on_conversion,
        "torch.__future__.swap_module_params_on_conversion",
    ),
    "how modules are overwritten": (
        lambda m, x: torch.__future__.set_overwrite_module_params_on_conversion(True),
        torch.__future__.get_overwrite_module_params_on_conversion,
        "torch.__future__.overwrite_module_params_on_conversion",
    ),
    "tiny numbers": (
        lambda m, x: torch.set_flush_denormal(True),
        lambda: (torch.tensor(1e-310, dtype=torch.float64) * 0.5).item(),
        "torch.flush_denormal",
    ),
    "the default device": (
        lambda m, x: torch.set_default_device("cpu"),
        lambda: getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None),
        "torch.default_device",
    ),
    "checks of distributions": (
        lambda m, x: torch.distributions.Distribution.set_default_validate_args(False),
        lambda: torch.distributions.Distribution._validate_args,
        "torch.distributions.validate_args",
    ),
    "anomalies": (
        lambda m, x: torch.set_anomaly_enabled(False, False),
        torch.is_anomaly_check_nan_enabled,
        "torch.anomaly_mode",
    ),
    "checks of sparse tensors": (
        lambda m, x: torch.sparse.check_sparse_tensor_invariants.enable(),
        torch.sparse.check_sparse_tensor_invariants.is_enabled,
        "torch.sparse.check_sparse_tensor_invariants",
    ),
    "garbage": (lambda m, x: gc.disable(), gc.isenabled, "gc.isenabled"),
    "how often garbage is collected": (lambda m, x: gc.set_threshold(7), gc.get_threshold, "gc.threshold"),
    "decimals": (
        lambda m, x: setattr(decimal.getcontext(), "prec", 5),
        lambda: decimal.getcontext().prec,
        "decimal.getcontext",
    ),
    "what is called for an exception": (
        lambda m, x: setattr(sys, "excepthook", print),
        lambda: sys.excepthook,
        "sys.excepthook",
    ),
    "the same in a thread": (
        lambda m, x: setattr(threading, "excepthook", print),
        lambda: threading.excepthook,
        "threading.excepthook",
    ),
    "an attribute of sys": (
        lambda m, x: setattr(sys, "frozen_by_a_model", True),
        lambda: hasattr(sys, "frozen_by_a_model"),
        "sys.frozen_by_a_model",
    ),
    "an attribute of torch that is deleted": (
        lambda m, x: vars(torch).pop("vander", None),
        lambda: hasattr(torch, "vander"),
        "torch.vander",
    ),
    "threads' turns": (lambda m, x: sys.setswitchinterval(0.5), sys.getswitchinterval, "sys.setswitchinterval"),
    "a tracer": (lambda m, x: sys.settrace(lambda *_: None), sys.gettrace, "sys.settrace"),
    "long numbers": (
        lambda m, x: sys.set_int_max_str_digits(5000),
        sys.get_int_max_str_digits,
        "sys.set_int_max_str_digits",
    ),
    "a builtin": (
        lambda m, x: setattr(builtins, "count_of_a_model", 1),
        lambda: hasattr(builtins, "count_of_a_model"),
        "builtins.count_of_a_model",
    ),
    "an attribute of NumPy": (
        lambda m, x: setattr(np, "count_of_a_model", 1),
        lambda: hasattr(np, "count_of_a_model"),
        "numpy.count_of_a_model",
    ),
    "the rights of new files": (lambda m, x: os.umask(0o027), _rights, "os.umask"),
    "a variable of the context": (lambda m, x: COUNT.set(COUNT.get() + 1), lambda: COUNT.get(), "contextvars.count"),
    "warnings": (lambda m, x: warnings.simplefilter("error"), lambda: list(warnings.filters), ""),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_a_forward_changes_outside_is_as_before(case, monkeypatch):
    change, look, named = CHANGES[case]
    # torch.compile of an earlier test in the same process may have turned them off
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", True)

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


# Switches of torch that cannot be read, or that no code may set twice, and other names for one that is read.
ELSEWHERE = {
    *(
        "set_autocast_cpu_dtype",
        "set_autocast_gpu_dtype",
        "set_autocast_cpu_enabled",
    ),  # of set_autocast_dtype and _enabled
    *("set_autocast_ipu_dtype", "set_autocast_ipu_enabled", "set_autocast_xla_dtype", "set_autocast_xla_enabled"),
    *("set_default_tensor_type", "set_deterministic_debug_mode", "set_num_interop_threads"),
    *("set_grad_enabled", "set_rng_state"),  # the runs have a block of their own for each
}


def test_every_switch_of_torch_is_looked_at():
    source = inspect.getsource(surroundings_module)
    switches = {n for n in dir(torch) if n.startswith("set_")} - ELSEWHERE
    assert len(switches) > 8
    assert [n for n in sorted(switches) if n not in source and n.removeprefix("set_") not in source] == []


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
