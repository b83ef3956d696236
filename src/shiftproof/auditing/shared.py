"""One audit by many processes, on one machine or on several.

The processes share a run folder and nothing else. Each takes the first block that is neither done nor claimed, runs it and
keeps it there (`auditing/claims.py`). The process that holds the lock of the folder leads: it settles what all need, folds
the blocks in their order and writes the record. A process that dies loses the block that it was at. If the one that leads dies,
another launch of the same command takes its place.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stdout, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from shiftproof.auditing.block import Block
from shiftproof.auditing.claims import Claims
from shiftproof.auditing.kept import KeptBlocks
from shiftproof.auditing.pictures import Picture
from shiftproof.auditing.probe import is_same_model, probe
from shiftproof.auditing.setup import Setup, Subject, reopen
from shiftproof.auditing.stream import ahead
from shiftproof.auditing.work import DECODERS, load_or_error, work
from shiftproof.errors import BadItemError, DataError, ModelError, RecordError, RestartWarning
from shiftproof.printable import printable, said
from shiftproof.records import owned

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

POLL_S = 0.2  # between two looks at what the others have done
APPEARS_S = 20.0  # after so long, the folder of a run that was just started is seen everywhere


def own_blocks(
    setup: Setup,
    subject: Subject,
    kept: KeptBlocks,
    claims: Claims,
    on_views: Callable[[int], None] | None = None,
) -> Generator[int, None, None]:
    """Runs blocks that no process has done or is at, and keeps them: the number of each. Ends when there is none to take.

    The pictures of the next block are decoded while the model runs on the last, so up to two blocks are claimed.
    """
    taken: deque[int] = deque()
    missing = sorted(set(range(setup.blocks)) - kept.numbers())  # listed once: of a large run, there are many
    free = (n for n in missing if not kept.is_there(n))

    def jobs() -> Iterator[Callable[[], Picture | BadItemError]]:
        while (number := claims.take(free)) is not None:
            taken.append(number)
            yield from (partial(load_or_error, subject.pictures, i) for i in setup.indices(number).tolist())

    batch_size = setup.measured.batch_size
    with closing(ahead(jobs(), depth=setup.block_size, threads=DECODERS)) as loaded:
        for first in loaded:
            number = taken.popleft()
            block = work(
                setup, number, subject, batch_size=batch_size, loaded=chain([first], loaded), on_views=on_views
            )
            batch_size = block.batch_size  # where memory ran out once, it would run out again
            if not claims.has(number):  # the run is finished; or this process slept so long that another took the block
                continue
            kept.write(block)
            claims.release(number)
            yield number


def shared_blocks(
    setup: Setup,
    subject: Subject,
    kept: KeptBlocks,
    helpers: Helpers,
    on_views: Callable[[int], None] | None = None,
) -> Generator[Block, None, None]:
    """The blocks of an audit in order, whoever runs them; this process runs what nobody else is at."""
    done = 0
    with closing(_with_others(setup, subject, kept, on_views)) as steps:
        for _ in steps:
            helpers.look()
            while (block := kept.find(done)) is not None:
                yield block
                done += 1
                if done == setup.blocks:
                    return


def help_until_done(
    setup: Setup,
    subject: Subject,
    kept: KeptBlocks,
    helpers: Helpers,
    on_views: Callable[[int], None] | None = None,
) -> None:
    """Runs blocks of an audit that another process leads, until that one has finished or has gone."""
    with closing(_with_others(setup, subject, kept, on_views)) as steps:
        for _ in steps:
            helpers.look()
            if not (owned.is_busy(kept.out) and kept.work.exists()):
                return


def _with_others(
    setup: Setup, subject: Subject, kept: KeptBlocks, on_views: Callable[[int], None] | None
) -> Generator[None, None, None]:
    """Runs blocks as long as there are any to take, then waits for more. A step is one block or one wait; it never ends.

    `on_views` is told of the views of all blocks: batch by batch of this process's, and of the others' when they are kept.
    """
    seen = kept.numbers()
    with Claims(kept.work) as claims:
        while True:
            ran = False
            with closing(own_blocks(setup, subject, kept, claims, on_views)) as own:
                for number in own:
                    ran = True
                    seen.add(number)
                    yield
            new = kept.numbers() - seen
            seen |= new
            if new and on_views is not None:
                on_views(sum(len(setup.indices(n)) for n in new) * len(setup.plan.run))
            yield
            if not ran:
                time.sleep(POLL_S)


def wait_for_settings(kept: KeptBlocks) -> bool:
    """Waits until the process that leads has settled what all need; False if it ended before.

    Raises:
        RecordError: what is at work in the folder is another audit.
    """
    started = time.monotonic()
    while owned.is_busy(kept.out):
        if kept.ready.exists():
            return True
        if not kept.work.exists() and time.monotonic() - started > APPEARS_S:
            raise RecordError(
                "another process is writing into this folder, and not the same audit",
                where=str(kept.out),
                remedy="start the same command everywhere, with the same files of the same age, or give another --out",
            )
        time.sleep(POLL_S)
    return False


class Helpers:
    """Other processes of this machine that run blocks of an audit, for as long as the context is open.

    Args:
        setup: of the run; model and pictures are opened by its words in every process.
        subject: of this process; those of the others must be the same.
        kept: the run's folder.
        count: number of processes beside this one. On accelerators, each has the next device.
    """

    def __init__(self, setup: Setup, subject: Subject, kept: KeptBlocks, count: int) -> None:
        data = subject.pictures.fingerprint() if count else ""
        context = multiprocessing.get_context("spawn")
        self._processes: list[SpawnProcess] = [
            context.Process(
                target=_help,
                args=(_on_device(setup, rank), data, kept.out, kept.key, torch.get_num_threads()),
                daemon=True,
            )
            for rank in range(1, count + 1)
        ]

    def __enter__(self) -> Helpers:
        # Ctrl-C reaches all processes; the others are born without it, and the one that leads ends them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for process in self._processes:
                process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()  # what it was at is done, or will be done again
        for process in self._processes:
            process.join()

    def look(self) -> None:
        """Warns, once, of each process that has failed."""
        for process in [p for p in self._processes if p.exitcode]:
            self._processes.remove(process)
            warnings.warn(
                f"a process of this audit ended with status {process.exitcode}: its pictures are run by the others",
                RestartWarning,
                stacklevel=2,
            )


def _on_device(setup: Setup, rank: int) -> Setup:
    """The setup for process `rank` of this machine: on accelerators, the next device but `rank - 1`."""
    device = torch.device(setup.device)
    if device.type == "cpu":
        return setup
    name = f"{device.type}:{(device.index or 0) + rank}"
    return replace(setup, device=name, loading={**setup.loading, "device": name})


def _help(setup: Setup, data: str, out: Path, key: str, threads: int) -> None:
    """What another process of this machine does: blocks, until the one that started it has none left or has gone."""
    torch.set_num_threads(threads)
    warnings.showwarning = lambda message, *_: _say(f"{type(message).__name__}: {message}")
    parent = multiprocessing.parent_process()
    kept = KeptBlocks(out, key)
    with redirect_stdout(sys.stderr):  # what a user's own model prints is not the record
        try:
            subject = reopen(setup)
            _same(setup, subject, data, kept)
            with Claims(kept.work) as claims:
                while parent is not None and parent.is_alive() and kept.work.exists():
                    with closing(own_blocks(setup, subject, kept, claims)) as own:
                        for _ in own:
                            if not parent.is_alive():
                                return
                    time.sleep(POLL_S)
        except Exception as e:
            # Whatever the model's code raises: the one that leads meets it too, or runs the block itself.
            _say(f"a process of this audit stopped: {said(e)}")
            raise SystemExit(1) from None


def _same(setup: Setup, subject: Subject, data: str, kept: KeptBlocks) -> None:
    """Raises if this process has opened another model or other pictures than the one that leads."""
    settings = kept.settings()
    if settings is None or not is_same_model(probe(setup, subject), settings["probe"]):
        raise ModelError("the model does not give the same answers in every process", where=setup.model.word)
    if subject.pictures.fingerprint() != data:
        raise DataError("the pictures are not the same in every process", where=setup.data)


def _say(text: str) -> None:
    print(printable(" ".join(text.split())), file=sys.stderr, flush=True)


@contextmanager
def shared_threads(devices: int) -> Iterator[None]:
    """Inside, this process uses its part of the threads, so that `devices` processes do not take the cores from one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // devices))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def own_device(device: str, environment: Mapping[str, str]) -> str:
    """The device of this launch, where torchrun or SLURM started several on one machine: `cuda` is the next one of each.

    >>> own_device("cuda", {"LOCAL_RANK": "2"}), own_device("cpu", {"LOCAL_RANK": "2"}), own_device("cuda:1", {})
    ('cuda:2', 'cpu', 'cuda:1')
    """
    number = environment.get("LOCAL_RANK") or environment.get("SLURM_LOCALID") or ""
    return f"{device}:{number}" if device != "cpu" and ":" not in device and number.isdigit() else device


def stamp(path: Path) -> tuple[int, int] | None:
    """What tells a file from one that is written in its place later; None if there is none."""
    with suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_mtime_ns
    return None
