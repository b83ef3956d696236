"""Random numbers that a module does not draw from torch: an exported graph holds them as if they were constants."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch

from shiftproof.checking.graph.watching import calls_watched

Found = TypeVar("Found")


def drawn(run: Callable[[], Found]) -> tuple[Found, tuple[str, ...]]:
    """(what a function returns, the generators that it drew from). Their states are restored.

    Only the generators of the modules `random` and `numpy.random` are seen, not those that a model holds itself. A function that
    drew from `random` runs once more, to find out which code it was.

    >>> drawn(lambda: 3), drawn(lambda: random.random() < 1)
    ((3, ()), (True, ('random',)))
    """
    with generators_restored() as changed:
        found = run()
    # NumPy's generator needs no second run: no type checker draws from it.
    if "random" in changed and not _draws(run):
        changed.remove("random")
    return found, tuple(changed)


@contextmanager
def generators_restored() -> Iterator[list[str]]:
    """The names of the modules whose generator's state changed inside the block. The states are restored.

    Torch's own generators, of the CPU and of the devices in use, are restored too and not named.
    """
    changed: list[str] = []
    torchs = [(put, get()) for get, put in _of_torch()]
    python, numpy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002 -- that one is watched
    try:
        yield changed
    finally:
        for put, state in torchs:
            put(state)
        if random.getstate() != python:
            changed.append("random")
            random.setstate(python)
        if not alike(np.random.get_state(legacy=False), numpy):  # noqa: NPY002
            changed.append("numpy.random")
            np.random.set_state(numpy)  # noqa: NPY002


def _of_torch() -> list[tuple[Callable[[], Any], Callable[[Any], Any]]]:
    """How the state of each of torch's generators is read and written. `torch.manual_seed` sets all of them."""
    found: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [(torch.get_rng_state, torch.set_rng_state)]
    if torch.cuda.is_initialized():
        found.append((torch.cuda.get_rng_state_all, torch.cuda.set_rng_state_all))
    if torch.backends.mps.is_available():
        found.append((torch.mps.get_rng_state, torch.mps.set_rng_state))
    return found


def _draws(run: Callable[[], Any]) -> bool:
    """Whether any code but a type checker's draws from `random`."""
    with generators_restored(), calls_watched() as calls:
        run()
    return calls.draws


def alike(one: Any, other: Any) -> bool:
    """Whether two states of a random generator are the same.

    >>> state = torch.Generator().get_state()
    >>> alike(state, state.clone()), alike({"state": state, "left": 1}, {"state": state, "left": 0})
    (True, False)
    """
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[k], other[k]) for k in one)
    if isinstance(one, tuple):  # of `random.Random`
        return one == other
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(np.array_equal(one, other))
