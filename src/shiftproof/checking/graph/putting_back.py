"""One function for each kind of thing: puts it back as it was, and returns the names of what had changed in it.

None of them runs code of the thing itself, which may do anything: a `__getattr__` that loads a file, a `copy` that counts. They
call the methods of the built-in types and the descriptors of slots and dictionaries.
"""

from __future__ import annotations

import io
import random
import threading
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shiftproof.checking.graph.randomness import alike

UNSET = object()
# As C code defines them, so that reading one runs no Python code.
DESCRIPTORS = (types.GetSetDescriptorType, types.MemberDescriptorType)

# What has a state besides its attributes, and how that is read and written.
STATES: dict[type, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    random.Random: (random.Random.getstate, random.Random.setstate),
    torch.Generator: (torch.Generator.get_state, torch.Generator.set_state),
    np.random.Generator: (
        lambda g: g.bit_generator.state,
        lambda g, state: setattr(g.bit_generator, "state", state),
    ),
    np.random.RandomState: (lambda g: g.get_state(legacy=False), np.random.RandomState.set_state),
    io.BytesIO: (lambda f: (f.tell(), f.getvalue()), lambda f, state: _rewritten(f, *state)),
    io.StringIO: (lambda f: (f.tell(), f.getvalue()), lambda f, state: _rewritten(f, *state)),
}


def _rewritten(file: Any, place: int, content: Any) -> None:
    file.seek(0)
    file.truncate()
    file.write(content)
    file.seek(place)


def bases(kind: type) -> tuple[type, ...]:
    """A class and those that it inherits from, without asking its metaclass."""
    return type.__dict__["__mro__"].__get__(kind)


def own_dict(value: Any) -> dict[Any, Any] | None:
    """The attributes of an object, without running code of its class; None if it has no dictionary."""
    if issubclass(type(value), threading.local):  # one dictionary per thread
        return threading.local.__getattribute__(value, "__dict__")
    for kind in bases(type(value)):
        found = type.__dict__["__dict__"].__get__(kind).get("__dict__")
        if found is not None:
            # a class may say that its `__dict__` is a property, which could do anything
            return found.__get__(value) if isinstance(found, DESCRIPTORS) else None
    return None


def own_slots(kind: type) -> dict[str, Any]:
    """The descriptors of the slots of a class, by name; members of structures of C are not among them."""
    found: dict[str, Any] = {}
    for k in bases(kind):
        own = type.__dict__["__dict__"].__get__(k)
        if "__slots__" in own:
            found |= {n: d for n, d in own.items() if isinstance(d, types.MemberDescriptorType)}
    return found


def entries(value: Any) -> dict[Any, Any]:
    """What a dictionary holds, in its order, by the built-in methods only."""
    if issubclass(type(value), OrderedDict):
        return {k: dict.__getitem__(value, k) for k in OrderedDict.__iter__(value)}
    return dict(dict.items(value))


def put_back_dict(value: Any, was: dict[Any, Any]) -> Iterable[Any]:
    """A dictionary, in its old order."""
    kind = OrderedDict if issubclass(type(value), OrderedDict) else dict
    now = entries(value)
    changed = _differ(now, was)
    # torch's export replaces lists and tuples by equal ones: they are put back, and not called a change
    told = [k for k in changed if k not in was or k not in now or not _same(now[k], was[k])]
    # and a TorchScript module keeps its own methods as soon as they are called
    told = [k for k in told if k in was or type(now[k]) is not torch.ScriptMethod]
    if not changed and list(now) == list(was):
        return ()
    kind.clear(value)
    for k, v in was.items():
        kind.__setitem__(value, k, v)
    return told if changed else (0,)


def _differ(now: dict[Any, Any], was: dict[Any, Any]) -> list[Any]:
    gone = [k for k in was if k not in now]
    # By identity: `==` of tensors is a tensor, and a new tensor must go even if it equals the old one.
    return gone + [k for k, v in now.items() if k not in was or was[k] is not v]


def _same(now: Any, was: Any) -> bool:
    """Whether a value is what was there, or a copy of it: numbers and words, and containers of what is the same."""
    if now is was:
        return True
    if type(now) is not type(was):
        return False
    if type(now) is dict:
        return now.keys() == was.keys() and all(_same(now[k], was[k]) for k in now)
    for kind in (list, tuple):
        if issubclass(type(now), kind):
            each = list(kind.__iter__(now)), list(kind.__iter__(was))
            return len(each[0]) == len(each[1]) and all(map(_same, *each))
    # Of anything else an equal one may still be another: it could hold a tensor without numbers.
    return type(now) in (bool, int, float, complex, str) and now == was


def content_of(value: Any) -> list[Any]:
    """What a list, deque or set holds, or the bytes of a bytearray."""
    kind = next(k for k in (list, deque, set, bytearray) if issubclass(type(value), k))
    return list(kind.__iter__(value))


def put_back_container(value: Any, was: list[Any]) -> Iterable[Any]:
    """A list, deque, set or bytearray."""
    now = content_of(value)
    if issubclass(type(value), set):
        if {id(v) for v in now} != {id(v) for v in was}:
            set.clear(value)
            set.update(value, was)
            return (0,)
        return ()
    if issubclass(type(value), bytearray):
        if now != was:
            bytearray.__setitem__(value, slice(None), bytes(was))  # no new memory: views may lie in the old one
            return (0,)
        return ()
    if len(now) == len(was) and all(a is b for a, b in zip(now, was, strict=True)):
        return ()
    kind = list if issubclass(type(value), list) else deque
    kind.clear(value)
    kind.extend(value, was)
    return (0,)


def put_back_numbers(value: Any, was: Any) -> Iterable[Any]:
    """An array of the module `array`."""
    if value == was:
        return ()
    value[:] = was
    return (0,)


def put_back_array(value: Any, was: Any) -> Iterable[Any]:
    """An array of NumPy."""
    if value.shape == was.shape and np.ndarray.tobytes(value) == was.tobytes():
        return ()
    # An array is never resized: tensors and views may lie in its memory. One that the model resized stays so, and is told.
    if value.size == was.size:
        value.shape = was.shape
        np.ndarray.__setitem__(value, ..., was)
    return (0,)


def cell_content(cell: types.CellType) -> Any:
    """What a variable of a function holds; `UNSET` before it is set."""
    try:
        return cell.cell_contents
    except ValueError:
        return UNSET


def put_back_cell(cell: types.CellType, was: Any) -> Iterable[Any]:
    """A variable that a function shares with those inside it."""
    if cell_content(cell) is was:
        return ()
    if was is UNSET:
        del cell.cell_contents
    else:
        cell.cell_contents = was
    return (0,)


def slots_of(value: Any, slots: dict[str, Any]) -> dict[str, Any]:
    """What an object has in its slots."""
    found = dict.fromkeys(slots, UNSET)
    for n, descriptor in slots.items():
        with suppress(AttributeError):  # not set yet
            found[n] = descriptor.__get__(value)
    return found


def put_back_slots(value: Any, slots: dict[str, Any], was: dict[str, Any]) -> Iterable[Any]:
    """The slots of an object."""
    changed = _differ(slots_of(value, slots), was)
    for n in changed:
        if was[n] is UNSET:
            slots[n].__delete__(value)
        else:
            slots[n].__set__(value, was[n])  # a frozen object has a __setattr__ that raises
    return changed


def put_back_kind(value: Any, was: type) -> Iterable[Any]:
    """The class of an object, which code may exchange: torch's parametrizations do."""
    if type(value) is was:
        return ()
    object.__setattr__(value, "__class__", was)
    return (0,)


def put_back_class(kind: type, was: dict[str, Any]) -> Iterable[Any]:
    """The attributes of a class."""
    changed = _differ(variables(vars(kind)), was)
    for name in changed:
        # `vars` of a class can only be read. A metaclass may refuse, so it is not asked.
        type.__delattr__(kind, name) if name not in was else type.__setattr__(kind, name, was[name])
    return changed


def variables(names: Any) -> dict[str, Any]:
    """The variables of a class or a file that Python does not make itself."""
    return {k: v for k, v in names.items() if isinstance(k, str) and not k.startswith("__")}


def put_back_variables(value: dict[str, Any], was: dict[str, Any]) -> Iterable[Any]:
    """The variables of a file; new imports and definitions stay, because they do not depend on a picture."""
    code = (types.ModuleType, types.FunctionType, type)
    now = {k: v for k, v in variables(value).items() if k in was or not issubclass(type(v), code)}
    changed = _differ(now, was)
    for name in changed:
        if name in was:
            value[name] = was[name]
        else:
            del value[name]
    return changed


def put_back_tensors(owner: Any, was: dict[str, Any]) -> Iterable[Any]:
    """The attributes of a library's module or class that now are, or hold, tensors: all else may be the library's own doing."""
    now = variables(own_dict(owner) if isinstance(owner, types.ModuleType) else vars(owner))
    # only what is new or another: a library's own tables of tensors stay
    changed = [n for n, v in now.items() if (n not in was or was[n] is not v) and _holds_tensor(v)]
    for name in changed:
        if name in was:
            type.__setattr__(owner, name, was[name]) if isinstance(owner, type) else setattr(owner, name, was[name])
        else:
            type.__delattr__(owner, name) if isinstance(owner, type) else delattr(owner, name)
    return changed


def _holds_tensor(value: Any, depth: int = 3) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set) and depth:
        return any(_holds_tensor(v, depth - 1) for v in value)
    return isinstance(value, Tensor)


def put_back_state(value: Any, was: Any, get: Callable[[Any], Any], put: Callable[[Any, Any], Any]) -> Iterable[Any]:
    """What has a state of its own, see `STATES`."""
    if alike(get(value), was):
        return ()
    put(value, was)
    return (0,)


def place_of(iterator: Any) -> Any:
    """Something that changes as an iterator goes on, for most of them; nothing is taken from it."""
    frame = getattr(iterator, "gi_frame", None) if type(iterator) is types.GeneratorType else None
    if frame is not None:
        return frame.f_lasti, {k: id(v) for k, v in frame.f_locals.items()}
    left = getattr(type(iterator), "__length_hint__", lambda _: None)
    return repr(iterator), left(iterator)


def advanced(iterator: Any, was: Any) -> Iterable[Any]:
    """Whether an iterator went on: it cannot go back, so that is told."""
    return () if place_of(iterator) == was else (0,)


def as_it_is(value: Tensor) -> tuple[Any, ...]:
    """(a tensor in the same memory, its place there, whether it requires gradients, its gradient)."""
    place = (value.dtype, value.size(), value.stride(), value.storage_offset(), value.untyped_storage()._cdata)
    return value.detach(), place, value.requires_grad, value.grad if value.is_leaf else None


def bytes_of(value: Tensor) -> Tensor:
    """The memory that a tensor lies in, as bytes."""
    return torch.empty(0, dtype=torch.uint8, device=value.device).set_(value.untyped_storage())


def put_back_tensor(value: Tensor, was: tuple[Any, ...], content: Tensor | None) -> Iterable[Any]:
    """A tensor, and the memory that it lies in if that is given."""
    alias, place, differentiable, gradient = was
    _, now, *flags = as_it_is(value)
    changed = now != place
    if changed:
        value.data = alias
    if value.is_leaf and (flags[0] != differentiable or flags[1] is not gradient):
        changed = True
        value.requires_grad_(differentiable).grad = gradient
    if content is not None:
        storage = alias.untyped_storage()
        if storage.nbytes() != content.numel():
            changed = True
            storage.resize_(content.numel())
        if not torch.equal(held := bytes_of(alias), content):
            changed = True
            held.copy_(content)
    return (0,) if changed else ()


def emptied(cache: Any, was: Any) -> Iterable[Any]:
    """A cache of `functools`, empty if anything was added to it."""
    if cache.cache_info().misses != was.misses:
        cache.cache_clear()
    return ()  # what a cache keeps changes no answer
