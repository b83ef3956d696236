"""A folder of pictures: class subfolders, or labels.csv, or no labels; a picture is decoded when it is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from shiftproof.data.arrays import Item
from shiftproof.data.decode import SUFFIXES, decode
from shiftproof.data.labels import read_labels
from shiftproof.errors import BadItemError, DataError

TABLE = "labels.csv"


@dataclass(frozen=True)
class Entry:
    """A file of the folder: its path in it, its label, and why it has none though others do ("" if all is well)."""

    name: str
    label: int | None
    fault: str = ""


@dataclass(frozen=True)
class FolderSource:
    """Pictures of a folder, decoded at each `read`; safe to call from several threads.

    Args:
        word: what the user typed.
        folder: the folder.
        entries: its files, sorted by name.
        classes: names of the classes, if they are known.
        labelled: whether it has labels.
    """

    word: str
    folder: Path
    entries: tuple[Entry, ...]
    classes: list[str] | None
    labelled: bool

    def __len__(self) -> int:
        """Number of pictures, whether or not they can be used."""
        return len(self.entries)

    def read(self, i: int) -> Item:
        """Item `i`, 0 <= i < len(self); its picture is uint8.

        Raises:
            BadItemError: it has no label that can be used, or cannot be decoded.
            IndexError: there is no such item.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"item {i} of {len(self)}")
        entry = self.entries[i]
        if entry.fault:
            raise BadItemError(entry.fault, where=str(self.folder / entry.name))
        return Item(entry.name, decode(self.folder / entry.name), entry.label)


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
    if TABLE in files:
        entries, classes = _by_table(folder, files, pictures)
    elif any("/" in f for f in pictures):
        classes = subfolders
        index = {name: i for i, name in enumerate(classes)}
        entries = [_by_subfolder(f, index) for f in pictures]
    else:
        classes, entries = None, [Entry(f, None) for f in pictures]
    if not entries:
        raise DataError(
            "no pictures", where=str(folder.absolute()), remedy=f"looked for {' '.join(SUFFIXES)}, also in subfolders"
        )
    labelled = TABLE in files or classes is not None
    return FolderSource(word, folder, tuple(entries), classes, labelled)


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


def _by_table(folder: Path, files: list[str], pictures: list[str]) -> tuple[list[Entry], list[str] | None]:
    """An entry for every picture there is and for every file that the table names."""
    labels = read_labels(folder / TABLE, files)
    there, named = set(files), labels.label.keys() | labels.fault.keys()
    entries = []
    for name in sorted({*pictures, *named}):
        fault = labels.fault.get(name, "")
        if name not in there:
            fault = f"named in {TABLE}, but not in the folder"
        elif name not in named:
            fault = f"no label: {TABLE} has no row for it"
        entries.append(Entry(name, None if fault else labels.label[name], fault))
    return entries, labels.classes


def _by_subfolder(name: str, index: dict[str, int]) -> Entry:
    """The entry of a file whose class is its first folder."""
    first, slash, _ = name.partition("/")
    if not slash:
        return Entry(name, None, "no label: it lies outside the class subfolders")
    return Entry(name, index[first])
