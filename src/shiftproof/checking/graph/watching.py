"""What a model asks while it runs that may answer otherwise the next time: clocks, random generators, the system's noise."""

from __future__ import annotations

import datetime
import dis
import functools
import gc
import io
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np
import torch

try:
    import resource
except ImportError:  # on Windows
    resource = None

from shiftproof.checking.graph.libraries import OWN, of_python, of_torch
from shiftproof.checking.graph.origin import line_of_frame

# The code that beartype writes around a function draws one item of a list to check its type, which does not change what the
# function returns. It draws by this argument of its own.
CHECKER_DRAWS_BY = "__beartype_getrandbits"
NAMES = ("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime")
CLOCKS = {
    *(getattr(time, n + end) for n in NAMES for end in ("", "_ns") if hasattr(time, n + end)),
    *(time.localtime, time.gmtime, time.ctime, time.asctime, time.strftime),
    *(os.times, getattr(uuid, "_generate_time_safe", None)),
} - {None}
DATES = {"now", "utcnow", "today"}  # class methods of `datetime.date` and of what inherits from it
# The system's own noise, by which generators without a seed are started: NumPy's ask it through Python's `secrets`.
NOISE = {getattr(os, n) for n in ("urandom", "getrandom") if hasattr(os, n)}
# What tells of the process and the machine, which is never the same twice.
USE = {getattr(os, "getloadavg", None), gc.get_stats, gc.get_count, getattr(resource, "getrusage", None)} - {None}
# A file may be another one at the next run: a clock (/proc/uptime), what the model itself wrote, the time at which it was read.
OPENS = {io.open, os.open, os.stat, os.lstat, os.listdir, os.scandir, os.readlink, os.access}
THREADS = {getattr(threading, n, None) for n in ("_start_new_thread", "_start_joinable_thread")} - {None}
OUTSIDE = {
    **dict.fromkeys(USE, "asks what the process has used"),
    **dict.fromkeys(OPENS, "opens a file or asks about one"),
    **dict.fromkeys(THREADS, "starts a thread, in which nothing is seen"),
}
# Python's own generator asks the system from within C, which nothing sees: its start is known by its argument.
STARTS = {random.Random.__init__.__code__: "x", random.Random.seed.__code__: "a"}


@dataclass
class Calls:
    """What was called inside the block.

    Attributes:
        clocks: the clocks that were read, as (name, "file:line"), but for those that torch reads for itself.
        named: clocks that the model's code names, and may read where no call of them is seen: `partial(time.time)`.
        beside: whatever else was asked that an answer must not depend on, as ("opens a file", name, "file:line").
        noise: where random numbers of the system were asked for, or a generator started by them, as (name, "file:line").
        draws: whether any code but a type checker's drew from the generator of the module `random`.
    """

    clocks: list[tuple[str, str]] = field(default_factory=list)
    named: list[tuple[str, str]] = field(default_factory=list)
    noise: list[tuple[str, str]] = field(default_factory=list)
    beside: list[tuple[str, str, str]] = field(default_factory=list)
    draws: bool = False


@contextmanager
def calls_watched(into: Calls | None = None) -> Iterator[Calls]:
    """Watches the calls inside the block, in this thread; nothing is seen while a profiler written in C runs.

    Args:
        into: an earlier result, to be added to.

    >>> with calls_watched() as calls:
    ...     drawn, started = random.random(), time.time()
    >>> calls.draws, [name for name, line in calls.clocks]
    (True, ['time.time'])
    """
    found = Calls() if into is None else into
    # `random.random`, `random.choice` and the like are methods of one hidden instance: all of them end in a C call on it
    shared = getattr(random.random, "__self__", None)

    read: set[CodeType] = set()

    def note(place: list[tuple[str, str]], name: str, frame: FrameType) -> None:
        asks = _reader(frame)
        if asks is not None:
            place.append((name, _line(asks)))

    def watch(frame: FrameType, event: str, called: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code in STARTS and frame.f_locals.get(STARTS[code], 0) is None:
                note(found.noise, "random.Random", frame)
            elif code not in read:
                read.add(code)
                if not of_python(code.co_filename) and not of_torch(code.co_filename):
                    found.named.extend((name, _line(frame)) for name in _clocks_named(frame))
        elif event == "c_call":
            if _is_clock(called):
                note(found.clocks, f"{_owner(called)}.{called.__name__}", frame)
            elif called in OUTSIDE:
                asks = _opener(frame)
                if asks is not None:
                    found.beside.append((OUTSIDE[called], f"{_owner(called)}.{called.__name__}", _line(asks)))
            elif called in NOISE:
                note(found.noise, f"os.{called.__name__}", frame)
            elif called.__name__ == "seed" and isinstance(getattr(called, "__self__", None), torch.Generator):
                note(found.noise, "torch.Generator.seed", frame)
            elif getattr(called, "__self__", None) is shared and frame.f_locals.get(CHECKER_DRAWS_BY) != called:
                found.draws = True

    before = sys.getprofile()
    if before is not None and not callable(before):  # it could not be set again
        yield found
        return
    sys.setprofile(watch)
    try:
        yield found
    finally:
        sys.setprofile(before)


def _is_clock(called: Any) -> bool:
    owner = getattr(called, "__self__", None)
    return called in CLOCKS or (
        called.__name__ in DATES and isinstance(owner, type) and issubclass(owner, datetime.date)
    )


def _clocks_named(frame: FrameType) -> list[str]:
    """The clocks that the code of a frame names, in its own variables, those around it, its module or a `partial`."""
    code = frame.f_code
    held_by = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_ATTR", "LOAD_METHOD")}
    words = held_by | {c for c in code.co_consts if isinstance(c, str)}
    values = [frame.f_globals.get(n) for n in code.co_names]
    values += [frame.f_locals.get(n) for n in (*code.co_freevars, *code.co_varnames[: code.co_argcount])]
    for one in list(values):
        if isinstance(one, ModuleType | torch.nn.Module):
            values += [vars(one)[n] for n in sorted(words & vars(one).keys())]
    found = []
    for value in values:
        called = value.func if isinstance(value, functools.partial) else value
        if isinstance(called, type) and issubclass(called, datetime.date):
            found += [f"{called.__name__}.{n}" for n in sorted(words & DATES)]
        elif called is np.datetime64:
            found += [f"numpy.datetime64({n!r})" for n in sorted(words & DATES)]
        elif _is_builtin_clock(called):
            found.append(f"{_owner(called)}.{getattr(called, '__name__', '')}")
    return found


def _owner(called: Any) -> str:
    """The name of the module or class that a function written in C belongs to."""
    owner = getattr(called, "__self__", None)
    return str(getattr(owner, "__name__", type(owner).__name__))


def _is_builtin_clock(value: Any) -> bool:
    return isinstance(value, type(time.time)) and _is_clock(value)


def _reader(frame: FrameType) -> FrameType | None:
    """On whose behalf a clock is read: the first frame that is not Python's own code. None if it is torch.

    Torch times its compiler. A callback of the garbage collector (hypothesis has one) runs in the middle of whatever code
    makes the garbage.
    """
    callbacks = {getattr(c, "__code__", None) for c in gc.callbacks}
    asks: FrameType | None = frame
    while asks is not None:
        if asks.f_code in callbacks:
            return None
        if not of_python(asks.f_code.co_filename):
            return None if of_torch(asks.f_code.co_filename) else asks
        asks = asks.f_back
    return frame


def _opener(frame: FrameType) -> FrameType | None:
    """On whose behalf a file is opened, also by `torch.load`. None if it is torch, or Python that imports or shows code."""
    asks: FrameType | None = frame
    while asks is not None:
        file, name = asks.f_code.co_filename, str(asks.f_globals.get("__name__"))
        if file.startswith("<frozen importlib") or name == "linecache":
            return None
        passed = (
            name == "torch.serialization"
            or file.startswith(("<frozen", "<@beartype"))
            or Path(file).is_relative_to(OWN)
        )
        if not passed and not of_python(file):
            return None if of_torch(file) else asks
        asks = asks.f_back
    return frame


def _line(frame: FrameType) -> str:
    """Where a frame is, also where it is in no file of the model."""
    return line_of_frame(frame) or f"{frame.f_code.co_filename}:{frame.f_lineno}"
