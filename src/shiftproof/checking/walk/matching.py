"""Parts of a graph that compute what a function of our own layers computes: compared operator by operator, never by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from shiftproof.checking.graph.node import Ref
from shiftproof.checking.graph.nodes import Graph, plain

# They hand on the numbers that they are given, if the dtype stays: a copy of a layer may have one more or less of them.
SAME_NUMBERS = {"detach", "alias", "lift_fresh", "contiguous", "clone", "to", "_to_copy"}


@dataclass(frozen=True)
class Pattern:
    """A graph whose inputs stand for any node of another; `roots` are the nodes of its answers by name."""

    graph: Graph
    roots: dict[str, str]
    inputs: tuple[str, ...]

    def match(self, root: str, graph: Graph, name: str) -> dict[str, str] | None:
        """What each input stands for if the node `name` of a graph is computed as the root is; None if it is not."""
        bound: dict[str, str] = {}
        todo = [(self.roots[root], name)]
        while todo:
            own, other = todo.pop()
            # Both sides skip copies: a layer copied into a model's own file may
            # detach, or make contiguous, at other places.
            own, other = origin(self.graph, own), origin(graph, other)
            # A node that is met twice must stand for one node: x in `x * x` is not any two maps.
            if own in bound:
                if bound[own] != other:
                    return None
                continue
            bound[own] = other
            a, b = self.graph.nodes[own], graph.nodes[other]
            # The same operator in another precision rounds differently: ties are then decided differently.
            if (a.shape, a.dtype) != (b.shape, b.dtype):
                return None
            if a.operator == "input":
                continue
            if (
                a.operator != b.operator or a.target is not b.target
            ):  # a custom operator can have the name of one of torch's
                return None
            pairs = _aligned(a.arguments, b.arguments)
            if pairs is None or (a.operator == "constant" and not _equal(self.graph, own, graph, other)):
                return None
            todo += pairs
        return {n: found for n, found in bound.items() if self.graph.nodes[n].operator == "input"}


def exported(module: nn.Module, given: Mapping[str, Tensor], outputs: Sequence[str], decomposed: bool) -> Pattern:
    """The pattern of a module whose outputs have the names `outputs`.

    Args:
        module: a reference: it calls the functions of `shiftproof.layers`.
        given: its inputs by name; the shapes and dtypes of the pattern are those of its inputs.
        outputs: names of its outputs, in order.
        decomposed: whether to have torch rewrite it in more elementary operators first, as a stored program may be.
    """
    with torch.no_grad():
        program = torch.export.export(module, tuple(given.values()), strict=False)
    program = program.run_decompositions({}) if decomposed else program
    # The size is that of a picture, which a pattern does not have: nothing reads it.
    graph = plain(program, (1, 1, 1), 0.0, every=True)
    inputs = tuple(n.name for n in graph.nodes.values() if n.operator == "input")
    return Pattern(graph, dict(zip(outputs, graph.answer, strict=True)), inputs)


def origin(graph: Graph, name: str) -> str:
    """The node whose very numbers a node hands on, in the same dtype."""
    return _followed(graph, name, lambda before, after: before == after)


def widened(graph: Graph, name: str) -> str:
    """The node whose numbers a node hands on, in a dtype that holds them all."""
    return _followed(graph, name, _holds)


def _holds(before: torch.dtype, after: torch.dtype) -> bool:
    real = before.is_floating_point and after.is_floating_point
    return before == after or (real and torch.promote_types(before, after) == after)


def _followed(graph: Graph, name: str, fits: Callable[[torch.dtype, torch.dtype], bool]) -> str:
    while True:
        node = graph.nodes[name]
        source = node.arguments.get("self")
        if node.operator not in SAME_NUMBERS or not isinstance(source, Ref):
            return name
        before = graph.nodes[source.name]
        # `to` may also round: numbers of another dtype are not the very numbers.
        if before.shape != node.shape or not fits(before.dtype, node.dtype):
            return name
        name = source.name


def _aligned(own: Any, other: Any) -> list[tuple[str, str]] | None:
    """The nodes that two operators' arguments refer to, side by side; None where anything else in them differs."""
    if isinstance(own, Ref) and isinstance(other, Ref):
        return [(own.name, other.name)]
    if isinstance(own, dict) and isinstance(other, dict):
        # where a tensor is made says nothing about what is in it: the reference is on the CPU, the model anywhere
        names = (own.keys() | other.keys()) - {"device", "pin_memory"}
        own, other = ([d.get(n) for n in sorted(names)] for d in (own, other))
    if isinstance(own, list | tuple) and isinstance(other, list | tuple):
        if len(own) != len(other):
            return None
        found: list[tuple[str, str]] = []
        for a, b in zip(own, other, strict=True):
            pairs = _aligned(a, b)
            if pairs is None:
                return None
            found += pairs
        return found
    # In Python True == 1 == 1.0, but torch reads them as different arguments.
    return [] if type(own) is type(other) and own == other else None


def _equal(own: Graph, one: str, graph: Graph, other: str) -> bool:
    a, b = own.constants.get(one), graph.constants.get(other)
    return a is not None and b is not None and b.device.type != "meta" and torch.equal(a.cpu(), b.cpu())
