"""`labels.csv`: a table with the class of every picture of a folder."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from shiftproof.data.decode import SUFFIXES
from shiftproof.errors import DataError
from shiftproof.printable import said
from shiftproof.reading.budget import Budget
from shiftproof.reading.bytes import read_bytes

# ImageNet's training set has 1.3 million rows of two or three cells, in 50 MB.
MOST = {"bytes": 2**28, "parts": 5_000_000}
MOST_IN_A_NAME = 1000
LOOKED_AT = 100  # rows, to find the column of files
SHOWN = 80  # characters of a cell, and cells of a header, in an error
WHOLE = re.compile(r"\s*\+?([0-9]{1,9})(\.0+)?\s*")  # pandas saves a column with a gap as 3.0


@dataclass(frozen=True)
class Labels:
    """The contents of a table.

    Args:
        classes: names of the classes, sorted, if the table gives names alone; None if it gives indices.
        names: index of a class -> its name, if the table gives both.
        label: file -> index of its class.
        fault: file -> why it has no usable label.
    """

    classes: list[str] | None
    names: dict[int, str] = field(default_factory=dict)
    label: dict[str, int] = field(default_factory=dict)
    fault: dict[str, str] = field(default_factory=dict)


def read_labels(path: Path, files: Collection[str] = ()) -> Labels:
    """The labels in a comma-separated table with a column that names the file: the first, or the one that names most files.

    The column of labels is called `label`, `class`, `class_index` or anything that contains "index"; if there are several,
    the first that holds whole numbers. Without such a name it is the only column that holds whole numbers, or the only other
    column. If it holds words, these are the classes, numbered in sorted order. If it holds whole numbers, the classes have the
    names of a column that is called `label`, `class`, `category` or anything that contains "name", if there is one.

    Args:
        path: the table, in UTF-8.
        files: the files in the folder; if the first row names one of them, or any picture, the table has no header.

    Raises:
        DataError: the file is not such a table, or it exceeds the budget `MOST`; a part is a cell or a row.
    """
    try:
        budget = Budget(path, MOST)
        content = read_bytes(path, budget)
        # Counted first: a row takes more memory than its line break.
        budget.spend("parts", sum(content.count(mark) for mark in (b",", b";", b"\t", b"\n", b"\r")))
        # Excel writes a byte order mark, which would become part of the first column's name.
        with io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            read = csv.reader(file, strict=True, delimiter=_delimiter(first))
            rows = [(n, row) for n, row in enumerate(read, 1) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise DataError(
            f"unreadable table: {said(e)}", where=str(path), remedy="save it as comma-separated UTF-8"
        ) from e
    if not rows:
        raise DataError("the table is empty", where=str(path), remedy="write one row per picture: file,label")
    at = _file_column([row for _, row in rows], files)
    first = _file(_cell(rows[0][1], at))
    header = None if first in files or first.lower().endswith(SUFFIXES) else rows.pop(0)[1]
    column = _label_column(header, [row for _, row in rows], path, at)
    for line, row in rows:
        if len(_cell(row, at)) > MOST_IN_A_NAME:
            raise DataError(
                f"a name of more than {MOST_IN_A_NAME:,} characters, which no file has",
                where=f"{path} line {line}",
                remedy="the first column is the file",
            )
    cells = [(line, _file(_cell(row, at)), _cell(row, column).strip()) for line, row in rows]
    words = {cell for *_, cell in cells if cell}
    # One whole number makes it a column of indices; words among them are then faults of their rows, and not classes.
    classes = None if any(WHOLE.fullmatch(w) for w in words) else sorted(words)
    index = None if classes is None else {name: i for i, name in enumerate(classes)}
    labels = Labels(classes, {} if classes else _names(header, [row for _, row in rows], column, at))
    for line, file, cell in cells:
        label = index.get(cell) if index is not None else int(w[1]) if (w := WHOLE.fullmatch(cell)) else None
        where = f"{path.name} line {line}"
        if label is None:
            labels.fault[file] = (
                f"label {cell!r:.{SHOWN}} is not a whole number from 0, {where}" if cell else f"no label in {where}"
            )
        # The same label twice is harmless; two different ones leave nobody to decide.
        elif labels.label.setdefault(file, label) != label:
            labels.fault[file] = f"a second, different label in {where}"
    return labels


def _delimiter(line: str) -> str:
    """A comma; where the first line has none, the semicolon or tab that spreadsheets of other countries write."""
    return next((mark for mark in (",", ";", "\t") if mark in line), ",")


def _file(cell: str) -> str:
    """A file's name in the form in which the folder is listed."""
    return str(PurePosixPath(cell.strip().replace("\\", "/")))


def _cell(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _file_column(rows: Sequence[Sequence[str]], files: Collection[str]) -> int:
    """Index of the column that names most files of the folder; 0 if none does."""
    found = Counter(i for row in rows[:LOOKED_AT] for i, cell in enumerate(row) if _file(cell) in files)
    return min(found, key=lambda column: (-found[column], column), default=0)


def _label_column(header: Sequence[str] | None, rows: Sequence[Sequence[str]], path: Path, at: int) -> int:
    """Index of the column that holds the labels."""
    names = [name.strip().lower() for name in header or []]
    named = [i for n in ("label", "class", "class_index") for i, name in enumerate(names) if name == n and i != at]
    named = [*dict.fromkeys(named + [i for i, n in enumerate(names) if i != at and "index" in n])]
    width = max((len(row) for row in rows), default=0)
    # In one pass over the cells: many columns times many rows would be more than the table has.
    filled, words = set(), set()
    for row in rows:
        for column, cell in enumerate(row):
            if column not in words and cell.strip():
                (filled if WHOLE.fullmatch(cell) else words).add(column)
    whole = filled - words
    for column in named:
        if column in whole:
            return column
    if named:
        return named[0]
    possible = sorted(whole - {at})
    if len(possible) > 1:
        raise DataError(
            f"columns {', '.join(str(column + 1) for column in possible[:4])} all hold whole numbers, and none is called label",
            where=str(path),
            remedy="call the column of the labels label, in the first row",
        )
    if possible:
        return possible[0]
    if width == 2 and any(len(row) == width and row[1 - at].strip() for row in rows):
        return 1 - at
    raise DataError(
        f"no column of labels among {(header or [])[:SHOWN]!s:.{4 * SHOWN}}",
        where=str(path),
        remedy="call the column label; the first column is the file",
    )


def _names(header: Sequence[str] | None, rows: Sequence[Sequence[str]], column: int, at: int) -> dict[int, str]:
    """The name of each class, from the first column of names in which each class has one; nothing if there is none."""
    possible = [
        i
        for i, name in enumerate(header or [])
        if i not in (at, column) and ("name" in name.lower() or name.strip().lower() in ("label", "class", "category"))
    ]
    found: dict[int, set[tuple[int, str]]] = {i: set() for i in possible}
    # In one pass over the cells, as the column of labels is found.
    for row in rows:
        if not (label := WHOLE.fullmatch(_cell(row, column))):
            continue
        for i in possible:
            if i >= len(row):
                break
            if cell := row[i].strip():
                found[i].add((int(label[1]), cell))
    for pairs in found.values():
        # A column with two names for one class is about something else: the pictures' own names, say.
        if pairs and len(pairs) == len(dict(pairs)) and not all(WHOLE.fullmatch(cell) for _, cell in pairs):
            return dict(sorted(pairs))
    return {}
