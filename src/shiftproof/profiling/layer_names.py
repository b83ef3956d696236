"""The names of a model's layers: paths of modules, also where an exported graph holds only operators."""

from __future__ import annotations

import re
from collections import Counter

from torch import fx, nn


def node_names(nodes: list[fx.Node]) -> dict[fx.Node, str]:
    """A name for each node of a graph: the path of the module that it computes, as in the model that was exported.

    The path of a module that computes several nodes, or contains other modules, is followed by the node's own name. Where the
    graph says nothing of modules, there is only the node's own name.

    Args:
        nodes: those that compute something, all of one graph.

    >>> net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    >>> import torch
    >>> graph = torch.export.export(net, (torch.rand(1, 1, 8, 8),)).module()
    >>> list(node_names([n for n in graph.graph.nodes if n.op == "call_function"]).values())[-2:]
    ['0', '1']
    """
    stacks = {node: list((node.meta.get("nn_module_stack") or {}).items()) for node in nodes}
    # Of each call: torch numbers the calls of a module that is called more than once, as in "conv@1".
    alone = Counter(stack[-1][0] for stack in stacks.values() if stack)
    containers = {call for stack in stacks.values() for call, _ in stack[:-1]}
    found = {}
    for node, stack in stacks.items():
        call, (path, _) = stack[-1] if stack else ("", ("", None))
        path = re.sub(r"@\d+", "", path)
        whole = path and alone[call] == 1 and call not in containers
        found[node] = path if whole else f"{path}.{node.name}" if path else node.name
    return found


def layer_names(module: nn.Module) -> list[str]:
    """The names of all layers that can be observed: modules, and the nodes of graphs, in order.

    Args:
        module: the model.

    >>> layer_names(nn.Sequential(nn.Sequential(nn.ReLU()), nn.Flatten()))
    ['0', '0.0', '1']
    """
    graphs = {name: part for name, part in module.named_modules() if isinstance(part, fx.GraphModule)}
    inside = tuple(f"{name}." if name else "" for name in graphs)
    found: dict[str, None] = {}
    for name, part in module.named_modules():
        if isinstance(part, fx.GraphModule):
            named = node_names([node for node in part.graph.nodes if computes(node)])
            found |= dict.fromkeys(f"{name}.{n}" if name else n for n in named.values())
        elif name and not name.startswith(inside):
            found[name] = None
    return list(found)


def computes(node: fx.Node) -> bool:
    """Whether a node computes values, and does not only copy or view them.

    Args:
        node: of any graph.
    """
    return node.op in ("call_function", "call_method") and not _moves_only(node)


def operator(node: fx.Node) -> str:
    """The name of the node's operator, without its overload.

    Args:
        node: of any graph.
    """
    packet = getattr(node.target, "overloadpacket", node.target)
    return str(getattr(packet, "__name__", packet))


# Nodes that copy or view values without computing any, in addition to those that are views by their schema.
_MOVES = frozenset(
    (
        "clone",
        "contiguous",
        "dropout",
        "to",
        "_to_copy",
        "getitem",
        "getattr",
        "size",
        "sym_size",
        "view",
        "reshape",
        "flatten",
        "permute",
        "transpose",
        "unsqueeze",
        "squeeze",
        "expand",
        "slice",
        "chunk",
        "split",
        "dim",
    )
)


def _moves_only(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    views = schema is not None and any(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns)
    return views or operator(node) in _MOVES
