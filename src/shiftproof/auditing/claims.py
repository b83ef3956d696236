"""Which process is at work on which block: one small file per block, in the folder that all processes of a run share.

A file system is all that the processes have in common, so that they may be on one machine or on many, and may come and go. A
claim only saves work that would be done twice. No figure depends on it: a block is a function of the setup and its number, and
its file is written beside its place and renamed, so two processes that run the same block write the same.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from shiftproof.auditing.kept import remove

LEASE_S = 90.0  # network file systems may show the age of a file a minute late
EMPTY_S = 5.0  # a process that made a claim and was killed before it wrote its name


class Claims:
    """The claims of this process on blocks, renewed by a thread for as long as the context is open.

    Args:
        folder: of the unfinished work, which all processes of the run see.
        lease_s: seconds after which a claim that was not renewed counts for nothing. That of a process of this machine that
            has ended counts for nothing at once.
    """

    def __init__(self, folder: Path, lease_s: float = LEASE_S) -> None:
        self.folder = folder
        self.lease_s = lease_s
        self._held: set[int] = set()
        self._seen: dict[Path, tuple[int, float]] = {}  # when a claim was last renewed, and since when we know that
        self._closing = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="shiftproof-claims", daemon=True)

    def __enter__(self) -> Claims:
        self._renewing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._renewing.join()
        for number in tuple(self._held):
            self.release(number)

    def take(self, numbers: Iterable[int]) -> int | None:
        """Claim the first of these blocks that nobody is at work on, and return its number; None if there is none."""
        for number in numbers:
            path = self._path(number)
            if number in self._held:
                continue
            if self._is_left(path):
                with suppress(OSError):  # somebody was faster
                    remove(path)
            with suppress(FileExistsError, FileNotFoundError):  # somebody was faster; the run is finished
                file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
                with os.fdopen(file, "w") as f:
                    f.write(_this_process())
                self._held.add(number)
                return number
        return None

    def has(self, number: int) -> bool:
        """Whether this process still has its claim on the block: nobody took it, and the run goes on."""
        path = self._path(number)
        return number in self._held and _owner(path) == _this_process()

    def release(self, number: int) -> None:
        """The block is done."""
        path = self._path(number)
        if self.has(number):
            path.unlink(missing_ok=True)
        self._held.discard(number)

    def _path(self, number: int) -> Path:
        return self.folder / f"claim-{number:06d}"

    def _renew(self) -> None:
        while not self._closing.wait(self.lease_s / 5):
            for number in tuple(self._held):
                if self.has(number):  # else somebody took it, or the run is finished
                    with suppress(OSError):
                        os.utime(self._path(number))

    def _is_left(self, path: Path) -> bool:
        """Whether a claim is there and counts for nothing."""
        try:
            found = path.lstat()
        except OSError:
            return False
        owner = _owner(path)
        if not stat.S_ISREG(found.st_mode) or _has_ended(owner):
            return True
        # Two machines need not agree what time it is: only whether the claim is renewed is looked at, with one's own clock.
        if self._seen.get(path, (None, 0.0))[0] != found.st_mtime_ns:
            self._seen[path] = found.st_mtime_ns, time.monotonic()
        return time.monotonic() - self._seen[path][1] > (self.lease_s if owner else min(self.lease_s, EMPTY_S))


def _owner(path: Path) -> str:
    """What stands in a claim: the process that made it. "" if that cannot be read, or if it is no file."""
    try:
        return path.read_bytes().decode("utf-8", "replace") if stat.S_ISREG(path.lstat().st_mode) else ""
    except OSError:
        return ""


def _this_process() -> str:
    return f"{_machine()} {os.getpid()} {_start_of(os.getpid())}"


def _has_ended(owner: str) -> bool:
    """Whether a process of this machine has ended; False for those of others, of which nothing is known."""
    machine, _, process = owner.rpartition(" ")[0].rpartition(" ")
    if not machine or machine != _machine() or not process.isdigit():
        return False
    return _start_of(int(process)) != owner.rpartition(" ")[2]


def _machine() -> str:
    """What tells this machine, since it was started, from others, and containers on it from one another."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _start_of(process: int) -> str:
    """When a process was started, in ticks of the machine: numbers of processes are used again. "-" if there is none."""
    try:
        state, *rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return "-"
    return "-" if state in "ZX" else rest[18]  # a zombie has ended, whether or not its parent has looked
