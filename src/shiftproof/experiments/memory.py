"""Memory that stays with the process while a network is trained."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # parameters of glibc's mallopt
MOST, LARGE = 2**31 - 1, 2**25


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside, freed memory is not given back to the system (glibc; elsewhere nothing changes).

    Every step of a training takes and frees the same large tensors; asked of the system anew each time, their pages cost
    a good part of a step on a CPU. Values are not touched. Afterwards the limits are those that glibc's own adjusting
    ends at, and what is free is given back.

    Reference: mallopt(3), https://man7.org/linux/man-pages/man3/mallopt.3.html

    >>> with kept_memory():
    ...     pass
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        mallopt, trim = libc.mallopt, libc.malloc_trim
    except (OSError, AttributeError):
        yield
        return
    mallopt(MMAP_MAX, 0)
    mallopt(TRIM_THRESHOLD, MOST)
    try:
        yield
    finally:
        mallopt(MMAP_MAX, 65536)
        mallopt(MMAP_THRESHOLD, LARGE)
        mallopt(TRIM_THRESHOLD, 2 * LARGE)
        trim(0)
