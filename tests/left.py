"""Whether a check leaves a model as it was, seen from outside: without the snapshot that the check itself takes."""

from __future__ import annotations

import copy
import gc
import sys
import types

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.nn.parameter import is_lazy

import shiftproof as sp

LIBRARIES = {
    *sys.stdlib_module_names,
    "torch",
    "numpy",
    "timm",
    "torchvision",
    "shiftproof",
    "pytest",
    "_pytest",
    "beartype",
}


def same(a, b) -> bool:
    """Whether two answers are equal to the bit; NaN equals NaN."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Tensor):
        return type(a) is type(b) and torch.equal(a.nan_to_num(), b.nan_to_num())
    return a == b


def fakes(*roots: object) -> list[Tensor]:
    """The tensors without numbers, as torch.export makes them, that things hold in any place; not those that torch holds."""
    found: list[Tensor] = []
    seen: dict[int, object] = {}
    todo: list[object] = list(roots)
    while todo:
        one = todo.pop()
        library = isinstance(one, type | types.FunctionType) and str(one.__module__).partition(".")[0] in LIBRARIES
        if id(one) in seen or library or isinstance(one, types.ModuleType | types.FrameType):
            continue
        seen[id(one)] = one
        if type(one) is FakeTensor:
            found.append(one)
        else:
            todo += gc.get_referents(one)
    return found


def held(net: nn.Module) -> list:
    """What a model holds: names and identities of its tensors and attributes, and the bytes of its tensors."""
    tensors = [*net.named_parameters(remove_duplicate=False), *net.named_buffers(remove_duplicate=False)]
    found = [(n, id(t), t.dtype, t.requires_grad, id(t.grad)) for n, t in tensors]
    ready = [t for _, t in tensors if not is_lazy(t)]
    plain = [(type(m), k, id(v)) for m in net.modules() for k, v in vars(m).items() if k != "training"]
    return [found, plain, [m.training for m in net.modules()], [(t.shape, t.stride(), _bits(t)) for t in ready]]


def _bits(t: Tensor) -> bytes:
    return t.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def left_as_it_was(net: nn.Module, size: tuple[int, ...]) -> bool:
    """Whether a model that was checked holds what it held, and answers to the bit like a copy that was not checked."""
    torch.manual_seed(0)
    dtype = next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.float32)
    x, other, before, generator = (
        torch.rand(1, *size, dtype=dtype),
        copy.deepcopy(net),
        held(net),
        torch.get_rng_state(),
    )
    sp.check(net, size)
    assert held(net) == before, "the model holds something else"
    assert torch.equal(generator, torch.get_rng_state()), "torch's random generator was drawn from"
    assert not fakes(net), "a tensor without numbers is left"
    with torch.no_grad():
        return all(same(net(x.clone()), other(x.clone())) for _ in range(2))
