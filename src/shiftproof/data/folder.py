"""A folder of pictures, with class subfolders, a labels.csv, or no labels; each picture is decoded when it is read."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from shiftproof.data.arrays import FINGERPRINT_DIGITS, Item
from shiftproof.data.decode import SUFFIXES, decode, size_of
from shiftproof.data.labels import read_labels
from shiftproof.errors import BadItemError, DataError
from shiftproof.reading.budget import Budget

TABLE = "labels.csv"
BATCHES = {  # names of files of data sets that have a word of their own; a mosaic of such a batch looks like a picture
    "cifar10": re.compile(r"(test_batch|data_batch_\d)(\.bin|\.webp)?"),
    "mnist": re.compile(r"(t10k|train)-images[-.]idx3-ubyte(\.gz)?"),
}
# ImageNet-21k has 14 million pictures in 20,000 folders. Thirty folders with two links each to the next are a billion paths.
MOST = {"parts": 50_000_000, "levels": 64}
MOST_VISITS = 1000
PROBED, MOST_PX = 8, 512


@dataclass(frozen=True)
class Entry:
    """A file of the folder.

    Args:
        name: its path in the folder, in printable characters.
        path: its path in the folder, as the system spells it.
        label: index of its class, if it has one.
        fault: why its label is missing although others have one; "" if nothing is wrong.
    """

    name: str
    path: str
    label: int | None
    fault: str = ""


@dataclass(frozen=True)
class FolderSource:
    """Pictures of a folder, decoded at each `read`, which several threads may call.

    Args:
        word: what the user typed.
        folder: the folder.
        entries: its files, sorted by path.
        classes: names of the classes, if they are known.
        labelled: whether it has labels.
        class_names: label -> name of its class, as far as names are known.
        table: size and time of change of `labels.csv` when it was read; None without one.
    """

    word: str
    folder: Path
    entries: tuple[Entry, ...]
    classes: list[str] | None
    labelled: bool
    class_names: dict[int, str]
    table: tuple[int, int] | None = None

    def __len__(self) -> int:
        """Number of pictures, including those that cannot be used."""
        return len(self.entries)

    def read(self, i: int) -> Item:
        """Item `i`, 0 <= i < len(self); its picture is uint8.

        Raises:
            BadItemError: it has no usable label, or cannot be decoded; `where` is the item's name.
            IndexError: there is no such item.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"item {i} of {len(self)}")
        entry = self.entries[i]
        if entry.fault:
            raise BadItemError(entry.fault, where=entry.name)
        found = decode(self.folder / entry.path, entry.name)
        return Item(entry.name, found.pixels, entry.label, found.transparent, found.high16)

    @property
    def size(self) -> tuple[int, int, int] | None:
        """(c, h, w) if it is that of `PROBED` pictures, evenly spread, and none is larger than `MOST_PX`; else None.

        Photographs of one camera have one size too, but no network takes them whole.
        """
        found = set()
        for i in {k * (len(self) - 1) // (PROBED - 1) for k in range(PROBED)}:
            try:
                found.add(size_of(self.folder / self.entries[i].path))
            except BadItemError:  # said when its turn comes
                continue
        size = found.pop() if len(found) == 1 else None
        return size if size is not None and max(size) <= MOST_PX else None

    def unlabelled(self) -> FolderSource:
        """The same files without labels; a file that `labels.csv` names but that is not there stays a bad item."""
        there = [replace(e, label=None, fault=e.fault and self._missing(e)) for e in self.entries]
        return replace(self, entries=tuple(there), classes=None, labelled=False)

    def _missing(self, entry: Entry) -> str:
        return "" if (self.folder / entry.path).exists() else entry.fault

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any file's name, size, time of change or label, and with `labels.csv`.

        It is the start of a SHA-256. No file is opened: each costs one stat. Files are looked up now; `labels.csv` counts as
        it was when it was read.
        """
        found = hashlib.sha256(ascii((self.classes, self.labelled, self.class_names, self.table)).encode())
        for entry in self.entries:
            # `os.path.join` and not `/`: making a `Path` takes about as long as the stat itself.
            stamp = None if entry.fault else _stamp(os.path.join(self.folder, entry.path))
            found.update(ascii((entry.path, entry.label, entry.fault, stamp)).encode())
        return found.hexdigest()[:FINGERPRINT_DIGITS]


def open_folder(word: str, split: str) -> FolderSource:
    """The pictures of a folder.

    With a `labels.csv` (see `read_labels`), labels are taken from it. Otherwise, if there are pictures in subfolders,
    each subfolder is a class, counted in sorted order. Otherwise there are no labels.

    Args:
        word: the folder.
        split: "test"; a folder has no other split.

    Raises:
        DataError: there is no such folder, it holds no pictures, its `labels.csv` is broken, or another split was asked for.
    """
    folder = Path(word).expanduser()
    if split != "test":
        raise DataError(f"a folder has no {split} split", where=word, remedy="give the folder of those pictures")
    if not folder.is_dir():
        problem = "a file, not a folder of pictures" if folder.exists() else "no such folder"
        raise DataError(problem, where=str(folder.absolute()), remedy="give a folder of pictures")
    files, subfolders = _walk(folder)
    pictures = [f for f in files if f.lower().endswith(SUFFIXES)]
    table, class_names = None, {}
    if meant := other_data(files):
        raise DataError(
            f"the folder holds the batches of a data set, not pictures (e.g. {meant[1]})",
            where=str(folder.absolute()),
            remedy=f"did you mean {meant[0]}:{folder.absolute() / meant[1].rpartition('/')[0]}?",
        )
    if TABLE in files:
        table = _stamp(folder / TABLE)  # taken before the file is read, so that a change in between is noticed
        found, classes, class_names = _by_table(folder, files, pictures)
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
    named = class_names if classes is None else dict(enumerate(classes))
    return FolderSource(word, folder, entries, classes, labelled, named, table)


def other_data(files: Iterable[str]) -> tuple[str, str] | None:
    """The word of a data set whose batches are among the files, and one of them; None if there are none.

    >>> other_data(["readme.txt", "cifar-10-batches-py/test_batch"])
    ('cifar10', 'cifar-10-batches-py/test_batch')
    """
    return next(
        ((word, file) for word, name in BATCHES.items() for file in files if name.fullmatch(file.rpartition("/")[2])),
        None,
    )


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    """All files below the folder, as sorted paths with slashes, and its own subfolders, sorted; hidden ones are left out."""
    files: list[str] = []
    subfolders: list[str] = []

    def fail(error: OSError) -> None:
        raise DataError(f"unreadable folder: {error}", where=str(folder)) from error

    budget, visits = Budget(folder, MOST, remedy="give a smaller folder, or one without links to itself"), Counter()
    above: dict[str, frozenset[str]] = {
        str(folder): frozenset()
    }  # the real folders on the way to each, to stop at loops of links
    for place, below, names in os.walk(folder, followlinks=True, onerror=fail):
        real = os.path.realpath(place)
        way = above.pop(place) | {real}
        visits[real] += 1
        if visits[real] > MOST_VISITS:
            raise Budget(place, {"visits": MOST_VISITS}, remedy=budget.remedy).refusal("visits")
        budget.at_most("levels", len(way))
        budget.spend("parts", len(names) + len(below))
        # In place: `os.walk` then goes into these alone. Folders such as `__MACOSX` come from archivers.
        below[:] = sorted(b for b in below if not b.startswith((".", "__")) and _real(place, b) not in way)
        above |= {os.path.join(place, b): way for b in below}
        inside = Path(place).relative_to(folder)
        files += [(inside / n).as_posix() for n in names if not n.startswith(".") and (Path(place) / n).is_file()]
        if place == str(folder):
            subfolders = list(below)
    return sorted(files), subfolders


def _real(place: str, name: str) -> str:
    """The path of an entry of a folder, with links resolved."""
    return os.path.realpath(os.path.join(place, name))


def _stamp(path: str | Path) -> tuple[int, int] | None:
    """Size in bytes and time of the last change in ns; None if there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _printable(paths: Iterable[str]) -> dict[str, str]:
    r"""Path -> a name that can be encoded, in the order of the paths; all names differ.

    Bytes that are not UTF-8 are written as `\xff`; if another file has that name, backslashes are doubled.
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
) -> tuple[dict[str, tuple[int | None, str]], list[str] | None, dict[int, str]]:
    """Label and fault of every picture and of every file that the table names, the classes, and names by index."""
    labels = read_labels(folder / TABLE, files)
    there, named = set(files), labels.label.keys() | labels.fault.keys()
    found: dict[str, tuple[int | None, str]] = {}
    # A file that the table names and the folder lacks is a bad picture, not a smaller data set.
    for name in sorted({*pictures, *named}):
        fault = labels.fault.get(name, "")
        if name not in there:
            fault = f"named in {TABLE}, but not in the folder"
        elif name not in named:
            fault = f"no label: {TABLE} has no row for it"
        found[name] = (None if fault else labels.label[name], fault)
    return found, labels.classes, labels.names


def _by_subfolder(name: str, index: dict[str, int]) -> tuple[int | None, str]:
    """Label and fault of a file whose class is the first folder of its path."""
    first, slash, _ = name.partition("/")
    if not slash:
        return None, "no label: it lies outside the class subfolders"
    return index[first], ""
