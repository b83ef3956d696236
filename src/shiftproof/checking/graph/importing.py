"""Files that are imported while a model runs: what they hold as soon as they are imported is what they are put back to."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

from torch.utils._python_dispatch import _disable_current_modes

from shiftproof.checking.graph.libraries import INSTALLED, LIBRARIES


@contextmanager
def imports_watched(seen: Callable[[types.ModuleType], None], packages: set[str]) -> Iterator[None]:
    """Calls a function with each module that is imported from a source file inside, right after its code ran.

    The code runs as it would outside of an export: what it makes are tensors with numbers.

    Args:
        seen: called once for each module, before the import returns.
        packages: those that the model's own classes come from. Other installed packages are not watched.
    """
    finder = _Finder(seen, packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    """Finds what the finders behind it find, and stands in the way of the loader, once."""

    def __init__(self, seen: Callable[[types.ModuleType], None], packages: set[str]) -> None:
        self._seen = seen
        self._packages = packages

    def find_spec(self, fullname: str, path: Any, target: types.ModuleType | None = None) -> ModuleSpec | None:
        behind = sys.meta_path[sys.meta_path.index(self) + 1 :] if self in sys.meta_path else []
        for finder in behind:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if self._of_model(spec):
                    self._watch(spec.loader)
                return spec
        return None

    def _of_model(self, spec: ModuleSpec) -> bool:
        # of other loaders one object may load many modules
        if not issubclass(type(spec.loader), SourceFileLoader) or spec.origin is None:
            return False
        top = spec.name.partition(".")[0]
        installed = any(Path(spec.origin).resolve().is_relative_to(f) for f in INSTALLED)
        return top not in LIBRARIES and (top in self._packages or not installed)

    def _watch(self, loader: Any) -> None:
        load = loader.exec_module

        def loaded(module: types.ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            with _disable_current_modes():
                load(module)
                self._seen(module)

        vars(loader)["exec_module"] = loaded


def named_modules(variables: dict[str, Any], names: set[str]) -> list[types.ModuleType]:
    """The imported modules that code names in an `import` of its own, from a file with these variables.

    >>> [m.__name__ for m in named_modules({"__package__": "importlib"}, {"abc", "sys", "nothing"})]
    ['importlib.abc', 'abc', 'sys']
    """
    inside = str(variables.get("__package__") or "").split(".")
    prefixes = [".".join(inside[:n]) + "." for n in range(len(inside), 0, -1) if inside[0]] + [""]
    found = [sys.modules.get(p + n) for n in sorted(names) for p in prefixes]
    return [m for m in found if isinstance(m, types.ModuleType)]
