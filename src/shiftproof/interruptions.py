"""What a handler of a signal raises while somebody else's code runs: a caller's time limit, which is no error of that code."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any


def pass_on(error: BaseException) -> None:
    """Raises what a handler of a signal raised, or a `TimeoutError`, if that is what an error is or came from; else returns.

    A time limit is often a signal whose handler raises an exception of any class. It strikes in the middle of whatever code runs,
    so that it looks like an error of that code. Whoever catches the errors of a model's code asks here first.

    Args:
        error: what was caught.

    >>> def over(number, frame):
    ...     raise ValueError("the time is over")
    >>> before = signal.signal(signal.SIGUSR1, over)
    >>> def runs(code):
    ...     try:
    ...         code()
    ...     except ValueError as e:
    ...         pass_on(e)
    ...         return "it failed"
    >>> runs(lambda: int("two"))
    'it failed'
    >>> runs(lambda: signal.raise_signal(signal.SIGUSR1))
    Traceback (most recent call last):
        ...
    ValueError: the time is over
    >>> _ = signal.signal(signal.SIGUSR1, before)
    """
    found = of_handler(error)
    if found is not None:
        raise found


def of_handler(error: BaseException) -> BaseException | None:
    """What a handler of a signal, a key that interrupts, or a time limit raised, if an error is or came from it; None if not."""
    codes = _codes_of_handlers()
    return next(
        (e for e in _chain(error) if isinstance(e, KeyboardInterrupt | TimeoutError) or codes & _codes_through(e)), None
    )


@contextmanager
def suppressed(*kinds: type[BaseException]) -> Iterator[None]:
    """As `contextlib.suppress`, but what a handler of a signal raised passes.

    >>> with suppressed(ValueError):
    ...     int("two")
    """
    try:
        yield
    except kinds as e:
        pass_on(e)


def _codes_of_handlers() -> set[CodeType]:
    """The code of the functions that Python calls now when a signal arrives."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    return {code for h in handlers if callable(h) and (code := _code(h)) is not None}


def _code(handler: Callable[..., Any]) -> CodeType | None:
    """The code that runs when a handler is called; None if it is written in C."""
    if isinstance(handler, functools.partial):
        return _code(handler.func)
    found = getattr(handler, "__func__", handler)  # of a method
    if hasattr(found, "__code__"):
        return found.__code__
    called = found.__init__ if isinstance(found, type) else type(found).__call__
    return getattr(called, "__code__", None)


def _codes_through(error: BaseException) -> set[CodeType]:
    """The code of the functions that an error went through."""
    found: set[CodeType] = set()
    trace = error.__traceback__
    while trace is not None:
        found.add(trace.tb_frame.f_code)
        trace = trace.tb_next
    return found


def _chain(error: BaseException) -> list[BaseException]:
    """An error, and those that were being handled when it was raised, but for those that a caller handles to this moment."""
    running: set[FrameType] = set()
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        running.add(frame)
        frame = frame.f_back
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or one in found:
            continue
        # its traceback begins where it was caught: `except Late: sp.check(...)` is no interruption of the check
        if one is not error and one.__traceback__ is not None and one.__traceback__.tb_frame in running:
            continue
        found.append(one)
        todo += [one.__context__, one.__cause__]
    return found
