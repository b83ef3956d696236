"""One check at a time, and its own tensors on the CPU, whatever the caller's threads and default device are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch

# `torch.export` keeps what it is doing in variables of the process, and so do the watchers of a run.
ONE_AT_A_TIME = threading.RLock()
CPU = torch.device("cpu")
OF_CALLER: ContextVar[torch.device] = ContextVar("the caller's default device", default=CPU)


@contextmanager
def alone() -> Iterator[None]:
    """Inside, no other thread checks, and what is made without a device lies on the CPU: a default of "meta" has no numbers.

    >>> with torch.device("meta"), alone():
    ...     print(torch.ones(1))
    ...     with as_the_caller():
    ...         print(torch.ones(1).device)
    tensor([1.])
    meta
    """
    with ONE_AT_A_TIME:
        default = torch.get_default_device()
        token = OF_CALLER.set(default)
        try:
            with _by_default(CPU, instead_of=default):
                yield
        finally:
            OF_CALLER.reset(token)


def as_the_caller() -> AbstractContextManager[object]:
    """Inside, the model's own code runs, and makes its tensors where it would outside of a check."""
    return _by_default(OF_CALLER.get(), instead_of=CPU)


def _by_default(device: torch.device, instead_of: torch.device) -> AbstractContextManager[object]:
    # where nothing changes, no mode of torch's stands between the model and its operators
    return nullcontext() if device == instead_of else device
