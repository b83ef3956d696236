"""Keeps freed memory in the process while a network is trained."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # parameters of glibc's mallopt
MOST, LARGE = 2**31 - 1, 2**25


@contextmanager
def kept_memory() -> Iterator[None]:
    """Inside the block, freed memory is not returned to the system (with glibc; elsewhere nothing changes).

    Every training step allocates and frees the same large tensors. On a CPU, a large part of a step would be spent on getting
    their pages from the system again. Values do not change. After the block, free memory is returned, and the limits are set
    to the values at which glibc's own adjustment stops.

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
    # Large blocks then come from the heap: glibc gives memory that it maps back at once, with every `free`.
    mallopt(MMAP_MAX, 0)
    mallopt(TRIM_THRESHOLD, MOST)
    try:
        yield
    finally:
        mallopt(MMAP_MAX, 65536)
        mallopt(MMAP_THRESHOLD, LARGE)
        mallopt(TRIM_THRESHOLD, 2 * LARGE)
        trim(0)
