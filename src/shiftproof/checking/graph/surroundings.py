"""What a model's code can change outside the model: the environment, and the switches of Python and torch."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial, reduce
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
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
    *(f"torch.backends.opt_einsum.{n}" for n in ("enabled", "strategy")),
    "torch.utils.deterministic.fill_uninitialized_memory",
)
SWITCHES: tuple[Switch, ...] = (
    ("os.getcwd", os.getcwd, os.chdir),
    ("sys.recursionlimit", sys.getrecursionlimit, sys.setrecursionlimit),
    ("torch.default_dtype", torch.get_default_dtype, torch.set_default_dtype),
    ("torch.num_threads", torch.get_num_threads, torch.set_num_threads),
    ("torch.warn_always", torch.is_warn_always_enabled, torch.set_warn_always),
    ("torch.anomaly_mode", torch.is_anomaly_enabled, torch.set_anomaly_enabled),
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
OF_TORCH: tuple[tuple[str, Any], ...] = (
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
    for name, hooks in HOOKS:
        yield f"torch.nn.modules.module.{name}", partial(put_back_dict, hooks, dict(hooks))
    # torch fills in names of its own as it is used, which begin with an underscore
    for path, owner in OF_TORCH:
        yield path, partial(_attributes, owner, variables(vars(owner)))


def _environment(was: dict[str, str]) -> list[str]:
    changed = [k for k in {**was, **os.environ} if os.environ.get(k) != was.get(k)]
    for k in changed:
        if k in was:
            os.environ[k] = was[k]
        else:
            del os.environ[k]
    return changed


def _switched(get: Callable[[], Any], put: Callable[[Any], Any], was: Any) -> Iterable[Any]:
    if get() == was:
        return ()
    put(was)
    return (0,)


def _attributes(owner: Any, was: dict[str, Any]) -> list[str]:
    """The attributes of a module or class of torch: those that were replaced, and values that are new."""
    changed: list[str] = []
    for name, value in variables(own_dict(owner) if isinstance(owner, types.ModuleType) else vars(owner)).items():
        if name not in was and not isinstance(value, CODE):
            delattr(owner, name)
        elif name in was and value is not was[name] and not name.startswith("_"):
            setattr(owner, name, was[name])
        else:
            continue
        changed.append(name)
    return changed
