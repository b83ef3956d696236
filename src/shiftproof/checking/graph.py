"""A module as plain nodes: exported once, in-place writes renamed away, each node with its module path and source line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from shiftproof.checking.inline import inlined
from shiftproof.checking.origin import line_of, module_of, selector_of
from shiftproof.checking.program import program_of
from shiftproof.checking.sharing import IDENTITIES, SAME, hides
from shiftproof.errors import NotExportedError


@dataclass(frozen=True)
class Ref:
    """An argument that is another node's result."""

    name: str


@dataclass(frozen=True)
class Node:
    """One operator of the graph.

    Args:
        name: unique.
        operator: as ATen calls it, without overload and without the underscore of in-place forms; "input", "constant",
            "getitem"; "written" for a tensor that was overwritten through a view of it.
        arguments: by name, defaults filled in; tensors are `Ref`.
        shape: of the result; a tuple of shapes where there are several.
        module: path of the module that called it, e.g. "layer1.0.conv1".
        source: "file:line" of the line of the model's own code that called it; the class of the module where there is none.
        kind: class of that module.
        target: what torch would call to run it, with `positional` and `keywords`.
        selector: (call, class) of the outermost of our own modules around it that sample by content; ("", "") if there is none.
        scoring: whether a module inside that one called it.
    """

    name: str
    operator: str
    arguments: dict[str, Any]
    shape: tuple
    module: str = ""
    source: str = ""
    kind: str = ""
    overload: str = ""
    dtype: Any = None
    target: Any = None
    positional: tuple = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    selector: tuple[str, str] = ("", "")
    scoring: bool = False


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they run, only those that the answer depends on.

    Args:
        nodes: by name.
        answer: names of the nodes that are the answer.
        constants: parameters, buffers and lifted constants by node name.
        input_size: (c, h, w).
        seconds: what torch.export took.
        trained: path of each parameter by node name: what training changes.
        drawn: what it drew random numbers by, other than torch, while it was exported: they stand in the graph as constants.
        kept: paths of what running it changes in the module itself: what it answers next may hang on what it saw.
    """

    nodes: dict[str, Node]
    answer: tuple[str, ...]
    constants: dict[str, Tensor]
    input_size: tuple[int, int, int]
    seconds: float
    trained: dict[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()


def export(module: nn.Module | torch.export.ExportedProgram, input_size: tuple[int, int, int]) -> Graph:
    """The graph of a module in eval mode, for one picture.

    Nothing is computed: torch traces shapes only, so a module on the meta device costs no memory.

    Args:
        module: or a program that is exported already.
        input_size: (c, h, w) in pixels.

    Returns:
        The graph.

    Raises:
        NotExportedError: torch cannot export it; the message names the line that stops it.
        ModelError: it fails itself on a picture of that size.
    """
    started = time.perf_counter()
    program, assigned, numbers = (
        (module, (), ()) if isinstance(module, torch.export.ExportedProgram) else program_of(module, input_size)
    )
    seconds = time.perf_counter() - started
    graph = _plain(program, input_size, seconds)
    kept = (*graph.kept, *assigned)
    spoiled = {n.overload for n in graph.nodes.values() if n.operator == "written"}
    if spoiled == {""}:
        graph = _plain(program.run_decompositions({}), input_size, time.perf_counter() - started)
    if not graph.answer:
        raise NotExportedError("it answers with no tensor", remedy="a forward that returns a tensor")
    return replace(graph, kept=kept, drawn=numbers)


def _plain(program: torch.export.ExportedProgram, input_size: tuple[int, int, int], seconds: float) -> Graph:
    signature = program.graph_signature
    values: dict[str, Tensor] = {}
    trained: dict[str, str] = {}
    for spec in signature.input_specs:
        if spec.kind.name == "PARAMETER" and spec.target is not None:
            trained[spec.arg.name] = spec.target
        if spec.target is not None and spec.kind.name != "USER_INPUT":
            found = program.state_dict.get(spec.target)
            found = program.constants.get(spec.target) if found is None else found
            if isinstance(found, Tensor):
                values[spec.arg.name] = found
    naming = _Naming()
    nodes: dict[str, Node] = {}
    outputs: list[str] = []
    pictures = set(signature.user_inputs)
    for item in inlined(program.graph_module):
        if item.op == "output":
            wanted = [a for a in item.args if a is not None] if item.args else []
            flat = list(_flat(wanted))
            names = {str(n) for n in signature.user_outputs}
            outputs = [naming.now(n.name, nodes) for n in flat if isinstance(n, fx.Node) and n.name in names]
        elif item.op == "placeholder":
            kind = "input" if item.name in pictures else "constant"
            nodes[item.name] = Node(item.name, kind, {}, _shape(item), dtype=_dtype(item))
        elif item.op == "get_attr":
            found = getattr(item.graph.owning_module, str(item.target), None)
            if isinstance(found, Tensor):
                values[item.name] = found
                nodes[item.name] = Node(item.name, "constant", {}, tuple(found.shape), dtype=found.dtype)
            else:
                nodes[item.name] = Node(item.name, "subgraph", {}, ())
        elif item.op == "call_function":
            nodes[item.name] = _node(item, naming, nodes)
    states = {s.arg.name: s.target for s in signature.input_specs if s.target is not None}
    kept = tuple(path for name, path in states.items() if naming.overwritten(name))
    return needed(Graph(nodes, _answer(program, outputs), values, input_size, seconds, trained, kept))


def _answer(program: torch.export.ExportedProgram, outputs: list[str]) -> tuple[str, ...]:
    """The output that is the answer, as `models.answer` picks it: "logits", else "out", of a dictionary; else the first."""
    spec = program.call_spec.out_spec
    try:
        found = pytree.tree_unflatten(outputs, spec) if spec is not None else outputs
    except (ValueError, AttributeError):
        return tuple(outputs)
    for key in ("logits", "out"):
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return (found[key],)
    return tuple(outputs[:1])


class _Naming:
    """Which node holds a tensor's value now, after the in-place writes so far."""

    def __init__(self) -> None:
        self.memory: dict[str, int] = {}  # tensors that share storage
        self.whole: dict[str, int] = {}  # tensors that are the very same view
        self.latest: dict[int, str] = {}  # by `whole`
        self.stale: set[int] = set()
        self.targets: set[str] = set()
        self.hidden: set[str] = set()  # which may share storage though torch does not say so

    def add(self, name: str, shares: list[str], same: str | None) -> None:
        self.memory[name] = self.memory[shares[0]] if shares else len(self.memory)
        for other in shares[1:]:
            old, new = self.memory[other], self.memory[name]
            self.memory = {k: new if v == old else v for k, v in self.memory.items()}
        self.whole[name] = len(self.memory) + len(self.whole) if same is None else self.whole[same]
        if same is None:
            self.latest[self.whole[name]] = name

    def known(self, name: str) -> None:
        if name not in self.memory:
            self.add(name, [], None)

    def write(self, target: str, name: str | None) -> None:
        """The tensor `target` was overwritten; its value is now node `name`, or that of no node."""
        kind = self.whole[target]
        self.targets.add(target)
        if name is None:
            self.stale.add(kind)
        else:
            self.latest[kind] = name
            self.stale.discard(kind)
        for other, memory in self.memory.items():
            if memory == self.memory[target] and self.whole[other] != kind:
                self.stale.add(self.whole[other])

    def overwritten(self, name: str) -> bool:
        """Whether anything was written to what the tensor `name` holds."""
        return name in self.memory and self.memory[name] in {self.memory[t] for t in self.targets}

    def now(self, name: str, nodes: dict[str, Node]) -> str:
        self.known(name)
        kind = self.whole[name]
        if kind in self.stale:
            at = f"{name}__written"
            if at not in nodes:
                like, memory = nodes[name], {self.memory[h] for h in self.hidden}
                how = "hidden" if self.memory[name] in memory else ""  # then torch's own renaming misses it as well
                nodes[at] = Node(at, "written", {}, like.shape, like.module, like.source, overload=how)
            return at
        return self.latest[kind]


def _node(item: fx.Node, naming: _Naming, nodes: dict[str, Node]) -> Node:
    """One call as a plain node; the naming learns what it writes and what it shares."""
    target = item.target
    path, kind = module_of(item)
    selector, scoring = selector_of(item)
    common: dict[str, Any] = {
        "shape": _shape(item),
        "module": path,
        "kind": kind,
        "source": line_of(item.meta.get("stack_trace") or "") or kind,
        "dtype": _dtype(item),
        "target": target,
        "selector": selector,
        "scoring": scoring,
    }

    def reference(value: Any) -> Any:
        return Ref(naming.now(value.name, nodes)) if isinstance(value, fx.Node) else value

    def held(value: Any) -> Any:
        return map_aggregate(value, reference)

    if not isinstance(target, torch._ops.OpOverload):
        whole = getattr(target, "__name__", str(target))
        shares = [a.name for a in item.args if isinstance(a, fx.Node)] if whole == "getitem" else []
        positional = held(item.args)
        for s in shares:
            naming.known(s)
        naming.add(item.name, shares, None)
        return Node(
            item.name,
            whole,
            {"args": positional, **held(item.kwargs)},
            positional=positional,
            keywords=held(item.kwargs),
            **common,
        )
    schema = target._schema
    given = dict(zip((a.name for a in schema.arguments), item.args, strict=False)) | dict(item.kwargs)
    bound = {a.name: given.get(a.name, a.default_value if a.has_default_value() else None) for a in schema.arguments}
    arguments = {k: held(v) for k, v in bound.items()}
    positional, keywords = held(item.args), held(item.kwargs)
    name = schema.name.partition("::")[2]
    written_to = [a for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    writes = [n.name for a in written_to for n in _flat(bound[a.name]) if isinstance(n, fx.Node)]
    alone = len(schema.returns) == 1 == len(written_to) and isinstance(bound[written_to[0].name], fx.Node)
    alone = alone and schema.returns[0].alias_info is not None  # then what it answers is what it wrote
    name = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    hidden = hides(target, name, bound)
    shares = [
        n.name
        for a in schema.arguments
        if (a.alias_info is not None or hidden or (name in IDENTITIES and a is schema.arguments[0]))
        for n in _flat(bound[a.name])
        if isinstance(n, fx.Node)
    ]
    for s in shares:
        naming.known(s)
    same = writes[0] if alone else shares[0] if name in SAME and shares and not bound.get("train") else None
    naming.add(item.name, shares, same)
    if hidden and name not in IDENTITIES:
        naming.hidden.add(item.name)
    for written in writes:
        naming.write(written, item.name if alone else None)
    return Node(
        item.name, name, arguments, overload=target._overloadname, positional=positional, keywords=keywords, **common
    )


def needed(graph: Graph) -> Graph:
    """The graph without what its answer does not depend on."""
    wanted, todo = set(), list(graph.answer)
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            todo += refs(graph.nodes[name])
    return replace(graph, nodes={k: v for k, v in graph.nodes.items() if k in wanted})


def refs(node: Node) -> list[str]:
    """Names of the nodes that a node works on."""
    return [r.name for r in _flat(list(node.arguments.values())) if isinstance(r, Ref)]


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for v in value:
            yield from _flat(v)
    else:
        yield value


def _shape(item: fx.Node) -> tuple:
    value = item.meta.get("val")
    if isinstance(value, Tensor):
        return _whole(value.shape)
    if isinstance(value, list | tuple):
        return tuple(_whole(v.shape) if isinstance(v, Tensor) else () for v in value)
    return ()


def _whole(shape: Any) -> tuple[int, ...]:
    """A shape as numbers; -1 where it depends on the picture, which no rule will agree with."""
    return tuple(n if isinstance(n, int) else -1 for n in shape)


def _dtype(item: fx.Node) -> Any:
    value = item.meta.get("val")
    return value.dtype if isinstance(value, Tensor) else None
