"""Which arguments of an operator a rule can read: the names that its source, and that of all it calls, looks up."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch

ROOM = "shiftproof.checking.rules"
OF_LISTS = {
    "index.list_Tensor",
    "sort.Tensor",
    "einsum.sublist",
}  # on lists, in TorchScript: never in an exported graph
SAME = {"self": "input", "input": "self"}  # `Op.signal` takes either name for the other


@dataclass(frozen=True)
class Reads:
    """What a rule looks up.

    Args:
        names: of arguments.
        tensors: whether it asks for all tensors at once (`Op.tensors`).
    """

    names: frozenset[str]
    tensors: bool

    def covers(self, argument) -> bool:
        """Whether it can read an argument of a schema."""
        if self.tensors and "Tensor" in str(argument.type):
            return True
        return not {argument.name, SAME.get(argument.name)}.isdisjoint(self.names)


@cache
def reads(rule: Callable) -> Reads:
    """The names that a rule, and every function of the rules' package that it can reach, looks up in its operator."""
    seen: set[types.FunctionType] = set()
    todo, names, tensors = [inspect.unwrap(rule)], set[str](), False
    while todo:
        function = todo.pop()
        if function in seen:
            continue
        seen.add(function)
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except OSError:  # made by `dataclass`
            continue
        for node in ast.walk(tree):
            names.update(_looked_up(node))
            tensors |= isinstance(node, ast.Attribute) and node.attr == "tensors"
            if isinstance(node, ast.Name):
                todo += _functions(vars(sys.modules[function.__module__]).get(node.id))
    return Reads(frozenset(names), tensors)


def _looked_up(node: ast.AST) -> Iterator[str]:
    """Names in `op["name"]`, `op.get("name")`, `op.signal("name")`, and in tuples of names that a loop runs over."""
    asked: list[ast.expr] = []
    if isinstance(node, ast.Subscript):
        asked = [node.slice]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "signal"):
        asked = node.args[:1]
    elif isinstance(node, ast.Tuple):
        asked = node.elts
    for found in asked:
        if isinstance(found, ast.Constant) and isinstance(found.value, str):
            yield found.value


def _functions(value: object) -> list[types.FunctionType]:
    if isinstance(value, type) and value.__module__.startswith(ROOM) and value.__name__ != "Op":
        return [m for m in vars(value).values() if isinstance(m, types.FunctionType)]
    if isinstance(value, types.FunctionType) and value.__module__.startswith(ROOM):
        return [value]
    return []


def overloads(operator: str) -> Iterator[tuple[str, list]]:
    """(name, arguments) of every form of an operator that works on tensors and can stand in an exported graph."""
    for name in (operator, f"{operator}_"):
        packet = getattr(torch.ops.aten, name, None)
        for form in packet.overloads() if packet is not None else ():
            arguments = getattr(packet, form)._schema.arguments
            kinds = [str(a.type) for a in arguments]
            named = any("Dimname" in k for k in kinds)  # torch.export knows no named dimensions
            written = any(a.is_out for a in arguments)
            listed = f"{name}.{form}" in OF_LISTS
            if any("Tensor" in k for k in kinds) and not named and not written and not listed:
                yield f"{name}.{form}", arguments
