"""What a result depends on, as text: the function that made it, the code that this function uses, and its arguments.

`Lab` keeps a result under the digest of this text, so a result is read back only while nothing it depends on has changed.

Covered:

- the function's qualified name and its code, without comments, docstrings, annotations and layout;
- the code of every function and class that it mentions by name, and that these mention in turn, if they belong to
  shiftproof or to the package of the function itself;
- the values of the variables of modules that this code mentions: plain ones (numbers, text, tuples of these) by any name, and
  everything named as a constant (in capitals), with what lambdas among them mention;
- the arguments: plain values, containers, arrays, tensors, networks, dataclasses, enumerations, functions and classes.

Not covered: other libraries (the lab adds the version of torch), names that code makes up while it runs (`getattr`), and
other variables of a module that are not named as constants, e.g. its caches.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import hashlib
import importlib
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

Code = types.FunctionType | type
OWN = "shiftproof"


def key_of(function: Callable, *args: Any, **kwargs: Any) -> str:
    """The text that tells the result of `function(*args, **kwargs)` from every other result.

    Args:
        function: a function of a module, a `functools.partial` of one, a class, or an instance of a dataclass.
        args: its arguments.
        kwargs: its keyword arguments.

    Raises:
        TypeError: the function is a lambda or uses variables of an enclosing function, or an argument is of a kind whose
            value cannot be determined.

    >>> from shiftproof.experiments.exact.max_pooling import unchanged_moves
    >>> key = key_of(unchanged_moves, 2, 2, 3)
    >>> key == key_of(unchanged_moves, 2, 2, 3), key == key_of(unchanged_moves, 2, 2, 4)
    (True, False)
    """
    text = _Text(function)
    called = [text.of(a) for a in (function, list(args), kwargs)]
    return "\n".join([*called, *text.codes()])


class _Text:
    """Values as text, and the code that they and the functions among them mention."""

    def __init__(self, function: Any) -> None:
        inner = function.func if isinstance(function, functools.partial) else function
        self.packages = {OWN, _package(inner if hasattr(inner, "__qualname__") else type(inner))}
        self.todo: list[Code] = []
        self.in_constant = False
        self.unnamed: set[types.FunctionType] = set()

    def of(self, value: Any) -> str:
        """The value as text.

        Raises:
            TypeError: it is of a kind whose value cannot be determined.
        """
        if value is None or isinstance(value, bool | int | float | complex | str | bytes | slice | types.EllipsisType):
            return repr(value)
        if isinstance(value, enum.Enum):
            return f"{_name(type(value))}.{value.name}"
        if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
            # Dtype and shape beside the bytes: the same bytes are other numbers under another dtype.
            return f"array({value.dtype}, {value.shape}, {_digest(np.ascontiguousarray(value).tobytes())})"
        if isinstance(value, torch.Tensor):
            held = value.detach().cpu().contiguous()
            data = held.reshape(-1).view(torch.uint8).numpy().tobytes()
            return f"tensor({held.dtype}, {tuple(held.shape)}, {_digest(data)})"
        if isinstance(value, nn.Module):
            self.todo.extend({type(part) for part in value.modules()})
            # What `repr` shows (strides, modes) is in no weight, and the weights are in no `repr`.
            return f"{repr(value)!r} with {self.of(dict(value.state_dict()))}"
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{self.of(k)}: {self.of(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list | tuple | range):
            return f"{type(value).__name__}({', '.join(map(self.of, value))})"
        if isinstance(value, set | frozenset):
            # A set has another order in each process.
            return "{" + ", ".join(sorted(map(self.of, value))) + "}"
        if isinstance(value, Path | torch.dtype | torch.device | np.dtype):
            return repr(value)
        if isinstance(value, functools.partial):
            return f"partial({self.of(value.func)}, {self.of(list(value.args))}, {self.of(value.keywords)})"
        if isinstance(value, types.BuiltinFunctionType):
            return _name(value)
        if _is_code(value):
            return self._mentioned(inspect.unwrap(value))  # type: ignore[arg-type]
        if dataclasses.is_dataclass(value):
            self.todo.append(type(value))
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return f"{_name(type(value))}({self.of(fields)})"
        # A constant is named by the code, not given by the caller: one of an unknown kind,
        # such as a lock, need not be refused.
        if self.in_constant:
            return _name(type(value))
        raise TypeError(
            f"cannot tell one {_name(type(value))} from another: give plain values, arrays, tensors, dataclasses or functions"
        )

    def codes(self) -> Iterator[str]:
        """The code of every function and class that was mentioned, each once, sorted by name."""
        found: dict[str, str] = {}
        while self.todo:
            code = self.todo.pop()
            # Code of libraries is told by their versions, which the lab adds.
            if _name(code) in found or _package(code) not in self.packages:
                continue
            source, names = _read(code)
            scope = code.__globals__ if isinstance(code, types.FunctionType) else vars(sys.modules[code.__module__])
            found[_name(code)] = source
            constants = []
            for name in names:
                value = self._looked_up(name, scope)
                if _is_code(value):
                    self.todo.append(inspect.unwrap(value))
                elif value is not _UNKNOWN and _is_constant(name[-1].rpartition(":")[2], value):
                    constants.append(f"{'.'.join(name)} = {self._constant(value)}")
            found[_name(code)] = "\n".join([source, *sorted(constants)])
        # In the order of names, since the order of finding changes when code is moved about.
        for name in sorted(found):
            yield f"{name}: {found[name]}"

    def _mentioned(self, code: Any) -> str:
        """The name of a function or class whose code is to be read."""
        if isinstance(code, types.FunctionType) and (code.__name__ == "<lambda>" or code.__closure__):
            if self.in_constant:
                return self._unnamed(code)
            raise TypeError(
                f"{_name(code)} is a lambda or uses variables of the function around it: give a function of a module, and "
                "what it needs as arguments"
            )
        self.todo.append(code)
        return _name(code)

    def _unnamed(self, function: types.FunctionType) -> str:
        """A lambda or an inner function among the constants: what it does, and everything that it mentions.

        Its source cannot be cut out of the lines around it, so its instructions stand for it.
        """
        if function in self.unnamed:  # it mentions the constant that it is a part of
            return _name(function)
        self.unnamed.add(function)
        names = _names(function.__code__)
        mentioned = [v for n in names if (v := self._looked_up((n,), function.__globals__)) is not _UNKNOWN]
        mentioned += [v for m in mentioned if isinstance(m, types.ModuleType) for v in self._within(m, names)]
        self.todo.extend(inspect.unwrap(v) for v in mentioned if _is_code(v))
        named = {n: self._looked_up((n,), function.__globals__) for n in names}
        constants = [v for n, v in named.items() if _is_constant(n, v)]
        cells = [c.cell_contents for c in function.__closure__ or ()]
        held = [*constants, *cells, *(function.__defaults__ or ()), function.__kwdefaults__ or {}]
        return f"{_name(function)} {_instructions(function.__code__)} {self.of([v for v in held if v is not _UNKNOWN])}"

    def _within(self, module: types.ModuleType, names: Iterable[str]) -> list[Any]:
        """What the names stand for in a module of the packages that are read."""
        return [getattr(module, n) for n in names if hasattr(module, n)] if _package(module) in self.packages else []

    def _constant(self, value: Any) -> str:
        """A constant as text; parts whose value cannot be determined are given by the name of their kind."""
        self.in_constant = True
        try:
            return self.of(value)
        finally:
            self.in_constant = False

    def _looked_up(self, name: tuple[str, ...], scope: Mapping[str, Any]) -> Any:
        """What the name stands for there: attributes are followed through modules and classes only."""
        first, *rest = name
        where, imported, first = first.rpartition(":")
        if imported and where.partition(".")[0] not in self.packages:
            return _UNKNOWN
        value = _imported(where, first) if imported else scope.get(first, _UNKNOWN)
        for attribute in rest:
            if not isinstance(value, types.ModuleType | type) or _package(value) not in self.packages:
                return _UNKNOWN
            value = getattr(value, attribute, _UNKNOWN)
        return value


_UNKNOWN = object()


def _imported(module: str, name: str) -> Any:
    """What `from module import name` gives; the module itself for the name ""."""
    found = importlib.import_module(module)
    try:
        return getattr(found, name) if name else found
    except AttributeError:
        return importlib.import_module(f"{module}.{name}")


def _is_code(value: Any) -> bool:
    """Whether it is a function or a class; one that is wrapped, by `functools.cache` for instance, too."""
    return isinstance(value, types.FunctionType | type) or isinstance(
        getattr(value, "__wrapped__", None), types.FunctionType
    )


def _is_constant(name: str, value: Any) -> bool:
    """Whether a variable of a module belongs to the key.

    A plain value decides a result by whatever name. Of the others, those in small letters may be caches, which change while the
    code runs; and Python sets names such as `__file__`, which say where the code lies.
    """
    return name.isupper() or (_is_plain(value) and not name.startswith("__"))


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | frozenset):
        return all(part is None or _is_plain(part) for part in value)
    return isinstance(value, bool | int | float | complex | str | bytes | range | slice | enum.Enum)


def _package(value: Any) -> str:
    """The outermost package of a module, function or class."""
    name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return str(name).partition(".")[0]


def _name(code: Any) -> str:
    return f"{code.__module__}.{code.__qualname__}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _instructions(code: types.CodeType) -> str:
    """A lambda of a constant as text: what it does and the names and constants that it uses."""
    # `repr` of a code object holds its address in memory.
    held = [_instructions(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {held}"


def _names(code: types.CodeType) -> list[str]:
    """The names that it looks up, those of the functions inside it too."""
    inside = [name for c in code.co_consts if isinstance(c, types.CodeType) for name in _names(c)]
    return sorted({*code.co_names, *inside})


@functools.cache
def _read(code: Code) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """The code in one form, whatever its layout, and the names that it mentions: ("a", "b") for `a.b`."""
    try:
        source = textwrap.dedent(inspect.getsource(code))
    except (OSError, TypeError) as e:
        raise TypeError(f"the source of {_name(code)} cannot be found: write it in a file") from e
    # The tree knows neither comments nor layout; docstrings and annotations are taken out of it below.
    tree = ast.parse(source)
    names: dict[tuple[str, ...], None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            node.body[0] = ast.Pass()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    local = _local_imports(tree)
    for node in ast.walk(tree):
        path = _path(node) if isinstance(node, ast.Name | ast.Attribute) else ()
        if path:
            names[local.get(path[0], path[0]), *path[1:]] = None
    names |= {(where,): None for where in local.values()}
    return ast.dump(tree), tuple(names)


def _local_imports(tree: ast.AST) -> dict[str, str]:
    """What the imports inside a function bind: name -> "module:name", or "module:" for a module itself."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {a.asname or a.name: f"{node.module}:{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {
                a.asname or a.name.partition(".")[0]: f"{a.name if a.asname else a.name.partition('.')[0]}:"
                for a in node.names
            }
    return found


def _path(node: ast.expr) -> tuple[str, ...]:
    """("a", "b", "c") for a.b.c; empty if it does not begin with a name."""
    if isinstance(node, ast.Name):
        return (node.id,)
    inner = _path(node.value) if isinstance(node, ast.Attribute) else ()
    return (*inner, node.attr) if isinstance(node, ast.Attribute) and inner else ()
