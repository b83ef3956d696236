"""One operator of a graph, as a plain record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ref:
    """An argument that is another node's result."""

    name: str


@dataclass(frozen=True)
class Node:
    """One operator of the graph.

    Args:
        name: unique.
        operator: as ATen calls it, without overload and without the underscore of in-place forms; "input", "constant",
            "getitem"; "written" for a tensor that was overwritten through a view of it, or by an operator outside torch. Its
            namespace is part of such an operator's name.
        arguments: by name, defaults filled in; tensors are `Ref`.
        shape: of the result; a tuple of shapes where there are several.
        module: path of the module that called it, e.g. "layer1.0.conv1".
        source: "file:line" of the line of the model's own code that called it; the class of the module where there is none.
        kind: class of that module.
        target: what torch would call to run it, with `positional` and `keywords`.
    """

    name: str
    operator: str
    arguments: dict[str, Any]
    shape: tuple
    module: str = ""
    source: str = ""
    kind: str = ""
    overload: str = ""
    dtype: Any = None
    target: Any = None
    positional: tuple = ()
    keywords: dict[str, Any] = field(default_factory=dict)
