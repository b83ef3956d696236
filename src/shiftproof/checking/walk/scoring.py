"""The network by which a model chooses between components of a map: whether their scores depend on where they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shiftproof.checking.graph.node import Node, Ref
from shiftproof.checking.graph.nodes import Graph, refs
from shiftproof.checking.rules.pointwise import UNARY

# They leave the samples of a batch apart: what they make of one component does not depend on the others.
APART = {*UNARY, "conv2d", "pad", "cat", "slice"}

# They give the same numbers in the same order another shape.
RESHAPES = {"unflatten", "view", "reshape", "_unsafe_view"}


def scored_alike(
    graph: Graph,
    scores: str,
    stride: tuple[int, int],
    is_component: Callable[[str], bool],
    moving: set[str],
    invariant: Callable[[Graph], bool],
) -> bool:
    """Whether a component has one score wherever it stands around the circle, and a score of its own.

    The components are the batch of the scoring network. Each must be scored by itself, out of what `APART` knows, and the mean
    of what the network makes of one component must not change when that component moves.

    Args:
        graph: the whole network.
        scores: name of the node that holds the scores, (1, components).
        stride: rows and columns a step; their product is the number of components.
        is_component: whether a node is the batch of components.
        moving: names of the nodes that depend on the picture.
        invariant: whether a graph's answer is the same for every circular move of its input.
    """
    mean = _mean(graph, scores, stride[0] * stride[1])
    if mean is None:
        return False
    entries, todo = set[str](), _from(graph.nodes[mean], moving)
    inside: dict[str, Node] = {mean: graph.nodes[mean]}
    while todo:
        name = todo.pop()
        if name in inside or name in entries:
            continue
        # Here the network begins. What is before it, the map and how it is cut, is the concern of the choice.
        if is_component(name):
            entries.add(name)
            continue
        node = graph.nodes[name]
        if not _apart(node, moving):
            return False
        inside[name] = node
        todo += _from(node, moving)
    # With two batches of components, one could move and the other stand still; with none, the scores see no component.
    if len(entries) != 1:
        return False
    (entry,) = entries
    # Rules judge a batch of one picture. Since the samples are kept apart, what holds for one component holds for each.
    one = {n.name: replace(n, shape=(1, *n.shape[1:])) for n in inside.values()}
    return asked(replace(graph, nodes=graph.nodes | one), mean, entry, invariant)


def asked(graph: Graph, answer: str, entry: str, invariant: Callable[[Graph], bool]) -> bool:
    """Whether a node is invariant to moves of another, taken as the input of a network that ends in it.

    Args:
        graph: that holds both.
        answer: name of the one.
        entry: name of the other, a map (n, c, h, w); the input is one sample of it.
        invariant: whether a graph's answer is the same for every circular move of its input.
    """
    _, c, h, w = graph.nodes[entry].shape
    nodes = {n: graph.nodes[n] for n in graph.nodes if n in before(graph, answer, {entry})}
    if any(n.operator == "input" for n in nodes.values()):  # it sees the picture by another way as well
        return False
    nodes[entry] = Node(entry, "input", {}, (1, c, h, w), dtype=graph.nodes[entry].dtype)
    ordered = {n: nodes[n] for n in graph.nodes if n in nodes}
    return invariant(replace(graph, nodes=ordered, answer=(answer,), input_size=(c, h, w)))


def before(graph: Graph, name: str, end: set[str]) -> set[str]:
    """Names of all nodes that a node depends on, and its own; not looked for behind those in `end`, which are left out."""
    found, todo = set[str](), [name]
    while todo:
        at = todo.pop()
        if at not in found and at not in end:
            found.add(at)
            todo += refs(graph.nodes[at])
    return found


def _mean(graph: Graph, scores: str, components: int) -> str | None:
    """The node that is the mean over each component; the scores are the same values in another shape."""
    node = graph.nodes[scores]
    source = node.arguments.get("self")
    if node.operator not in RESHAPES or node.shape != (1, components) or not isinstance(source, Ref):
        return None
    mean = graph.nodes[source.name]
    # The mean over channels and positions is what makes a score of a map that moves with its component.
    over = mean.operator == "mean" and list(mean.arguments.get("dim") or []) == [1, 2, 3]
    return mean.name if over and mean.shape == (components,) else None


def _from(node: Node, moving: set[str]) -> list[str]:
    return [r for r in refs(node) if r in moving]


def _apart(node: Node, moving: set[str]) -> bool:
    """Whether an operator works on each sample of a batch of maps alone."""
    # A `cat` or a `slice` along dimension 0 puts components together, or picks some by number.
    if node.operator not in APART or len(node.shape) != 4 or node.arguments.get("dim", 1) % 4 == 0:
        return False
    if len(node.arguments.get("pad") or ()) > 6:  # padding can move the samples of the batch themselves
        return False
    weights = [node.arguments.get(k) for k in ("weight", "bias")]  # out of a component they would mix all of them
    return not any(isinstance(w, Ref) and w.name in moving for w in weights)
