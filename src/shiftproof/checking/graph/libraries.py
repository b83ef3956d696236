"""Which code, classes and variables belong to Python and to known libraries, and which are a model's.

A name or a path says nothing: a model may stand in a file named `statistics.py`, or in a folder named `torch`. So what claims a
library's name must be held by that library, and the library must lie where it was installed.
"""

from __future__ import annotations

import sys
import sysconfig
import types
from functools import cache
from importlib.machinery import BuiltinImporter, FrozenImporter
from pathlib import Path
from typing import Any

import torch

# The state of these packages is not a model's, and other threads may be changing it.
LIBRARIES = {
    *sys.stdlib_module_names,
    *("shiftproof", "torch", "torchvision", "numpy", "scipy", "PIL", "beartype", "jaxtyping"),
    *("pytest", "_pytest", "pluggy", "hypothesis", "xdist", "execnet"),
}
HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: whether a class was made while Python ran; those of C files may not have been

TORCH = Path(torch.__file__).resolve().parent
STDLIB = tuple(Path(sysconfig.get_path(n)).resolve() for n in ("stdlib", "platstdlib"))
INSTALLED = tuple({Path(sysconfig.get_path(n)).resolve() for n in ("purelib", "platlib")} | {TORCH.parent})
PACKAGES = {"site-packages", "dist-packages"}
OWN = Path(__file__).resolve().parents[2]


def of_python(file: str) -> bool:
    """Whether a file is part of Python's standard library.

    Packages are installed in a folder inside that of the library: those of this environment, and in a virtual environment
    also those of the Python that it was made from.
    """
    path = _resolved(file)
    if not path.is_relative_to(STDLIB[0]) or any(path.is_relative_to(f) for f in INSTALLED):
        return False
    return not PACKAGES & set(path.relative_to(STDLIB[0]).parts)


def of_torch(file: str) -> bool:
    """Whether a file is part of the torch that is running."""
    return _resolved(file).is_relative_to(TORCH)


def of_library(kind: type) -> bool:
    """Whether a class is one of a library's.

    >>> of_library(dict), of_library(torch.nn.Linear), of_library(type("Model", (), {"__module__": "statistics"}))
    (True, True, False)
    """
    name = str(kind.__module__)
    if name.partition(".")[0] not in LIBRARIES:
        return False
    if not kind.__flags__ & HEAP:
        return True
    module = sys.modules.get(name)
    return module is not None and variables_of_library(vars(module)) and _held(module, kind.__qualname__) is kind


def of_installed(kind: type, package: str) -> bool:
    """Whether a class is one that an installed package holds, under the name that the class says.

    >>> of_installed(torch.nn.Linear, "torch"), of_installed(type("Model", (), {"__module__": "torch.nn"}), "torch")
    (True, False)
    """
    name = str(kind.__module__)
    module = sys.modules.get(name)
    if module is None or name.partition(".")[0] != package:
        return False
    return _in_place(module, package) and _held(module, kind.__qualname__) is kind


def variables_of_library(variables: dict[str, Any]) -> bool:
    """Whether these are the variables of a module of a library."""
    name = str(variables.get("__name__"))
    top = name.partition(".")[0]
    if top not in LIBRARIES:
        return False
    module = sys.modules.get(name)
    if module is not None and vars(module) is variables and _in_place(module, top):
        return True
    # torch makes modules that no file holds, such as torch.ops.aten
    whole = sys.modules.get(top)
    inner = _held(whole, name.partition(".")[2]) if whole is not None and _in_place(whole, top) else None
    return isinstance(inner, types.ModuleType) and vars(inner) is variables


def _held(module: types.ModuleType, path: str) -> Any:
    """What a module holds under a dotted name; no code of it runs."""
    found: Any = module
    for name in path.split("."):
        found = vars(found).get(name) if isinstance(found, types.ModuleType | type) else None
    return found


def _in_place(module: types.ModuleType, top: str) -> bool:
    """Whether a module came from the folder in which the library `top` is installed, or from Python itself."""
    if getattr(module, "__loader__", None) in (BuiltinImporter, FrozenImporter):
        return True
    spec = getattr(module, "__spec__", None)
    file = getattr(spec, "origin", None)
    if not isinstance(file, str):  # a folder without an __init__.py
        file = next(iter(getattr(module, "__path__", ())), None)
    if not isinstance(file, str):
        return False
    if top in sys.stdlib_module_names:
        return of_python(file)
    if top == "shiftproof":
        return _resolved(file).is_relative_to(OWN)
    inside = [_resolved(file).relative_to(f) for f in INSTALLED if _resolved(file).is_relative_to(f)]
    return any(p.parts and p.parts[0].partition(".")[0] == top for p in inside)


@cache
def _resolved(file: str) -> Path:
    return Path(file).resolve()
