"""Code of a model cannot end a command at once, with a status that it chooses."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

_AT_ONCE = os._exit
os.register_at_fork(after_in_child=partial(setattr, os, "_exit", _AT_ONCE))  # a child that was forked has to end so


@contextmanager
def exits_raised() -> Iterator[None]:
    """Inside, `os._exit` is `sys.exit` in this process, and as ever in its children.

    >>> try:
    ...     with exits_raised():
    ...         os._exit(0)
    ... except SystemExit as e:
    ...     print("still here:", e)
    still here: 0
    """
    os._exit = sys.exit
    try:
        yield
    finally:
        os._exit = _AT_ONCE


def end_at_once(status: int) -> NoReturn:
    """Ends the process, whatever its threads are doing.

    A thread in which torch computes cannot be stopped, and if Python ends below it, torch aborts the process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    _AT_ONCE(status)
