"""Moved pictures in batches, made on another thread while the model runs on the previous batch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from shiftproof.translations import TranslationSet, translate

T = TypeVar("T")


def as_unit(pixels: Tensor) -> Tensor:
    """Pixels as floats: uint8 in 0..255 becomes float32 in [0, 1]; floats stay as they are."""
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels


def batches(total: int, batch_size: int) -> list[np.ndarray]:
    """0..total-1 cut into the fewest batches of at most `batch_size`, as equal as possible."""
    return np.array_split(np.arange(total), max(1, math.ceil(total / batch_size)))


def views(
    stack: Tensor, pairs: list[np.ndarray], moves: np.ndarray, translations: TranslationSet, margin_px: int
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Each batch of flat indices (picture * r + move) with its moved pictures (b, c, h, w), made one batch ahead.

    Args:
        stack: (n, c, H, W) the block's pictures, in [0, 1] or as given.
        pairs: flat indices, one array per batch.
        moves: (r, 2) in px.
        translations: names the boundary and the fill.
        margin_px: pixels that the pictures carry on every side, for `crop`.
    """
    how = {"fill": translations.fill, "margin_px": margin_px}

    def make(flat: np.ndarray) -> tuple[np.ndarray, Tensor]:
        picture, move = np.divmod(flat, len(moves))
        offsets = torch.from_numpy(moves[move])
        with torch.inference_mode():  # a mode belongs to a thread: the caller's does not hold here
            if picture[0] == picture[-1]:  # all views of one picture: it is moved without being copied first
                one = int(picture[0])
                made = translate(stack[one : one + 1], offsets, translations.boundary, **how)[0]  # type: ignore[arg-type]
            else:
                chosen = stack[torch.from_numpy(picture).to(stack.device)]
                made = translate(chosen, offsets, translations.boundary, pairing="each", **how)  # type: ignore[arg-type]
        return flat, made

    yield from ahead((lambda flat=flat: make(flat) for flat in pairs), depth=1)


def ahead(jobs: Iterable[Callable[[], T]], *, depth: int, threads: int = 1) -> Generator[T, None, None]:
    """The jobs' results in order, up to `depth` of them computed ahead of the caller.

    Args:
        jobs: taken one by one as there is room; an exception of a job is raised in its turn.
        depth: number of results that may be waiting or under way; bounds the memory.
        threads: number of threads that work on them.
    """
    jobs = iter(jobs)
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="shiftproof-ahead", initializer=_one_thread)
    try:
        waiting = deque(pool.submit(job) for job in islice(jobs, depth))
        torch.set_num_threads(before)  # a new thread's setting is the default of all threads that start later
        while waiting:
            # In the order of the jobs, not in that of finishing: figures must not depend on which thread was faster.
            result = waiting.popleft().result()
            waiting.extend(pool.submit(job) for job in islice(jobs, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    # Moving pictures beside the model: with more threads each, the two would take the cores from one another.
    torch.set_num_threads(1)
