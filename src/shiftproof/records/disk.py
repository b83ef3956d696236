"""Writing files: each beside its place and then renamed, and every error of the system in one sentence."""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shiftproof.errors import RecordError
from shiftproof.printable import said

LOOKED_AT = 4096  # bytes of a file, to see what it is
BESIDE = ".beside"  # how the name of a file that is being written ends
OPEN = re.compile(r"/dev/(stdout|stderr)|/(?:dev|proc/self)/fd/(\d+)")  # what a process has open, as a path
UNFINISHED_S = 3600.0  # after so long, nobody is writing it any more


def write_beside(path: Path, content: bytes, ours: re.Pattern[bytes] | None = None) -> Path:
    """Write `content` beside `path` and rename it over: a reader sees the old file or the new one, never half of one.

    Links are followed. A pipe or a device, such as `/dev/stdout`, is written to and stays what it is.

    Args:
        path: where it is written.
        content: all of it.
        ours: what a file of this kind begins with. No other file is overwritten: one may have been written there since
            `refuse_unwritable` looked, if only by the same run.

    Raises:
        RecordError: it cannot be written: the disk is full or read-only, or a folder has that name, or another file.
    """
    if ours is not None:
        refuse_other(path, ours)
    with writing(path):
        if is_stream(path):
            _put_into(path, content)
            return path
        real = Path(os.path.realpath(path))
        real.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder: a rename is atomic within one file system only.
        handle, beside = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.", suffix=BESIDE)
        try:
            with os.fdopen(handle, "wb") as f:
                f.write(content)
                f.flush()
                # On disk before it is renamed: else a crash could leave the new name with nothing behind it.
                os.fsync(f.fileno())
            # `mkstemp` makes files that only their owner can read. The mask can only be read by setting it.
            mask = os.umask(0)
            os.umask(mask)
            Path(beside).chmod(0o666 & ~mask)
            Path(beside).replace(real)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Inside, an error of the system becomes a `RecordError` that says what cannot be written, why, and what would help.

    Args:
        path: the file or folder that is written; the error names the file that the system names, if it does.

    >>> with writing(Path("a.json")):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
        ...
    shiftproof.errors.RecordError: cannot be written: No space left on device (a.json): free some space; no file is half-written
    """
    try:
        yield
    except OSError as e:
        raise RecordError(f"cannot be written: {reason(e)}", where=str(path), remedy=remedy(e)) from e


def reason(error: OSError) -> str:
    """Why the system refused, in its own words."""
    return error.strerror or said(error)


def remedy(error: OSError) -> str:
    """What helps against an error of the system while a file is written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "free some space; no file is half-written"
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
        return "a folder has the name of a file to write, or a file the name of a folder: move it away, or write somewhere else"
    return "write somewhere else"


def is_stream(path: Path) -> bool:
    """Whether it is a pipe, a device, or something that this process has open: nothing that can be replaced by a file."""
    return _descriptor(path) is not None or (path.exists() and not path.is_file() and not path.is_dir())


def _descriptor(path: Path) -> int | None:
    """The number of the open file that a path such as `/dev/stdout` or `/dev/fd/3` stands for."""
    found = OPEN.fullmatch(str(path))
    if found is None:
        return None
    return int(found[2]) if found[2] else {"stdout": 1, "stderr": 2}[found[1]]


def _put_into(path: Path, content: bytes) -> None:
    """Writes to a stream, behind what was written to it before."""
    number = _descriptor(path)
    sys.stdout.flush()
    with path.open("wb") if number is None else os.fdopen(os.dup(number), "wb") as file:
        file.write(content)


def refuse_unwritable(path: Path, ours: re.Pattern[bytes]) -> None:
    """Check that a file could be written there, before work is done whose result it is to hold.

    Args:
        path: where it would be.
        ours: what a file of this kind begins with: no other file is overwritten.

    Raises:
        RecordError: it cannot be written, a folder has that name, or a file that is something else.
    """
    refuse_other(path, ours)
    if is_stream(path):
        return
    with writing(path):
        path = Path(os.path.realpath(path))
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def refuse_other(path: Path, ours: re.Pattern[bytes]) -> None:
    """Check that no file of another kind is there: a word typed in the wrong place must not cost somebody a picture.

    Args:
        path: where a file would be written.
        ours: what a file of its kind begins with.

    Raises:
        RecordError: there is something else.
    """
    with writing(path):
        if is_stream(path) or not path.is_file() or not path.stat().st_size:
            return
        with path.open("rb") as file:
            begins = file.read(LOOKED_AT)
    if not ours.match(begins):
        raise RecordError(
            "the file is there, and is not one that shiftproof wrote with this option",
            where=str(path),
            remedy="give another name",
        )


def sweep(folder: Path, *, older_s: float = UNFINISHED_S) -> None:
    """Remove the unfinished files that processes left in a folder that were killed while writing.

    Args:
        folder: it need not exist.
        older_s: seconds since they were last written. A process that is alive writes a file within seconds, so nobody else's
            work is touched after an hour; 0 where no other process writes into the folder (`owned.alone`).
    """
    for beside in folder.glob(f".*{BESIDE}"):
        with suppress(OSError):  # somebody else removed it
            if time.time() - beside.lstat().st_mtime >= older_s:
                beside.unlink()
