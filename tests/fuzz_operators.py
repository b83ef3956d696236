"""Every operator that an exported program may call, with random arguments: none leaves its tensors or ends the process.

    python tests/fuzz_operators.py --count 20 --seed 0

Each tensor that an operator is given ends at a page of memory that cannot be read, so that a read or write behind it ends the
process and is seen. Arguments are drawn from the operator's schema: sizes, strides and places are often negative, zero or huge,
and tensors of any shape and type, so most calls raise an exception; that is fine. `--count` is the number of calls per operator.

Each call is made twice, with new memory full of one byte and then of another: a result that differs holds memory that nobody
wrote, and with it whatever the process had there before.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import mmap
import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from shiftproof.models.loading.checked_calls import CHECKED
from shiftproof.models.loading.operators import LEAST_SCALE, is_admitted

SECONDS, MEMORY = 30, 2**31
PERTURB = -6  # glibc's M_PERTURB: new memory is full of this byte
NOT_GIVEN = ("dtype", "layout", "device", "pin_memory", "memory_format", "generator")
HUGE = (-(2**63), -(2**31), -100, -3, 0, 4, 5, 7, 8, 16, 100, 1000, 2**31, 2**40, 2**62, 2**63 - 1)
FLOATS = (0.0, 1.0, 0.5, 2.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), 0.3)
NUMBERS = (0, 1, 2, -1, 0.5, 2**40, float("nan"))
TEXTS = (
    "none",
    "mean",
    "sum",
    "prod",
    "amax",
    "amin",
    "replicate",
    "ij",
    "reflect",
    "constant",
    "linear",
    "floor",
    "add",
)
SHAPES = (
    (2, 3, 8, 8),
    (1, 4, 6, 6),
    (3, 8, 8),
    (4, 4),
    (5,),
    (),
    (0, 3),
    (2, 0, 4, 4),
    (4, 3, 3, 3),
    (2, 3, 4, 5, 6),
    (4,),
)
PLACES = (-(2**30), -5, -1, 0, 1, 2, 3, 5, 7, 100, 2**30)
TYPES = (
    *[torch.float32] * 6,
    *[torch.int64] * 3,
    torch.float64,
    torch.bool,
    torch.uint8,
    torch.float16,
    torch.complex64,
)


def operators() -> list[torch._ops.OpOverload]:
    """Every form of an operator that a program may call."""
    packets = [getattr(torch.ops.aten, name) for name in sorted(dir(torch.ops.aten))]
    forms = [getattr(p, f) for p in packets if isinstance(p, torch._ops.OpOverloadPacket) for f in p.overloads()]
    return [form for form in forms if is_admitted(f"torch.ops.{form}")]


class Guards:
    """Memory whose end is followed by a page that nobody may touch; it lives as long as this object."""

    def __init__(self) -> None:
        self._held: list[Any] = []
        self._protect = ctypes.CDLL(None, use_errno=True).mprotect
        self._protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

    def copy(self, tensor: Tensor) -> Tensor:
        """The tensor in memory of its own that ends where the guard begins."""
        length = tensor.numel() * tensor.element_size()
        if length == 0:
            return tensor
        size = -(-length // mmap.PAGESIZE) * mmap.PAGESIZE
        pages = mmap.mmap(-1, size + 2 * mmap.PAGESIZE)
        whole = (ctypes.c_char * len(pages)).from_buffer(pages)
        start = ctypes.addressof(whole)
        for guard in (start, start + mmap.PAGESIZE + size):
            assert self._protect(guard, mmap.PAGESIZE, 0) == 0
        raw = (ctypes.c_char * length).from_address(start + mmap.PAGESIZE + size - length)
        self._held += [pages, whole, raw]
        return torch.frombuffer(raw, dtype=tensor.dtype).reshape(tensor.shape).copy_(tensor)


def _tensor(draw: random.Random, guards: Guards) -> Tensor:
    shape, kind = draw.choice(SHAPES), draw.choice(TYPES)
    if kind == torch.int64:
        values = torch.tensor([draw.choice(PLACES) for _ in range(torch.Size(shape).numel())]).reshape(shape)
    else:
        values = (torch.randn(shape) * 3).to(kind)
    found = guards.copy(values)
    if found.dim() > 1 and draw.random() < 0.2:
        return found.transpose(0, -1)
    return found[..., ::2] if found.dim() and draw.random() < 0.1 else found


def _value(kind: Any, draw: random.Random, guards: Guards) -> Any:
    name = kind.kind()
    if name == "OptionalType":
        return None if draw.random() < 0.5 else _value(kind.getElementType(), draw, guards)
    if name == "ListType":
        return [_value(kind.getElementType(), draw, guards) for _ in range(draw.choice((0, 1, 1, 2, 2, 2, 3, 4, 6)))]
    return {
        "TensorType": lambda: _tensor(draw, guards),
        "IntType": lambda: draw.choice(HUGE) if draw.random() < 0.35 else draw.choice((-1, 0, 1, 2, 3)),
        "SymIntType": lambda: draw.choice(HUGE) if draw.random() < 0.35 else draw.choice((-1, 0, 1, 2, 3)),
        "FloatType": lambda: draw.choice(FLOATS),
        "BoolType": lambda: draw.random() < 0.5,
        "NumberType": lambda: draw.choice(NUMBERS),
        "StringType": lambda: draw.choice(TEXTS),
    }.get(name, lambda: None)()


def call(operator: Callable[..., Any], seed: int) -> bytes:
    """What the operator returns for the arguments of that seed, called as a program calls it; raises what it raises."""
    draw, guards = random.Random(seed), Guards()
    torch.manual_seed(seed)
    schema = operator._schema  # type: ignore[attr-defined]
    wanted = [a for a in schema.arguments if a.name not in NOT_GIVEN]
    given = {a.name: _value(a.type, draw, guards) for a in wanted if not a.has_default_value() or draw.random() < 0.7}
    first = [given.pop("self")] if "self" in given else []
    if "grid_sampler" in schema.name:  # a program with another mode is refused as it is read
        given |= {name: draw.randrange(3) for name in ("interpolation_mode", "padding_mode")}
    if "upsample" in schema.name:  # so is one with another scale
        given = {name: _as_scales(value) if "scale" in name else value for name, value in given.items()}
    found = CHECKED.get(operator, operator)(*first, **given)  # type: ignore[call-overload]
    return b"".join(map(_bytes, pytree.tree_leaves(found)))  # while the memory of the arguments is there


def _as_scales(value: Any) -> Any:
    if isinstance(value, list):
        return [*map(_as_scales, value)]
    return value if value is None or LEAST_SCALE <= value <= 1 / LEAST_SCALE else 2.0


def leaves_unwritten(operator: Callable[..., Any], seed: int) -> bool:
    """Whether the operator returns memory that nobody wrote, for the arguments of that seed."""
    option = ctypes.CDLL(None).mallopt
    found = []
    for byte in (0x21, 0x6D):
        assert option(PERTURB, byte) == 1
        found.append(call(operator, seed))
    return found[0] != found[1]


def _bytes(value: Any) -> bytes:
    if not isinstance(value, Tensor):
        return repr(value).encode()
    plain = value.detach().resolve_conj().resolve_neg().contiguous()
    return plain.flatten().view(torch.uint8).numpy().tobytes()


def run(
    count: int, seed: int, called: Sequence[Callable[..., Any]] | None = None
) -> tuple[collections.Counter[str], list[str]]:
    """How many calls returned and raised; and each operator and seed that broke the promise.

    Args:
        count: calls per operator.
        seed: of the first call.
        called: the operators; by default all that a program may call.
    """
    torch.set_num_threads(1)  # threads do not survive a fork
    counts, broken = collections.Counter[str](), []
    for operator in operators() if called is None else called:
        at = seed
        while at < seed + count:
            calls, signal_name = _calls(operator, range(at, seed + count))
            counts["returned"] += calls.count(b"r") + calls.count(b"u")
            broken += [f"{operator} with seed {at + i}: unwritten memory" for i, c in enumerate(calls) if c == ord("u")]
            counts["raised"] += calls.count(b"e")
            at += len(calls)
            if signal_name:
                broken.append(f"{operator} with seed {at}: {signal_name}")
                at += 1
    return counts, broken


def _calls(operator: Callable[..., Any], seeds: range) -> tuple[bytes, str]:
    """One letter per finished call in a child process, and the signal that ended it, if one did."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _try_all(operator, seeds, write)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        calls = pipe.read()
    _, status = os.waitpid(child, 0)
    return calls, signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ""


def _try_all(operator: Callable[..., Any], seeds: range, write: int) -> None:
    most = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS * len(seeds), SECONDS * len(seeds) + 5))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for seed in seeds:
        try:
            os.write(write, b"u" if leaves_unwritten(operator, seed) else b"r")
        except Exception:
            os.write(write, b"e")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    counts, broken = run(asked.count, asked.seed)
    print(
        f"{len(operators())} operators, {counts['returned']} calls returned, {counts['raised']} raised, {len(broken)} broken"
    )
    print(*broken, sep="\n", end="")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
