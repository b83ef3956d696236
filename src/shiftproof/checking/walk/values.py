"""The values of constants: parameters, buffers, and what a graph computes from them alone. They are computed when asked for."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import torch
import torch.utils._pytree as pytree
from torch import Tensor

from shiftproof.checking.graph.node import Ref
from shiftproof.checking.graph.nodes import Graph, refs
from shiftproof.checking.rules.constants import FROM_SHAPE, LIKE_ANOTHER, MOVING, UNDEFINED, random
from shiftproof.interruptions import pass_on


class Values:
    """Reads constants of a graph by name; None where a value is not known.

    That is so on the meta device, where torch does not run the operators, and for numbers that are drawn at random or were never
    written: another run has others.

    Parameters that are not given are drawn at random. That a fresh network's parameters are all zero, for example, says nothing
    about the network after training. What holds for random numbers, such as that those repeated by `expand` are equal, holds
    for others too.

    Args:
        graph: as exported.
        given: whether the parameters have the values that they will be used with; else they are still to be trained.
        never: which of two fillings to use for numbers that were never written, 0 or 1.
    """

    def __init__(self, graph: Graph, given: bool = True, never: int = 0) -> None:
        self.graph = graph
        self.given = given
        self.never = never
        self.other: Values | None = None
        self.drawn: Values | None = None
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
        """Whether a constant does not depend on what was in the memory that `torch.empty` and its like return."""
        # Nearly every model is done here: it calls `torch.empty` nowhere.
        if not self.holes or self.holes.isdisjoint(self._sources(name.partition("[")[0])):
            return True
        # Computed twice, with fillings that differ everywhere: what agrees was overwritten. This holds as long as
        # cells are only moved. Any other operator, such as a remainder or a comparison, may bring two different
        # fillings to one result, so it must not be given a cell that nobody wrote to.
        self.other = self.other or Values(self.graph, self.given, 1)
        read = {r for n in self._sources(name.partition("[")[0]) if not self._only_moves(n) for r in self.needs(n)}
        return all(self._agree(n) for n in (name, *read))

    def _only_moves(self, name: str) -> bool:
        """Whether an operator moves cells and keeps different values different: none is cut to fit a smaller dtype."""
        node = self.graph.nodes[name]
        if node.operator not in MOVING:
            return False
        kinds = {self.graph.nodes[r].dtype for r in self.needs(name)}
        return all(k == node.dtype or _wider(k, node.dtype) for k in kinds)

    def _agree(self, name: str) -> bool:
        """Whether a constant is the same with both fillings."""
        assert self.other is not None
        one, two = self._compute(name.partition("[")[0]), self.other._compute(name.partition("[")[0])
        pairs = list(zip(pytree.tree_leaves(one), pytree.tree_leaves(two), strict=True))
        return bool(pairs) and all(_equal(a, b) for a, b in pairs)

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
        found = self._compute(base) if self.defined(name) else None
        if bracket and isinstance(found, list | tuple):
            found = found[int(rest[:-1])]
        return found if isinstance(found, Tensor) else None

    def by_design(self, name: str) -> Tensor | None:
        """The value that a constant would have if all parameters were drawn at random."""
        if self.given and self.parameters(name):
            self.drawn = self.drawn or Values(self.graph, given=False)
            return self.drawn.read(name)
        return self.read(name)

    def _compute(self, name: str) -> Any:
        """Walks back without recursion, because graphs are deeper than Python's stack."""
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
            # A tensor on the meta device has a shape and no numbers.
            if found is None or found.device.type == "meta":
                return None
            # Buffers are not trained, and torch refuses gradients of whole numbers: both stay as they are.
            if self.given or name not in self.graph.trained or not (found.is_floating_point() or found.is_complex()):
                return found.detach()
            # seeded by the name, so that a parameter has the same values whenever it is read
            # Not Python's `hash`, which differs from process to process.
            generator = torch.Generator().manual_seed(crc32(name.encode()))
            return torch.randn(found.shape, dtype=found.dtype, generator=generator)
        if node.operator in UNDEFINED:
            return _memory(node.shape, node.dtype, self.never)
        # Inputs, and what is written through a view, have no operator to run. An operator that draws must not be run: it would
        # take numbers from the caller's generator.
        if not callable(node.target) or random(node):
            return None
        if any(self.held[r] is None for r in self.needs(name)):
            return None
        given, keywords = pytree.tree_map_only(Ref, self._value, (node.positional, node.keywords))
        if node.operator in LIKE_ANOTHER:
            given = (self.held[node.positional[0].name], *(self._blank(r) for r in node.positional[1:]))
        if node.operator in FROM_SHAPE:  # zeros_like and its like read a shape only
            given, keywords = pytree.tree_map_only(Ref, self._blank, (node.positional, node.keywords))
        if getattr(getattr(node.target, "_schema", None), "is_mutable", True):  # a write must not reach the module
            given = pytree.tree_map_only(Tensor, torch.clone, given)
        # A program may name a device of the machine on which it was exported.
        device = {"device": torch.device("cpu")} if "device" in keywords else {}
        try:
            with torch.no_grad():
                return node.target(*given, **(keywords | device))
        except (RuntimeError, TypeError, ValueError, IndexError) as e:
            pass_on(e)
            return None

    def _value(self, ref: Ref) -> Any:
        return self.held.get(ref.name)

    def _blank(self, ref: Ref) -> Tensor:
        node = self.graph.nodes[ref.name]
        return torch.zeros(node.shape, dtype=node.dtype)


def moving(graph: Graph) -> set[str]:
    """Names of the nodes that depend on the picture."""
    found: set[str] = set()
    for name, node in graph.nodes.items():
        if node.operator == "input" or not found.isdisjoint(refs(node)):
            found.add(name)
    return found


def _wider(one: Any, other: Any) -> bool:
    """Whether a dtype holds all values of another; no, where one of them is not known."""
    known = isinstance(one, torch.dtype) and isinstance(other, torch.dtype)
    return known and torch.promote_types(one, other) == other


def _equal(one: Any, two: Any) -> bool:
    """Whether two values are known and alike in every cell; NaN is like NaN."""
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return bool(((one == two) | (one.isnan() & two.isnan())).all())
    return one is not None and one == two


def _memory(shape: tuple, dtype: torch.dtype, never: int) -> Tensor | None:
    """Two possible contents of memory that was never written; they differ in every cell."""
    if any(n < 0 for n in shape):
        return None
    if dtype == torch.bool:
        return torch.full(shape, bool(never), dtype=dtype)
    whole = not (dtype.is_floating_point or dtype.is_complex)
    # NaN survives every sum and product, even by 0. Of whole numbers no such value
    # exists: 1 and 3 differ, and neither is 0.
    return torch.full(shape, (1, 3 if whole else float("nan"))[never], dtype=dtype)
