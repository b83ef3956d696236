"""Random numbers that a module draws by other means than torch: an exported graph holds them as if they were constants."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

Found = TypeVar("Found")
CHECKERS = "<@beartype"  # wrappers that draw an item of a list to look at: what a function answers does not hang on it


def drawn(run: Callable[[], Found]) -> tuple[Found, tuple[str, ...]]:
    """(what a function answers, the generators that it drew from); their states are as before.

    Those of the modules `random` and `numpy.random`; a generator that somebody holds himself is not seen. A function that
    drew from `random` runs once more, to see who it was that did.

    >>> drawn(lambda: 3), drawn(lambda: random.random() < 1)
    ((3, ()), (True, ('random',)))
    """
    with _restored() as changed:
        found = run()
    if "random" in changed and not _draws(run):
        changed.remove("random")
    return found, tuple(changed)


@contextmanager
def _restored() -> Iterator[list[str]]:
    """The names of the generators whose state is another on leaving; it is put back."""
    changed: list[str] = []
    python, numpy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002 -- that one is watched
    try:
        yield changed
    finally:
        if random.getstate() != python:
            changed.append("random")
            random.setstate(python)
        if not _alike(np.random.get_state(legacy=False), numpy):  # noqa: NPY002
            changed.append("numpy.random")
            np.random.set_state(numpy)  # noqa: NPY002


def _draws(run: Callable[[], Any]) -> bool:
    """Whether anything but a checker of types draws from `random`."""
    found: list[str] = []
    shared = getattr(random.random, "__self__", None)

    def watch(frame: Any, event: str, called: Any) -> None:
        if event == "c_call" and getattr(called, "__self__", None) is shared:
            found.append(frame.f_code.co_filename)

    before = sys.getprofile()
    with _restored():
        sys.setprofile(watch)
        try:
            run()
        finally:
            sys.setprofile(before)
    return not all(name.startswith(CHECKERS) for name in found)


def _alike(one: Any, other: Any) -> bool:
    """Whether two states of numpy's generator are the same."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_alike(one[k], other[k]) for k in one)
    return bool(np.array_equal(one, other))
