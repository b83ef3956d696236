"""Watching a model's layers while it runs, and leaving the model as it was found.

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


class Call(NamedTuple):
    """One use of a layer: `name` in the model, `operator`, its `arguments` (args, kwargs), and `again` to run it alone."""

    name: str
    operator: str
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    again: Callable[..., Any]


Before = Callable[[Call], None]
After = Callable[[Call, Any], None]


@contextmanager
def observed(module: nn.Module, before: Before, after: After) -> Iterator[Callable[[Tensor], Any]]:
    """A function that runs the model and reports each use of each layer and graph node; the model is unhooked after it.

    A module's second use in one run is called `name#2`, and so on. Modules that call others are reported too: whoever
    listens sees that other calls come between. What a layer does while it is run `again` is not reported.

    Args:
        module: the model.
        before: told of a call before it runs.
        after: told of the same call and its output, before anything else can change that output in place.
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
                begin(name or type(part).__name__, type(part).__name__, part, args, kwargs)

        def post(part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            if not silent:
                after(running.pop(), output)

        return [
            part.register_forward_pre_hook(pre, with_kwargs=True),
            part.register_forward_hook(post, with_kwargs=True),
        ]

    def by_nodes(name: str, graph: fx.GraphModule) -> Callable[..., Any]:
        def compute(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            function = _function(node)
            if silent:
                return function(*args, **kwargs)
            begin(f"{name}.{node.name}" if name else node.name, _operator(node), function, args, kwargs)
            output = function(*args, **kwargs)
            after(running.pop(), output)
            return output

        nodes, whole = _Nodes(graph, compute), graph.forward
        return lambda *args, **kwargs: whole(*args, **kwargs) if kwargs else nodes.run(*args)

    with ExitStack() as stack:
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
    """The model in evaluation mode, without gradients; its modes, its buffers and the random state come back."""
    modes = {part: part.training for part in module.modules()}
    buffers = [(part, name, b) for part in modes for name, b in part.named_buffers(recurse=False)]
    kept = [b.detach().clone() for *_, b in buffers]
    versions = [0 if b.is_inference() else b._version for *_, b in buffers]
    devices = [] if device.type == "cpu" else [device.index or 0]
    kind = "cuda" if device.type == "cpu" else device.type
    with torch.random.fork_rng(devices, device_type=kind), torch.inference_mode(False), torch.no_grad():
        try:
            for part in modes:
                part.training = False
            yield
        finally:
            for part, training in modes.items():
                part.training = training
            for (part, name, buffer), value, version in zip(buffers, kept, versions, strict=True):
                if not buffer.is_inference() and buffer._version != version:
                    buffer.copy_(value)
                if getattr(part, name) is not buffer:
                    setattr(part, name, buffer)


def first_tensor(output: Any) -> Tensor | None:
    """A layer's output: the tensor, or the first floating-point one of a tuple, list or dict."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    inside = output.values() if isinstance(output, dict) else output if isinstance(output, tuple | list) else ()
    return next((t for t in inside if isinstance(t, Tensor) and t.is_floating_point()), None)


class _Nodes(fx.Interpreter):
    """Runs a graph node by node, those that compute something by `compute`."""

    def __init__(self, graph: fx.GraphModule, compute: Callable[..., Any]) -> None:
        super().__init__(graph)
        self.compute = compute

    def run_node(self, n: fx.Node) -> Any:
        if n.op not in ("call_function", "call_method") or _moves_only(n):
            return super().run_node(n)
        return self.compute(n, *self.fetch_args_kwargs_from_env(n))


@contextmanager
def _replaced(owner: nn.Module, name: str, value: Any) -> Iterator[None]:
    """An instance's attribute replaced; whatever it had of its own comes back."""
    had = name in owner.__dict__
    before = owner.__dict__.get(name)
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


def _operator(node: fx.Node) -> str:
    """The operator's name, without overload."""
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(packet, "__name__", packet))


# nodes that move or view values without computing any, beyond those whose schema says that they are views
_MOVES = frozenset(
    ("clone", "contiguous", "dropout", "to", "_to_copy", "getitem", "getattr", "size", "view",
     "reshape", "flatten", "permute", "transpose", "unsqueeze", "squeeze", "expand", "slice", "chunk", "split", "dim")
)  # fmt: skip


def _moves_only(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    views = schema is not None and any(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns)
    return views or _operator(node) in _MOVES
