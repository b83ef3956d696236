"""Layers that do something else than their graph says, or nearly: for the random networks of `random_traps`.

Custom operators, state outside tensors, branches on how the code is run, lazy tensors, frequencies behind padding, scales that
are nearly whole, memory that nobody wrote, sums of integers, constants that share memory.
"""

from __future__ import annotations

import functools
import itertools
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from brute_force import Call, circular

Size = tuple[int, int, int]


@dataclass
class Trap:
    """A layer, and what is known about it.

    Args:
        name: in words.
        layer: the layer.
        size: (c, h, w) of its output.
        state: the state outside the module's tensors, so that it can be compared; it changes as the model runs.
        reset: puts the state back to what it was before the first run.
        never: whether nothing may ever be proved of a network with this layer.
    """

    name: str
    layer: nn.Module
    size: Size
    state: Callable[[], Any] = tuple
    reset: Callable[[], None] = lambda: None
    never: bool = False


def _shifted(x: Tensor) -> Tensor:
    return F.pad(x, (1, 0, 1, 0))[..., :-1, :-1].clone()


LIBRARY = torch.library.Library("traps", "FRAGMENT")


def _operator(schema: str, run: Callable[..., Any], shape: Callable[..., Any] = torch.empty_like) -> None:
    """An operator of this file, whatever its schema promises."""
    name = schema.partition("(")[0]
    LIBRARY.define(schema)
    LIBRARY.impl(name, run, "CompositeExplicitAutograd")
    torch.library.register_fake(f"traps::{name}", shape)


_operator("relu(Tensor self) -> Tensor", lambda x: _shifted(x).relu())
_operator("sigmoid(Tensor self) -> Tensor", torch.sigmoid)
_operator("neg(Tensor self) -> Tensor", lambda x: x.cumsum(3))
_operator(
    "mean.dim(Tensor self, int[]? dim) -> Tensor",
    lambda x, dim: x[:, :, :1, :1].clone(),
    lambda x, dim: x[:, :, :1, :1],
)
_operator("add_ramp(Tensor x) -> Tensor", lambda x: x.add_(torch.arange(x.shape[-1], dtype=x.dtype)).clone())
_operator("flipped(Tensor(a!) x) -> ()", lambda x: (x.copy_(x.flip(2)), None)[1], lambda x: None)
_operator("itself(Tensor x) -> Tensor", lambda x: x)
_operator(
    "both(Tensor x) -> (Tensor, Tensor)", lambda x: (x.clone(), _shifted(x)), lambda x: (torch.empty_like(x),) * 2
)


def _written(m: nn.Module, x: Tensor) -> Tensor:
    y = x.clone()
    torch.ops.traps.add_ramp(y)  # its schema does not say that it writes
    return y


def _said(m: nn.Module, x: Tensor) -> Tensor:
    y = x.clone()
    torch.ops.traps.flipped(y)
    return y


def _through(m: nn.Module, x: Tensor) -> Tensor:
    y = x.clone()
    torch.ops.traps.itself(y)[..., :1].mul_(3)
    return y


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "an operator called relu that shifts": lambda m, x: torch.ops.traps.relu(x),
    "an operator called sigmoid that is one": lambda m, x: torch.ops.traps.sigmoid(x),
    "an operator called neg that adds up": lambda m, x: torch.ops.traps.neg(x),
    "an operator called mean that reads a corner": lambda m, x: x - torch.ops.traps.mean.dim(x, [2, 3]),
    "an operator that writes unsaid": _written,
    "an operator that writes": _said,
    "an operator that returns its argument": _through,
    "an operator with two results": lambda m, x: torch.ops.traps.both(x)[m.training] + torch.ops.traps.both(x)[1],
}


class Parity:
    """A plain object that counts."""

    def __init__(self) -> None:
        self.n = 0

    def up(self) -> int:
        self.n += 1
        return self.n


COUNTED = [0]


class Keeps(nn.Module):
    """Multiplies by a number that it makes from what it keeps, other than by a tensor."""

    def __init__(self, kept: Any, number: Callable[[Any], float]) -> None:
        super().__init__()
        self.kept, self.number = kept, number

    def forward(self, x: Tensor) -> Tensor:
        return x * self.number(self.kept)


def _added(a: Any) -> float:
    a += 1
    return float(a.flat[0])


def _counted(kept: Any) -> float:
    kept[0] += 1
    return float(kept[0])


def _appended(kept: deque[int]) -> float:
    kept.append(1)
    return float(len(kept))


def _kept_state(kept: Any) -> Any:
    if isinstance(kept, Parity):
        return kept.n
    if isinstance(kept, np.random.Generator):
        return str(kept.bit_generator.state)
    if isinstance(kept, random.Random):
        return kept.getstate()
    if isinstance(kept, torch.Generator):
        return kept.get_state().tolist()
    if isinstance(kept, itertools.count):
        return ()  # no iterator can go back
    return list(kept)


STATES: dict[str, tuple[Callable[[], Any], Callable[[Any], float]]] = {
    "an array that counts": (lambda: np.zeros(1), _added),
    "a list that counts": (lambda: [0], _counted),
    "a deque that grows": (deque, _appended),
    "an object that counts": (Parity, lambda k: float(k.up())),
    "numpy's own generator": (lambda: np.random.default_rng(0), lambda g: float(g.random())),
    "python's own generator": (lambda: random.Random(0), lambda g: g.random()),
    "torch's own generator": (torch.Generator, lambda g: float(torch.rand(1, generator=g)[0])),
    "an iterator": (lambda: itertools.count(1), lambda g: float(next(g))),
    "a list of the file": (lambda: COUNTED, _counted),
}


def _state(r: random.Random, s: Size) -> Trap:
    name = r.choice(list(STATES))
    make, number = STATES[name]
    kept = make()

    def reset() -> None:
        COUNTED[0] = 0

    return Trap(name, Keeps(kept, number), s, lambda: _kept_state(kept), reset)


def _clock(r: random.Random, s: Size) -> Trap:
    name, read = r.choice([("the clock", time.perf_counter), ("the date", time.time)])
    return Trap(name, Call(lambda m, x: x * (1 + read() % 1)), s, never=True)


def _swallowed(m: nn.Module, x: Tensor) -> Tensor:
    try:
        busy = float(x.abs().max()) >= 0
    except Exception:
        return x
    return x.cumsum(3) if busy else x


def _threshold(m: nn.Module, x: Tensor) -> Tensor:
    try:
        return x.flip(3) if bool(x.mean() > 0) else x
    except Exception:
        return x


def _pointer(m: nn.Module, x: Tensor) -> Tensor:
    try:
        return x.cumsum(2) if x.data_ptr() else x
    except Exception:
        return x


BRANCHES: dict[str, Callable[..., Tensor]] = {
    "asks whether it is compiled": lambda m, x: x if torch.compiler.is_compiling() else x.cumsum(2),
    "asks whether it is exported": lambda m, x: x if torch.compiler.is_exporting() else x.flip(3),
    "asks for the class": lambda m, x: _shifted(x) if type(x) is Tensor else x,
    "swallows what export raises": _swallowed,
    "has a threshold": _threshold,
    "asks where the numbers are": _pointer,
    "asks, and does the same": lambda m, x: x.neg() if torch.compiler.is_compiling() else x * -1,
}

BY_WIDTH: dict[int, Tensor] = {}


@functools.lru_cache
def _ramp(n: int) -> Tensor:
    return torch.arange(n).double()


class Lazy(nn.Module):
    """Multiplies by numbers of the columns, or by ones, that its first run makes and keeps in `place`."""

    shared: dict[int, Tensor] = {}  # noqa: RUF012 -- what is tested

    def __init__(self, place: str, uniform: bool) -> None:
        super().__init__()
        self.place, self.uniform = place, uniform
        self.register_buffer("empty", None)
        self.own: dict[str, Tensor] = {}

    @functools.cached_property
    def once(self) -> Tensor:
        return self.make(self.n)

    def make(self, n: int) -> Tensor:
        return torch.ones(n).double() if self.uniform else torch.arange(n).double()

    def forward(self, x: Tensor) -> Tensor:
        return x * LAZY[self.place](self, x.shape[3])


def _in(where: Callable[[Lazy], Any]) -> Callable[[Lazy, int], Tensor]:
    def run(m: Lazy, n: int) -> Tensor:
        kept = where(m)
        if n not in kept:
            kept[n] = m.make(n)
        return kept[n]

    return run


def _attribute(name: str, wrap: Callable[[Tensor], Any] = lambda t: t) -> Callable[[Lazy, int], Tensor]:
    def run(m: Lazy, n: int) -> Tensor:
        if getattr(m, name, None) is None:
            setattr(m, name, wrap(m.make(n)))
        return getattr(m, name)

    return run


def _once(m: Lazy, n: int) -> Tensor:
    m.n = n
    return m.once


LAZY: dict[str, Callable[[Lazy, int], Tensor]] = {
    "an empty buffer": _attribute("empty"),
    "an attribute": _attribute("made"),
    "a parameter": _attribute("learned", nn.Parameter),
    "a function's cache": lambda m, n: _ramp(n) * 0 + 1 if m.uniform else _ramp(n),
    "a dictionary of its own": _in(lambda m: m.own),
    "a dictionary of the class": _in(lambda m: m.shared),
    "a dictionary of the file": _in(lambda m: BY_WIDTH),
    "a cached property": _once,
}


def _lazy(r: random.Random, s: Size) -> Trap:
    place = r.choice(list(LAZY))
    layer = Lazy(place, r.random() < 0.5)

    def state() -> Any:
        names = [n for n in ("made", "learned", "once", "n") if n in vars(layer) or n in layer._parameters]
        kept = [sorted(d) for d in (layer.own, layer.shared, BY_WIDTH)]
        return names, kept, layer.empty is None, _ramp.cache_info().currsize

    def reset() -> None:
        layer.shared.clear()
        BY_WIDTH.clear()
        _ramp.cache_clear()

    return Trap(f"{place}, made late", layer, s, state, reset)


def _lazy_layer(r: random.Random, s: Size) -> Trap:
    layer = nn.LazyConv2d(2, 3, padding=1, padding_mode="circular").double()
    return Trap("a lazy layer", layer, (2, *s[1:]), lambda: [type(p).__name__ for p in layer.parameters()])


def _bordered(r: random.Random, s: Size) -> Trap:
    """|FFT| or a filter in frequencies, behind one of several borders."""
    borders: list[tuple[str, Callable[[Tensor], Tensor]]] = [
        ("nothing", lambda x: x),
        ("zeros", lambda x: F.pad(x, (1, 1, 1, 1))),
        ("zeros and a crop", lambda x: F.pad(x, (1, -1, 0, 0))),
        ("a convolution", lambda x: F.conv2d(x, x.new_ones(1, x.shape[1], 3, 3), padding=1)),
        ("a transposed convolution", lambda x: F.conv_transpose2d(x, x.new_ones(x.shape[1], 1, 3, 3), padding=1)),
        ("a circle", lambda x: F.pad(x, (1, 1, 1, 1), mode="circular")),
        ("a crop", lambda x: x[:, :, 1:]),
    ]
    spectra: list[tuple[str, Callable[[Tensor], Tensor]]] = [
        ("magnitudes", lambda y: torch.fft.rfft2(y).abs()),
        ("magnitudes of rows", lambda y: torch.fft.fft(y).abs()),
        (
            "a filter",
            lambda y: torch.fft.irfft2(torch.fft.rfft2(y) * torch.fft.rfft2(y.new_ones(y.shape[2:])), s=y.shape[2:]),
        ),
        ("more frequencies", lambda y: torch.fft.fft2(y, s=(y.shape[2] + 2, y.shape[3] + 2)).abs()),
        ("real parts", lambda y: torch.fft.fft2(y).real),
        ("energy", lambda y: torch.fft.fft2(y).abs().square().mean((2, 3), keepdim=True)),
    ]
    (border, pad), (kind, spectrum) = r.choice(borders), r.choice(spectra)
    layer = Call(lambda m, x: spectrum(pad(x)))
    return Trap(f"{kind} behind {border}", layer, _size_of(layer, s))


def _scaled(r: random.Random, s: Size) -> Trap:
    scale = r.choice([0.5, 0.5000001, 0.4999999, 1.9999999, 2.0, 2.0000001, 0.51, 1.0000001, 0.9999999])
    mode = r.choice(["nearest", "nearest-exact", "bilinear", "area", "bicubic"])
    more: dict[str, Any] = {} if mode in ("nearest", "nearest-exact", "area") else {"align_corners": False}
    more |= r.choice([{}, {"recompute_scale_factor": True}])
    layer = Call(lambda m, x: F.interpolate(x, scale_factor=scale, mode=mode, **more))
    return Trap(f"{mode} by {scale} {more}", layer, _size_of(layer, s))


def _half_filled(x: Tensor) -> Tensor:
    y = torch.empty(1, x.shape[1], 1, x.shape[3], dtype=x.dtype)
    y[..., 1:] = 1
    return y


UNWRITTEN: dict[str, Callable[..., Tensor]] = {
    "unwritten memory": lambda m, x: x + torch.empty(1, x.shape[1], 1, 1, dtype=x.dtype),
    "memory like a picture": lambda m, x: x * torch.empty_like(x),
    "memory written in part": lambda m, x: x + _half_filled(x),
    "memory as whole numbers": lambda m, x: x + (torch.empty(1, dtype=torch.int64) % 7),
}

SUMS: dict[str, Callable[..., Tensor]] = {
    "a sum of whole numbers": lambda m, x: x - x.to(torch.int32).sum((2, 3), keepdim=True).to(x.dtype),
    "a sum of window means in whole numbers": lambda m, x: (
        x + F.avg_pool2d(x, 3, 1, 1).to(torch.int64).sum((2, 3), keepdim=True)
    ),
    "a sum that is cut to bytes": lambda m, x: x + x.to(torch.int64).sum((2, 3), keepdim=True).to(torch.int8),
    "halves of a sum": lambda m, x: x + x.to(torch.int64).sum(3, keepdim=True) // 2,
    "a running sum of whole numbers": lambda m, x: x + x.to(torch.int64).cumsum(2),
    "a count of a row": lambda m, x: x * (x[:, :, :1] > 0).sum((2, 3), keepdim=True),
}


class Shared(nn.Module):
    """Two buffers that lie in one memory: what is written to one is read from the other."""

    def __init__(self, s: Size, kind: str) -> None:
        super().__init__()
        kept = torch.zeros(1, *s).double()
        self.register_buffer("a", kept)
        self.register_buffer("b", SHARED[kind](kept))

    def forward(self, x: Tensor) -> Tensor:
        self.a.copy_(x)
        return x + self.b


SHARED: dict[str, Callable[[Tensor], Tensor]] = {
    "the same memory": lambda t: t,
    "a view of it": lambda t: t.view(t.shape),
    "its first row": lambda t: t[:, :, :1],
    "its diagonal neighbours": lambda t: (
        t.as_strided(t.shape, (0, 0, 1, t.shape[3])) if t.shape[2] == t.shape[3] else t
    ),
    "one number of it": lambda t: t[:, :, :1, :1],
    "columns in steps of two": lambda t: t[..., ::2].repeat_interleave(2, 3)[..., : t.shape[3]],
}


def _size_of(layer: nn.Module, s: Size) -> Size:
    with torch.no_grad():
        c, h, w = layer(torch.zeros(1, *s).double()).shape[1:]
    return c, h, w


def _of(table: dict[str, Callable[..., Tensor]], never: bool = False) -> Callable[[random.Random, Size], Trap]:
    def make(r: random.Random, s: Size) -> Trap:
        name = r.choice(list(table))
        return Trap(name, Call(table[name]), s, never=never)

    return make


def _sharing(r: random.Random, s: Size) -> Trap:
    kind = r.choice(list(SHARED))
    return Trap(f"buffers that share {kind}", Shared(s, kind), s)


class Stays(nn.Module):
    """Its dropout goes on in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def train(self, mode: bool = True) -> Stays:
        super().train(mode)
        self.drop.train()
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(x)


def _training(r: random.Random, s: Size) -> Trap:
    return Trap("dropout that stays", Stays(), s, never=True)


def _hooked(r: random.Random, s: Size) -> Trap:
    """A hook changes what a layer answers."""
    layer = circular(s[0], s[0], 1)
    layer.register_forward_hook(r.choice([lambda m, i, o: o.cumsum(3), lambda m, i, o: o * 2, lambda m, i, o: None]))
    return Trap("a hook", layer, s)


TRAPS: list[Callable[[random.Random, Size], Trap]] = [
    _of(OPERATORS),
    _of(OPERATORS),
    _state,
    _state,
    _clock,
    _of(BRANCHES),
    _of(BRANCHES),
    _lazy,
    _lazy,
    _lazy_layer,
    _bordered,
    _bordered,
    _bordered,
    _scaled,
    _scaled,
    _of(UNWRITTEN, never=True),
    _of(SUMS),
    _sharing,
    _training,
    _hooked,
]
