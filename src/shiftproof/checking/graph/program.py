"""A module as a program of torch.export, or the reason why it cannot be one, with the line that stops it."""

from __future__ import annotations

import copy
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
from shiftproof.checking.graph.randomness import drawn
from shiftproof.checking.graph.refusing import refusal
from shiftproof.checking.graph.restoring import in_own_context, restored
from shiftproof.interruptions import pass_on
from shiftproof.models.loading.fixed_batch import InBatches

# Attributes that `nn.Module` itself keeps (parameters, hooks, whether it is training): not a model's own state.
OF_EVERY_MODULE = set(vars(nn.Module()))
ASSIGNED = re.compile(r"The tensor attributes? (.+) (?:was|were) assigned during export")
MOST_ITEMS = 10_000


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
    picture = picture_of(module, input_size)
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
        raise refusal(module, picture, e) from e
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


def picture_of(module: nn.Module, input_size: tuple[int, int, int]) -> Tensor:
    """A picture of random numbers that a module takes."""
    # The dtype and device of the first weights: a picture of another dtype would
    # stop a model in half or double precision.
    weights = [p for p in [*module.parameters(), *module.buffers()] if not is_lazy(p) and p.is_floating_point()]
    like = weights[0] if weights else torch.empty(0)
    picture = torch.rand(1, *input_size, generator=torch.Generator().manual_seed(0))
    return picture.to(dtype=like.dtype, device=like.device)


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
