"""Block after block. Each is a function of the setup and its number, so any process can compute any of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice

import torch

from shiftproof.auditing.block import Block
from shiftproof.auditing.evaluate import evaluate
from shiftproof.auditing.folder import RunFolder
from shiftproof.auditing.pictures import Picture, Pictures
from shiftproof.auditing.setup import Setup, Subject, reopen
from shiftproof.auditing.stream import ahead
from shiftproof.errors import BadItemError, is_out_of_memory
from shiftproof.models import evaluating

DECODERS = 2  # threads that decode pictures; more would take cores from the model on a small machine

_reopened: dict[str, Subject] = {}  # the last subject that this process opened: opening takes longer than some blocks


def work(
    setup: Setup,
    number: int,
    subject: Subject | None = None,
    *,
    batch_size: int | None = None,
    loaded: Iterator[Picture | BadItemError] | None = None,
    on_views: Callable[[int], None] | None = None,
) -> Block:
    """Block `number` of an audit.

    The figures depend on the setup and the number alone: not on the process, on other blocks, or (up to the rounding of
    differently cut sums) on the batch size.

    Args:
        setup: of the run.
        number: of the block, in 0..setup.blocks - 1.
        subject: the model and the pictures; None opens those that the setup's words name, once per process.
        batch_size: views per forward pass; None is the setup's. It is halved for as long as memory runs out.
        loaded: the block's pictures in order, if somebody has loaded them already.
        on_views: told the number of views after every batch.

    Raises:
        ModelError: the model failed, or cannot be opened.
        DataError: the pictures cannot be opened.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    subject = subject or _reopen(setup)
    batch_size = batch_size or setup.measured.batch_size
    indices = setup.indices(number).tolist()
    pictures = (
        [load_or_error(subject.pictures, i) for i in indices] if loaded is None else list(islice(loaded, len(indices)))
    )
    good, bad = _sorted(setup, list(zip(indices, pictures, strict=True)))
    with evaluating(subject.model.module), torch.inference_mode():
        while True:
            try:
                block = evaluate(setup, subject, number, good, batch_size, on_views)
                break
            except Exception as e:
                if not is_out_of_memory(e) or batch_size == 1:
                    raise
                # The whole block again: it is a matter of seconds, and no half-filled result needs to be trusted.
                batch_size //= 2
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
    return replace(
        block,
        bad=bad + block.bad,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
    )


def blocks(
    setup: Setup,
    subject: Subject,
    folder: RunFolder | None = None,
    on_views: Callable[[int], None] | None = None,
) -> Generator[Block, None, None]:
    """The blocks of an audit in order: read back where the run folder has them, else computed and kept there.

    The pictures of the next block are decoded while the model runs on the last.
    """
    missing = [n for n in range(setup.blocks) if folder is None or not folder.has(n)]
    # A generator: a million pictures are not a million jobs in memory.
    jobs = (partial(load_or_error, subject.pictures, i) for n in missing for i in setup.indices(n).tolist())
    batch_size = setup.measured.batch_size
    with closing(ahead(jobs, depth=setup.block_size, threads=DECODERS)) as loaded:
        for number in range(setup.blocks):
            if folder is not None and number not in missing:
                yield folder.read(number)
                continue
            block = work(setup, number, subject, batch_size=batch_size, loaded=loaded, on_views=on_views)
            batch_size = block.batch_size  # where memory ran out once, it would run out again
            if folder is not None:
                folder.write(block)
            yield block


def _reopen(setup: Setup) -> Subject:
    """The subject that the setup's words name; this process keeps the last one."""
    if setup.words not in _reopened:
        subject = reopen(setup)
        _reopened.clear()
        _reopened[setup.words] = subject
    return _reopened[setup.words]


def load_or_error(pictures: Pictures, i: int) -> Picture | BadItemError:
    """Picture `i`, or why it cannot be used."""
    try:
        return pictures.load(i)
    except BadItemError as e:
        return e


def _sorted(
    setup: Setup, loaded: list[tuple[int, Picture | BadItemError]]
) -> tuple[list[tuple[int, Picture]], list[tuple[str, str]]]:
    """The usable pictures with their indices, and name and reason of each of the others."""
    good, bad = [], []
    for i, picture in loaded:
        if isinstance(picture, BadItemError):
            bad.append((picture.where or f"item {i}", picture.what))
        elif setup.labelled and picture.label is None:
            bad.append((picture.name, "no label"))
        elif setup.labelled and not 0 <= (picture.label or 0) < setup.classes:
            bad.append((picture.name, f"label {picture.label} is not a class: the model has {setup.classes}"))
        else:
            good.append((i, picture))
    return good, bad
