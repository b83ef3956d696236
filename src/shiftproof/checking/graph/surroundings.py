"""What a model's code can change outside the model: the environment, and the switches of Python and torch."""

from __future__ import annotations

import builtins
import contextvars
import decimal
import gc
import math
import os
import random
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
import torch.distributions
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch._tensor_str import PRINT_OPTS as PRINTED
from torch.nn.modules import module as torch_module

from shiftproof.checking.graph.putting_back import own_dict, put_back_container, put_back_dict, variables

Switch = tuple[str, Callable[[], Any], Callable[[Any], Any]]
PutBack = Callable[[], Iterable[Any]]


def _attribute(path: str) -> Switch:
    """A switch that is an attribute, as "torch.backends.cudnn.benchmark"."""
    *owners, name = path.split(".")[1:]

    def owner() -> Any:
        return reduce(getattr, owners, torch)

    return path, lambda: getattr(owner(), name), lambda was: setattr(owner(), name, was)


def _attribute_of(owner: Any, path: str, name: str) -> Switch:
    """A switch that is an attribute which only its owner's own functions are meant to set."""
    return path, lambda: getattr(owner, name), lambda was: setattr(owner, name, was)


def _autocasts(kind: str) -> tuple[Switch, ...]:
    """Whether operators run in fewer digits on a kind of device, and in which."""
    return (
        (
            f"torch.autocast.{kind}",
            lambda: torch.is_autocast_enabled(kind),
            lambda was: torch.set_autocast_enabled(kind, was),
        ),
        (
            f"torch.autocast.{kind}.dtype",
            lambda: torch.get_autocast_dtype(kind),
            lambda was: torch.set_autocast_dtype(kind, was),
        ),
    )


def _nesting() -> int:
    """How many blocks of autocast were entered and not left."""
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def _leave_autocast(was: int) -> None:
    while _nesting() > was:
        torch.autocast_decrement_nesting()
    if was == 0:
        torch.clear_autocast_cache()


def _set_default_device() -> torch.device | None:
    """The device that `torch.set_default_device` was given last; None for none."""
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else context.device


def _flushes() -> bool:
    """Whether numbers nearer to 0 than 2e-308 are taken for 0; torch tells only by what it computes."""
    return (torch.tensor(1e-310, dtype=torch.float64, device="cpu") * 0.5).item() == 0


DECIMALS = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def _decimals() -> tuple[dict[str, Any], dict[Any, bool]]:
    """How this thread computes with decimal numbers: its settings, and what it raises."""
    context = decimal.getcontext()
    return {n: getattr(context, n) for n in DECIMALS}, dict(context.traps)


def _set_decimals(was: tuple[dict[str, Any], dict[Any, bool]]) -> None:
    context = decimal.getcontext()
    for name, value in was[0].items():
        setattr(context, name, value)
    context.traps.update(was[1])


def _umask() -> int:
    """Which rights new files do not get; Python tells only by setting it."""
    was = os.umask(0o077)
    os.umask(was)
    return was


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


# Those of precision come first: torch refuses to read the older ones after a newer one was set.
PRECISIONS = ("", "cuda.matmul.", "cudnn.conv.", "cudnn.rnn.", "mkldnn.matmul.", "mkldnn.conv.", "mkldnn.rnn.")
ATTRIBUTES = (
    *(f"torch.backends.{n}fp32_precision" for n in PRECISIONS),
    *(f"torch.backends.cudnn.{n}" for n in ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")),
    *(
        f"torch.backends.cuda.matmul.{n}"
        for n in ("allow_tf32", "allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")
    ),
    *(f"torch.backends.mkldnn.{n}" for n in ("enabled", "deterministic", "allow_tf32")),
    "torch.backends.quantized.engine",
    *(f"torch.backends.opt_einsum.{n}" for n in ("enabled", "strategy")),
    "torch.utils.deterministic.fill_uninitialized_memory",
)
SWITCHES: tuple[Switch, ...] = (
    ("os.getcwd", os.getcwd, os.chdir),
    ("os.umask", _umask, os.umask),
    ("sys.recursionlimit", sys.getrecursionlimit, sys.setrecursionlimit),
    ("sys.setswitchinterval", sys.getswitchinterval, sys.setswitchinterval),
    ("sys.settrace", sys.gettrace, sys.settrace),
    ("sys.set_int_max_str_digits", sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    ("decimal.getcontext", _decimals, _set_decimals),
    ("gc.isenabled", gc.isenabled, lambda was: gc.enable() if was else gc.disable()),
    ("gc.threshold", gc.get_threshold, lambda was: gc.set_threshold(*was)),
    ("threading.excepthook", lambda: threading.excepthook, lambda was: setattr(threading, "excepthook", was)),
    ("torch.default_device", _set_default_device, torch.set_default_device),
    *(switch for kind in ("cpu", "cuda") for switch in _autocasts(kind)),
    ("torch.autocast.cache", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    ("torch.autocast.nesting", _nesting, _leave_autocast),
    ("torch.printoptions", lambda: dict(vars(PRINTED)), lambda was: vars(PRINTED).update(was)),
    *(
        (f"torch.__future__.{n}", getattr(torch.__future__, f"get_{n}"), getattr(torch.__future__, f"set_{n}"))
        for n in ("overwrite_module_params_on_conversion", "swap_module_params_on_conversion")
    ),
    ("torch.flush_denormal", _flushes, torch.set_flush_denormal),
    ("torch.default_dtype", torch.get_default_dtype, torch.set_default_dtype),
    ("torch.num_threads", torch.get_num_threads, torch.set_num_threads),
    ("torch.warn_always", torch.is_warn_always_enabled, torch.set_warn_always),
    (
        "torch.anomaly_mode",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda was: torch.set_anomaly_enabled(*was),
    ),
    (
        "torch.sparse.check_sparse_tensor_invariants",
        torch.sparse.check_sparse_tensor_invariants.is_enabled,
        lambda was: torch._C._set_check_sparse_tensor_invariants(was),
    ),
    _attribute_of(torch.distributions.Distribution, "torch.distributions.validate_args", "_validate_args"),
    ("torch.backends.nnpack.enabled", torch._C._get_nnpack_enabled, torch._C._set_nnpack_enabled),
    (
        "torch.backends.cuda.bf16_reduction_math_sdp",
        torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed,
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp,
    ),
    (
        "torch.deterministic_algorithms",
        _deterministic,
        lambda was: torch.use_deterministic_algorithms(was[0], warn_only=was[1]),
    ),
    *map(_attribute, ATTRIBUTES),
    ("torch.float32_matmul_precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    *(
        (
            f"torch.backends.cuda.{n}_sdp",
            getattr(torch.backends.cuda, f"{n}_sdp_enabled"),
            getattr(torch.backends.cuda, f"enable_{n}_sdp"),
        )
        for n in ("flash", "mem_efficient", "math", "cudnn")
    ),
    ("torch.backends.mha.fastpath", torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
)
HOOKS = [(n, v) for n, v in vars(torch_module).items() if n.startswith("_global_") and isinstance(v, dict)]
OWNERS: tuple[tuple[str, Any], ...] = (
    *((module.__name__, module) for module in (builtins, sys, os, time, math, random, np)),
    ("torch", torch),
    ("torch.nn", nn),
    ("torch.nn.functional", F),
    ("torch.fft", torch.fft),
    ("torch.Tensor", Tensor),
    ("torch.nn.Module", nn.Module),
)
CODE = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)


def surroundings() -> Iterator[tuple[str, PutBack]]:
    """(path, what puts it back and returns the keys that had changed) for everything outside a model, as it is now.

    Not the handlers of signals, the levels of logging and the settings of other libraries: other threads may be changing them.
    """
    yield "os.environ", partial(_environment, dict(os.environ))
    yield "sys.path", partial(put_back_container, sys.path, list(sys.path))
    for path, get, put in SWITCHES:
        # what this torch does not have, or refuses to read now, and a folder that was deleted
        with suppress(AttributeError, RuntimeError, OSError):
            yield path, partial(_switched, get, put, get())
    yield "contextvars", partial(_context, contextvars.copy_context())  # after the decimals, which are kept there
    for name, hooks in HOOKS:
        yield f"torch.nn.modules.module.{name}", partial(put_back_dict, hooks, dict(hooks))
    # torch fills in names of its own as it is used, which begin with an underscore
    for path, owner in OWNERS:
        yield path, partial(_attributes, owner, variables(vars(owner)))


def _environment(was: dict[str, str]) -> list[str]:
    changed = [k for k in {**was, **os.environ} if os.environ.get(k) != was.get(k)]
    for k in changed:
        if k in was:
            os.environ[k] = was[k]
        else:
            del os.environ[k]
    return changed


def _context(was: contextvars.Context) -> list[str]:
    """The variables of the context in which a check runs, which is a copy of the caller's."""
    now = contextvars.copy_context()
    changed = [v for v in now if v not in was or was[v] is not now[v]]
    told: list[str] = []
    for variable in changed:
        try:
            before = was[variable] if variable in was else contextvars.Context().run(variable.get)
        except LookupError:  # it had no value, and nothing can take it away again
            told.append(variable.name)
            continue
        if before is not now[variable]:
            variable.set(before)
            told.append(variable.name)
    return told


def _switched(get: Callable[[], Any], put: Callable[[Any], Any], was: Any) -> Iterable[Any]:
    if get() == was:
        return ()
    put(was)
    return (0,)


def _attributes(owner: Any, was: dict[str, Any]) -> list[str]:
    """The attributes of a module or class: those that were replaced or deleted, and values that are new."""
    now = variables(own_dict(owner) if isinstance(owner, types.ModuleType) else vars(owner))
    new = [n for n, v in now.items() if n not in was and not isinstance(v, CODE)]
    other = [n for n, v in was.items() if not n.startswith("_") and (n not in now or now[n] is not v)]
    for name in new:
        delattr(owner, name)
    for name in other:
        setattr(owner, name, was[name])
    return new + other
