"""The nodes of an exported graph in order, with blocks such as `torch.no_grad` replaced by what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import fx
from torch.fx.node import map_aggregate

# They switch a mode and compute nothing. Other blocks (`cond`, `map`) run their graph under a condition or more than once, and
# are left alone: no rule looks into them.
BLOCKS = ("wrap_with_set_grad_enabled", "wrap_with_autocast")


def inlined(module: fx.GraphModule) -> Iterator[fx.Node]:
    """Every node once, the output last. Blocks that only switch a mode are replaced by what is in them.

    Args:
        module: an exported program's graph module. It is left as it is: the nodes are copied to another graph.
    """
    # The usual case keeps its own nodes, without a copy.
    if not any(_block(n) for n in module.graph.nodes):
        yield from module.graph.nodes
        return
    flat = fx.Graph(owning_module=module)
    found: dict[fx.Node, Any] = {}
    _copy(module, flat, found)
    yield from flat.nodes


def _block(node: fx.Node) -> bool:
    return node.op == "call_function" and getattr(node.target, "__name__", str(node.target)) in BLOCKS


def _copy(module: fx.GraphModule, flat: fx.Graph, found: dict[fx.Node, Any]) -> Any:
    """Copies a graph into `flat`; returns what it hands back (None for the outermost)."""
    for node in module.graph.nodes:
        if node in found:
            continue
        if _block(node):
            inner_at = next(i for i, a in enumerate(node.args) if isinstance(a, fx.Node) and a.op == "get_attr")
            attribute = node.args[inner_at]
            assert isinstance(attribute, fx.Node)
            inner = getattr(module, str(attribute.target))
            names = [n for n in inner.graph.nodes if n.op == "placeholder"]
            # the arguments before the inner graph are the mode's settings, those behind it what the block works on
            given = [_value(a, found) for a in node.args[inner_at + 1 :]]
            found.update(zip(names, given, strict=True))
            found[node] = _copy(inner, flat, found)
        # The block's inner graph, as an attribute: it is inlined, so nothing refers to it any more.
        elif node.op == "get_attr" and node.users and all(_block(u) for u in node.users):
            continue
        elif node.op == "output" and module is not flat.owning_module:
            return _value(node.args[0], found)
        elif getattr(node.target, "__name__", "") == "getitem" and isinstance(
            _value(node.args[0], found), list | tuple
        ):
            index = node.args[1]  # a block's results are known one by one, so that an item of them is not an operation
            assert isinstance(index, int)
            found[node] = _value(node.args[0], found)[index]
        else:
            found[node] = flat.node_copy(node, lambda n: found[n])
    return None


def _value(value: Any, found: dict[fx.Node, Any]) -> Any:
    return map_aggregate(value, lambda v: found[v] if isinstance(v, fx.Node) else v)
