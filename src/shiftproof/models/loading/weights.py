"""Read weights from a file without running code, load them into a module with strict names, and fingerprint them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from shiftproof.errors import ModelError
from shiftproof.models.loading.state_file import read_safetensors, read_saved
from shiftproof.printable import said

SHOWN = 4  # names listed in an error


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read tensors by name from a safetensors file or a saved state dict. Nothing in the file is run or unpickled.

    A checkpoint `{"state_dict": ...}` or `{"model": ...}` is unwrapped. If every name starts with
    "module.", that prefix is removed.

    Args:
        path: `*.safetensors`, or a file that `torch.save` wrote.

    Returns:
        The state dict, on the CPU.

    Raises:
        ModelError: the file does not exist, would run code, or does not hold tensors by name.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(
            "no such weights file", where=str(path), remedy="give a .safetensors file or a saved state dict"
        )
    state = read_safetensors(path) if path.suffix.lower() == ".safetensors" else read_saved(path)
    # `DataParallel` puts this prefix before every name.
    if all(k.startswith("module.") for k in state):
        state = {k.removeprefix("module."): v for k, v in state.items()}
    return state


def load_state(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Copy the tensors into the module, in place. Every name and shape must match.

    Args:
        module: the network.
        state: tensors by name, as `read_state` returns them.
        where: the model's name, for errors.

    Raises:
        ModelError: names are missing or unexpected, or shapes differ; the first few are listed.

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
            remedy="if the number of classes differs, build the model with it in FILE.py:FACTORY",
        )
    try:
        # Not strict, so that all names that differ can be told at once, and shortened.
        rest = module.load_state_dict(dict(state), strict=False)
    except RuntimeError as e:
        raise ModelError(f"the weights are not this model's: {said(e)}", where=where) from e
    # A counter that no evaluation reads; files written before torch 0.4.1 do not have it.
    missing = [k for k in rest.missing_keys if not k.endswith("num_batches_tracked")]
    wrong = [("missing", missing), ("unexpected", rest.unexpected_keys)]
    if differ := "; ".join(f"{len(names)} {word}: {_listed(names)}" for word, names in wrong if names):
        raise ModelError(f"the weights are not this model's: {differ}", where=where)


def fingerprint(module: nn.Module | torch.export.ExportedProgram) -> str:
    """Return the SHA-256 of all parameters and then all buffers, in order: the name, dtype, shape and bytes of each.

    Args:
        module: any module or exported program; its tensors may be on any device.

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
        # As bytes, because NumPy has no bfloat16.
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
