"""Tensors by name from a file of weights: safetensors, or what `torch.save` wrote, old and new. Nothing is unpickled.

`torch.load(weights_only=True)` runs no foreign code, but it hashes what the file names, inflates what the file compresses, and
calls functions of torch with the file's arguments. Here the pickle is parsed as data (`shiftproof.reading.pickles`): it only
says which tensors lie where, and each is a view of its own bytes in the file.
"""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shiftproof.errors import ModelError
from shiftproof.printable import said
from shiftproof.reading.budget import Budget
from shiftproof.reading.bytes import open_zip
from shiftproof.reading.pickles import Machine, Name

# The largest published networks have some 10,000 tensors; a checkpoint with the state of an optimizer has three times as many,
# at some 40 instructions each.
MOST = {
    "bytes": 2**26,  # of the header or pickle, not of the weights
    "bytes of text": 2**26,
    "parts": 200_000,
    "instructions": 8_000_000,
    "copies": 2_000_000,  # a tensor has some eight sizes and strides
    "tensors": 200_000,
    "seconds": 120,
}
SHOWN = 4  # names listed in an error
REMEDY = "save the state dict alone: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of files that torch wrote before 1.6
DTYPES = {
    name: getattr(torch, name)
    for name in (
        *("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "bool"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"),
    )
}
STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
NAMES = {
    **{f"torch {name}": f"storage {dtype}" for name, dtype in STORAGES.items()},
    "torch.storage UntypedStorage": "storage uint8",
    **{f"torch {name}": f"dtype {name}" for name in DTYPES},
    "torch._utils _rebuild_tensor": "tensor",
    "torch._utils _rebuild_tensor_v2": "tensor",
    "torch._utils _rebuild_tensor_v3": "tensor of a type",
    "torch._utils _rebuild_parameter": "first",
    "torch._utils _rebuild_parameter_with_state": "first",
    "torch.nn.parameter Parameter": "first",
    "torch Size": "first",
    "torch device": "all",
    "collections OrderedDict": "dict",
    "collections Counter": "dict",
    "__builtin__ set": "first",
    "builtins set": "first",
    "_codecs encode": "encode",
    "__builtin__ bytearray": "first",
    "builtins bytearray": "first",
}


@dataclass(frozen=True)
class _Storage:
    """A storage that lies outside the pickle."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class _View:
    """A tensor: how its numbers lie in a storage, in elements."""

    storage: _Storage
    dtype: torch.dtype
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a safetensors file.

    Args:
        path: the file.

    Raises:
        ModelError: it is not a safetensors file, or its header exceeds the budget `MOST`.
    """
    from safetensors.torch import load_file

    budget = Budget(path, MOST, error=ModelError)
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            budget.spend("bytes", length)
            header = file.read(length)
        budget.spend("tensors", header.count(b"{"))  # one before each tensor
        return load_file(path)
    except ModelError:
        raise
    except Exception as e:
        raise ModelError(f"not a safetensors file: {said(e)}", where=str(path), remedy="save it again") from e


def read_saved(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a file that `torch.save` wrote: a zip, as since torch 1.6, or the older form.

    A checkpoint `{"state_dict": ...}` or `{"model": ...}` is unwrapped; what stands beside it is not read.

    Args:
        path: the file.

    Returns:
        The tensors, on the CPU.

    Raises:
        ModelError: the file would run code when unpickled, does not hold tensors by name, or exceeds the budget `MOST`.
    """
    budget = Budget(path, MOST, error=ModelError)
    try:
        with open(path, "rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            return _from_zip(file, budget) if zipped else _from_stream(file, budget)
    except ModelError:
        raise
    except Exception as e:  # a damaged pickle or zip raises a dozen kinds of exception
        raise ModelError(
            f"not readable as a state dict: {said(e)}", where=str(path), remedy="give .safetensors or a state dict"
        ) from e


def _from_zip(file: BufferedIOBase, budget: Budget) -> dict[str, Tensor]:
    end = file.seek(0, io.SEEK_END)
    with open_zip(file, budget) as archive:
        entries = archive.infolist()
        # torch compresses nothing; entries that overlap or are compressed can only be meant to exhaust the memory.
        if any(e.compress_type != zipfile.ZIP_STORED for e in entries) or sum(e.file_size for e in entries) > end:
            raise ModelError("its records inflate to more than the file", where=budget.where, remedy=REMEDY)
        names, top = archive.namelist(), entries[0].filename.partition("/")[0]
        if f"{top}/constants.pkl" in names:
            raise ModelError("this is a TorchScript program, not weights", where=budget.where, remedy=REMEDY)
        if f"{top}/byteorder" in names and archive.read(f"{top}/byteorder") != b"little":
            raise ModelError("its bytes are in the other order", where=budget.where, remedy=REMEDY)
        budget.spend("bytes", archive.getinfo(f"{top}/data.pkl").file_size)
        views = _unwrapped(_State(budget).run(archive.read(f"{top}/data.pkl")), budget.where)
        wanted = {v.storage.key for v in views.values()}  # each once: any number of tensors may share a storage
        return _tensors(views, {key: archive.read(f"{top}/data/{key}") for key in wanted})


def _from_stream(file: BufferedIOBase, budget: Budget) -> dict[str, Tensor]:
    """The form before torch 1.6: pickles one after the other, then the bytes of each storage after their number."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    machine = _State(budget)
    first = machine.run(file)
    if first != MAGIC:  # a plain pickle; if it would run code, it has been refused by now
        kind = type(first).__name__
        raise ModelError(f"holds a pickled {kind}, not tensors by name", where=budget.where, remedy=REMEDY)
    if machine.run(file) != PROTOCOL or machine.run(file).get("little_endian") is not True:
        raise ModelError("written by another kind of torch", where=budget.where, remedy=REMEDY)
    views = _unwrapped(machine.run(file), budget.where)
    wanted, held = {v.storage.key for v in views.values()}, {}
    for key in machine.run(file):
        storage = machine.storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        size = count * storage.dtype.itemsize
        if key in held or count != storage.count or not 0 <= size <= end - file.tell():
            raise ValueError(f"storage {key} is not as long as it should be")
        held[key] = file.read(size) if key in wanted else b""
        file.seek(0 if key in wanted else size, io.SEEK_CUR)
    return _tensors(views, held)


def _unwrapped(saved: Any, where: str) -> dict[str, _View]:
    for key in ("state_dict", "model"):
        if type(saved) is dict and type(saved.get(key)) is dict:
            saved = saved[key]
            break
    if type(saved) is not dict or not saved:
        kind = "tensor" if type(saved) is _View else type(saved).__name__
        raise ModelError(f"holds a {kind}, not tensors by name", where=where, remedy=REMEDY)
    strange = [f"{k!s:.80} ({type(v).__name__})" for k, v in saved.items() if type(v) is not _View]
    if strange:
        more = len(strange) - SHOWN
        listed = ", ".join(strange[:SHOWN]) + (f" and {more} more" if more > 0 else "")
        raise ModelError(f"holds more than tensors: {listed}", where=where, remedy="save the model's state dict alone")
    return {str(k): v for k, v in saved.items()}


def _tensors(views: dict[str, _View], held: dict[str, bytes]) -> dict[str, Tensor]:
    """Each view of its storage's bytes; `as_strided` refuses those that reach outside."""
    # A bytearray, because a tensor can be written to.
    flat = {k: torch.frombuffer(bytearray(raw), dtype=torch.uint8) for k, raw in held.items() if raw}
    empty = torch.empty(0, dtype=torch.uint8)
    return {
        name: flat.get(v.storage.key, empty).view(v.dtype).as_strided(v.sizes, v.strides, v.offset)
        for name, v in views.items()
    }


class _State(Machine):
    """The machine that knows tensors."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(NAMES, budget)
        self.storages: dict[str, _Storage] = {}

    def persistent(self, identity: Any) -> _Storage:
        """The storage ("storage", type, key, place, number of elements)."""
        kind, dtype, key, _, count = identity[:5]
        if kind != "storage" or type(dtype) is not Name or type(key) is not str or type(count) is not int:
            raise self.refusal("something other than a storage")
        found = _Storage(key, DTYPES[dtype.removeprefix("storage ")], count)
        if len(identity) > 5 and identity[5] is not None:
            raise self.refusal("a view of a storage")
        if self.storages.setdefault(key, found) != found:
            raise self.refusal("one storage of two types")
        return self.storages[key]

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """The result of calling one of NAMES."""
        if name == "tensor":
            return self._view(*arguments[:4])
        if name == "tensor of a type":
            storage, offset, sizes, strides, _, _, dtype = arguments[:7]
            return self._view(storage, offset, sizes, strides, dtype)
        if name == "dict":
            pairs = self.counted(arguments[0] if arguments else [])
            return dict(pairs) if type(pairs) is dict else {self.key(key): value for key, value in pairs}
        if name == "first":
            return arguments[0] if arguments else []
        if name == "all":
            return arguments
        if name == "encode":
            return self.encoded(arguments[0])
        raise self.refusal(f"a call of {name}")

    def build(self, target: Any, state: Any) -> None:
        """Sets attributes of a dict (`_metadata` of a state dict), which are ignored."""
        if type(target) is not dict:
            raise self.refusal(f"the state of a {type(target).__name__}")

    def refusal(self, what: str) -> ModelError:
        """The error for something that no file of weights needs."""
        return ModelError(
            f"this file of weights asks for {what}; nothing was executed", where=self.budget.where, remedy=REMEDY
        )

    def refused_name(self, name: str) -> ModelError:
        """The error for a name that is not of tensors."""
        return ModelError(
            f"the weights would run code when unpickled ({name:.80}), which is refused",
            where=self.budget.where,
            remedy=REMEDY,
        )

    def _view(self, storage: Any, offset: Any, sizes: Any, strides: Any, dtype: Any = None) -> _View:
        numbers = (offset, *self.counted(sizes), *self.counted(strides))
        if type(storage) is not _Storage or any(type(n) is not int for n in numbers):
            raise self.refusal("a tensor without a storage")
        if dtype is not None and (type(dtype) is not Name or not dtype.startswith("dtype ")):
            raise self.refusal("a tensor of an unknown type")
        self.budget.spend("tensors")
        kind = storage.dtype if dtype is None else DTYPES[dtype.removeprefix("dtype ")]
        return _View(storage, kind, offset, tuple(sizes), tuple(strides))
