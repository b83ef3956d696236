"""A folder of pictures: class subfolders, or labels.csv, or no labels; a picture is decoded when it is asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shiftproof.data.arrays import FINGERPRINT_DIGITS, Item
from shiftproof.data.decode import SUFFIXES, decode
from shiftproof.data.labels import read_labels
from shiftproof.errors import BadItemError, DataError

TABLE = "labels.csv"


@dataclass(frozen=True)
class Entry:
    """A file of the folder.

    Args:
        name: what it is called: its path in the folder, printable.
        path: its path in the folder, as the system has it.
        label: index of its class, if it has one.
        fault: why it has none though others do ("" if all is well).
    """

    name: str
    path: str
    label: int | None
    fault: str = ""


@dataclass(frozen=True)
class FolderSource:
    """Pictures of a folder, decoded at each `read`; safe to call from several threads.

    Args:
        word: what the user typed.
        folder: the folder.
        entries: its files, sorted by path.
        classes: names of the classes, if they are known.
        labelled: whether it has labels.
        table: size and time of `labels.csv` when it was read, if there is one.
    """

    word: str
    folder: Path
    entries: tuple[Entry, ...]
    classes: list[str] | None
    labelled: bool
    table: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Number of pictures, whether or not they can be used."""
        return len(self.entries)

    def read(self, i: int) -> Item:
        """Item `i`, 0 <= i < len(self); its picture is uint8.

        Raises:
            BadItemError: it has no label that can be used, or cannot be decoded; `where` is the item's name.
            IndexError: there is no such item.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"item {i} of {len(self)}")
        entry = self.entries[i]
        if entry.fault:
            raise BadItemError(entry.fault, where=entry.name)
        return Item(entry.name, decode(self.folder / entry.path, entry.name), entry.label)

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any file's name, size, time of change or label, and with `labels.csv`.

        The start of a SHA-256. No file is opened: one stat each. A file's time is that of now, `labels.csv` is as it
        was read.
        """
        found = hashlib.sha256(ascii((self.classes, self.labelled, self.table)).encode())
        for entry in self.entries:
            stamp = None if entry.fault else _stamp(os.path.join(self.folder, entry.path))
            found.update(ascii((entry.path, entry.label, entry.fault, stamp)).encode())
        return found.hexdigest()[:FINGERPRINT_DIGITS]


def open_folder(word: str, split: str) -> FolderSource:
    """The pictures of a folder.

    With a `labels.csv` (see `read_labels`), labels are taken from it. Otherwise, if there are pictures in subfolders,
    each subfolder is a class, counted in sorted order. Otherwise there are no labels.

    Args:
        word: the folder.
        split: must be "test": a folder has no splits.

    Raises:
        DataError: no such folder, no pictures in it, a broken `labels.csv`, or a split asked of it.
    """
    folder = Path(word).expanduser()
    if split != "test":
        raise DataError(f"a folder has no {split} split", where=word, remedy="give the folder of those pictures")
    if not folder.is_dir():
        problem = "a file, not a folder of pictures" if folder.exists() else "no such folder"
        raise DataError(problem, where=str(folder.absolute()), remedy="give a folder of pictures")
    files, subfolders = _walk(folder)
    pictures = [f for f in files if f.lower().endswith(SUFFIXES)]
    table = None
    if TABLE in files:
        table = _stamp(folder / TABLE)  # before it is read: a change in between is then seen as one
        found, classes = _by_table(folder, files, pictures)
    elif any("/" in f for f in pictures):
        index = {name: i for i, name in enumerate(subfolders)}
        found, classes = {f: _by_subfolder(f, index) for f in pictures}, [*_printable(subfolders).values()]
    else:
        found, classes = dict.fromkeys(pictures, (None, "")), None
    if not found:
        raise DataError(
            "no pictures", where=str(folder.absolute()), remedy=f"looked for {' '.join(SUFFIXES)}, also in subfolders"
        )
    labelled = TABLE in files or classes is not None
    names = _printable(found)
    entries = tuple(Entry(names[path], path, label, fault) for path, (label, fault) in found.items())
    return FolderSource(word, folder, entries, classes, labelled, table)


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    """All files below, as sorted paths with slashes, and the folder's own subfolders, sorted; hidden ones left out."""
    files: list[str] = []
    subfolders: list[str] = []

    def fail(error: OSError) -> None:
        raise DataError(f"unreadable folder: {error}", where=str(folder)) from error

    above: dict[str, frozenset[str]] = {str(folder): frozenset()}  # real folders on the way to each, to stop at loops
    for place, below, names in os.walk(folder, followlinks=True, onerror=fail):
        way = above.pop(place) | {os.path.realpath(place)}
        below[:] = sorted(b for b in below if not b.startswith((".", "__")) and _real(place, b) not in way)
        above |= {os.path.join(place, b): way for b in below}
        inside = Path(place).relative_to(folder)
        files += [(inside / n).as_posix() for n in names if not n.startswith(".") and (Path(place) / n).is_file()]
        if place == str(folder):
            subfolders = list(below)
    return sorted(files), subfolders


def _real(place: str, name: str) -> str:
    """Where an entry of a folder really is."""
    return os.path.realpath(os.path.join(place, name))


def _stamp(path: str | Path) -> tuple[int, int] | None:
    """Size in bytes and time of the last change in ns; None where there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _printable(paths: Iterable[str]) -> dict[str, str]:
    r"""Path -> a name that can be encoded, in the paths' order; no two are the same.

    Bytes that are no UTF-8 are written as `\xff`; where another file has that very name, backslashes are doubled.
    """
    names = {path: path for path in paths}
    taken = set(names)
    for path in names:
        try:
            path.encode()
        except UnicodeEncodeError:
            name = os.fsencode(path).decode(errors="backslashreplace")
            while name in taken:
                name = name.replace("\\", "\\\\")
            taken.add(name)
            names[path] = name
    return names


def _by_table(
    folder: Path, files: list[str], pictures: list[str]
) -> tuple[dict[str, tuple[int | None, str]], list[str] | None]:
    """Label and fault of every picture there is and of every file that the table names, and the classes."""
    labels = read_labels(folder / TABLE, files)
    there, named = set(files), labels.label.keys() | labels.fault.keys()
    found: dict[str, tuple[int | None, str]] = {}
    for name in sorted({*pictures, *named}):
        fault = labels.fault.get(name, "")
        if name not in there:
            fault = f"named in {TABLE}, but not in the folder"
        elif name not in named:
            fault = f"no label: {TABLE} has no row for it"
        found[name] = (None if fault else labels.label[name], fault)
    return found, labels.classes


def _by_subfolder(name: str, index: dict[str, int]) -> tuple[int | None, str]:
    """Label and fault of a file whose class is its first folder."""
    first, slash, _ = name.partition("/")
    if not slash:
        return None, "no label: it lies outside the class subfolders"
    return index[first], ""
