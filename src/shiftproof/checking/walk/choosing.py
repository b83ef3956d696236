"""Phases that the picture chooses among: what was found on the way to the choice belongs to it.

Adaptive polyphase sampling as published takes every phase of a map and keeps one by `argmax`. Each of its slices leaves cells
out, and its norms see the whole map, but neither is at fault: who is told there to select by content does so already.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import torch
import torch.utils._pytree as pytree

from shiftproof.checking.graph.node import Node, Ref
from shiftproof.checking.graph.nodes import Graph, refs
from shiftproof.checking.rules.constants import MOVING
from shiftproof.checking.rules.indexing import TIES
from shiftproof.interruptions import pass_on
from shiftproof.records.verdict_parts import WORLDS, Finding

CONTEXT = "T10"
# These only lay cells out anew, and keep their dtype.
LAYING_OUT = (MOVING | {"getitem", "pixel_unshuffle", "unfold", "movedim", "moveaxis"}) - {
    "to",
    "_to_copy",
    "copy",
    "fill",
}


def folded(findings: Sequence[Finding], graph: Graph) -> list[Finding]:
    """The findings without those of the phases that a choice is made among, and of the scores that make it.

    They are part of the finding at the choice, whose mend is the one to follow. That is so only if the parts are all phases of
    one map, and if the answer sees them through the choice alone; likewise the scores.

    Args:
        findings: in the order of the network.
        graph: as the walk read it.
    """
    done = list(findings)
    for choice in [f for f in findings if f.mend.code == TIES.code]:
        phases, scores = _of(graph, graph.nodes[choice.node])
        beside = _before(graph, graph.answer, choice.node)  # what the answer sees in another way
        part = [f for f in done if f.code == choice.code and f.node in phases - beside]
        part += [f for f in done if f.code == CONTEXT and f.node in scores - beside and f.axes == choice.axes]
        worlds = {w for f in [choice, *part] for w in f.breaks}
        told = replace(choice, breaks=tuple(w for w in WORLDS if w in worlds))
        gone = {id(f) for f in part}
        done = [told if f is choice else f for f in done if id(f) not in gone]
    return done


def _of(graph: Graph, choice: Node) -> tuple[set[str], set[str]]:
    """(the nodes that make the phases of one map, those that score them); both empty if the parts are something else."""
    parts = choice.arguments.get("self")
    if not isinstance(parts, Ref):
        return set(), set()
    before = _before(graph, [parts.name])
    for source in graph.nodes:  # the first map of which they are all phases: the most that was done to them
        if source in before and source != parts.name:
            made = _made_of(graph, parts.name, source)
            if made:
                told = [r for r in refs(choice) if r != parts.name]
                return made, _before(graph, told) - before
    return set(), set()


def _made_of(graph: Graph, parts: str, source: str) -> set[str]:
    """Names of the nodes that lay a map out as parts, in which each of its cells stands once; none if they do not."""
    shape = graph.nodes[source].shape
    if any(not isinstance(n, int) or n < 0 for n in shape) or prod(shape) == 0:
        return set()
    made = _before(graph, [parts], source) - {source}
    if not all(graph.nodes[n].operator in LAYING_OUT and _pure(graph.nodes[n].target) for n in made):
        return set()
    held: dict[str, Any] = {source: torch.arange(prod(shape)).reshape(shape)}
    try:
        for name in [n for n in graph.nodes if n in made]:
            node = graph.nodes[name]
            given, named = pytree.tree_map_only(Ref, lambda r: held[r.name], (node.positional, node.keywords))
            held[name] = node.target(*given, **named)
    except (RuntimeError, TypeError, ValueError, LookupError) as e:
        pass_on(e)
        return set()
    cells = held[parts].flatten()
    return made if cells.numel() == prod(shape) and cells.unique().numel() == cells.numel() else set()


def _pure(target: Any) -> bool:
    """Whether an operator is one of torch's that writes to nothing, or takes an item of a list."""
    ours = isinstance(target, torch._ops.OpOverload) and target.namespace == "aten" and not target._schema.is_mutable
    return ours or target is operator.getitem


def _before(graph: Graph, names: Iterable[str], end: str = "") -> set[str]:
    """The nodes on which some nodes depend, and their own names; not through the node `end`, which is where the search ends."""
    found, todo = set[str](), list(names)
    while todo:
        at = todo.pop()
        if at not in found:
            found.add(at)
            todo += [] if at == end else refs(graph.nodes[at])
    return found
