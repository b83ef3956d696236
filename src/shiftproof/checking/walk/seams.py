"""Which findings concern the answer, once the whole graph is known: what sees the whole map, and what made groups of cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from shiftproof.checking.graph.nodes import Graph, refs
from shiftproof.checking.types import AXES, Signal
from shiftproof.records.verdict_parts import Finding

GLOBAL = "T10"
GROUPING = ("T1", "T2", "T3")  # what a pool is found fault with

# By name of an operator: (axis, operators whose groups along it are taken together there).
Together: TypeAlias = dict[str, list[tuple[str, frozenset[str]]]]


def seams(findings: Sequence[Finding], graph: Graph, types: Mapping[str, Any]) -> list[Finding]:
    """The findings without those on global context that concern no map in the answer, and once each.

    The window world compares the cells that two windows on one scene have in common. A map in the answer has such cells, and
    an operator that sees the whole window makes them differ: a seam where a large picture is processed in tiles. An answer that
    does not move, such as a class, has none. It is about the whole window, whatever the network is, so that no change of the
    network would fix it, and its last pooling is not a fault.

    Args:
        findings: in the order of the network.
        graph: as the walk read it.
        types: the type of every node.
    """
    reached: dict[str, set[str]] = {a: set() for a in AXES}  # axis -> nodes that a map in the answer is computed from
    for name in graph.answer:
        for kind in types[name] if isinstance(types[name], tuple) else (types[name],):
            for axis in kind.axes if isinstance(kind, Signal) else ():
                reached[axis] |= _before(graph, name, reached[axis])
    # Where another finding ends the proof in the window world at the same place, there is nothing to add.
    told = {(f.node, a) for f in findings if f.code != GLOBAL and "window" in f.breaks for a in f.axes}
    # An operator may look twice, once along each axis or once in a softmax and once in a sum: one finding.
    looks: dict[str, set[str]] = {}
    for f in findings:
        if f.code == GLOBAL:
            seen = {a for a in f.axes if f.node in reached[a] and (f.node, a) not in told}
            looks.setdefault(f.node, set()).update(seen)
    found: list[Finding] = []
    for f in findings:
        along = looks.pop(f.node, set()) if f.code == GLOBAL else set()
        if along:
            found.append(replace(f, axes=tuple(a for a in AXES if a in along)))
        elif f.code != GLOBAL:
            found.append(f)
    return found


def whole(findings: Sequence[Finding], graph: Graph, types: Mapping[str, Any], together: Together) -> list[Finding]:
    """The findings without those of pools and views whose groups are all taken together again before the answer.

    The maximum over all windows is the maximum of the map, wherever its windows begin and whatever they do at the border.

    Args:
        findings: in the order of the network.
        graph: as the walk read it.
        types: the type of every node.
        together: where groups are taken together.
    """
    pairs = {(node, axis) for taken in together.values() for axis, nodes in taken for node in nodes}
    mended = {pair for pair in pairs if not _shown(graph, types, together, pair)}
    found: list[Finding] = []
    for f in findings:
        left = tuple(a for a in f.axes if f.code not in GROUPING or (f.node, a) not in mended)
        found += [replace(f, axes=left)] if left else []
    return found


def _shown(graph: Graph, types: Mapping[str, Any], together: Together, pair: tuple[str, str]) -> bool:
    """Whether the answer depends on the groups that an operator makes in another way than by taking them together."""
    node, axis = pair
    seen, todo = set[tuple[str, bool]](), [(name, False) for name in graph.answer]
    while todo:
        # (an operator, whether its result is only used as what it is over all groups together)
        at, covered = todo.pop()
        if (at, covered) in seen:
            continue
        seen.add((at, covered))
        if at == node:
            if not covered:
                return True
            continue
        covers = covered or any(a == axis and node in nodes for a, nodes in together.get(at, ()))
        todo += [(r, covers and _holds(types[r], pair)) for r in refs(graph.nodes[at])]
    return False


def _holds(found: Any, pair: tuple[str, str]) -> bool:
    """Whether a result is made of the groups of an operator, and known over all of them."""
    if isinstance(found, tuple):
        return any(_holds(f, pair) for f in found)
    return isinstance(found, Signal) and any(g.axis == pair[1] and pair[0] in g.nodes for g in found.groups)


def _before(graph: Graph, name: str, known: Iterable[str]) -> set[str]:
    """Names of all nodes that a node depends on, and its own, but for those that are known already."""
    found, todo, known = set[str](), [name], set(known)
    while todo:
        at = todo.pop()
        if at not in found and at not in known:
            found.add(at)
            todo += refs(graph.nodes[at])
    return found
