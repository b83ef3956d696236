"""Which clocks a model reads while it runs, and whether it draws from Python's own random generator."""

from __future__ import annotations

import datetime
import gc
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from shiftproof.checking.graph.libraries import of_python, of_torch
from shiftproof.checking.graph.origin import line_of_frame

# The code that beartype writes around a function draws one item of a list to check its type, which does not change what the
# function returns. It draws by this argument of its own.
CHECKER_DRAWS_BY = "__beartype_getrandbits"
NAMES = ("time", "monotonic", "perf_counter", "process_time", "thread_time", "clock_gettime")
CLOCKS = {
    *(getattr(time, n + end) for n in NAMES for end in ("", "_ns") if hasattr(time, n + end)),
    *(time.localtime, time.gmtime, time.ctime, time.strftime),
}
DATES = {"now", "utcnow", "today"}  # class methods of `datetime.date` and of what inherits from it


@dataclass
class Calls:
    """What was called inside the block.

    Attributes:
        clocks: the clocks that were read, as (name, "file:line"), but for those that torch reads for itself.
        draws: whether any code but a type checker's drew from the generator of the module `random`.
    """

    clocks: list[tuple[str, str]] = field(default_factory=list)
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

    def watch(frame: FrameType, event: str, called: Any) -> None:
        if event != "c_call":
            return
        if _is_clock(called):
            reader = _reader(frame)
            if reader is not None:
                found.clocks.append((f"{called.__self__.__name__}.{called.__name__}", _line(reader)))
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


def _line(frame: FrameType) -> str:
    """Where a frame is, also where it is in no file of the model."""
    return line_of_frame(frame) or f"{frame.f_code.co_filename}:{frame.f_lineno}"
