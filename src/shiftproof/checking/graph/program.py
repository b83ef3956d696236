"""A module as a program of torch.export, or the reason why it cannot be one, with the line that stops it."""

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

from shiftproof.checking.graph.alone import as_the_caller
from shiftproof.checking.graph.origin import line_of, line_raised
from shiftproof.checking.graph.randomness import drawn, generators_restored
from shiftproof.checking.graph.restoring import in_own_context, restored
from shiftproof.checking.inputs import remedy_of_size
from shiftproof.errors import ModelError, NotExportedError, is_out_of_memory
from shiftproof.interruptions import pass_on
from shiftproof.models.loading.fixed_batch import InBatches
from shiftproof.printable import said

# Attributes that `nn.Module` itself keeps (parameters, hooks, whether it is training): not a model's own state.
OF_EVERY_MODULE = set(vars(nn.Module()))
ASSIGNED = re.compile(r"The tensor attributes? (.+) (?:was|were) assigned during export")
MOST_ITEMS = 10_000
# Words of torch's messages when a picture has a size that the model does not take.
SIZES = re.compile(
    r"channel|size|shape|dimension|height|width|broadcast|mat1|kernel|must match|elements", re.IGNORECASE
)


@in_own_context
def program_of(
    module: nn.Module, input_size: tuple[int, int, int]
) -> tuple[torch.export.ExportedProgram, tuple[str, ...], tuple[str, ...]]:
    """The program, the attributes that a run of the module changes, and the generators other than torch's that it drew from.

    Args:
        module: in eval mode; left as found.
        input_size: (c, h, w) in pixels.

    Raises:
        NotExportedError: the module runs, or would, but no single graph describes it.
        ModelError: the module itself fails on a picture of that size, or is not ready to run.
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
            # That `forward` assigned a tensor to an attribute torch says by a warning
            # only, and Python shows one per place once.
            warnings.simplefilter("always")
            noisy.setLevel(logging.CRITICAL)  # it prints whole graphs before it raises
            # Not strict: Python itself runs `forward` with fake tensors, so anything that Python can run is followed.
            # Strict export reads the bytecode instead, and stops at more of it.
            changed: list[str] = []
            with restored(module) as kept:

                def run() -> torch.export.ExportedProgram:
                    kept.put_back()  # it may run twice, and the second must not meet what the first one kept
                    with _plain_restored(module) as plain, as_the_caller():
                        found = torch.export.export(module, (picture,), strict=False)
                    changed.extend(plain)
                    return found

                program, numbers = drawn(run)
        found = [m for w in said if (m := ASSIGNED.search(str(w.message)))]
        assigned = [n.removeprefix("self.") for m in found for n in m[1].split(", ")]
        assigned = [n for n in assigned if not _lists_weights(module, n)]
        every = dict.fromkeys([*assigned, *changed, *kept.changed, *kept.drawn])
        # A list in an attribute is named once, not again for each thing in it.
        outermost = tuple(n for n in every if not any(n.startswith(f"{other}.") for other in every))
        return program, outermost, numbers
    except TimeoutError:  # of the caller, whose patience is at an end
        raise
    except (Exception, SystemExit) as e:
        pass_on(e)
        raise _refusal(module, picture, e) from e
    finally:
        noisy.setLevel(level)


def _lists_weights(module: nn.Module, path: str) -> bool:
    """Whether an attribute is a recurrent layer's own list of its parameters, in which export puts traced ones, and back."""
    owner, found, _ = path.rpartition("._flat_weights") if "." in path else ("", path.startswith("_flat_weights"), "")
    return bool(found) and any(n == owner and isinstance(m, nn.RNNBase) for n, m in module.named_modules())


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
                # By `repr` as well, because NaN differs from itself.
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
    """Whether a value is a number, a word or nothing, or a list, tuple, set or dict of a few such."""
    # By `type`, because `isinstance` asks an object for its class. A long container is put back by `restored`.
    if type(value) in (dict, list, tuple, set) and len(value) > MOST_ITEMS:
        return False
    if type(value) is dict:
        return all(_plain(v) for v in (*value, *value.values()))
    if type(value) in (list, tuple, set):
        return all(map(_plain, value))
    return value is None or type(value) in (bool, int, float, complex, str)


def _picture(module: nn.Module, input_size: tuple[int, int, int]) -> Tensor:
    # The dtype and device of the first weights: a picture of another dtype would
    # stop a model in half or double precision.
    weights = [p for p in [*module.parameters(), *module.buffers()] if not is_lazy(p) and p.is_floating_point()]
    like = weights[0] if weights else torch.empty(0)
    return torch.zeros((1, *input_size), dtype=like.dtype, device=like.device)


@contextmanager
def _graphs_followed(module: nn.Module) -> Iterator[None]:
    """A loaded `.pt2` is a graph already. It is run node by node, so that each node keeps its module and line."""
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


def _refusal(module: nn.Module, picture: Tensor, error: BaseException) -> ModelError:
    """Why torch could not export a module, what would help, and the line where the export fails.

    Torch's own message is the last resort: it is about torch's inner workings, and the cause is most often one of a few.
    """
    where = line_of(str(error)) or line_raised(error)
    text = said(error)
    if is_out_of_memory(error):
        what = "memory ran out while torch exported the model"
        return ModelError(what, where=where, remedy="check it with smaller pictures")
    # Torch raises GuardOnDataDependentSymNode, DataDependentOutputException and others:
    # they share a part of the name, and no class.
    if "data-dependent" in text or "DataDependent" in type(error).__name__:
        return NotExportedError(
            "which operations run, or on which sizes, depends on the picture's values: no single graph describes the model",
            where=where,
            remedy="remove the code that depends on the picture's values (if, while, .item(), selecting by a mask)",
        )
    scripted = [n or "the model" for n, m in module.named_modules() if isinstance(m, torch.jit.ScriptModule)]
    if scripted:
        what = f"{scripted[0]} is a TorchScript module, which torch.export does not look into"
        return NotExportedError(what, where=where, remedy="check the module that it was scripted or traced from")
    try:
        # Python's own check of the arguments, without running `forward`.
        inspect.signature(module.forward).bind(picture)
    except TypeError as e:
        what = f"the model does not take one batch of pictures: {e}"
        return NotExportedError(what, where=where, remedy="wrap it in a module that takes one batch, and check that")
    lazy = [n for n, p in [*module.named_parameters(), *module.named_buffers()] if is_lazy(p)]
    if lazy:
        what = f"{lazy[0]} has no size yet: a lazy layer gets it from the first picture"
        return ModelError(what, where=where, remedy="run the model on one picture first")
    # Last of the causes, because it runs the model.
    own = _own_failure(module, picture)
    if own is not None:
        return _failed(module, picture, own)
    if "fake tensor in the exported program" in text:  # torch's own sentence asks to report a bug to torch
        what = "the model keeps a tensor of one run and uses it in the next, in a place that torch.export cannot follow"
        return NotExportedError(what, where=where, remedy="keep it in a buffer: `self.register_buffer(name, tensor)`")
    remedy = "write that line with torch's operators on tensors only" if where else "remove what torch names"
    return NotExportedError(f"torch.export cannot follow it: {text}", where=where, remedy=remedy)


@in_own_context
def _own_failure(module: nn.Module, picture: Tensor) -> BaseException | None:
    """What the module itself raises on a picture, without torch.export; a copy of it is run."""
    try:
        module = copy.deepcopy(module)
    except Exception as e:  # what cannot be copied cannot be run without changing it
        pass_on(e)
        return None
    quiet = io.StringIO()
    try:
        with (
            torch.no_grad(),
            warnings.catch_warnings(),
            redirect_stderr(quiet),
            redirect_stdout(quiet),
            generators_restored(),
            restored(module),  # a copy shares its class, and what its class keeps
            as_the_caller(),
        ):
            warnings.simplefilter("ignore")
            module(picture)
    except (Exception, SystemExit) as e:
        pass_on(e)
        return e
    return None


def _failed(module: nn.Module, picture: Tensor, error: BaseException) -> ModelError:
    """The model's own error on a picture: either the size does not fit, or the model is broken."""
    size, text = " x ".join(str(n) for n in picture.shape[1:]), said(error)
    where = line_raised(error)
    if isinstance(error, RecursionError):
        return ModelError("the model calls itself endlessly", where=where, remedy="fix that line first")
    if isinstance(error, RuntimeError | ValueError | AssertionError) and SIZES.search(text):
        remedy = remedy_of_size(module, tuple(picture.shape[1:]))
        return ModelError(f"the model does not take pictures of {size}: {text}", where=where, remedy=remedy)
    what = f"the model itself fails on a picture of {size}: {type(error).__name__}: {text}"
    return ModelError(what, where=where, remedy="fix that first: it must accept one batch of pictures (n, c, h, w)")
