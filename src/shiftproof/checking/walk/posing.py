"""Poses, recognised by what a graph computes: compared with the functions of our own layers, as sampling by content is.

A map is rolled by an origin that the content chose. The origin, the map in its pose, the map on the grid of a step, and a map
that is put back become one node each, for which there is a rule (`checking.rules.posing`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from shiftproof.checking.graph.node import Node, Ref
from shiftproof.checking.graph.nodes import Graph, needed
from shiftproof.checking.walk.matching import Pattern, exported
from shiftproof.checking.walk.scoring import before
from shiftproof.checking.walk.values import moving
from shiftproof.layers import seam
from shiftproof.layers.candidates import likely_origins
from shiftproof.layers.pose import put_back, rolled
from shiftproof.layers.seam_head import Head

CHOSEN, ROLLED = "pose_origin", ("posed", "pose_restored")


class _Seam(nn.Module):
    """The seam of a picture, and its phase on a grid."""

    def __init__(self, step: tuple[int, int]) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor, known: Tensor, *score: Tensor) -> tuple[Tensor, ...]:
        first, *more = score
        cells = seam.seam_cells(x, known, Head(first, *more) if more else first)
        return seam.first_cell(cells), seam.first_phase(cells, self.step)


class _Likely(nn.Module):
    """The likely seams of a picture, each by itself."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: Tensor, known: Tensor, margin: Tensor, *score: Tensor) -> tuple[Tensor, ...]:
        first, *more = score
        found = likely_origins(x, known, Head(first, *more) if more else first, margin, self.most)
        return tuple(found[:, j] for j in range(found.shape[1]))


class _Object(nn.Module):
    """The centre of an object."""

    def forward(self, x: Tensor, at: Tensor) -> tuple[Tensor, ...]:
        return (seam.object_cell(x, at),)


class _Rolled(nn.Module):
    """A map in the pose of an origin, and one that is put back by it."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor, origin: Tensor) -> tuple[Tensor, ...]:
        return rolled(x, -origin), put_back(x, origin, self.size)


@dataclass(frozen=True)
class _Seen:
    """What decides a reference.

    Args:
        shape: of the map.
        dtype: likewise.
        score: shapes of the table and of the weights of a seam's score, those of a `Head` in its order; None for an object.
        step: of the grid.
        size: (h, w) of the picture, for a map that is rolled.
        most: likely seams, where several are kept; 0 for the seam alone.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    score: tuple[tuple[int, ...], ...] | None = None
    step: tuple[int, int] = (1, 1)
    size: tuple[int, int] | None = None
    most: int = 0


@lru_cache(64)
def _pattern(seen: _Seen, decomposed: bool) -> Pattern:
    """The reference for one kind of map. Exporting it takes as long as exporting the layer does, so it is kept."""
    x = torch.zeros(seen.shape, dtype=seen.dtype)
    if seen.size is not None:
        given = {"x": x, "origin": torch.zeros((1, 2), dtype=torch.int64)}
        return exported(_Rolled(seen.size), given, ROLLED, decomposed)
    if seen.score is None:
        return exported(_Object(), {"x": x, "at": torch.zeros(2, dtype=torch.int64)}, ("object",), decomposed)
    weights = {f"score{i}": torch.zeros(shape, dtype=torch.int64) for i, shape in enumerate(seen.score)}
    if seen.most:
        first, *more = weights.items()
        given = {"x": x, first[0]: first[1], "margin": torch.zeros((), dtype=torch.int64), **dict(more)}
        return exported(_Likely(seen.most), given, [f"likely {j}" for j in range(seen.most)], decomposed)
    return exported(_Seam(seen.step), {"x": x, **weights}, ("seam", "phase"), decomposed)


def poses(graph: Graph) -> Graph:
    """The graph with each origin, and each map that is rolled by one, as a node of its own.

    Args:
        graph: as exported; left as it is.
    """
    moves = moving(graph)
    likely = [n for n in graph.nodes.values() if n.name in moves and _is_origin(n)]
    if not likely:  # most models: no reference is exported for them
        return graph
    # A program may be stored after torch decomposed it; then only the decomposed reference has the same operators.
    for decomposed in (False, True):
        found = _found(graph, likely, moves, decomposed)
        if found:
            return needed(replace(graph, nodes=graph.nodes | found))
    return graph


def _is_origin(node: Node) -> bool:
    return len(node.shape) == 2 and _is_cells(node)


def _found(graph: Graph, likely: list[Node], moves: set[str], decomposed: bool) -> dict[str, Node]:
    """The nodes to be put in the place of others, by name."""
    found: dict[str, Node] = {}
    for node in likely:
        arguments = _origin(graph, node.name, moves, decomposed)
        if arguments is not None:
            found[node.name] = _becomes(node, CHOSEN, arguments)
    if not found:
        return found
    sizes = {graph.nodes[n.arguments["self"].name].shape[2:] for n in found.values()}
    for node in graph.nodes.values():
        if node.name in moves and _gathered(graph, node):
            for size in sizes:
                if all(n % m == 0 or m % n == 0 for n, m in zip(size, node.shape[2:], strict=True)):
                    put = _roll(graph, node, found, size, decomposed)
                    if put is not None:
                        found[node.name] = put
                        break
    return found


def _becomes(node: Node, operator: str, arguments: dict[str, Any]) -> Node:
    return replace(node, operator=operator, arguments=arguments, target=None, positional=(), keywords={})


def _origin(graph: Graph, name: str, moves: set[str], decomposed: bool) -> dict[str, Any] | None:
    """What an origin is the origin of, if it is one of ours."""
    for seen in _candidates(graph, name, moves):
        pattern = _pattern(seen, decomposed)
        for kind in pattern.roots:
            bound = pattern.match(kind, graph, name)
            # A score, or a place, that depends on the picture need not move with it.
            if bound is None or any(v in moves for k, v in bound.items() if k != pattern.inputs[0]):
                continue
            step = list(seen.step) if kind == "phase" else None
            return {"self": Ref(bound[pattern.inputs[0]]), "call": name, "kind": kind, "step": step}
    return None


def _candidates(graph: Graph, name: str, moves: set[str]) -> Iterator[_Seen]:
    """The references that a node can be an output of: each other one would cost an export."""
    seen = before(graph, name, set())
    nodes = [graph.nodes[n] for n in graph.nodes if n in seen]
    if not any(n.operator == "sort" for n in nodes):  # both the seam and the object's background need one
        return
    # Whatever the origin is computed from passes through the map itself.
    maps = {
        (n.shape, n.dtype): None for n in reversed(nodes) if _is_map(n, moves) and _alone(graph, name, n.name, moves)
    }
    scores = _scores([n.shape for n in nodes if n.operator == "constant" and n.dtype == torch.int64])
    # `first_phase` reshapes the marks of a map's cells to (1, h / sy, sy, w / sx, sx).
    grids = [n.shape for n in nodes if len(n.shape) == 5 and n.dtype == torch.bool]
    several = {n.shape[1]: None for n in nodes if len(n.shape) == 3 and _is_cells(n)}
    for shape, dtype in maps:
        yield from (_Seen(shape, dtype, score, most=k) for score in scores for k in several)
        steps = {(s[2], s[4]): None for s in grids if (s[1] * s[2], s[3] * s[4]) == shape[2:]} or {(1, 1): None}
        yield from (_Seen(shape, dtype, score, step) for score in scores for step in steps)
        if not scores:
            yield _Seen(shape, dtype)


def _scores(whole: list[tuple[int, ...]]) -> list[tuple[tuple[int, ...], ...]]:
    """What the shapes of constants may be the score of a seam by: a table with linear weights, or with those of a head."""
    flat = [s for s in whole if len(s) == 2]
    linear = [(k, w) for k in flat for w in flat if w[0] == 3 * k[0]]
    inner = {s: None for s in whole if len(s) == 3}
    heads = [
        (k, i, (i[0],), o)
        for k in flat
        for i in inner
        if i[1] == 3 * k[0] and (i[0],) in whole
        for o in flat
        if o[0] == i[0]
    ]
    return [*heads, *linear]


def _is_cells(node: Node) -> bool:
    return node.shape[0] == 1 and node.shape[-1] == 2 and node.dtype == torch.int64


def _is_map(node: Node, moves: set[str]) -> bool:
    real = isinstance(node.dtype, torch.dtype) and not node.dtype.is_complex
    return real and node.name in moves and len(node.shape) == 4 and node.shape[0] == 1 and min(node.shape) > 0


def _alone(graph: Graph, name: str, source: str, moves: set[str]) -> bool:
    """Whether a node depends on the picture through another node only."""
    return not any(graph.nodes[n].operator == "input" for n in before(graph, name, {source}) & moves)


def _gathered(graph: Graph, node: Node) -> bool:
    """Whether a node is a map whose cells were gathered out of a list, as `rolled` does last."""
    source = node.arguments.get("self")
    if not isinstance(node.dtype, torch.dtype) or len(node.shape) != 4 or not isinstance(source, Ref):
        return False
    return graph.nodes[source.name].operator == "gather"


def _roll(graph: Graph, node: Node, known: dict[str, Node], size: tuple[int, int], decomposed: bool) -> Node | None:
    """A map that an origin rolls, there or back."""
    pattern = _pattern(_Seen(node.shape, node.dtype, size=size), decomposed)
    for kind in ROLLED:
        bound = pattern.match(kind, graph, node.name)
        if bound is None:
            continue
        x, origin = (bound[k] for k in pattern.inputs)
        if origin in known and graph.nodes[known[origin].arguments["self"].name].shape[2:] == size:
            return _becomes(node, kind, {"self": Ref(x), "origin": Ref(origin)})
    return None
