"""Observe a model's layers while it runs, and restore the model afterwards.

A layer is a module that calls no other module, or, in an exported or traced graph, a node that computes something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from shiftproof.profiling.layer_names import computes, node_names, operator


class Call(NamedTuple):
    """One call of a layer: its `name` in the model, its `operator`, its `arguments` (args, kwargs), and `again` to rerun it."""

    name: str
    operator: str
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    again: Callable[..., Any]


Before = Callable[[Call], None]
After = Callable[[Call, Any], None]


@contextmanager
def observed(module: nn.Module, before: Before, after: After) -> Iterator[Callable[[Tensor], Any]]:
    """Yield a function that runs the model and reports each call of a layer or graph node; hooks are removed on exit.

    A module's second call in one run is named `name#2`, and so on. Modules that call other modules are reported too: the
    calls inside come between their `before` and `after`. Calls made through `again` are not reported.

    Args:
        module: the model.
        before: called with each call before it runs.
        after: called with the same call and its output, before anything else can change that output in place.
    """
    uses: Counter[str] = Counter()
    running: list[Call] = []
    silent = False

    def quietly(run: Callable[..., Any]) -> Callable[..., Any]:
        def again(*args: Any, **kwargs: Any) -> Any:
            nonlocal silent
            outer, silent = silent, True
            try:
                return run(*args, **kwargs)
            finally:
                silent = outer

        return again

    def begin(name: str, operator: str, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        uses[name] += 1
        count = uses[name]
        call = Call(name if count == 1 else f"{name}#{count}", operator, (args, kwargs), quietly(run))
        running.append(call)
        before(call)

    def watch(name: str, part: nn.Module) -> list[Any]:
        def pre(part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not silent:
                if part is module:  # a new run, whoever started it
                    uses.clear()
                    running.clear()
                begin(name or type(part).__name__, type(part).__name__, part, args, kwargs)

        def post(part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            if not silent:
                after(running.pop(), output)

        return [
            part.register_forward_pre_hook(pre, with_kwargs=True),
            part.register_forward_hook(post, with_kwargs=True),
        ]

    def by_nodes(name: str, graph: fx.GraphModule) -> Callable[..., Any]:
        named = node_names([node for node in graph.graph.nodes if computes(node)])

        def compute(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            function = _function(node)
            if silent:
                return function(*args, **kwargs)
            begin(f"{name}.{named[node]}" if name else named[node], operator(node), function, args, kwargs)
            output = function(*args, **kwargs)
            after(running.pop(), output)
            return output

        nodes, whole = _Nodes(graph, compute), graph.forward
        # `fx.Interpreter` takes no keyword arguments.
        return lambda *args, **kwargs: whole(*args, **kwargs) if kwargs else nodes.run(*args)

    with ExitStack() as stack:
        # Modules of a parametrization (weight or spectral norm) are called with
        # weights: they are not layers of the picture.
        skipped = {
            id(inner)
            for part in module.modules()
            if isinstance(part, parametrize.ParametrizationList)
            for inner in part.modules()
        }
        for name, part in module.named_modules():
            if isinstance(part, fx.GraphModule):
                stack.enter_context(_replaced(part, "forward", by_nodes(name, part)))
            if id(part) not in skipped and not isinstance(part, torch.jit.ScriptModule):
                for handle in watch(name, part):
                    stack.callback(handle.remove)

        def run(x: Tensor) -> Any:
            uses.clear()
            running.clear()
            return module(x)

        yield run


@contextmanager
def left_as_found(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Put the model in evaluation mode without gradients; restore its modes, its buffers and the random state on exit."""
    modes = {part: part.training for part in module.modules()}
    buffers = [(part, name, b) for part in modes for name, b in part.named_buffers(recurse=False)]
    kept = [b.detach().clone() for *_, b in buffers]
    versions = [0 if b.is_inference() else b._version for *_, b in buffers]
    devices = [] if device.type == "cpu" else [device.index or 0]
    kind = "cuda" if device.type == "cpu" else device.type
    # Not in inference mode: it keeps no version counters, by which writes are noticed.
    with torch.random.fork_rng(devices, device_type=kind), torch.inference_mode(False), torch.no_grad():
        try:
            for part in modes:
                # Not `eval()`: classes override `train` to keep parts frozen, and would
                # not come back to the mode that they had.
                part.training = False
            yield
        finally:
            for part, training in modes.items():
                part.training = training
            for (part, name, buffer), value, version in zip(buffers, kept, versions, strict=True):
                if not buffer.is_inference() and buffer._version != version:
                    buffer.copy_(value)
                # The run may also have put another tensor in the place of a buffer.
                if getattr(part, name) is not buffer:
                    setattr(part, name, buffer)


def first_tensor(output: Any) -> Tensor | None:
    """Return a layer's output tensor: the first floating-point tensor if it is a tuple, list or dict; None if there is none."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    inside = output.values() if isinstance(output, dict) else output if isinstance(output, tuple | list) else ()
    return next((t for t in inside if isinstance(t, Tensor) and t.is_floating_point()), None)


class _Nodes(fx.Interpreter):
    """Runs a graph node by node; nodes that compute something go through `compute`."""

    def __init__(self, graph: fx.GraphModule, compute: Callable[..., Any]) -> None:
        super().__init__(graph)
        self.compute = compute

    def run_node(self, n: fx.Node) -> Any:
        if not computes(n):
            return super().run_node(n)
        return self.compute(n, *self.fetch_args_kwargs_from_env(n))


@contextmanager
def _replaced(owner: nn.Module, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute of an instance, and restore it on exit."""
    had = name in owner.__dict__
    before = owner.__dict__.get(name)
    # Past `nn.Module.__setattr__`, which would sort modules and tensors into its own dictionaries.
    owner.__dict__[name] = value
    try:
        yield
    finally:
        if had:
            owner.__dict__[name] = before
        else:
            del owner.__dict__[name]


def _function(node: fx.Node) -> Callable[..., Any]:
    if callable(node.target):
        return node.target
    method = node.target
    return lambda self, *args, **kwargs: getattr(self, method)(*args, **kwargs)
