"""Idioms spread over several operators, recognised in the graph and read as one operator that has a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from shiftproof.checking.graph.node import Node, Ref
from shiftproof.checking.graph.nodes import Graph, needed, refs
from shiftproof.checking.rules.reduction import REDUCING
from shiftproof.checking.walk.circles import closed
from shiftproof.checking.walk.idioms import cropped_spread, squared_magnitude
from shiftproof.checking.walk.posing import poses
from shiftproof.checking.walk.selection import selections
from shiftproof.checking.walk.values import Values, moving

Nodes = Mapping[str, Node]
VIEWS = ("flatten", "view", "reshape", "permute", "transpose", "unsqueeze", "squeeze")
RANKING = ("sort", "topk", "max", "min", "median", "nanmedian", "kthvalue", "mode")  # values, and where they were


def rewritten(graph: Graph, invariant: Callable[[Graph], bool]) -> Graph:
    """The graph with idioms of several operators read as one.

    - Ranges of one tensor laid end to end, each going on where the last ended around the circle: "wrap" (`circles.py`).
    - `max_unpool2d` by the indices of a pool: "max_unpool_own", which knows what was pooled.
    - A crop of a transposed convolution of a map that was padded with its circle: the convolution, which is told of the crop.
    - `z.real**2 + z.imag**2`: the square of `z.abs()`.
    - Values gathered where they rank: the values that `sort`, `topk`, `max` and the like give along with their places.
    - Sampling by content, and poses that the content chooses: see `selection.py` and `posing.py`.

    Args:
        graph: as exported; left as it is.
        invariant: whether a graph's answer is the same for every circular move: asked of networks that score components.
    """
    # Before the other idioms: it compares with exported functions node by node, and these are as torch writes them.
    graph = _in_any_order(poses(selections(graph, invariant)))
    moves, values = moving(graph), Values(graph)
    done: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        # Constants stay as they are, because `Values` runs them by torch's own operators.
        for found in _read(node, done, moves, values) if name in moves else [node]:
            done[found.name] = found
            moves |= {found.name} if name in moves else set()
    if all(done[k] is n for k, n in graph.nodes.items()):
        return graph
    return needed(replace(graph, nodes=done))


def _read(node: Node, nodes: Nodes, moves: set[str], values: Values) -> list[Node]:
    """The nodes that a node becomes, given those before it; itself if it belongs to no idiom."""
    circle = closed(node, nodes, moves, values)
    if circle:
        return circle
    found = _by_rank(node, nodes) or squared_magnitude(node, nodes)
    return found or [_unpooled(node, nodes) or cropped_spread(node, nodes) or node]


def _by_rank(node: Node, nodes: Nodes) -> list[Node]:
    """Values gathered at the places where they rank: `x.gather(1, x.argsort(1))` is `x.sort(1)`, whatever the places are."""
    if node.operator not in ("gather", "take_along_dim") or not isinstance(node.arguments["self"], Ref):
        return []
    source, rank = node.arguments["self"], len(node.shape)
    place = node.arguments.get("index", node.arguments.get("indices"))
    item = nodes[place.name] if isinstance(place, Ref) else None
    if item is None or node.arguments["dim"] is None or item.shape != node.shape:
        return []
    at = int(node.arguments["dim"]) % rank

    def ranks(found: Node) -> bool:
        asked = found.arguments.get("dim", -1)
        return _same(found.arguments.get("self"), source, nodes) and isinstance(asked, int) and asked % rank == at

    if item.operator in ("argmax", "argmin") and ranks(item) and item.arguments.get("keepdim"):
        arguments = {"self": source, "dim": [at], "keepdim": True}
        return [replace(node, operator="a" + item.operator.removeprefix("arg"), arguments=arguments)]
    if item.operator == "argsort" and ranks(item):
        order = replace(item, name=f"{node.name}__sort", operator="sort", shape=(node.shape, node.shape))
        return [order, _first(node, order)]
    if item.operator == "getitem" and item.arguments["args"][1] == 1 and isinstance(item.arguments["args"][0], Ref):
        ranked = nodes[item.arguments["args"][0].name]
        if ranked.operator in RANKING and ranks(ranked) and ranked.shape[0] == node.shape:
            return [_first(node, ranked)]
    return []


def _same(one: object, other: object, nodes: Nodes) -> bool:
    """Whether two arguments are one tensor, or views of one tensor that were written twice."""
    if not isinstance(one, Ref) or not isinstance(other, Ref) or one == other:
        return one == other
    a, b = nodes[one.name], nodes[other.name]
    return a.operator in VIEWS and (a.operator, a.shape, a.arguments) == (b.operator, b.shape, b.arguments)


def _first(node: Node, several: Node) -> Node:
    """The first of several results, under the name of a node."""
    return replace(node, operator="getitem", arguments={"args": [Ref(several.name), 0]})


def _in_any_order(graph: Graph) -> Graph:
    """The graph with `topk(sorted=False)` as sorted where all that is done with what it finds is a sum or the like of it."""
    users: dict[str, list[Node]] = {}
    for node in graph.nodes.values():
        for r in refs(node):
            users.setdefault(r, []).append(node)
    done = dict(graph.nodes)
    for name, node in graph.nodes.items():
        if node.operator != "topk" or node.arguments.get("sorted", True):
            continue
        items = users.get(name, [])
        readers = [r for item in items for r in users.get(item.name, [])]
        rank = len(node.shape[0])
        at = int(node.arguments.get("dim", -1)) % rank
        if {i.operator for i in items} != {"getitem"} or any(i.arguments["args"][1] != 0 for i in items):
            continue
        if (
            graph.answer
            and {i.name for i in items}.isdisjoint(graph.answer)
            and all(_over(r, at, rank) for r in readers)
        ):
            done[name] = replace(node, arguments={**node.arguments, "sorted": True})
    return replace(graph, nodes=done)


def _over(node: Node, at: int, rank: int) -> bool:
    """Whether an operator is a reduction over a dimension of its argument."""
    asked = node.arguments.get("dim")
    over = range(rank) if asked is None or asked == [] else asked if isinstance(asked, list | tuple) else [asked]
    return node.operator in REDUCING and at in [int(d) % rank for d in over]


def _unpooled(node: Node, nodes: Nodes) -> Node | None:
    """`max_unpool2d(y, indices)` with the pool that made the indices."""
    if node.operator != "max_unpool2d" or not isinstance(node.arguments["indices"], Ref):
        return None
    item = nodes[node.arguments["indices"].name]
    if item.operator != "getitem" or item.arguments["args"][1] != 1 or not isinstance(item.arguments["args"][0], Ref):
        return None
    pool = nodes[item.arguments["args"][0].name]
    if pool.operator != "max_pool2d_with_indices":
        return None
    # `max_unpool2d` itself says nothing about windows: only the pool knows which places an index can name.
    windows = {k: v for k, v in pool.arguments.items() if k != "self"}
    arguments = {**windows, "self": node.arguments["self"], "source": pool.arguments["self"]}
    return replace(node, operator="max_unpool_own", arguments=arguments)
