"""Sampling by content, recognised by what a graph computes: compared node by node with the functions of our own layers.

Nobody is believed. A class that says of itself that it samples by content, or that is called like one that does, proves
nothing; neither does a file's name. The functions of `shiftproof.layers` are exported as the model was, and where the model
computes the very same from some map, that part becomes one node that a rule understands. A copy of a layer is therefore as
good as the layer, and one that was changed, or that a hook reaches into, is read operator by operator like any other code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from shiftproof.checking.graph.node import Node, Ref
from shiftproof.checking.graph.nodes import Graph, needed, refs
from shiftproof.checking.walk.matching import Pattern, exported, widened
from shiftproof.checking.walk.scoring import asked, before, scored_alike
from shiftproof.checking.walk.values import moving
from shiftproof.layers import polyphase

Pair = tuple[int, int]


class _Reference(nn.Module):
    """The steps of sampling by content, each an output of its own; `outputs` names them."""

    outputs = ("norms", "alone", "decided", "taken", "phases", "number", "put_back", "whole", "real", "rounded")

    def __init__(self, stride: Pair, p: float) -> None:
        super().__init__()
        self.stride, self.p = stride, p

    def forward(
        self,
        x: Tensor,
        y: Tensor,
        best: Tensor,
        chosen: Tensor,
        phases: Tensor,
        whole: Tensor,
        real: Tensor,
        at: Tensor,
    ) -> tuple[Tensor, ...]:
        parts = polyphase.components(x, self.stride)
        return (
            polyphase.norms(parts, self.p),
            parts.to(torch.promote_types(x.dtype, torch.float32)).flatten(0, 1),
            polyphase.decided(x, self.stride, best),
            polyphase.taken(parts, chosen),
            polyphase.phases_of(chosen, self.stride),
            polyphase.number_of(phases, 1, self.stride),
            polyphase.put_back(y, polyphase.number_of(phases, 1, self.stride), self.stride),
            polyphase.foremost(whole),
            polyphase.foremost(real),
            polyphase.foremost(real, at),
        )


@dataclass(frozen=True)
class _Cut:
    """A map that a stride cuts into components somewhere in a graph."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    stride: Pair

    @property
    def component(self) -> tuple[int, ...]:
        """The shape of a component."""
        n, c, h, w = self.shape
        return n, c, h // self.stride[0], w // self.stride[1]


@lru_cache(64)
def _pattern(cut: _Cut, p: float, decomposed: bool) -> Pattern:
    """The reference for maps of one shape. Exporting it takes as long as exporting the layer does, so it is kept."""
    sy, sx = cut.stride
    wide = torch.promote_types(cut.dtype, torch.float32)
    given = {
        "x": torch.zeros(cut.shape, dtype=cut.dtype),
        "y": torch.zeros(cut.component, dtype=cut.dtype),
        "best": torch.zeros((1, sy * sx), dtype=torch.bool),
        "chosen": torch.zeros(1, dtype=torch.int64),
        "phases": torch.zeros((1, 2), dtype=torch.int64),
        "whole": torch.zeros((1, sy * sx), dtype=torch.int64),
        "real": torch.zeros((1, sy * sx), dtype=wide),
        "at": torch.zeros((1, 1), dtype=wide),
    }
    return exported(_Reference(cut.stride, p), given, _Reference.outputs, decomposed)


def selections(graph: Graph, invariant: Callable[[Graph], bool]) -> Graph:
    """The graph with each choice by content, and each use of one, as a node of its own.

    A choice is a node "polyphase_phases", and so are the phases and numbers that are made of it. A map that is sampled by a
    choice is a "polyphase", a map that is put back by one a "polyphase_restored".

    Args:
        graph: as exported; left as it is.
        invariant: whether a graph's answer is the same for every circular move of its input: asked of networks that score
            components.
    """
    if not any(map(_is_number, graph.nodes.values())):  # most models: no reference is exported for them
        return graph
    cuts = _cuts(graph)
    # A program may be stored after torch decomposed it; then only the decomposed reference has the same operators.
    for decomposed in (False, True) if cuts else ():
        found = _Search(graph, cuts, decomposed, invariant).nodes()
        if found:
            return needed(replace(graph, nodes=graph.nodes | found))
    return graph


def _is_number(node: Node) -> bool:
    """Whether a node can be the number of one picture's component."""
    return node.shape == (1,) and node.dtype == torch.int64


def _cuts(graph: Graph) -> list[_Cut]:
    """Each way in which a graph cuts maps into components or puts them together, seen by the six dimensions on the way."""
    found: dict[_Cut, None] = {}
    for node in graph.nodes.values():
        if len(node.shape) != 6 or node.shape[0] != 1 or min(node.shape) < 1 or not isinstance(node.dtype, torch.dtype):
            continue
        _, c, h, sy, w, sx = node.shape
        before = [graph.nodes[r].shape for r in refs(node)]
        # `components` reshapes (n, c, h, w) to (n, c, h / sy, sy, w / sx, sx): the sizes tell the stride.
        if before == [(1, c, h * sy, w * sx)] and (sy, sx) != (1, 1) and node.dtype.is_floating_point:
            for dtype in (
                node.dtype,
                torch.promote_types(node.dtype, torch.float32),
            ):  # half is scored in single precision
                found[_Cut(before[0], dtype, (sy, sx))] = None
    for node in graph.nodes.values():  # what is put back may have other channels than what was cut
        if len(node.shape) == 6 and any(node.shape[1:3] == cut.stride for cut in found):
            _, sy, sx, c, h, w = node.shape
            if isinstance(node.dtype, torch.dtype) and node.dtype.is_floating_point:
                found[_Cut((1, c, h * sy, w * sx), node.dtype, (sy, sx))] = None
    return list(found)


class _Search:
    """The choices of a graph, found in the order in which they are made.

    Args:
        graph: as exported.
        cuts: the shapes and strides to look for.
        decomposed: whether the graph was rewritten by torch in more elementary operators; then the reference is, too.
        invariant: as of `selections`.
    """

    def __init__(self, graph: Graph, cuts: list[_Cut], decomposed: bool, invariant: Callable[[Graph], bool]) -> None:
        self.graph, self.cuts, self.decomposed, self.invariant = graph, cuts, decomposed, invariant
        self.moving = moving(graph)
        self.chosen: dict[
            str, dict[str, Any]
        ] = {}  # choices and their numbers: the arguments of the node that they become
        self.phases: dict[str, dict[str, Any]] = {}

    def nodes(self) -> dict[str, Node]:
        """The nodes to be put in the place of others, by name."""
        found: dict[str, Node] = {}
        for name, node in self.graph.nodes.items():
            if name not in self.moving:
                continue
            operator, arguments = self._seen(name, node)
            if operator:
                found[name] = replace(
                    node, operator=operator, arguments=arguments, target=None, positional=(), keywords={}
                )
        return found

    def _seen(self, name: str, node: Node) -> tuple[str, dict[str, Any]]:
        """(operator, arguments) of what a node is in sampling by content; ("", {}) if it is nothing of it."""
        if _is_number(node):
            found = self._choice(name) or self._made_of(name, "number", "phases", self.phases)
            if found:
                self.chosen[name] = found
                return "polyphase_phases", found
        elif node.shape == (1, 2) and node.dtype == torch.int64:
            found = self._made_of(name, "phases", "chosen", self.chosen)
            if found:
                self.phases[name] = found
                return "polyphase_phases", found
        elif len(node.shape) == 4:
            return self._sampled(name) or self._put_back(name) or ("", {})
        return "", {}

    def _choice(self, name: str) -> dict[str, Any] | None:
        """Whether a component is chosen by its norm, or by a network's scores that do not depend on where it stands."""
        for cut, found in self._matches("decided", name):
            x = found["x"]
            # Norms are whole numbers in fixed point, learned scores are real, and
            # may count as equal within their rounding.
            for kind in ("whole", "real", "rounded"):
                scored = self._pattern(cut).match(kind, self.graph, found["best"])
                if scored is None:
                    continue
                scores = scored["whole" if kind == "whole" else "real"]
                learned = kind != "whole"
                alike = self._networks(cut, scores, x, scored.get("at")) if learned else self._norms(scores, x)
                if alike:
                    return {
                        "self": Ref(x),
                        "indices": None,
                        "call": name,
                        "stride": list(cut.stride),
                        "learned": learned,
                    }
        return None

    def _norms(self, scores: str, x: str) -> bool:
        """Whether scores are the norms of the components of a map, for any p."""
        for cut in self._cuts_of(x):
            products = self._products(self.graph, scores, x)
            pattern = self._pattern(cut)
            usual = self._products(pattern.graph, pattern.roots["norms"], pattern.inputs[0])
            # p is not in the graph: it shows only in how often the size is multiplied by itself.
            for p in (2.0, 2.0 + products - usual, math.inf):  # each power more is a product more
                found = self._pattern(cut, p).match("norms", self.graph, scores) if p >= 1 else None
                # The norms must be those of the very map that is sampled: of another one they need not move with it.
                if found and found["x"] == x:
                    return True
        return False

    def _products(self, graph: Graph, name: str, end: str) -> int:
        """How many products there are on the way from the node `end` to a node."""
        return sum(graph.nodes[n].operator == "mul" for n in before(graph, name, {end}))

    def _networks(self, cut: _Cut, scores: str, x: str, rounding: str | None) -> bool:
        """Whether a network scores each component of a map by itself and alike wherever it stands.

        By how much scores may differ that count as equal must not depend on where the picture stands either.
        """
        whole = widened(self.graph, x)

        # The network sees the components as a batch, in single precision if the map is in half.
        def is_component(name: str) -> bool:
            for narrow in self._cuts_of(whole):
                found = self._pattern(narrow).match("alone", self.graph, name)
                if found and widened(self.graph, found["x"]) == whole:
                    return True
            return False

        if not scored_alike(self.graph, scores, cut.stride, is_component, self.moving, self.invariant):
            return False
        return rounding is None or rounding not in self.moving or asked(self.graph, rounding, x, self.invariant)

    def _made_of(self, name: str, root: str, given: str, known: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
        """The choice that phases are the phases of, or a number the number of, handed on."""
        for cut, found in self._matches(root, name):
            source = known.get(found[given])
            # With another stride, phase (i, j) is the number of another component.
            if source and source["stride"] == list(cut.stride):
                return source | {"indices": Ref(found[given])}
        return None

    def _sampled(self, name: str) -> tuple[str, dict[str, Any]] | None:
        for cut, found in self._matches("taken", name):
            x, chosen = found["x"], found["chosen"]
            choice = self.chosen.get(chosen)
            if choice is None and chosen in self.moving:  # chosen in some other way: its rule is that of an index
                continue
            own = False
            if choice is not None and choice["indices"] is None:
                # A map of half is scored as its wider copy: both have the same content, and the
                # choice on one is the choice on the other.
                own = widened(self.graph, choice["self"].name) == widened(self.graph, x)
            common = {"self": Ref(x), "stride": list(cut.stride), "learned": bool(choice and choice["learned"])}
            return "polyphase", common | {"indices": None if own else Ref(chosen), "call": chosen}
        return None

    def _put_back(self, name: str) -> tuple[str, dict[str, Any]] | None:
        for cut, found in self._matches("put_back", name):
            choice = self.phases.get(found["phases"])
            if choice and choice["stride"] == list(cut.stride):
                return "polyphase_restored", {
                    "self": Ref(found["y"]),
                    "indices": Ref(found["phases"]),
                    "learned": False,
                }
        return None

    def _matches(self, root: str, name: str) -> Iterator[tuple[_Cut, dict[str, str]]]:
        for cut in self._likely(root, self.graph.nodes[name]):
            found = self._pattern(cut).match(root, self.graph, name)
            if found is not None:
                yield cut, found

    def _likely(self, root: str, node: Node) -> list[_Cut]:
        """The cuts by which a node can be what the root is: each other one would cost an export of the reference."""
        if root in ("number", "phases"):  # whatever the map
            return list({c.stride: c for c in self.cuts}.values())
        if root == "taken":
            return [c for c in self.cuts if (c.component, c.dtype) == (node.shape, node.dtype)]
        if root == "put_back":
            return [c for c in self.cuts if (c.shape, c.dtype) == (node.shape, node.dtype)]
        return self.cuts

    def _cuts_of(self, x: str) -> list[_Cut]:
        node = self.graph.nodes[x]
        return [c for c in self.cuts if (c.shape, c.dtype) == (node.shape, node.dtype)]

    def _pattern(self, cut: _Cut, p: float = 2.0) -> Pattern:
        return _pattern(cut, p, self.decomposed)
