"""A module as torch.export's program; what cannot be one is refused with the reason and the line that stops it."""

from __future__ import annotations

import copy
import inspect
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.traceback import preserve_node_meta
from torch.nn.parameter import is_lazy

from shiftproof.checking.drawing import drawn
from shiftproof.checking.origin import line_of, line_raised
from shiftproof.errors import ModelError, NotExportedError
from shiftproof.models.batches import InBatches

OF_EVERY_MODULE = set(vars(nn.Module()))
ASSIGNED = re.compile(r"The tensor attributes? (.+) (?:was|were) assigned during export")
SIZES = re.compile(
    r"channel|size|shape|dimension|height|width|broadcast|mat1|kernel|must match|elements", re.IGNORECASE
)


def program_of(
    module: nn.Module, input_size: tuple[int, int, int]
) -> tuple[torch.export.ExportedProgram, tuple[str, ...], tuple[str, ...]]:
    """The program, the attributes of the module that running it sets anew, generators other than torch's that it drew from.

    Args:
        module: in eval mode; left as found.
        input_size: (c, h, w) in pixels.

    Raises:
        NotExportedError: the module runs, or would, but there is no one graph of it.
        ModelError: it fails itself on a picture of that size, or is not ready to run.
    """
    picture = _picture(module, input_size)
    noisy = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level, quiet = noisy.level, io.StringIO()
    try:
        with (
            torch.no_grad(),
            warnings.catch_warnings(record=True) as said,
            redirect_stderr(quiet),
            redirect_stdout(quiet),
            _graphs_followed(module),
        ):
            warnings.simplefilter("always")
            noisy.setLevel(logging.CRITICAL)  # it prints whole graphs before it raises
            with _plain_restored(module) as changed:
                program, numbers = drawn(lambda: torch.export.export(module, (picture,), strict=False))
        found = [m for w in said if (m := ASSIGNED.search(str(w.message)))]
        assigned = [n.removeprefix("self.") for m in found for n in m[1].split(", ")]
        return program, tuple(dict.fromkeys([*assigned, *changed])), numbers
    except Exception as e:
        raise _refusal(module, picture, e) from e
    finally:
        noisy.setLevel(level)


@contextmanager
def _plain_restored(module: nn.Module) -> Iterator[list[str]]:
    """Paths, known afterwards, of attributes without tensors that running a module changed; they are as before again."""
    paths = {m: f"{path}." if path else "" for path, m in module.named_modules()}
    before = {m: copy.deepcopy(_plain_of(m)) for m in paths}
    changed: list[str] = []

    def look(*_: object) -> None:
        for m, was in before.items():
            now, held = _plain_of(m), vars(m)
            for name in sorted(was.keys() | now.keys()):
                if name not in was:
                    del held[name]
                elif name not in now or (now[name] != was[name] and repr(now[name]) != repr(was[name])):
                    held[name] = copy.deepcopy(was[name])
                else:
                    continue
                changed.append(f"{paths[m]}{name}")

    handle = module.register_forward_hook(look)  # while torch exports: afterwards it has set back what it can
    try:
        yield changed
    finally:
        handle.remove()
        look()


def _plain_of(module: nn.Module) -> dict[str, Any]:
    return {name: v for name, v in vars(module).items() if name not in OF_EVERY_MODULE and _plain(v)}


def _plain(value: Any) -> bool:
    """Whether a value is a number, a word or nothing, or a list, tuple, set or dict of such."""
    if isinstance(value, dict):
        return all(_plain(v) for v in (*value, *value.values()))
    if isinstance(value, list | tuple | set):
        return all(map(_plain, value))
    return value is None or isinstance(value, bool | int | float | complex | str)


def _picture(module: nn.Module, input_size: tuple[int, int, int]) -> Tensor:
    weights = [p for p in [*module.parameters(), *module.buffers()] if not is_lazy(p) and p.is_floating_point()]
    like = weights[0] if weights else torch.empty(0)
    return torch.zeros((1, *input_size), dtype=like.dtype, device=like.device)


@contextmanager
def _graphs_followed(module: nn.Module) -> Iterator[None]:
    """What is a graph already (a loaded `.pt2`) is run node by node, so that each new node comes from where the old one did."""
    graphs = [m for m in module.modules() if isinstance(m, fx.GraphModule)] if isinstance(module, InBatches) else []

    def followed(graph: fx.GraphModule):
        return lambda *pictures: fx.Interpreter(graph).run(*pictures)

    try:
        for graph in graphs:
            graph.forward = followed(graph)
        with preserve_node_meta(bool(graphs)):
            yield
    finally:
        for graph in graphs:
            del graph.forward


def _refusal(module: nn.Module, picture: Tensor, error: Exception) -> ModelError:
    """Why torch made no program of a module, what would help, and the line that stops it."""
    where = line_of(str(error)) or line_raised(error)
    said = _first_line(error)
    if "data-dependent" in said or "DataDependent" in type(error).__name__:
        return NotExportedError(
            "what it computes next, or how much of it, depends on the picture's values: there is no one graph of it",
            where=where,
            remedy="take out what depends on the picture's values (if, while, .item(), selecting by a mask)",
        )
    scripted = [n or "the model" for n, m in module.named_modules() if isinstance(m, torch.jit.ScriptModule)]
    if scripted:
        what = f"{scripted[0]} is a TorchScript module, into which torch.export does not look"
        return NotExportedError(what, where=where, remedy="check the module that it was scripted or traced from")
    try:
        inspect.signature(module.forward).bind(picture)
    except TypeError as e:
        what = f"it does not take one batch of pictures: {e}"
        return NotExportedError(what, where=where, remedy="check a module that does, with it inside")
    lazy = [n for n, p in [*module.named_parameters(), *module.named_buffers()] if is_lazy(p)]
    if lazy:
        what = f"{lazy[0]} has no size yet: a lazy layer gets it from the first picture"
        return ModelError(what, where=where, remedy="run the model on one picture first")
    own = _own_failure(module, picture)
    if own is not None:
        return _failed(picture, own)
    remedy = "write that line with torch's operators on tensors only" if where else "leave out what torch names"
    return NotExportedError(f"torch.export cannot follow it: {said}", where=where, remedy=remedy)


def _own_failure(module: nn.Module, picture: Tensor) -> Exception | None:
    """What the module itself raises on a picture, without torch.export; a copy of it is run."""
    try:
        module = copy.deepcopy(module)
    except Exception:  # what cannot be copied cannot be run without changing it
        return None
    quiet = io.StringIO()
    try:
        with torch.no_grad(), warnings.catch_warnings(), redirect_stderr(quiet), redirect_stdout(quiet):
            warnings.simplefilter("ignore")
            module(picture)
    except Exception as e:
        return e
    return None


def _failed(picture: Tensor, error: Exception) -> ModelError:
    """The model's own error on a picture: of a size that is not its own, or of the model."""
    size, said = " x ".join(str(n) for n in picture.shape[1:]), _first_line(error)
    where = line_raised(error)
    if isinstance(error, RecursionError):
        return ModelError("the model calls itself without end", where=where, remedy="mend that line first")
    if isinstance(error, RuntimeError | ValueError | AssertionError) and SIZES.search(said):
        remedy = "give the size that it takes, channels first (--input 3,224,224; input_size=(3, 224, 224))"
        return ModelError(f"the model takes no picture of {size}: {said}", where=where, remedy=remedy)
    what = f"the model itself fails on a picture of {size}: {type(error).__name__}: {said}"
    return ModelError(what, where=where, remedy="mend that first: it must answer to one batch of pictures (n, c, h, w)")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
