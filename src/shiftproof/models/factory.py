"""Networks out of the user's own Python file: `FILE.py:FACTORY`, and what the factory says about its input."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from shiftproof.errors import ModelError
from shiftproof.models.found import Found, per_channel, picture_size, unknown
from shiftproof.models.weights import load_state

ATTRIBUTES = ("input_size", "mean", "std", "labels")  # a module's own; tensors of these names are not meant for us
DECLARABLE = (*ATTRIBUTES, "scale", "crop_fraction", "interpolation")


def load_factory(word: str, state: dict[str, Tensor] | None) -> Found:
    """The network that a function of a Python file returns; the file is run, as `python FILE.py` would.

    Args:
        word: `FILE.py:FACTORY`. FACTORY is called without arguments (or is a module already) and gives a `nn.Module`,
            or a dict `{"model": module, "input_size": (c, h, w), "mean": ..., "std": ...}`. The same names may be
            attributes of the module instead.
        state: weights to put in; None leaves those that the factory gave.

    Raises:
        ModelError: no such file or function, an error inside it, something else than a module, or foreign weights.
    """
    file, _, name = word.rpartition(":")
    if not name or not file.lower().endswith(".py"):
        raise ModelError(f"{word!r} does not say which function builds the model", remedy=f"write {word}:FACTORY")
    path = Path(file)
    if not path.is_file():
        raise ModelError(
            "no such file", where=file, remedy="give the path of a Python file and its function: net.py:build"
        )
    sys.path.insert(0, str(path.parent.resolve()))  # its neighbours can be imported, as when it is run
    try:
        made = _made(path, name, word)
    finally:
        sys.path.remove(str(path.parent.resolve()))
    says = {}
    if isinstance(made, Mapping):
        says = dict(made)
        made = says.pop("model", None)
        for key in says:
            if key not in DECLARABLE:
                raise unknown("key of a factory's dict", str(key), ["model", *DECLARABLE], where=word)
    if not isinstance(made, nn.Module):
        raise ModelError(
            f"the factory gives a {type(made).__name__}, not a torch.nn.Module",
            where=word,
            remedy='return a module, or {"model": module, "input_size": (c, h, w)}',
        )
    if state is not None:
        load_state(made, state, word)
    return declared(made, says, where=word)


def declared(module: nn.Module, says: Mapping[str, Any] | None = None, where: str = "") -> Found:
    """The module with what is said about its input, in `says` or else in attributes of the module.

    Args:
        module: the network.
        says: values by name; the names are in `DECLARABLE`, those that a module may say in `ATTRIBUTES`.
        where: the model's word, for errors.

    Raises:
        ModelError: a value of the wrong kind.

    >>> net = nn.Flatten()
    >>> net.input_size, net.mean = (1, 28, 28), 0.13
    >>> found = declared(net)
    >>> found.input_size, found.mean, found.std
    ((1, 28, 28), (0.13,), (1.0,))
    """
    says = says or {}
    values = {k: says[k] if k in says else getattr(module, k, None) for k in DECLARABLE}
    given = {
        k: v for k, v in values.items() if v is not None and not isinstance(v, nn.Module | Tensor) and not callable(v)
    }
    for key, value in given.items():
        if key == "input_size":
            given[key] = picture_size(value, where)
        elif key in ("mean", "std"):
            given[key] = per_channel(value, where)
        elif key in ("scale", "crop_fraction"):
            (given[key],) = per_channel([value], where)
        else:
            given[key] = [str(v) for v in value] if key == "labels" else str(value)
    return dataclasses.replace(Found(module), **given)


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
        at = traceback.extract_tb(e.__traceback__)[-1]
        raise ModelError(
            f"the factory failed: {type(e).__name__}: {e}", where=f"{word}, {Path(at.filename).name} line {at.lineno}"
        ) from e


def _run(path: Path) -> ModuleType:
    name = f"_shiftproof_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None  # a file that ends in .py has both
    code = importlib.util.module_from_spec(spec)
    sys.modules[name] = code  # dataclasses and pickles in the file look themselves up here
    spec.loader.exec_module(code)
    return code
