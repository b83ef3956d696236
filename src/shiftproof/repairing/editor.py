"""A network's exported graph, written anew node by node with some operators replaced: weights and everything else are kept.

Each new node is run on tensors without numbers as it is written, so a size that changes is known to all that follows.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.node import map_aggregate

from shiftproof.checking.graph.inline import inlined
from shiftproof.checking.graph.origin import module_of
from shiftproof.errors import RepairError
from shiftproof.models import evaluating
from shiftproof.models.loading.fixed_batch import InBatches
from shiftproof.printable import said
from shiftproof.records import Change

MANY = 1 << 20  # pictures in a batch, at most
PICTURES = 2  # in the batch by which sizes are found

Axes = tuple[tuple[int, int], tuple[int, int]]  # cells at the (low, high) end of (rows, columns)


@dataclass(frozen=True)
class Padded:
    """A map with cells to be added at its ends by whoever reads it; (0, 0) for none."""

    node: fx.Node
    cells: Axes


Value = Any  # a node of the new graph, a number, a `Padded`, or a list of these


class Editor:
    """The graph that is being written.

    Args:
        module: holds the weights of the graph, and gets the new constants.
        refuse: makes the error of a refusal from the reason and the place.
    """

    def __init__(self, module: fx.GraphModule, refuse: Callable[[str, str], RepairError]) -> None:
        self.module, self.graph, self.refuse = module, fx.Graph(owning_module=module), refuse
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.at: fx.Node | None = None
        self.changes: list[Change] = []
        self.memory: dict[Any, Any] = {}
        """What rules want to know of nodes that were written before."""

    def add(self, target: Callable[..., Any], *args: Value, **kwargs: Value) -> fx.Node:
        """A new node that calls the target."""
        node = self.graph.call_function(target, args, kwargs)
        return self._seen(node)

    def constant(self, name: str, value: Tensor) -> fx.Node:
        """A node for a new buffer of the module. It is not among its weights."""
        names = (f"{name}_{i}" for i in range(MANY))
        free = next(n for n in names if not hasattr(self.module, n))
        self.module.register_buffer(free, value.to(_like(self.module).device), persistent=False)
        return self._seen(self.graph.get_attr(free))

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """The sizes of a node's tensor."""
        return tuple(int(n) for n in node.meta["val"].shape)

    def dtype(self, node: fx.Node) -> torch.dtype:
        """The dtype of a node's tensor."""
        return node.meta["val"].dtype

    def copy(self, node: fx.Node, known: Mapping[fx.Node, Value]) -> fx.Node:
        """The node of the old graph as it is, with new arguments.

        Raises:
            RepairError: it asks for sizes that are not there any more, or reads a map whose padding is still to be added.
        """

        def given(old: fx.Node) -> fx.Node:
            value = known[old]
            if isinstance(value, Padded):
                raise self.refuse(
                    f"it reads a padded map, whose padding no sliding window asks for: {value.cells}", self.where()
                )
            return value

        return self._seen(self.graph.node_copy(node, given))

    def replaced(self, why: str) -> None:
        """Notes that the current node was replaced."""
        assert self.at is not None
        path, _ = module_of(self.at)
        self.changes.append(Change("replaced", path or self.at.name, name_of(self.at), why))

    def where(self) -> str:
        """The current node, for a refusal."""
        assert self.at is not None
        path, _ = module_of(self.at)
        return f"{path or self.at.name} ({name_of(self.at)})"

    def _seen(self, node: fx.Node) -> fx.Node:
        """The node with the tensor that it gives, and with the module that called the node it stands for."""
        if self.at is not None:
            node.meta = {k: v for k, v in self.at.meta.items() if k in ("nn_module_stack", "stack_trace")}
        if node.op == "get_attr":
            value = operator.attrgetter(str(node.target))(self.module)
            node.meta["val"] = self.mode.from_tensor(value) if isinstance(value, Tensor) else value
        elif node.op == "call_function":
            args, kwargs = map_aggregate(
                (node.args, node.kwargs), lambda v: v.meta["val"] if isinstance(v, fx.Node) else v
            )  # type: ignore[misc]
            assert callable(node.target)
            try:
                with torch.no_grad(), self.mode:
                    node.meta["val"] = node.target(*args, **kwargs)
            except RepairError:
                raise
            except Exception as e:  # torch raises many kinds for sizes that do not fit
                raise self.refuse(
                    f"it is written for maps of the size that the original layers give: {said(e)}", self.where()
                ) from e
        return node


Rule = Callable[[Editor, dict[str, Any]], Value | None]
"""What becomes of an operator: of its arguments by name, a value in its place, or None for the operator as it is."""


def edited(
    network: nn.Module,
    size: tuple[int, int, int],
    rules: Mapping[str, Rule],
    refuse: Callable[[str, str], RepairError],
) -> tuple[nn.Module, tuple[Change, ...]]:
    """A module that computes what the network does, with operators replaced by the rules; and what was replaced.

    Args:
        network: in eval mode; left as it is. The new module shares its weights.
        size: (c, h, w) of its pictures.
        rules: by the operator's name in ATen, without overload and without the underscore of in-place forms.
        refuse: makes the error of a refusal from the reason and the place.

    Raises:
        RepairError: torch cannot export the network, or a rule refuses.
    """
    old, free = _exported(network, size, refuse)
    new = Editor(old, refuse)
    known: dict[fx.Node, Value] = {}
    for node in list(inlined(old)):
        new.at = node if node.op == "call_function" else None
        if node.op == "placeholder":
            known[node] = new.graph.node_copy(node)
            first = _like(network)
            with new.mode:
                known[node].meta["val"] = torch.zeros(
                    (PICTURES if free else 1, *size), dtype=first.dtype, device=first.device
                )
        elif node.op == "output":
            new.at = node
            new.copy(node, known)
        else:
            known[node] = _written(new, node, known, rules)
    new.graph.eliminate_dead_code()
    # It puts the answer together as the network does: a tuple, a dict.
    new.graph.set_codegen(copy.deepcopy(old.graph._codegen))
    module = fx.GraphModule(old, new.graph)
    for m in module.modules():
        m.training = False
    return module if free else InBatches(module, 1, 1), tuple(new.changes)


def _written(new: Editor, node: fx.Node, known: Mapping[fx.Node, Value], rules: Mapping[str, Rule]) -> Value:
    rule = rules.get(name_of(node)) if node.op == "call_function" else None
    if rule is not None:
        arguments = map_aggregate(arguments_of(node), lambda v: known[v] if isinstance(v, fx.Node) else v)
        assert isinstance(arguments, dict)
        found = rule(new, arguments)
        if found is not None:
            return found
    if node.op == "call_function" and name_of(node) in POINTWISE:
        first = known.get(node.args[0]) if isinstance(node.args[0], fx.Node) else None
        if isinstance(first, Padded):
            return Padded(new.copy(node, {**known, node.args[0]: first.node}), first.cells)  # type: ignore[dict-item]
    return new.copy(node, known)


# They act on each value by itself, so cells can be added behind them as well as before. Zeros that were added before a layer
# need not be zeros behind it; cells of the circle are the same either way.
POINTWISE = (
    *("relu", "relu6", "hardtanh", "gelu", "silu", "sigmoid", "hardswish", "hardsigmoid", "leaky_relu", "elu", "tanh"),
    *("mish", "softplus", "clone", "dropout", "batch_norm", "to", "contiguous"),
)


def name_of(node: fx.Node) -> str:
    """The operator of a node, as ATen calls it, without overload and without the underscore of in-place forms.

    >>> graph = fx.Graph()
    >>> name_of(graph.call_function(torch.ops.aten.relu_.default, (graph.placeholder("x"),)))
    'relu'
    """
    packet = getattr(node.target, "overloadpacket", None)
    name = str(getattr(packet, "__name__", getattr(node.target, "__name__", node.target)))
    return name if name.startswith("_") else name.rstrip("_")


def arguments_of(node: fx.Node) -> dict[str, Any]:
    """The arguments of a node by name, defaults filled in."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return {"args": node.args, **node.kwargs}
    found = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
    found |= {a.name: v for a, v in zip(schema.arguments, node.args, strict=False)}
    return found | node.kwargs


def _exported(
    network: nn.Module, size: tuple[int, int, int], refuse: Callable[[str, str], RepairError]
) -> tuple[fx.GraphModule, bool]:
    """(The network as a graph, whether it takes any number of pictures or one)."""
    first = _like(network)
    error = Exception()
    for count, dynamic in ((PICTURES, ({0: torch.export.Dim("n", min=1, max=MANY)},)), (1, None)):
        x = torch.zeros((count, *size), dtype=first.dtype, device=first.device)
        try:
            with torch.no_grad(), evaluating(network), _quiet():
                program = torch.export.export(network, (x,), dynamic_shapes=dynamic, strict=False)
                module = program.module(check_guards=False)
        except Exception as e:  # torch raises many kinds
            error = e
            continue
        assert isinstance(module, fx.GraphModule)
        return module, dynamic is not None
    raise refuse(f"torch.export cannot follow the network: {said(error)}", type(network).__name__) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch prints whole graphs before it raises."""
    import logging

    noisy = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    level = noisy.level
    noisy.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        noisy.setLevel(level)


def _like(network: nn.Module) -> Tensor:
    return next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(()))
