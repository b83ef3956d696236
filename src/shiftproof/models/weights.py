"""Weights out of a file without running code, into a module with every name accounted for, and their fingerprint."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from shiftproof.errors import ModelError

SHOWN = 4  # names listed in an error


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name, out of a safetensors file or a pickled state dict; no code of the file is run.

    A checkpoint `{"state_dict": ...}` or `{"model": ...}` is unwrapped, and a "module." before every name is taken off.

    Args:
        path: `*.safetensors`, or whatever `torch.save` wrote, read with `weights_only=True`.

    Returns:
        The state dict, on the CPU.

    Raises:
        ModelError: no such file, one that would run code, or one that holds something else than tensors by name.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(
            "no such weights file", where=str(path), remedy="give a .safetensors file or a saved state dict"
        )
    if path.suffix.lower() == ".safetensors":
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except Exception as e:
            raise ModelError(f"not a safetensors file: {e}", where=str(path)) from e
    try:
        with warnings.catch_warnings():  # of pickle protocols and TorchScript: what cannot be read raises anyway
            warnings.simplefilter("ignore")
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        named = re.search(r"GLOBAL (\S+)", str(e))
        raise ModelError(
            f"the weights would run code when unpickled{f' ({named[1]})' if named else ''}, which is refused",
            where=str(path),
            remedy="save the state dict alone: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')",
        ) from e
    except Exception as e:
        raise ModelError(
            f"not readable as a state dict: {_first_line(e)}",
            where=str(path),
            remedy="give .safetensors or a state dict",
        ) from e
    return _unwrap(saved, str(path))


def _unwrap(saved: object, where: str) -> dict[str, Tensor]:
    for key in ("state_dict", "model"):
        if isinstance(saved, Mapping) and isinstance(saved.get(key), Mapping):
            saved = saved[key]
            break
    if not isinstance(saved, Mapping) or not saved:
        raise ModelError(f"holds a {type(saved).__name__}, not tensors by name", where=where)
    strange = [f"{k} ({type(v).__name__})" for k, v in saved.items() if not isinstance(v, Tensor)]
    if strange:
        raise ModelError(
            f"holds more than tensors: {_listed(strange)}", where=where, remedy="save the model's state dict alone"
        )
    state = {str(k): v for k, v in saved.items()}
    if all(k.startswith("module.") for k in state):
        state = {k.removeprefix("module."): v for k, v in state.items()}
    return state


def load_state(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Puts the tensors into the module, in place; every name and shape must agree.

    Args:
        module: the network.
        state: tensors by name, as `read_state` gives them.
        where: the model's word, for errors.

    Raises:
        ModelError: names missing, left over or of another shape; the first few are listed.

    >>> load_state(nn.Linear(2, 1), {"weight": torch.zeros(1, 2), "bais": torch.zeros(1)}, "net.py:build")
    Traceback (most recent call last):
        ...
    shiftproof.errors.ModelError: the weights are not this model's: 1 missing: bias; 1 unexpected: bais (net.py:build)
    """
    own = module.state_dict()
    shapes = [
        f"{k} is {tuple(v.shape)} in the file, {tuple(own[k].shape)} in the model"
        for k, v in state.items()
        if k in own and own[k].shape != v.shape
    ]
    if shapes:
        raise ModelError(
            f"the weights are not this model's: {len(shapes)} of another shape: {_listed(shapes)}",
            where=where,
            remedy="another number of classes? build the model with it, in FILE.py:FACTORY",
        )
    try:
        rest = module.load_state_dict(dict(state), strict=False)
    except RuntimeError as e:
        raise ModelError(f"the weights are not this model's: {e}", where=where) from e
    missing = [k for k in rest.missing_keys if not k.endswith("num_batches_tracked")]
    wrong = [("missing", missing), ("unexpected", rest.unexpected_keys)]
    if said := "; ".join(f"{len(names)} {word}: {_listed(names)}" for word, names in wrong if names):
        raise ModelError(f"the weights are not this model's: {said}", where=where)


def fingerprint(module: nn.Module) -> str:
    """The sha256 of all parameters, then buffers, in order: name, dtype, shape and bytes of each.

    Args:
        module: any module; its tensors may be on any device.

    Returns:
        64 hexadecimal digits.

    >>> a, b = nn.Linear(2, 1), nn.Linear(2, 1)
    >>> fingerprint(a) == fingerprint(b)
    False
    >>> _ = b.load_state_dict(a.state_dict())
    >>> fingerprint(a) == fingerprint(b)
    True
    """
    digest = hashlib.sha256()
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _first_line(e: Exception) -> str:
    return next(iter(str(e).splitlines()), "") or type(e).__name__
