"""How much work a program is, estimated from the shapes in its graph."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, fx


def work(program: torch.export.ExportedProgram) -> float:
    """Multiplications for one picture. One element of an elementwise operator's result counts as one.

    The estimate does not depend on how busy the machine is, so neither does a verdict that rests on it.

    >>> round(work(torch.export.export(torch.nn.Conv2d(2, 4, 3), (torch.zeros(1, 2, 8, 8),))))
    2592
    """
    graphs = [m.graph for m in program.graph_module.modules() if isinstance(m, fx.GraphModule)]
    return float(sum(_work_of(node) for graph in graphs for node in graph.nodes if node.op == "call_function"))


def _work_of(node: fx.Node) -> int:
    made = node.meta.get("val")
    if not isinstance(made, Tensor):
        return 0
    given = [a.meta.get("val") for a in node.all_input_nodes]
    given = [t for t in given if isinstance(t, Tensor) and t.ndim]
    return _size(made) * _work_per_element(str(getattr(node.target, "_opname", "")), given)


def _work_per_element(name: str, given: list[Any]) -> int:
    if name.startswith(("conv", "linear")) and len(given) > 1:
        weight = given[1]
        return _size(weight) // max(int(weight.shape[1 if "transpose" in name else 0]), 1)
    if name in ("matmul", "mm", "bmm", "addmm", "baddbmm", "einsum") and given:
        return int(given[-1].shape[-2 if given[-1].ndim > 1 else -1])
    if "attention" in name and len(given) > 1:
        return 2 * int(given[1].shape[-2])
    return 1


def _size(t: Tensor) -> int:
    """The number of elements, without the sizes that depend on the picture."""
    return prod(n for n in t.shape if isinstance(n, int))
