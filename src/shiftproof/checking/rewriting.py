"""Idioms spread over several operators, recognised in the graph: a circle closed by hand, magnitudes of frequencies."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch

from shiftproof.checking.graph import Graph, Node, Ref, needed, refs
from shiftproof.checking.rules.pointwise import COMBINING
from shiftproof.checking.scoring import scored_alike

OWN_CODE = re.compile(r"(^|/)shiftproof/layers/(polyphase|learned|ordering)\.py:")
EXPANDING = ("expand", "expand_as", "broadcast_to")


def _selections(graph: Graph, invariant: Callable[[Graph], bool]) -> Graph:
    """The graph with each call of a module that samples by content as one node for each of its results."""
    members: dict[tuple[str, str], list[Node]] = {}
    for node in graph.nodes.values():
        if node.selector[0]:
            members.setdefault(node.selector, []).append(node)
    if not members:
        return graph
    used = {r for n in graph.nodes.values() for r in refs(n) if graph.nodes[r].selector != n.selector} | set(
        graph.answer
    )
    moving = _moving(graph)
    nodes = dict(graph.nodes)
    for (call, kind), inside in members.items():
        own = {n.name for n in inside}
        plain = [n for n in inside if not n.scoring]
        given = {r for n in plain for r in refs(n) if r not in own and (r in moving or _phases(graph.nodes[r]))}
        maps, told = ([r for r in given if len(graph.nodes[r].shape) == rank] for rank in (4, 2))
        results = [n for n in inside if n.name in used]
        if len(maps) != 1 or len(told) > 1 or len(maps) + len(told) != len(given):
            continue
        if not all(OWN_CODE.search(n.source) for n in plain):  # a hook's, or that of another forward
            continue
        learned = kind == "LearnedPolyphasePool2d" and not told
        if learned and not scored_alike(graph, inside, moving, invariant):
            continue
        if not learned and len(plain) < len(inside):
            continue
        stride = _stride(kind, graph.nodes[maps[0]], inside, [n for n in results if len(n.shape) == 4])
        if stride is None:
            continue
        arguments = {"self": Ref(maps[0]), "indices": Ref(told[0]) if told else None, "call": call, "stride": stride}
        for n in results:
            name = "polyphase_restored" if kind == "PolyphaseUpsample2d" else "polyphase"
            name = name if len(n.shape) == 4 else "polyphase_phases"
            more = {"learned": learned}
            nodes[n.name] = replace(
                n, operator=name, arguments=arguments | more, target=None, positional=(), keywords={}
            )
    return needed(replace(graph, nodes=nodes))


def _phases(node: Node) -> bool:
    """Whether a node can be the phases that a selection is told: whole numbers, two for a picture."""
    return (
        len(node.shape) == 2
        and node.shape[1] == 2
        and node.dtype in (torch.int64, torch.int32, torch.int16, torch.uint8)
    )


def _stride(kind: str, before: Node, inside: list[Node], found: list[Node]) -> list[int] | None:
    """Rows and columns a step, of a selection that answers with the maps `found`: one, or none where only its phases are used."""
    if len(found) == 1:
        coarse, fine = sorted([before.shape, found[0].shape])
        return [b // a for a, b in zip(coarse[2:], fine[2:], strict=True)]
    parts = next((n.shape for n in inside if len(n.shape) == 6), None)  # (n, c, rows, s, columns, s)
    if found or parts is None or kind == "PolyphaseUpsample2d":
        return None
    return [parts[3], parts[5]]


def _moving(graph: Graph) -> set[str]:
    """Names of the nodes that depend on the picture."""
    moving: set[str] = set()
    for name, node in graph.nodes.items():
        if node.operator == "input" or not moving.isdisjoint(refs(node)):
            moving.add(name)
    return moving


def rewritten(graph: Graph, invariant: Callable[[Graph], bool]) -> Graph:
    """The graph with `cat` of ranges of one tensor, each going on where the last ended round the circle, as one "wrap",
    with magnitudes of a Fourier transform as one node, and with modules that sample by content as one node. What is expanded
    only to meet something of that shape cell by cell meets it as it is: one number for a whole map stands nowhere in it.

    Args:
        graph: as exported; left as it is.
        invariant: whether a graph's answer is the same for every circular move: asked of networks that score components.
    """
    graph = _selections(graph, invariant)
    moving = _moving(graph)
    nodes = {
        k: _narrow((_wrap(n, graph) or _magnitudes(n, graph) if k in moving else None) or n, graph)
        for k, n in graph.nodes.items()
    }
    if all(nodes[k] is n for k, n in graph.nodes.items()):
        return graph
    return needed(replace(graph, nodes=nodes))


def _narrow(node: Node, graph: Graph) -> Node:
    """An operator that broadcasts, given what was expanded for it as it was before."""
    if node.operator not in COMBINING:
        return node

    def before(value: Any) -> Any:
        while isinstance(value, Ref) and graph.nodes[value.name].operator in EXPANDING:
            value = graph.nodes[value.name].arguments["self"]
        return value

    found = {k: before(v) for k, v in node.arguments.items()}
    return node if found == node.arguments else replace(node, arguments=found)


def _wrap(node: Node, graph: Graph) -> Node | None:
    """`cat([x[-1:], x, x[:1]])` as one node: cell i is cell (i + offset) mod n of x."""
    if node.operator != "cat" or len(node.arguments["tensors"]) < 2:
        return None
    at = int(node.arguments["dim"]) % len(node.shape)
    pieces = [_range(r, at, graph) for r in node.arguments["tensors"] if isinstance(r, Ref)]
    found = [p for p in pieces if p is not None]
    if len(found) != len(node.arguments["tensors"]) or len({name for name, *_ in found}) != 1:
        return None
    name, offset, _ = found[0]
    n = graph.nodes[name].shape[at]
    if any((start + count) % n != then % n for (_, start, count), (_, then, _) in pairwise(found)):
        return None
    if sum(count for *_, count in found) < n:
        return None
    return replace(node, operator="wrap", arguments={"self": Ref(name), "dim": at, "offset": offset})


def _magnitudes(node: Node, graph: Graph) -> Node | None:
    """`abs(fft(x))` as one node: what a move does to the phases is not seen."""
    if node.operator != "abs" or not isinstance(node.arguments["self"], Ref):
        return None
    inner = graph.nodes[node.arguments["self"].name]
    whole = inner.arguments.get("n") is None and inner.arguments.get("s") is None
    if inner.operator not in ("fft_fft", "fft_fft2", "fft_fftn", "fft_rfft", "fft_rfft2", "fft_rfftn") or not whole:
        return None
    return replace(node, operator="magnitudes", arguments=inner.arguments)


def _range(ref: Ref, at: int, graph: Graph) -> tuple[str, int, int] | None:
    """(tensor, first index, how many) of a range along one dimension; a whole tensor is a range of itself."""
    node = graph.nodes[ref.name]
    if node.operator != "slice" or int(node.arguments["dim"]) % len(node.shape) != at:
        return ref.name, 0, node.shape[at]
    if int(node.arguments["step"]) != 1 or not isinstance(node.arguments["self"], Ref):
        return None
    base = node.arguments["self"].name
    n = graph.nodes[base].shape[at]
    start = int(node.arguments["start"] or 0)
    return base, min(max(start + n if start < 0 else start, 0), n), node.shape[at]
