"""Which files of a folder shiftproof wrote: no file of anybody else is overwritten or deleted.

A file that shiftproof wrote and that is no longer as it was written, because it was damaged or edited, is kept under another
name when it is written again.

`FOLDER/.shiftproof.json` lists the files with their digests. A name is put on the list before its file is written, without a
digest, so that a run that is killed in between recognises its own file when it starts again. Where the list is damaged, nobody
knows whose the files of the folder are: whichever is in the way is kept under another name.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from shiftproof.errors import BusyError, RecordError, RestartWarning
from shiftproof.reading.budget import Budget
from shiftproof.reading.bytes import read_bytes
from shiftproof.reading.plain_json import read_json
from shiftproof.records.disk import sweep, write_beside, writing

LIST = ".shiftproof.json"
MOST = {"bytes": 2**24, "parts": 200_000}  # of the list
UNKNOWN = "unknown"  # instead of a digest: the list was damaged, so that the file may be anybody's
WRITING_S = 60.0  # for so long, other processes may be writing a record or a page into the same folder


def refuse_foreign(folder: Path, names: Iterable[str]) -> None:
    """Check that none of these files of the folder is somebody else's, as far as the list says so.

    Args:
        folder: where files are to be written; it need not exist.
        names: of the files, relative to the folder.

    Raises:
        RecordError: a file of that name exists, and shiftproof did not write it; or a file has the name of one of their folders,
            or a folder that of the list.
    """
    names, ours = list(names), _listed(folder)
    for path in {(folder / name).parent for name in names} - {folder}:
        if _exists(path) and (path.is_symlink() or not path.is_dir()):
            what = "link" if path.is_symlink() else "file"
            raise RecordError(f"a {what} has the name of a folder to write", where=str(path), remedy="move it away")
    if _exists(folder / LIST) and ((folder / LIST).is_symlink() or not (folder / LIST).is_file()):
        what = "link" if (folder / LIST).is_symlink() else "folder" if (folder / LIST).is_dir() else "pipe or device"
        raise RecordError(f"a {what} has the name of a file to write", where=str(folder / LIST), remedy="move it away")
    foreign = [name for name in names if _exists(folder / name) and name not in ours]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise RecordError(
            f"{foreign[0]}{more} would be overwritten, but shiftproof did not write what is there now",
            where=str(folder),
            remedy="move it away, or give another folder with --out",
        )


def claim(folder: Path, names: Iterable[str]) -> None:
    """Note that these files are about to be written. Those that were changed since shiftproof wrote them are moved aside.

    Args:
        folder: where they are written.
        names: of the files, relative to the folder; `refuse_foreign` has been asked about them.
    """
    names, ours = list(names), _listed(folder)
    changed = [name for name in names if name in ours and _exists(folder / name) and not _is_ours(folder, name, ours)]
    for name in changed:
        aside = _move_aside(folder / name)
        if ours[name] != UNKNOWN:
            _warn(
                f"{folder / name} is not as shiftproof wrote it (damaged, or edited): it is kept as {aside}, and written again"
            )
    unknown = [name for name in changed if ours[name] == UNKNOWN]
    if unknown:
        which = f"{unknown[0]} and {len(unknown) - 1} more are" if len(unknown) > 1 else f"{unknown[0]} is"
        _warn(
            f"{folder / LIST}, the list of the files that shiftproof wrote there, was damaged: {which} kept with .changed in "
            "the name, and written again"
        )
    _note(folder, ours | dict.fromkeys(names))


def is_changed(path: Path) -> bool:
    """Whether shiftproof wrote this file, and it is not as it was written.

    Args:
        path: of a file; the list is in its folder, or in the one above.
    """
    for folder, name in ((path.parent, path.name), (path.parent.parent, f"{path.parent.name}/{path.name}")):
        ours = _listed(folder)
        if name in ours and ours[name] != UNKNOWN:
            return not _is_ours(folder, name, ours)
    return False


@contextmanager
def alone(folder: Path, *, wait_s: float = 0.0) -> Iterator[None]:
    """Inside, no other process that asks for the same is at work in the folder. The folder is made if it is not there.

    The folder itself is locked, so that no lock file is left behind. A process that is killed gives the lock back. File
    systems without locks keep nobody out.

    Args:
        folder: in which files are to be written; one that was made for it is removed again if it stays empty.
        wait_s: seconds to wait for another process.

    Raises:
        BusyError: another process is at work there.
        RecordError: the folder cannot be made.
    """
    made = not folder.exists()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    try:
        _lock(lock, folder, wait_s)
        yield
    finally:
        if made:
            with suppress(OSError):  # not empty
                folder.rmdir()
        os.close(lock)


def is_busy(folder: Path) -> bool:
    """Whether a process is at work there (`alone`)."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _lock(lock: int, folder: Path, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            if time.monotonic() < until:
                time.sleep(0.05)
                continue
            raise BusyError(
                "another process is writing into this folder",
                where=str(folder),
                remedy="wait until it has finished, or give another folder with --out",
            ) from e
        except OSError:
            pass
        return


def settle(folder: Path, names: Iterable[str], *, others: Literal["removed", "kept"] = "removed") -> None:
    """Note the digests of files that were written.

    Args:
        folder: where they were written.
        names: of the files, relative to the folder; those that do not exist are left out.
        others: what becomes of the files that shiftproof wrote there earlier. An audit removes those of the audit before it; a
            command that shares its folder with others keeps theirs.
    """
    written, ours = set(names), _listed(folder)
    rest = {name: digest for name, digest in ours.items() if name not in written}
    if others == "removed":
        for name in rest:
            if _exists(folder / name) and _is_ours(folder, name, ours):
                with writing(folder / name):
                    (folder / name).unlink()
        rest = {}
    _note(folder, rest | {name: _digest(folder / name) for name in sorted(written) if (folder / name).is_file()})


@contextmanager
def own(folder: Path, names: Iterable[str]) -> Iterator[None]:
    """Inside, these files of the folder are written; what else shiftproof wrote there is kept.

    Args:
        folder: where they are written.
        names: of the files, relative to the folder.

    Raises:
        RecordError: one of them is there already, and somebody else's.

    Two processes must not do this at the same time in one folder (`alone`).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, own(Path(folder), ["a.txt"]):
    ...     _ = (Path(folder) / "a.txt").write_text("ours")
    """
    names = list(names)
    refuse_foreign(folder, names)
    for place in {folder, *((folder / name).parent for name in names)}:
        sweep(place, older_s=0)  # what killed processes left
    claim(folder, names)
    yield
    settle(folder, names, others="kept")


def _listed(folder: Path) -> dict[str, str | None]:
    """The list of the folder; empty if there is none. If it is damaged, all files that are there, as `UNKNOWN`."""
    if not (folder / LIST).is_file():
        return {}
    try:
        budget = Budget(folder / LIST, MOST, error=RecordError)
        found = read_json(read_bytes(folder / LIST, budget), budget)["files"]
    except (OSError, ValueError, KeyError, TypeError, RecordError):
        found = None
    if not isinstance(found, dict) or not all(v is None or isinstance(v, str) for v in found.values()):
        there = (path.relative_to(folder) for pattern in ("*", "*/*") for path in folder.glob(pattern))
        return {path.as_posix(): UNKNOWN for path in there if not path.parts[0].startswith(".")}
    # A list that somebody changed must not name files outside the folder, through a link neither.
    top = folder.resolve()
    return {name: v for name, v in found.items() if _lies_inside(folder / name, top)}


def _lies_inside(path: Path, top: Path) -> bool:
    try:
        return ".." not in path.parts and path.parent.resolve().is_relative_to(top)
    except (OSError, ValueError, RuntimeError):  # no such name, or a loop of links
        return False


def _note(folder: Path, files: dict[str, str | None]) -> None:
    write_beside(folder / LIST, json.dumps({"files": files}, indent=1).encode())


def _is_ours(folder: Path, name: str, ours: dict[str, str | None]) -> bool:
    # shiftproof makes no links: what is written to one would be written where it leads to
    link = (folder / name).is_symlink()
    return name in ours and not link and (ours[name] is None or ours[name] == _digest(folder / name))


def _move_aside(path: Path) -> str:
    """Give a file another name, and return it."""
    number = 1
    while _exists(aside := path.with_name(f"{path.stem}.changed{f'-{number}' if number > 1 else ''}{path.suffix}")):
        number += 1
    with writing(path):
        path.rename(aside)
    return aside.name


def _warn(text: str) -> None:
    warnings.warn(text, RestartWarning, stacklevel=3)


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _digest(path: Path) -> str | None:
    """SHA-256 of a file; None if it is not a file."""
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
