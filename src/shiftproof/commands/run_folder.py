"""Each audit has a folder of its own: `shiftproof-runs/MODEL-DATA-KEY`, with `latest` beside it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from shiftproof.errors import RecordError
from shiftproof.records import owned, write_beside, writing
from shiftproof.records.numbers import bytes_words

RUNS = Path("shiftproof-runs")
LATEST = "latest"
LONGEST = 40  # characters of a model's or a data set's name


def own_folder(model: str, data: str, key: str) -> Path:
    """The folder of the audit that these words and its key name: the same command has the same folder.

    Args:
        model: what the user typed.
        data: likewise.
        key: of everything that decides the figures.

    >>> own_folder("models/net.pt2", "cifar10:../data", "0123456789ab").as_posix()
    'shiftproof-runs/net-cifar10-01234567'
    """
    # timm:resnet18 is resnet18, and net.py:build is net.build: a word before the colon that is not a file says where from.
    model = re.sub(r"^\w{2,}:(?![/\\])", "", model).replace(".py:", ".")
    known = re.match(r"(\w{2,})(?::|$)", data)
    return RUNS / f"{_short(model)}-{known[1] if known else _short(data)}-{key[:8]}"


def point_to_latest(folder: Path) -> None:
    """Make `latest`, beside the folder, lead to it: a link, or a file with its name where there are no links.

    Something else of that name is left alone.

    Args:
        folder: of a finished run.

    Raises:
        RecordError: `latest` cannot be written.
    """
    latest = folder.parent / LATEST
    if latest.is_dir() and not latest.is_symlink():
        return
    beside = folder.parent / f".{LATEST}.{os.getpid()}"
    with suppress(OSError):
        beside.unlink()
    try:
        beside.symlink_to(folder.name, target_is_directory=True)
    except (OSError, NotImplementedError):
        with suppress(RecordError):  # the run itself is done and written
            write_beside(latest, f"{folder.name}\n".encode())
        return
    with writing(latest):
        beside.replace(latest)


def unfinished(folder: Path, *, beside: bool) -> str:
    """A note about the unfinished work of audits that were stopped; "" if there is none. It is kept: one may be continued.

    Args:
        folder: of a finished run.
        beside: whether to look into the folders of other runs beside it too. What a process is at work on is left out.
    """
    places = [folder, *(sorted(folder.parent.iterdir()) if beside else [])]
    found = [
        work
        for place in dict.fromkeys(places)
        if not place.is_symlink() and (place == folder or not owned.is_busy(place))
        for work in sorted(place.glob(".run-*"))
    ]
    if not found:
        return ""
    several = len(found) > 1
    top = folder.parent if beside else folder
    whose, it = ("other audits", "them") if several else ("another audit", "it")
    names = ", ".join(str(work.relative_to(top)) for work in found)
    size = bytes_words(sum(map(_size, found)))
    return f"{top} also holds the unfinished work of {whose}: {names} ({size}); delete {it} unless you want to continue {it}"


def _size(folder: Path) -> int:
    """Bytes of the files of a folder, as far as they can be seen."""
    size = 0
    for file in folder.rglob("*"):
        with suppress(OSError):  # it has gone
            size += file.stat().st_size
    return size


def _short(word: str) -> str:
    """The last part of a word's path without the ending of its file, in characters that every file system takes."""
    path = Path(word) if Path(word).name not in ("", "..") else Path(word).resolve()
    name = re.sub(r"\.(py|pt2|onnx|npz|safetensors)$", "", path.name)
    return re.sub(r"[^A-Za-z0-9.+]+", "_", name)[:LONGEST].strip("._") or "unnamed"
