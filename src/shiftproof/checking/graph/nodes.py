"""A module as plain nodes, exported once: each has a value of its own, a module path and a source line."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, fx, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.fx.node import map_aggregate
from torch.multiprocessing.reductions import StorageWeakRef

from shiftproof.checking.graph.hidden_views import IDENTITIES, SAME, hides, updated
from shiftproof.checking.graph.inline import inlined
from shiftproof.checking.graph.naming import Naming
from shiftproof.checking.graph.node import Node, Ref
from shiftproof.checking.graph.origin import line_of, module_of
from shiftproof.checking.graph.program import picture_of, program_of
from shiftproof.checking.graph.refusing import hidden_constant, no_tensor
from shiftproof.errors import ModelError
from shiftproof.interruptions import pass_on, suppressed


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they run. Only those on which the answer depends.

    Args:
        nodes: by name.
        answer: names of the nodes that are the model's answer.
        constants: parameters, buffers and lifted constants by node name.
        input_size: (c, h, w).
        seconds: what torch.export took.
        trained: path of each parameter by node name; training changes their values.
        drawn: generators other than torch's from which the module drew during the export; the graph holds their numbers.
        kept: paths of what a run changes in the module itself: its next answer may depend on what it saw before.
        about: which output the answer is, as Python indexes it, of how many; None where it is all that there is.
        program: what torch exported, to be run; None for a graph that was made otherwise.
    """

    nodes: dict[str, Node]
    answer: tuple[str, ...]
    constants: dict[str, Tensor]
    input_size: tuple[int, int, int]
    seconds: float
    trained: dict[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    about: tuple[str, int] | None = None
    program: torch.export.ExportedProgram | None = field(default=None, repr=False, compare=False)


def export(module: nn.Module | torch.export.ExportedProgram, input_size: tuple[int, int, int]) -> Graph:
    """The graph of a module in eval mode, for one picture.

    Torch traces shapes only and computes nothing, so a module on the meta device needs no memory.

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
    if any(isinstance(t, Tensor) and is_functorch_wrapped_tensor(t) for t in program.constants.values()):
        raise hidden_constant()
    seconds = time.perf_counter() - started
    graph = plain(program, input_size, seconds)
    kept = (*graph.kept, *assigned)
    # A graph whose writes go through views is walked again as torch rewrites it, without writes. That is the second choice,
    # because the rewritten operators are smaller and some idioms can no longer be seen in them.
    spoiled = {n.overload for n in graph.nodes.values() if n.operator == "written"}
    # Only if all spoiled tensors are ones that torch knows to share memory: of the hidden ones its rewriting knows
    # nothing, and would make the write disappear.
    if spoiled == {""}:
        # some writes through views torch cannot rename away: they stay in the graph, and nothing is claimed past them
        with suppressed(Exception):
            graph = plain(program.run_decompositions({}), input_size, time.perf_counter() - started)
    if not graph.answer:
        given = module if isinstance(module, nn.Module) else None
        raise no_tensor(given, torch.empty(0) if given is None else picture_of(given, input_size))
    return replace(graph, kept=kept, drawn=numbers, program=program)


def plain(
    program: torch.export.ExportedProgram, input_size: tuple[int, int, int], seconds: float, every: bool = False
) -> Graph:
    """The nodes of an exported program.

    Args:
        program: as torch exported it.
        input_size: (c, h, w) of its picture, in pixels.
        seconds: what torch.export took.
        every: whether all its outputs are the answer; else the one that `shiftproof.models.answer` would pick.
    """
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
    naming = Naming()
    # Buffers that share memory may be written to, one through the other: their names
    # must meet before the first node is read.
    for name, others in _sharing(values).items():
        naming.add(name, others, None)
        naming.hidden.update([name, *others] if others else [])
    nodes: dict[str, Node] = {}
    outputs: list[str] = []
    pictures = set(signature.user_inputs)
    if len(pictures) != 1 and not every:
        raise ModelError(
            f"the program takes {len(pictures)} inputs", remedy="give a program with one input (n, c, h, w)"
        )
    for item in inlined(program.graph_module):
        if item.op == "output":
            # A program rewritten without writes also returns the buffers that it changed. The outputs are known by their
            # place, because what is in a block of another mode has a name of its own.
            each = zip(_flat(list(item.args)), signature.output_specs, strict=False)
            returned = [n for n, spec in each if isinstance(n, fx.Node) and spec.kind.name == "USER_OUTPUT"]
            outputs = [naming.now(n.name, nodes) for n in returned]
        elif item.op == "placeholder":
            kind = "input" if item.name in pictures else "constant"
            nodes[item.name] = Node(item.name, kind, {}, _shape(item), dtype=_dtype(item))
        elif item.op == "get_attr":
            # A constant tensor, or the graph of a `cond` or a `map`.
            found = getattr(item.graph.owning_module, str(item.target), None)
            if isinstance(found, Tensor):
                values[item.name] = found
                nodes[item.name] = Node(item.name, "constant", {}, tuple(found.shape), dtype=found.dtype)
            else:
                nodes[item.name] = Node(item.name, "subgraph", {}, ())
        elif item.op == "call_function":
            nodes[item.name] = _node(item, naming, nodes)
    states = {s.arg.name: s.target for s in signature.input_specs if s.target is not None}
    # A buffer that a run writes to makes the next answer depend on the last picture: a condition of whatever is proved.
    kept = tuple(path for name, path in states.items() if naming.overwritten(name))
    answer, about = (tuple(outputs), None) if every else _answer(program, outputs)
    return needed(Graph(nodes, answer, values, input_size, seconds, trained, kept, about=about))


def _sharing(values: dict[str, Tensor]) -> dict[str, list[str]]:
    """For each constant the earlier ones in whose storage it lies: what is written to one may be read from another.

    Torch exports them as tensors of their own, so only the storages tell.
    """
    found: dict[str, list[str]] = {}
    owners: dict[int, list[str]] = {}
    for name, value in values.items():
        # Sparse and other layouts have no single storage, and neither have the tensors of `torch.func` inside a derivative; each
        # counts as memory of its own.
        where = id(value)
        with contextlib.suppress(NotImplementedError):
            where = StorageWeakRef(value.untyped_storage()).cdata if value.layout == torch.strided else where
        found[name] = owners.get(where, [])[:1]
        owners.setdefault(where, []).append(name)
    return found


def _answer(
    program: torch.export.ExportedProgram, outputs: list[str]
) -> tuple[tuple[str, ...], tuple[str, int] | None]:
    """(the output that is the answer, which one that is if there are several).

    `refuting.runner.chosen` picks the same one when the model is run: "logits", else "out", of a dictionary; else the first.
    """
    if len(outputs) < 2:
        return tuple(outputs), None
    spec, count = program.call_spec.out_spec, itertools.count()
    given = [s.arg for s in program.graph_signature.output_specs if s.kind.name == "USER_OUTPUT"]
    # The outputs' numbers laid out as `forward` returned them, None for what is not a tensor: this gives each key or index.
    leaves = [None if hasattr(a, "value") else next(count) for a in given]
    try:
        numbers = leaves if spec is None else pytree.tree_unflatten(leaves, spec)
    except (ValueError, AttributeError) as e:
        pass_on(e)
        return tuple(outputs), None
    named = [numbers.get(key) for key in ("logits", "out")] if isinstance(numbers, dict) else []
    picked = next(n for n in [*named, *leaves] if isinstance(n, int))
    paths = {n: pytree.keystr(path) for path, n in pytree.tree_leaves_with_path(numbers)}
    return (outputs[picked],), (paths.get(picked, f"[{picked}]"), len(outputs))


def _node(item: fx.Node, naming: Naming, nodes: dict[str, Node]) -> Node:
    """One call as a plain node. The naming learns what it writes to and what it shares memory with."""
    target = item.target
    path, kind = module_of(item)
    common: dict[str, Any] = {
        "shape": _shape(item),
        "module": path,
        "kind": kind,
        "source": line_of(item.meta.get("stack_trace") or "") or kind,
        "dtype": _dtype(item),
        "target": target,
    }

    def reference(value: Any) -> Any:
        return Ref(naming.now(value.name, nodes)) if isinstance(value, fx.Node) else value

    def held(value: Any) -> Any:
        return map_aggregate(value, reference)

    # Python's own functions: `getitem` of a list of results, and arithmetic of sizes.
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
    namespace, _, name = schema.name.partition("::")
    foreign = namespace not in ("aten", "prims")
    written_to = [a for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    writes = [n.name for a in written_to for n in _flat(bound[a.name]) if isinstance(n, fx.Node)]
    # `relu_`, `add_` and an `out=` write one tensor and return it: the node's own result is the value after the write.
    # Of an operator that writes several (`_foreach_add_`), no node holds any of them.
    alone = len(schema.returns) == 1 == len(written_to) and isinstance(bound[written_to[0].name], fx.Node)
    alone = alone and schema.returns[0].alias_info is not None  # its result is the tensor that it wrote to
    # Not for `__and__` and its like, which end in two.
    name = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    name = schema.name if foreign else name  # `mine::relu` is not torch's relu, and no rule is for it
    # nobody checks the schema of an operator outside torch, so its result may be memory that it was given
    hidden = foreign or hides(target, name, bound)
    shares = [
        n.name
        for a in schema.arguments
        if (a.alias_info is not None or hidden or (name in IDENTITIES and a is schema.arguments[0]))
        for n in _flat(bound[a.name])
        if isinstance(n, fx.Node)
    ]
    for s in shares:
        naming.known(s)
    if foreign:  # and it may write to any of its arguments; its result, added below, is what it is
        for given_to in {n.name for v in bound.values() for n in _flat(v) if isinstance(n, fx.Node)}:
            naming.known(given_to)
            naming.write(given_to, None, item.name)
            naming.hidden.add(given_to)
    # A view of the very same cells can be followed by name; any other view shares memory
    # but shows part of it, or another order.
    same = writes[0] if alone else shares[0] if name in SAME and shares and not bound.get("train") else None
    naming.add(item.name, shares, same)
    if hidden and name not in IDENTITIES:
        naming.hidden.add(item.name)
    for written in writes:
        naming.write(written, item.name if alone else None, item.name if foreign else None)
    unsaid = [] if foreign else [v for k in updated(name, bound) if isinstance(v := bound[k], fx.Node)]
    for statistics in unsaid:
        naming.known(statistics.name)
        naming.write(statistics.name, None)
        naming.hidden.add(statistics.name)  # torch's rewriting would drop the write
    return Node(
        item.name, name, arguments, overload=target._overloadname, positional=positional, keywords=keywords, **common
    )


def needed(graph: Graph) -> Graph:
    """The graph without the nodes on which its answer does not depend.

    An operator without a rule is then no obstacle if its result is not used.
    """
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
    """A shape as numbers. A size that depends on the picture is -1: no rule computes that, so nothing is claimed about it."""
    return tuple(n if isinstance(n, int) else -1 for n in shape)


def _dtype(item: fx.Node) -> Any:
    value = item.meta.get("val")
    return value.dtype if isinstance(value, Tensor) else None
