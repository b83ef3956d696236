"""Load a network from a Python file, `FILE.py:FACTORY`, with what the factory says about its input."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from shiftproof.errors import ModelError
from shiftproof.models.loading.description import (
    PREPROCESSING,
    Found,
    answer_kind,
    per_channel,
    picture_size,
    unknown,
)
from shiftproof.models.loading.preprocessing import of_module, of_transforms, stated
from shiftproof.models.loading.weights import load_state
from shiftproof.printable import said

# read from the module too, unless they are tensors: a network's own `mean` buffer, say
ATTRIBUTES = ("input_size", "mean", "std", "labels", "crop_fraction", "interpolation")
CARRIERS = ("pretrained_cfg", "transforms", "weights")  # objects of timm and torchvision that state several of them
PREFIX = "_shiftproof_file_"  # of the name under which a factory's file is a module
DECLARABLE = (*ATTRIBUTES, "scale", "answer")


def has_run() -> bool:
    """Whether code of a user's file has run in this process. It may have left threads at work and files open."""
    return bool(_ran)


def load_factory(word: str, state: dict[str, Tensor] | None) -> Found:
    """Load the network that a function in a Python file returns. The file is run, so load only files that you trust.

    Args:
        word: `FILE.py:FACTORY`. FACTORY is called without arguments, or is itself a module. It returns an `nn.Module`
            or a dict `{"model": module, "input_size": (c, h, w), "mean": ..., "std": ...}`. All but `scale` and
            `answer` may be attributes of the module instead. `pretrained_cfg` (timm's configuration) and `transforms` or
            `weights` (torchvision's preset, or a member of its weights enum) state several of them at once.
        state: weights to load; None keeps the factory's weights.

    Raises:
        ModelError: the file or function does not exist, it fails, it does not return a module, or the weights do
            not fit the module.
    """
    file, _, name = word.rpartition(":")
    if not name or not file.lower().endswith(".py"):
        raise ModelError(f"{word!r} does not say which function builds the model", remedy=f"write {word}:FACTORY")
    path = Path(file)
    if not path.is_file():
        raise ModelError(
            "no such file", where=file, remedy="give the path of a Python file and its function: net.py:build"
        )
    place = str(path.parent.resolve())
    _ran.append(word)
    _forget_stale(place)
    before = set(sys.modules)
    sys.path.insert(0, place)  # so that the file can import its neighbours, as under `python FILE.py`
    try:
        made = _made(path, name, word)
    finally:
        if place in sys.path:  # the file itself may have changed sys.path
            sys.path.remove(place)
        _helpers.update(_beside(place, set(sys.modules) - before))
    says = {}
    if isinstance(made, Mapping):
        says = dict(made)
        made = says.pop("model", None)
        for key in says:
            if key not in (*DECLARABLE, *CARRIERS):
                raise unknown("key of a factory's dict", str(key), ["model", *DECLARABLE, *CARRIERS], where=word)
    if not isinstance(made, nn.Module):
        raise ModelError(
            f"the factory gives a {type(made).__name__}, not a torch.nn.Module",
            where=word,
            remedy='return a module, or {"model": module, "input_size": (c, h, w)}',
        )
    if state is not None:
        load_state(made, state, word)
    return declared(made, says, where=word)


_ran: list[str] = []  # the words of files whose code has run
_helpers: dict[str, tuple[str, Path, str]] = {}
"""Modules that factories imported from their own folders: name -> (folder, file, digest when it was imported)."""


def helpers_digest(file: Path) -> str:
    """SHA-256 of the modules that a factory's file imported from its own folder; "" if it imported none."""
    place = str(file.parent.resolve())
    found = sorted((name, digest) for name, (folder, _, digest) in _helpers.items() if folder == place)
    return hashlib.sha256(repr(found).encode()).hexdigest() if found else ""


def _forget_stale(place: str) -> None:
    """Forget helpers imported earlier that would be taken for those of this folder: of other folders, or of an older text."""
    here = {name for name, (folder, *_) in _helpers.items() if folder == place}
    if all(_digest(file) == digest for _, file, digest in map(_helpers.__getitem__, here)):
        here = set()  # all as they were imported
    # All of a folder together: a package that is imported again does not know its old parts.
    for name in here | {name for name, (folder, *_) in _helpers.items() if folder != place and _lies_in(place, name)}:
        del _helpers[name]
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


def _lies_in(place: str, name: str) -> bool:
    top = Path(place, name.partition(".")[0])
    return top.is_dir() or top.with_suffix(".py").is_file()


def _beside(place: str, names: set[str]) -> dict[str, tuple[str, Path, str]]:
    """Those of the modules that were imported from this folder: not the file itself, and no package that is installed."""
    found = {}
    for name in names:
        file = getattr(sys.modules.get(name), "__file__", None)
        path = Path(file).resolve() if isinstance(file, str) else None
        inside = Path(place, *name.split("."))
        if path in (inside.with_name(f"{inside.name}.py"), inside / "__init__.py"):
            found[name] = (place, path, _digest(path))
    return found


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def declared(module: nn.Module, says: Mapping[str, Any] | None = None, where: str = "") -> Found:
    """Return the module with what is declared about its input, in `says` or in attributes of the module.

    Args:
        module: the network.
        says: values by name, from `DECLARABLE` and `CARRIERS`. They take precedence over the module's attributes, and
            single values over carriers.
        where: the model's name, for errors.

    Raises:
        ModelError: a value has the wrong type.

    >>> net = nn.Flatten()
    >>> net.input_size, net.mean = (1, 28, 28), 0.13
    >>> found = declared(net)
    >>> found.input_size, found.mean, found.std
    ((1, 28, 28), (0.13,), (1.0,))
    """
    says = says or {}
    given = {k: _meant(k, says[k], where) for k in DECLARABLE if says.get(k) is not None}
    for key in ATTRIBUTES:
        value = None if key in says else getattr(module, key, None)
        # A module may have a layer, a method or a number of that name (`input_size` of an LSTM), which says nothing about
        # pictures, and which whoever has only the module cannot change.
        if value is not None and not isinstance(value, nn.Module | Tensor) and not callable(value):
            if key == "interpolation" and not isinstance(value, str):
                continue
            with contextlib.suppress(ModelError, TypeError):
                given[key] = _meant(key, value, where)
    given = _carried(module, says, where) | given
    return dataclasses.replace(Found(module), **given, stated=frozenset(given) & frozenset(PREPROCESSING))


def _meant(key: str, value: Any, where: str) -> Any:
    """A declared value, as it is kept.

    Raises:
        ModelError: it has the wrong type.
    """
    if key == "input_size":
        return picture_size(value, where)
    if key in ("mean", "std"):
        return per_channel(value, where)
    if key in ("scale", "crop_fraction"):
        return per_channel([value], where)[0]
    if key == "answer":
        return answer_kind(value, where)
    if key != "labels":
        return str(value)
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ModelError(f"labels are {value!r:.80}", where=where, remedy="give a list of names, one per class")
    return [str(v) for v in value]


def _carried(module: nn.Module, says: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What objects of timm and torchvision state, of the module or in the factory's dict."""
    carried = of_module(module)
    preset = getattr(module, "transforms", None)
    if hasattr(preset, "resize_size"):
        carried |= of_transforms(preset, where)
    if isinstance(config := says.get("pretrained_cfg"), Mapping):
        carried |= stated(config, where)
    for name in ("weights", "transforms"):
        if name in says:
            carried |= of_transforms(says[name], where)
    return carried


def _made(path: Path, name: str, word: str) -> Any:
    try:
        code = _run(path)
        if not hasattr(code, name):
            known = [k for k, v in vars(code).items() if callable(v) and not k.startswith("_")]
            raise unknown("function in the file", name, known, where=word)
        factory = getattr(code, name)
        return factory if isinstance(factory, nn.Module | Mapping) else factory()
    except ModelError:
        raise
    except (Exception, SystemExit) as e:
        # The innermost frame, where it failed.
        at = traceback.extract_tb(e.__traceback__)[-1]
        kind, text = type(e).__name__, said(e)
        raise ModelError(
            f"the factory failed: {kind}" + (f": {text}" if text != kind else ""),
            where=f"{word}, {Path(at.filename).name} line {at.lineno}",
        ) from e


def _run(path: Path) -> ModuleType:
    # A name of its own: a file called torch.py must not take the place of the library.
    name = f"{PREFIX}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None  # always true for a file that ends in .py
    code = importlib.util.module_from_spec(spec)
    sys.modules[name] = code  # dataclasses and pickle look up the classes of the file here
    spec.loader.exec_module(code)
    return code
