"""A model put back as it was after it was exported or run, with all that it reaches: attributes, containers, caches, classes.

While torch exports a module it runs the module's Python code with tensors that have a shape and no numbers. A model that keeps a
tensor from its first run, in whatever place, would keep such a tensor and use it in all later answers.
"""

from __future__ import annotations

import array
import contextvars
import functools
import logging
import mmap
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from shiftproof.checking.graph.importing import imports_watched, named_modules
from shiftproof.checking.graph.libraries import HEAP, of_library, variables_of_library
from shiftproof.checking.graph.putting_back import (
    STATES,
    advanced,
    as_it_is,
    bases,
    bytes_of,
    cell_content,
    content_of,
    emptied,
    entries,
    own_dict,
    own_slots,
    place_of,
    put_back_array,
    put_back_cell,
    put_back_class,
    put_back_container,
    put_back_dict,
    put_back_kind,
    put_back_numbers,
    put_back_slots,
    put_back_state,
    put_back_tensor,
    put_back_tensors,
    put_back_variables,
    slots_of,
    variables,
)
from shiftproof.checking.graph.surroundings import surroundings
from shiftproof.interruptions import of_handler, pass_on

# The objects of these are a model's all the same: containers, whatever is put into them, and what keeps tensors that it computed.
CONTAINERS = ("types", "collections", "weakref", "argparse", "_thread", "queue", "dataclasses")
KEEPING = (*CONTAINERS, "torch.distributions", "torch.nn", "torch.optim", "torchvision", "scipy")
# Whoever inherits from a class of these has threads, files or connections behind it, which are in a state of their own.
ALIVE = {"threading", "multiprocessing", "concurrent", "asyncio", "socket", "ssl", "selectors", "io", "_io"}
ALIVE |= {"subprocess", "sqlite3", "mmap", "ctypes", "_ctypes", "unittest", "http", "socketserver", "contextvars"}
# Of these, what they hold is a state that an answer may depend on, and that no attribute shows.
OPAQUE = {"ctypes", "_ctypes", "mmap", "sqlite3", "dbm", "_dbm", "_gdbm", "shelve"}
Function = TypeVar("Function", bound=Callable[..., Any])

PLAIN = (str, bytes, int, float, complex, type(None), torch.dtype, torch.device)
CACHE = type(functools.cache(lambda: None))
# More than a model has: a data set of a million labels takes seconds to look through, an array of 10 GB the memory of two.
MOST_OBJECTS = 300_000
MOST_BYTES = 2**30


def in_own_context(run: Function) -> Function:
    """The function, whose calls change no `contextvars` of the caller; NumPy keeps what it does about errors there."""

    @functools.wraps(run)
    def apart(*args: Any, **kwargs: Any) -> Any:
        return contextvars.copy_context().run(run, *args, **kwargs)

    return cast("Function", apart)


@contextmanager
def restored(module: nn.Module, values: bool = False) -> Iterator[Snapshot]:
    """Takes a snapshot of everything that a module reaches, and puts it back on leaving.

    Args:
        module: where the walk begins.
        values: whether the numbers of tensors are put back too. Torch's export does not write to them; a run may.

    >>> class Lazy(nn.Module):
    ...     def forward(self, x):
    ...         self.seen = x
    ...         return x
    >>> def run_once(net):
    ...     with restored(net) as snapshot:
    ...         net(torch.ones(1))
    ...     return snapshot.changed, hasattr(net, "seen")
    >>> run_once(Lazy())
    (['seen'], False)
    """
    found = Snapshot(module, values)
    packages = {_home(type(m)).partition(".")[0] for m in module.modules()}
    try:
        with imports_watched(found.add, packages):
            yield found
    finally:
        found.put_back()


class Snapshot:
    """What a module reaches, as it is when the snapshot is taken.

    The walk follows the attributes of every submodule and of the objects in them, containers, arrays, random generators, closures
    and classes, and the variables that a function's code names, unless they belong to a library (`libraries.py`). It runs no code
    of what it looks at: no property, no `__getattr__`, no method that a class has overridden. Nearer things come first; the walk
    ends after `MOST_OBJECTS` things, and copies at most `MOST_BYTES` of arrays. A `functools` cache cannot be put back: it is
    emptied if anything was added. An iterator cannot go back: that it went on is told. Files, threads and objects of C are left
    alone.

    Attributes:
        changed: paths of what had changed when `put_back` was called; caches are not among them.
        drawn: paths of random generators whose state had changed then.
        outside: paths of what had changed then outside the model, see `surroundings`.
        opaque: (path, class) of objects whose state cannot be seen, such as memory of C and data bases.
    """

    def __init__(self, module: nn.Module, values: bool = False) -> None:
        self.changed: list[str] = []
        self.drawn: list[str] = []
        self.outside: list[str] = []
        self.opaque: list[tuple[str, str]] = []
        self._values = values
        self._bytes = 0
        self._saved: list[tuple[str, Callable[[], Iterable[Any]]]] = []
        self._generators: list[tuple[str, Callable[[], Iterable[Any]]]] = []
        self._around = list(surroundings())
        # the objects themselves, so that no other object gets the id of one that is gone
        self._seen: dict[Any, Any] = {}
        self._todo: deque[tuple[Any, str]] = deque()
        self.add(module)

    def add(self, module: nn.Module | types.ModuleType) -> None:
        """Looks at a module, or at a file that was imported since, as it is now."""
        self._todo.append((module, ""))
        while self._todo and len(self._seen) < MOST_OBJECTS:
            value, path = self._todo.popleft()
            if id(value) not in self._seen:
                self._seen[id(value)] = value
                try:
                    self._look(value, path)
                except Exception as e:  # an object that stands for another, which is not there now
                    pass_on(e)
                    continue
        self._todo.clear()

    def put_back(self) -> list[str]:
        """Puts everything back as it was, and returns the paths of what had changed since the last time."""
        around = _changes(self._around)
        changed = _changes(self._saved)
        drawn = _changes(self._generators)
        self.changed = list(dict.fromkeys([*self.changed, *changed]))
        self.drawn = list(dict.fromkeys([*self.drawn, *drawn]))
        self.outside = list(dict.fromkeys([*self.outside, *around]))
        return changed

    def _look(self, value: Any, path: str) -> None:
        # `type` and `issubclass`, because `isinstance` asks the object for its class
        kind = type(value)
        if issubclass(kind, Tensor):
            self._tensor(value, path)
        elif kind in STATES:
            get, put = STATES[kind]
            drawn = self._generators if kind.__module__ not in ("io", "_io") else self._saved
            drawn.append((path, partial(put_back_state, value, get(value), get, put)))
        elif issubclass(kind, np.ndarray):
            self._array(value, path)
        elif issubclass(kind, types.FunctionType):
            self._function(value, path)
        elif issubclass(
            kind, types.MethodType | partial | staticmethod | classmethod | property | functools.cached_property
        ):
            inner = ("__self__", "__func__", "func", "args", "keywords", "fget")
            self._more([(0, getattr(value, n, None)) for n in inner], path)
        elif issubclass(kind, CACHE):
            self._save("", partial(emptied, value, value.cache_info()))
            self._more([(0, value.__wrapped__)], path)
        elif issubclass(kind, type):
            self._class(value)
        elif issubclass(kind, types.ModuleType):
            held = own_dict(value) or {}
            own = {k for k, v in variables(held).items() if not issubclass(type(v), types.ModuleType)}
            self._variables(held, own)
        elif hasattr(kind, "__next__") and of_library(kind):
            self._save(path, partial(advanced, value, place_of(value)))
        else:
            self._content(value, path)
            self._attributes(value, path)

    def _save(self, path: str, put_back: Callable[[], Iterable[Any]]) -> None:
        self._saved.append((path, put_back))

    def _more(self, items: Iterable[tuple[Any, Any]], path: str) -> None:
        self._todo += [(v, _joined(path, k)) for k, v in items if not issubclass(type(v), PLAIN)]

    def _tensor(self, value: Tensor, path: str) -> None:
        attributes = own_dict(value)
        if attributes is not None:
            self._dictionary(attributes, path)
        if not self._values or value.layout != torch.strided or value.is_meta or is_lazy(value):
            return
        storage = value.untyped_storage()
        first = ("storage", storage._cdata) not in self._seen
        self._seen["storage", storage._cdata] = storage
        self._save(path, partial(put_back_tensor, value, as_it_is(value), bytes_of(value).clone() if first else None))
        if value.is_leaf:
            self._more([("grad", value.grad)], path)

    def _array(self, value: Any, path: str) -> None:
        """An array of NumPy that somebody may write to; a file that lies in memory may be larger than the memory."""
        if not issubclass(type(value.base), mmap.mmap):  # what lies in it is what the array shows
            self._more([(0, value.base)], path)
        if value.flags.writeable and self._bytes + value.nbytes <= MOST_BYTES:
            self._bytes += value.nbytes
            self._save(path, partial(put_back_array, value, np.array(value, subok=False)))
            if value.dtype == object:
                self._more(enumerate(np.ndarray.ravel(value).tolist()), path)

    def _content(self, value: Any, path: str) -> None:
        """What a container holds."""
        kind = type(value)
        if issubclass(kind, dict):
            self._dictionary(value, path)
        elif issubclass(kind, list | deque | set | bytearray):
            held = content_of(value)
            self._save(path, partial(put_back_container, value, held))
            self._more(enumerate(held), path)
        elif issubclass(kind, tuple | frozenset):
            self._more(enumerate((tuple if issubclass(kind, tuple) else frozenset).__iter__(value)), path)
        elif kind is array.array:
            self._save(path, partial(put_back_numbers, value, value[:]))
        elif kind is memoryview:
            self._more([(0, value.obj)], path)

    def _dictionary(self, value: dict[Any, Any], path: str) -> None:
        held = entries(value)
        self._save(path, partial(put_back_dict, value, held))
        # what a module registers is named as torch names it: "layer.weight", not "layer._parameters.weight"
        registered = {"_parameters", "_buffers", "_modules"}
        self._more([(0 if isinstance(k, str) and k in registered else k, v) for k, v in held.items()], path)

    def _attributes(self, value: Any, path: str) -> None:
        kind = type(value)
        if _of(kind, OPAQUE):
            self.opaque.append((path, f"{_home(kind)}.{kind.__qualname__}"))
        if issubclass(kind, logging.Logger):  # what it passes its records to may be the model's
            self._more([(n, vars(value).get(n)) for n in ("handlers", "filters", "parent")], path)
        if _of(kind, ALIVE) or (of_library(kind) and not _keeping(kind)):
            return
        self._todo.append((kind, ""))
        self._save(path, partial(put_back_kind, value, kind))
        slots = own_slots(kind)
        if slots:
            held = slots_of(value, slots)
            self._save(path, partial(put_back_slots, value, slots, held))
            self._more(held.items(), path)
        attributes = own_dict(value)
        if attributes is not None:
            self._dictionary(attributes, path)

    def _function(self, value: types.FunctionType, path: str) -> None:
        for cell in value.__closure__ or ():
            self._save(path, partial(put_back_cell, cell, cell_content(cell)))
            self._more([(0, cell_content(cell))], path)
        self._more([(0, value.__defaults__), (0, value.__kwdefaults__), (0, vars(value))], path)
        self._variables(value.__globals__, _names(value.__code__))

    def _class(self, value: type) -> None:
        if of_library(value):
            if value.__flags__ & HEAP:  # nobody can write to the others
                self._save(
                    f"{_home(value)}.{value.__qualname__}", partial(put_back_tensors, value, variables(vars(value)))
                )
            return
        held = vars(value)
        self._save(value.__qualname__, partial(put_back_class, value, variables(held)))
        above = [*bases(value)[1:], type(value)]  # its class may keep something too
        self._more([*held.items(), *((0, b) for b in above)], value.__qualname__)

    def _variables(self, value: dict[str, Any], names: set[str]) -> None:
        """The variables of a file that some code names, and of the files that it names: `tables.sines` names both."""
        name = str(value.get("__name__", ""))
        if variables_of_library(value):
            self._library(sys.modules.get(name), names)
            return
        if id(value) not in self._seen:
            self._seen[id(value)] = value
            self._save(name, partial(put_back_variables, value, variables(value)))
        for module in named_modules(value, names - value.keys()):
            self._variables(own_dict(module) or {}, names - {module.__name__.rpartition(".")[2], module.__name__})
        for k in names & value.keys():
            if issubclass(type(value[k]), types.ModuleType):
                self._variables(own_dict(value[k]) or {}, names - {k})
            else:
                self._more([(k, value[k])], name)

    def _library(self, module: types.ModuleType | None, names: set[str]) -> None:
        """Where a model could leave a tensor in a library: its modules and classes that some code names."""
        if module is None or ("library", id(module)) in self._seen:
            return
        self._seen["library", id(module)] = module
        held = variables(own_dict(module) or {})
        self._save(module.__name__, partial(put_back_tensors, module, held))
        for k in names & held.keys():
            if issubclass(type(held[k]), types.ModuleType):
                self._variables(own_dict(held[k]) or {}, names)
            elif issubclass(type(held[k]), type):
                self._more([(k, held[k])], module.__name__)
            elif issubclass(type(held[k]), types.FunctionType):
                self._dictionary(vars(held[k]), f"{module.__name__}.{k}")


def _joined(path: str, key: Any) -> str:
    return f"{path}.{key}".strip(".") if isinstance(key, str) else path


def _changes(saved: list[tuple[str, Callable[[], Iterable[Any]]]]) -> list[str]:
    """The paths of what had changed, all of it put back also if a signal strikes meanwhile: what that raises is raised then."""
    found: list[str] = []
    struck: BaseException | None = None
    for path, put_back in saved:
        for _ in range(2):
            try:
                found += [_joined(path, key) for key in put_back()]
            except BaseException as e:
                meant = of_handler(e)
                struck = meant or struck
                if meant is not None:
                    continue  # from the beginning: half of it may be done
                if not isinstance(e, Exception):
                    raise
                found.append(path)  # what cannot be put back is told as changed
            break
    if struck is not None:
        raise struck
    return [n for n in dict.fromkeys(found) if n]


def _home(kind: type) -> str:
    return str(type.__getattribute__(kind, "__module__"))


def _keeping(kind: type) -> bool:
    """Whether the attributes of a library's object are followed: modules, containers, and what computes with tensors."""
    return issubclass(kind, nn.Module | torch.optim.Optimizer) or _home(kind).startswith(KEEPING)


def _of(kind: type, packages: set[str]) -> bool:
    """Whether a class inherits from one that is a library's, of one of these packages."""
    return any(_home(k).partition(".")[0] in packages and of_library(k) for k in bases(kind))


def _names(code: types.CodeType) -> set[str]:
    """The variables and attributes that a function's code names, and those of the functions inside it."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    texts = {c for c in code.co_consts if type(c) is str and c in sys.modules}  # for `importlib.import_module`
    return {*code.co_names, *texts, *(n for c in inner for n in _names(c))}
