"""The network by which a module chooses between components of a map: whether their scores depend on where they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shiftproof.checking.graph import Graph, Node, refs
from shiftproof.checking.rules.constants import random
from shiftproof.checking.rules.pointwise import UNARY

APART = {
    *UNARY,
    "conv2d",
    "pad",
    "cat",
    "slice",
}  # they leave the samples of a batch apart: each component is scored alone


def scored_alike(graph: Graph, inside: list[Node], moving: set[str], invariant: Callable[[Graph], bool]) -> bool:
    """Whether a component has one score wherever it stands round the circle, and a score of its own.

    The components are the batch of the scoring network. Each must be scored by itself, out of what `APART` knows, and the mean
    of what the network makes of one component must not change when that component moves.

    Args:
        graph: that the module was called in.
        inside: the nodes of the call.
        moving: names of the nodes that depend on the picture.
        invariant: whether a graph's answer is the same for every circular move.
    """
    if any(n.operator == "softmax" or random(n) for n in inside):  # in training the component is drawn
        return False
    scoring = {n.name: n for n in inside if n.scoring and n.name in moving}
    entries = {r for n in scoring.values() for r in refs(n) if r in moving and r not in scoring}
    means = [n for n in inside if not n.scoring and not scoring.keys().isdisjoint(refs(n))]
    if len(entries) != 1 or len(means) != 1 or means[0].operator != "mean" or not all(map(_apart, scoring.values())):
        return False
    (entry,), (mean,) = entries, means
    parts = graph.nodes[entry].shape
    if len(parts) != 4 or mean.arguments["dim"] != [1, 2, 3]:
        return False
    one = {n.name: replace(n, shape=(1, *n.shape[1:])) for n in (*scoring.values(), mean)}
    one[entry] = Node(entry, "input", {}, (1, *parts[1:]))
    nodes = {k: one.get(k, n) for k, n in graph.nodes.items() if k in one or k not in moving}
    c, h, w = parts[1:]
    return invariant(replace(graph, nodes=nodes, answer=(mean.name,), input_size=(c, h, w)))


def _apart(node: Node) -> bool:
    return node.operator in APART and len(node.shape) == 4 and node.arguments.get("dim", 1) % 4 != 0
