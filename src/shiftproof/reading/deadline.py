"""A limit on the time that a block of Python may take, for libraries that offer none."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shiftproof.reading.budget import Budget

AGAIN_S = 0.5  # code that catches every exception is interrupted again after this time


class _OverError(BaseException):
    """The time is over. Not an `Exception`, so that a library's `except Exception` does not swallow it."""


@contextmanager
def within_seconds(budget: Budget) -> Iterator[None]:
    """The block is interrupted when the seconds of the budget, counted from its start, are over.

    Python is interrupted between two instructions, so a single call into C is not; every loop in Python is.

    Args:
        budget: has the unit "seconds".

    Raises:
        ShiftproofError: of the budget's class: the block took longer.
    """
    inside, over, done = threading.get_ident(), threading.Event(), threading.Event()
    lock = threading.Lock()

    def interrupt() -> None:
        wait = budget.seconds_left()
        while not done.wait(wait):
            with lock:
                if not done.is_set():
                    over.set()
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(inside), ctypes.py_object(_OverError))
            wait = AGAIN_S

    watch = threading.Thread(target=interrupt, daemon=True)
    watch.start()
    try:
        try:
            yield
        finally:
            with lock:
                done.set()
    except _OverError:
        done.set()
    finally:
        if over.is_set():
            _received(inside)
        watch.join()
    if over.is_set():
        raise budget.refusal("seconds")


def _received(thread: int) -> None:
    """Take the interruption that is still on its way, so that it does not arrive outside the block.

    It is not taken back with `PyThreadState_SetAsyncExc(thread, None)`: Python 3.11 then keeps the signal without an exception,
    and the next call under `sys.setprofile` never returns.
    """
    try:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_OverError))
        while True:  # Python is interrupted between two instructions
            pass
    except _OverError:
        pass
