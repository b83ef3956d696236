"""Circles closed by hand: cells of one end laid beside the other, by `cat`, by an index, or out of copies of the map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from shiftproof.checking.graph.node import Node, Ref
from shiftproof.checking.rules.indexing import part_starts
from shiftproof.checking.walk.values import Values

PARTING = ("split", "chunk", "split_with_sizes", "tensor_split")
REPEATING = ("repeat", "tile")

PICKING = ("index", "index_select", "gather", "take_along_dim")
MASKS = ("torch.bool", "torch.uint8")

Range = tuple[str, int, int]  # (tensor, first index, how many), around the circle


def closed(node: Node, nodes: Mapping[str, Node], moves: set[str], values: Values) -> list[Node]:
    """The nodes that a node becomes if it closes a circle: the last has its name, those before are new; [] if it does not.

    A "wrap" node says: cell i is cell (i + offset) mod n of one dimension. It holds each cell of the circle at least once.

    Args:
        node: a node of a graph.
        nodes: those before it.
        moves: names of the nodes that depend on the picture.
        values: reads constants of the graph, for an index.
    """
    if node.operator in ("cat", "stack"):
        return _joined(node, nodes, moves, values)
    if node.operator in ("slice", "narrow"):
        return _cropped(node, nodes)
    if node.operator in PICKING:
        found = _indexed(node, nodes, moves, values)
        if found is not None:
            return _wrapped(node, found[0], found[1], nodes)
        return _backwards(node, nodes, moves, values) or _meshed(node, nodes, moves, values)
    return []


def _joined(node: Node, nodes: Mapping[str, Node], moves: set[str], values: Values) -> list[Node]:
    """`cat([x[-1:], x, x[:1]])`: each range continues where the last one ended."""
    tensors = node.arguments["tensors"]
    if len(tensors) < 2 or not all(isinstance(r, Ref) for r in tensors):
        return []
    at = int(node.arguments["dim"]) % len(node.shape)
    if node.operator == "stack":
        alone = [_one(nodes[r.name], at, nodes, moves, values) for r in tensors]
        found = [r for r in alone if r is not None]
        if len(found) < len(alone):
            return []
    else:
        found = [_range(nodes[r.name], at, nodes, moves, values) for r in tensors]
    # Ranges of two tensors are not one circle, even if one was computed from the other.
    if len({name for name, *_ in found}) != 1:
        return []
    n = nodes[found[0][0]].shape[at]
    if n == 0 or any((start + count) % n != then % n for (_, start, count), (_, then, _) in pairwise(found)):
        return []
    return _wrapped(node, (found[0][0], found[0][1], sum(count for *_, count in found)), at, nodes)


def _wrapped(node: Node, found: Range, at: int, nodes: Mapping[str, Node]) -> list[Node]:
    """One "wrap" node, if the range goes all the way round."""
    name, offset, count = found
    # Fewer cells than the circle has are a crop, which is the matter of the rule for slices.
    if count < nodes[name].shape[at]:
        return []
    return [_wrap(node, node.name, name, at, offset, node.shape)]


def _wrap(node: Node, name: str, source: str, at: int, offset: int, shape: tuple) -> Node:
    arguments = {"self": Ref(source), "dim": at, "offset": offset}
    return replace(node, name=name, operator="wrap", arguments=arguments, shape=shape)


def _cropped(node: Node, nodes: Mapping[str, Node]) -> list[Node]:
    """A range of a circle that was closed already, or of copies of the map laid end to end."""
    at, start = _start(node, nodes)
    if start is None:
        return []
    base, count = nodes[node.arguments["self"].name], node.shape[at]
    # A range of a longer circle is a range of the same circle: offsets add up, and are taken mod n by the rule.
    if base.operator == "wrap" and base.arguments["dim"] == at:
        return _wrapped(node, (base.arguments["self"].name, base.arguments["offset"] + start, count), at, nodes)
    if base.operator not in REPEATING or not isinstance(base.arguments["self"], Ref):
        return []
    source = nodes[base.arguments["self"].name]
    times = [int(k) for k in base.arguments.get("repeats") or base.arguments["dims"]]
    if len(source.shape) != len(base.shape) or len(times) != len(base.shape) or count < source.shape[at]:
        return []
    # x repeated along several dimensions is repeated along the others after the circle along this one was closed.
    shape = (*source.shape[:at], count, *source.shape[at + 1 :])
    if all(k == 1 for i, k in enumerate(times) if i != at):
        return [_wrap(node, node.name, source.name, at, start, shape)]
    inner = _wrap(node, f"{node.name}__wrap", source.name, at, start, shape)
    rest = [1 if i == at else k for i, k in enumerate(times)]
    # `Tensor.repeat` and `torch.tile` call the same argument by different names.
    named = "repeats" if "repeats" in base.arguments else "dims"
    return [inner, replace(node, operator=base.operator, arguments={"self": Ref(inner.name), named: rest})]


def _range(node: Node, at: int, nodes: Mapping[str, Node], moves: set[str], values: Values) -> Range:
    """The range of another tensor that a tensor is along one dimension; the whole of itself if it is not such a range."""
    itself = (node.name, 0, node.shape[at])
    if node.operator in ("slice", "narrow"):
        along, start = _start(node, nodes)
        if along != at or start is None:
            return itself
        name, first, _ = _range(nodes[node.arguments["self"].name], at, nodes, moves, values)
        return name, first + start, node.shape[at]
    if node.operator == "unsqueeze" and int(node.arguments["dim"]) % len(node.shape) == at:
        source = node.arguments["self"]
        return (_one(nodes[source.name], at, nodes, moves, values) if isinstance(source, Ref) else None) or itself
    if node.operator == "wrap" and node.arguments["dim"] == at:
        return node.arguments["self"].name, node.arguments["offset"], node.shape[at]
    if node.operator in PICKING:
        found = _indexed(node, nodes, moves, values)
        return itself if found is None or found[1] != at else found[0]
    if node.operator == "getitem":
        whole, item = node.arguments["args"]
        parted = nodes[whole.name] if isinstance(whole, Ref) else None
        if parted is not None and parted.operator in PARTING and int(parted.arguments["dim"]) % len(node.shape) == at:
            source = parted.arguments["self"].name
            starts = part_starts(parted.arguments, parted.shape, at, nodes[source].shape[at])
            name, first, _ = _range(nodes[source], at, nodes, moves, values)
            return name, first + starts[int(item)], node.shape[at]
    return itself


def _one(node: Node, at: int, nodes: Mapping[str, Node], moves: set[str], values: Values) -> Range | None:
    """The one index of another tensor that was taken out of a dimension, as a range of it."""
    rank = len(node.shape) + 1
    taken, item = node, node.arguments.get("index")
    if node.operator == "getitem" and isinstance(node.arguments["args"][0], Ref):
        taken, item = nodes[node.arguments["args"][0].name], node.arguments["args"][1]
    source = taken.arguments.get("self")
    if taken.operator not in ("select", "unbind") or not isinstance(source, Ref) or not isinstance(item, int):
        return None
    if int(taken.arguments["dim"]) % rank != at:
        return None
    base = nodes[source.name]
    name, first, _ = _range(base, at, nodes, moves, values)
    return name, first + item % base.shape[at], 1


def _start(node: Node, nodes: Mapping[str, Node]) -> tuple[int, int | None]:
    """(dimension, first index) of a range of neighbours; None for the index of any other."""
    at = int(node.arguments["dim"]) % len(node.shape)
    start, source = node.arguments.get("start") or 0, node.arguments["self"]
    if node.arguments.get("step", 1) != 1 or not isinstance(start, int) or not isinstance(source, Ref):
        return at, None
    n = nodes[source.name].shape[at]
    return at, min(max(start + n if start < 0 else start, 0), n)


def _indexed(node: Node, nodes: Mapping[str, Node], moves: set[str], values: Values) -> tuple[Range, int] | None:
    """The range that a constant index of one dimension runs over, and the dimension; None if it is not a range."""
    found = _numbers(node, nodes, moves, values)
    if found is None:
        return None
    source, at, numbers = found
    n = nodes[source].shape[at]
    # Each number is one more than the last, or the first cell after the last one.
    if any((b - a - 1) % n for a, b in pairwise(numbers)):
        return None
    return (source, numbers[0] % n, len(numbers)), at


def _backwards(node: Node, nodes: Mapping[str, Node], moves: set[str], values: Values) -> list[Node]:
    """An index that runs backwards over the whole circle: a flip, and a range of what was flipped."""
    found = _numbers(node, nodes, moves, values)
    if found is None:
        return []
    source, at, numbers = found
    n = nodes[source].shape[at]
    if len(numbers) < n or any((a - b - 1) % n for a, b in pairwise(numbers)):
        return []
    flip = replace(node, name=f"{node.name}__flip", operator="flip", arguments={"self": Ref(source), "dims": [at]})
    flip = replace(flip, shape=nodes[source].shape)
    return [flip, _wrap(node, node.name, flip.name, at, (n - 1 - numbers[0]) % n, node.shape)]


def _meshed(node: Node, nodes: Mapping[str, Node], moves: set[str], values: Values) -> list[Node]:
    """Rows and columns by an index each, as in `x[:, :, rows[:, None], columns]`: a range of rows, and one of columns."""
    source = node.arguments["self"]
    indices = node.arguments["indices"] if node.operator == "index" else ()
    asked = [(i, v) for i, v in enumerate(indices) if v is not None]
    if len(asked) != 2 or asked[1][0] != asked[0][0] + 1 or not isinstance(source, Ref):
        return []
    (at, rows), (_, columns) = asked
    shape = nodes[source.name].shape
    one, other = (_constant(v, moves, values) for v in (rows, columns))
    if one is None or other is None or one.ndim != 2 or one.shape[1] != 1:
        return []
    if other.ndim not in (1, 2) or other.numel() != other.shape[-1]:
        return []
    starts: list[tuple[int, int]] = []
    for numbers, n in ((one.flatten().tolist(), shape[at]), (other.flatten().tolist(), shape[at + 1])):
        if len(numbers) < n or any((b - a - 1) % n for a, b in pairwise(numbers)):
            return []
        starts.append((numbers[0] % n, len(numbers)))
    between = (*shape[:at], starts[0][1], *shape[at + 1 :])
    inner = _wrap(node, f"{node.name}__wrap", source.name, at, starts[0][0], between)
    return [inner, _wrap(node, node.name, inner.name, at + 1, starts[1][0], node.shape)]


def _constant(ref: Any, moves: set[str], values: Values) -> Any:
    """The value of a constant index; None for one that moves, that is computed from weights, or that is a mask."""
    # An index computed from weights is another one once they are trained.
    if not isinstance(ref, Ref) or ref.name in moves or values.parameters(ref.name):
        return None
    index = values.read(ref.name)
    # Torch still reads an index of uint8 as a mask.
    return None if index is None or index.is_floating_point() or str(index.dtype) in MASKS else index


def _numbers(
    node: Node, nodes: Mapping[str, Node], moves: set[str], values: Values
) -> tuple[str, int, list[int]] | None:
    """(tensor, dimension, the indices of it that a constant names); None if it names none, or others in each row."""
    source = node.arguments["self"]
    if node.operator == "index":
        asked: list[Any] = list(node.arguments["indices"])
        places = [i for i, v in enumerate(asked) if v is not None]
        ref = asked[places[0]] if len(places) == 1 else None
    else:
        places = [int(node.arguments["dim"] or 0) % len(node.shape)]
        ref = node.arguments.get("index", node.arguments.get("indices"))
    index = _constant(ref, moves, values)
    if index is None or not isinstance(source, Ref):
        return None
    at, shape = places[0], nodes[source.name].shape
    if node.operator in ("gather", "take_along_dim"):
        others = [i for i in range(len(shape)) if i != at]
        if len(node.shape) != len(shape) or any(node.shape[i] != shape[i] for i in others):
            return None
        first = index[tuple(slice(None) if i == at else slice(1) for i in range(index.ndim))]
        if index.ndim != len(shape) or not bool((index == first).all()):
            return None
        index = first.flatten()
    return (source.name, at, [int(i) for i in index]) if index.ndim == 1 and len(index) else None
