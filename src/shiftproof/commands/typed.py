"""The command as it was typed, so that a record can say how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_words: ContextVar[tuple[str, ...]] = ContextVar("words", default=())


@contextmanager
def typing(words: Sequence[str]) -> Iterator[None]:
    """Inside, these are the words behind `shiftproof`."""
    token = _words.set(tuple(words))
    try:
        yield
    finally:
        _words.reset(token)


def typed() -> str:
    """The command, quoted as a shell reads it; "" where nothing was typed.

    >>> with typing(["audit", "net.py:build", "my photos/"]):
    ...     typed()
    "shiftproof audit net.py:build 'my photos/'"
    """
    words = _words.get()
    return shlex.join(["shiftproof", *words]) if words else ""
