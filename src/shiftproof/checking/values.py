"""The values of constants: parameters and buffers, and what a graph computes from them alone; worked out when asked for."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import torch
import torch.utils._pytree as pytree
from torch import Tensor

from shiftproof.checking.graph import Graph, Ref
from shiftproof.checking.rules.constants import FROM_SHAPE, LIKE_ANOTHER, UNDEFINED


class Values:
    """Reads constants of a graph by name; None where a value is not known.

    That is on the meta device, and where torch would not run it. Parameters that are not given are drawn at random: that they
    are all zero before training says nothing about the network, but what holds for random numbers (those repeated by
    `expand` are alike) holds for others.

    Args:
        graph: as exported.
        given: whether the parameters are those that are meant; else they are yet to be trained.
        never: taken for numbers that were never written: 0 for the one kind, 1 for the other.
    """

    def __init__(self, graph: Graph, given: bool = True, never: int = 0) -> None:
        self.graph = graph
        self.given = given
        self.never = never
        self.other: Values | None = None
        self.holes = {n.name for n in graph.nodes.values() if n.operator in UNDEFINED}
        self.held: dict[str, Any] = {}
        self.roots: dict[str, frozenset[str]] = {}

    def parameters(self, name: str) -> frozenset[str]:
        """Paths of the parameters that a constant is computed from."""
        todo, base = [name.partition("[")[0]], name.partition("[")[0]
        while todo:
            at = todo[-1]
            needs = [] if at in self.roots else self.needs(at)
            missing = [r for r in needs if r not in self.roots]
            if missing:
                todo += missing
                continue
            todo.pop()
            if at not in self.roots:
                own = frozenset({self.graph.trained[at]} if at in self.graph.trained else ())
                self.roots[at] = own.union(*(self.roots[r] for r in needs))
        return self.roots[base]

    def defined(self, name: str) -> bool:
        """Whether a constant is the same whatever was in the memory that `torch.empty` and its kin hand out."""
        if not self.holes or self.holes.isdisjoint(self._sources(name.partition("[")[0])):
            return True
        self.other = self.other or Values(self.graph, self.given, 1)
        one, two = self.read(name), self.other.read(name)
        return one is not None and two is not None and bool(((one == two) | (one.isnan() & two.isnan())).all())

    def _sources(self, name: str) -> set[str]:
        """Names of all nodes that a constant is computed from, and its own."""
        found, todo = {name}, [name]
        while todo:
            new = set(self.needs(todo.pop())) - found
            found |= new
            todo += new
        return found

    def read(self, name: str) -> Tensor | None:
        """The value of a constant node ("name", or "name[i]" for one of several results)."""
        base, bracket, rest = name.partition("[")
        found = self._compute(base)
        if bracket and isinstance(found, list | tuple):
            found = found[int(rest[:-1])]
        return found if isinstance(found, Tensor) else None

    def _compute(self, name: str) -> Any:
        """Walks back without recursion: graphs are deep."""
        todo = [name]
        while todo:
            at = todo[-1]
            if at in self.held:
                todo.pop()
                continue
            missing = [r for r in self.needs(at) if r not in self.held]
            if missing:
                todo += missing
                continue
            self.held[at] = self._run(at)
            todo.pop()
        return self.held[name]

    def needs(self, name: str) -> list[str]:
        """Names of the nodes that a constant is computed from."""
        node = self.graph.nodes[name]
        found: list[str] = []
        if node.operator in FROM_SHAPE or node.operator in UNDEFINED:
            return found
        if node.operator in LIKE_ANOTHER:
            return [node.positional[0].name]
        pytree.tree_map_only(Ref, lambda r: found.append(r.name), (node.positional, node.keywords))
        return found

    def _run(self, name: str) -> Any:
        node = self.graph.nodes[name]
        if node.operator == "constant":
            found = self.graph.constants.get(name)
            if found is None or found.device.type == "meta":
                return None
            if self.given or name not in self.graph.trained or not found.is_floating_point():
                return found.detach()
            random = torch.Generator().manual_seed(crc32(name.encode()))
            return torch.randn(found.shape, dtype=found.dtype, generator=random)
        if node.operator in UNDEFINED:
            return _memory(node.shape, node.dtype, self.never)
        if not callable(node.target):
            return None
        if any(self.held[r] is None for r in self.needs(name)):
            return None
        given, keywords = pytree.tree_map_only(Ref, self._value, (node.positional, node.keywords))
        if node.operator in LIKE_ANOTHER:
            given = (self.held[node.positional[0].name], *(self._blank(r) for r in node.positional[1:]))
        if node.operator in FROM_SHAPE:  # zeros_like and its kin ask for a shape only
            given, keywords = pytree.tree_map_only(Ref, self._blank, (node.positional, node.keywords))
        if getattr(getattr(node.target, "_schema", None), "is_mutable", True):  # a write must not reach the module
            given = pytree.tree_map_only(Tensor, torch.clone, given)
        device = {"device": torch.device("cpu")} if "device" in keywords else {}
        try:
            with torch.no_grad():
                return node.target(*given, **(keywords | device))
        except (RuntimeError, TypeError, ValueError, IndexError):
            return None

    def _value(self, ref: Ref) -> Any:
        return self.held.get(ref.name)

    def _blank(self, ref: Ref) -> Tensor:
        node = self.graph.nodes[ref.name]
        return torch.zeros(node.shape, dtype=node.dtype)


def _memory(shape: tuple, dtype: torch.dtype, never: int) -> Tensor | None:
    """Something that may be in memory nobody wrote to; two kinds that agree in no cell."""
    if any(n < 0 for n in shape):
        return None
    if dtype == torch.bool:
        return torch.full(shape, bool(never), dtype=dtype)
    whole = not (dtype.is_floating_point or dtype.is_complex)
    return torch.full(shape, (1, 3 if whole else float("nan"))[never], dtype=dtype)
