"""A network's exported graph, written anew node by node with some operators replaced: weights and everything else are kept.

Each new node is run on tensors without numbers as it is written, so a size that changes is known to all that follows.
"""

from __future__ import annotations

import copy
import logging
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.node import map_aggregate

from shiftproof.checking.graph.alone import ONE_AT_A_TIME
from shiftproof.checking.graph.inline import inlined
from shiftproof.checking.graph.origin import module_of
from shiftproof.errors import RepairError
from shiftproof.interruptions import pass_on
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


@dataclass(frozen=True)
class Halved:
    """A map of whose rows every n-th is to be taken, together with columns."""

    node: fx.Node
    by: int


@dataclass(frozen=True)
class Grid:
    """Where the cells of a map stand.

    Args:
        kept: strides that were left to the operators, (rows, columns).
        rate: cells of the map per cell of the original one, (rows, columns).
        phases: strides whose phase was chosen by content, outermost first, each with the node that chose.
    """

    kept: tuple[int, int] = (1, 1)
    rate: tuple[int, int] = (1, 1)
    phases: tuple[tuple[tuple[int, int], fx.Node], ...] = ()


Value = Any  # a node of the new graph, a number, a value that a rule has still to finish (`Padded`), or a list of these


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
        self.grid: Grid | None = None
        """Of what the current rule writes; None: as of what it reads."""

    def add(self, target: Callable[..., Any], *args: Value, **kwargs: Value) -> fx.Node:
        """A new node that calls the target."""
        node = self.graph.call_function(target, args, kwargs)
        return self._seen(node)

    def call(self, name: str, module: nn.Module, seen: Any, *args: Value) -> fx.Node:
        """A new node that calls a new module; `seen` is what it gives for tensors without numbers."""
        path = self._free(name)
        self.module.add_module(path, module)
        node = self._placed(self.graph.call_module(path, args))
        node.meta["val"] = seen
        return node

    def pick(self, node: fx.Node, index: int) -> fx.Node:
        """One of several results of a node."""
        found = self._placed(self.graph.call_function(operator.getitem, (node, index)))
        found.meta["val"] = node.meta["val"][index]
        return found

    def constant(self, name: str, value: Tensor) -> fx.Node:
        """A node for a new buffer of the module. It is not among its weights."""
        free = self._free(name)
        self.module.register_buffer(free, value.to(_like(self.module).device), persistent=False)
        return self._seen(self.graph.get_attr(free))

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """The sizes of a node's tensor."""
        return tuple(int(n) for n in node.meta["val"].shape)

    def fake(self, function: Callable[[], Any]) -> Any:
        """What a function of tensors without numbers gives."""
        with torch.no_grad(), self.mode:
            return function()

    def grid_of(self, node: fx.Node) -> Grid:
        """Where the cells of a node's tensor stand."""
        return node.meta.get("grid", Grid())

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
            if isinstance(value, Halved):
                raise self.refuse("it reads every n-th row of a map, but not of its columns", self.where())
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

    def _free(self, name: str) -> str:
        return next(n for n in (f"{name}_{i}" for i in range(MANY)) if not hasattr(self.module, n))

    def _placed(self, node: fx.Node) -> fx.Node:
        """The node with the module that called the node it stands for, and the grid of what it reads.

        Raises:
            RepairError: it reads maps whose cells stand on different grids.
        """
        if self.at is not None:
            node.meta = {k: v for k, v in self.at.meta.items() if k in ("nn_module_stack", "stack_trace")}
        found = {self.grid_of(n) for n in node.all_input_nodes if "grid" in n.meta and _has_positions(n)}
        if self.grid is None and len(found) > 1 and node.op != "output":
            raise self.refuse("it reads maps that were sampled on different grids", self.where())
        grid = self.grid or next(iter(found), None)
        if grid is not None:
            node.meta["grid"] = grid
        return node

    def _seen(self, node: fx.Node) -> fx.Node:
        """The node with the tensor that it gives."""
        self._placed(node)
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
                pass_on(e)
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
    with _quiet():
        return _edited(network, size, rules, refuse)


def _edited(
    network: nn.Module,
    size: tuple[int, int, int],
    rules: Mapping[str, Rule],
    refuse: Callable[[str, str], RepairError],
) -> tuple[nn.Module, tuple[Change, ...]]:
    old, free = _graph_of(network) or _exported(network, size, refuse)
    new = Editor(old, refuse)
    known: dict[fx.Node, Value] = {}
    for node in list(inlined(old)):
        new.at, new.grid = (node if node.op == "call_function" else None), None
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
    module.meta[OURS] = free
    for m in module.modules():
        m.training = False
    return module if free else InBatches(module, 1, 1), tuple(new.changes)


OURS = "shiftproof.repairing"  # of graphs that were written here; whether they take any number of pictures


def _graph_of(network: nn.Module) -> tuple[fx.GraphModule, bool] | None:
    """(Its graph, whether it takes any number of pictures) of a network that was edited already."""
    inner = network.module if isinstance(network, InBatches) else network
    if isinstance(inner, fx.GraphModule) and OURS in inner.meta:
        return fx.GraphModule(inner, inner.graph), inner.meta[OURS]
    return None


def _has_positions(node: fx.Node) -> bool:
    """Whether a tensor may be a map: more than one number per picture and channel."""
    shape = getattr(node.meta.get("val"), "shape", ())
    return len(shape) > 2 and any(n != 1 for n in shape[2:])


def _written(new: Editor, node: fx.Node, known: Mapping[fx.Node, Value], rules: Mapping[str, Rule]) -> Value:
    rule = rules.get(name_of(node)) if node.op == "call_function" else None
    if rule is not None:
        arguments = map_aggregate(arguments_of(node), lambda v: known[v] if isinstance(v, fx.Node) else v)
        assert isinstance(arguments, dict)
        found = rule(new, arguments)
        if found is not None:
            return found
    new.grid = None
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
            with ONE_AT_A_TIME, torch.no_grad(), evaluating(network):
                program = torch.export.export(network, (x,), dynamic_shapes=dynamic, strict=False)
                module = program.module(check_guards=False)
        except Exception as e:  # torch raises many kinds
            pass_on(e)
            error = e
            continue
        assert isinstance(module, fx.GraphModule)
        return module, dynamic is not None
    raise refuse(f"torch.export cannot follow the network: {said(error)}", type(network).__name__) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Torch prints whole graphs and traces before it raises."""
    noisy = [logging.getLogger(f"torch.{n}") for n in ("fx.experimental.symbolic_shapes", "_subclasses.fake_tensor")]
    levels = [log.level for log in noisy]
    for log in noisy:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(noisy, levels, strict=True):
            log.setLevel(level)


def _like(network: nn.Module) -> Tensor:
    return next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(()))
