"""Exported graphs kept as files, so that new rules can be tried on them without another export.

The files are pickles, which run code when they are read: read only those made here, and never from the repository.
"""

from __future__ import annotations

import gzip
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from shiftproof.checking.graph.nodes import Graph, Node


def keep(graph: Graph, path: Path) -> None:
    """Write a graph, with its operators by name.

    Args:
        graph: of a module on the meta device.
        path: of the file, which is written whole or not at all.
    """
    nodes = {k: replace(n, target=_name(n.target)) for k, n in graph.nodes.items()}
    constants = {k: _shape_only(v) if _valueless(v) else v.detach() for k, v in graph.constants.items()}
    data = pickle.dumps(replace(graph, nodes=nodes, constants=constants), protocol=pickle.HIGHEST_PROTOCOL)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    with gzip.open(beside, "wb", compresslevel=1) as file:
        file.write(data)
    beside.rename(path)


def kept(path: Path) -> Graph:
    """Read a graph that `keep` wrote; fields that were added to its classes since then have their defaults."""
    graph = pickle.loads(gzip.decompress(path.read_bytes()))
    nodes = {k: Node(**{**vars(n), "target": _operator(n.target)}) for k, n in graph.nodes.items()}
    return Graph(**{**vars(graph), "nodes": nodes})


def _valueless(value: Tensor) -> bool:
    return value.device.type == "meta" or isinstance(value, FakeTensor)


def _shape_only(value: Tensor) -> Tensor:
    return torch.empty(value.shape, dtype=value.dtype, device="meta")


def _name(target: Any) -> Any:
    return f"torch.ops.{target}" if isinstance(target, torch._ops.OpOverload) else target


def _operator(target: Any) -> Any:
    if not isinstance(target, str):
        return target
    found: Any = torch
    for part in target.split(".")[1:]:
        found = getattr(found, part)
    return found
