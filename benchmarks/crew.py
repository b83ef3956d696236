"""Worker processes that are reused for many tasks, and replaced when they die, grow too large or take too long."""

from __future__ import annotations

import gc
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Limits:
    """The limits of a process: seconds on one task, bytes of memory, and number of tasks."""

    seconds: float = 600
    bytes: int = 6 * 2**30
    tasks: int = 60


def crew(work: Callable[[str], dict], tasks: Iterable[str], jobs: int, limits: Limits) -> Iterator[tuple[str, dict]]:
    """Yield (task, result) as results arrive; if a process ends, its result is {"error": why}.

    Args:
        work: a function of a module that can be imported; an exception becomes {"error": ...} too.
        tasks: the tasks, started in this order.
        jobs: number of processes at a time.
        limits: limits of each process.
    """
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, dict]] = queue.SimpleQueue()
    count = 0
    for task in tasks:
        todo.put(task)
        count += 1
    for _ in range(jobs):
        threading.Thread(target=_one_after_another, args=(work, todo, done, limits), daemon=True).start()
    for _ in range(count):
        yield done.get()


def _one_after_another(work: Callable[[str], dict], todo: Any, done: Any, limits: Limits) -> None:
    worker = None
    while True:
        try:
            task = todo.get_nowait()
        except queue.Empty:
            break
        if worker is None:
            worker = _Worker(work)
        result = worker.answer(task, limits)
        if not worker.process.is_alive() or worker.tasks >= limits.tasks:
            worker.end()
            worker = None
        done.put((task, result))
    if worker is not None:
        worker.end()


class _Worker:
    """A process and its pipe."""

    def __init__(self, work: Callable[[str], dict]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(work, other), daemon=True)
        self.process.start()
        other.close()
        self.tasks = 0

    def answer(self, task: str, limits: Limits) -> dict:
        self.tasks += 1
        started = time.monotonic()
        try:
            self.pipe.send(task)
            while not self.pipe.poll(0.5):
                if time.monotonic() - started > limits.seconds:
                    return self._ended(f"over {limits.seconds:g} s")
                if (size := _resident(self.process.pid)) > limits.bytes:
                    return self._ended(f"over {limits.bytes / 2**30:g} GiB ({size / 2**30:.1f})")
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(5)
            return self._ended(f"its process died (status {self.process.exitcode})")

    def _ended(self, why: str) -> dict:
        self.end()
        return {"error": why}

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _resident(pid: int | None) -> int:
    """Resident memory of a process, bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)


def _serve(work: Callable[[str], dict], pipe: Connection) -> None:
    """The loop of a process: answer tasks until the pipe is closed."""
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            result = work(task)
        except Exception as e:
            result = {"error": f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"}
        pipe.send(result)
        if gc.get_freeze_count() == 0:
            gc.freeze()  # the libraries that the first task loaded stay: looking through them again takes a third longer
