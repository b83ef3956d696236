"""Two idioms of a few operators: a magnitude written out, and a transposed convolution around the circle with its crop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from shiftproof.checking.graph.node import Node, Ref

Nodes = Mapping[str, Node]
SPREADING = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


def squared_magnitude(node: Node, nodes: Nodes) -> list[Node]:
    """`z.real**2 + z.imag**2` as the square of `z.abs()`; [] for anything else."""
    if node.operator != "add" or node.arguments.get("alpha", 1) != 1:
        return []
    parts = [_part_squared(node.arguments.get(k), nodes) for k in ("self", "other")]
    if {kind for kind, _ in parts} != {"real", "imag"} or parts[0][1] != parts[1][1]:
        return []
    source = parts[0][1]
    if nodes[source].shape != node.shape:  # one that is broadcast is another sum
        return []
    size = replace(node, name=f"{node.name}__abs", operator="abs", arguments={"self": Ref(source)})
    return [size, replace(node, operator="square", arguments={"self": Ref(size.name)})]


def _part_squared(value: object, nodes: Nodes) -> tuple[str, str]:
    """("real" or "imag", the complex tensor) of whose part a value is the square; ("", "") if it is not such a square."""
    squared = nodes[value.name] if isinstance(value, Ref) else None
    if squared is None:
        return "", ""
    given = squared.arguments
    if squared.operator in ("mul", "multiply"):
        parts = [_part(given["self"], nodes), _part(given["other"], nodes)]
        return parts[0] if parts[0] == parts[1] else ("", "")
    power = squared.operator == "square" or (squared.operator == "pow" and given.get("exponent") == 2)
    return _part(given["self"], nodes) if power else ("", "")


def _part(value: object, nodes: Nodes) -> tuple[str, str]:
    """("real" or "imag", the complex tensor) whose part a value is; ("", "") if it is not a part of one."""
    part = nodes[value.name] if isinstance(value, Ref) else None
    source = part.arguments.get("self") if part is not None and part.operator in ("real", "imag") else None
    if part is None or not isinstance(source, Ref) or not getattr(nodes[source.name].dtype, "is_complex", False):
        return "", ""
    return part.operator, source.name


def cropped_spread(node: Node, nodes: Nodes) -> Node | None:
    """A crop of what a transposed convolution made of a map that was padded with its own circle, as one node.

    At both ends of the padded map the convolution lacks what cells beyond the end would have added: these cells are dirty, and
    the crop takes them off. Each by itself is exact nowhere.
    """
    source = node.arguments.get("self")
    base = nodes[source.name] if isinstance(source, Ref) else None
    if base is None or base.operator not in SPREADING or not _around(base.arguments["input"], nodes):
        return None
    low = _cut_off(node, base.shape)
    if low is None or any(low[:2]):
        return None
    before = base.arguments.get("cropped") or [0] * len(low[2:])
    cropped = [a + b for a, b in zip(before, low[2:], strict=True)]
    return replace(base, name=node.name, arguments={**base.arguments, "cropped": cropped}, shape=node.shape)


def _cut_off(node: Node, shape: tuple[int, ...]) -> list[int] | None:
    """How many cells a crop takes off the low end of each dimension; None if the node is not a crop."""
    low, given = [0] * len(shape), node.arguments
    if node.operator in ("slice", "narrow"):
        at, start = int(given["dim"]) % len(shape), given.get("start") or 0
        if given.get("step", 1) != 1 or not isinstance(start, int):
            return None
        low[at] = min(max(start + shape[at] if start < 0 else start, 0), shape[at])
        return low
    asked = given.get("pad")
    if node.operator != "pad" or not isinstance(asked, list | tuple) or any(n > 0 for n in asked):
        return None
    for i in range(len(asked) // 2):  # torch counts the pairs from the last dimension backwards
        low[-1 - i] = -int(asked[2 * i])
    return low


def _around(value: object, nodes: Nodes) -> bool:
    """Whether a tensor is a map that was padded with its own circle."""
    node = nodes[value.name] if isinstance(value, Ref) else None
    return node is not None and (
        node.operator == "wrap" or (node.operator == "pad" and node.arguments.get("mode") == "circular")
    )
