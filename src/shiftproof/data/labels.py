"""`labels.csv`: the class of every picture of a folder, as a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from shiftproof.errors import DataError

WHOLE = re.compile(r"\s*\+?([0-9]{1,9})(\.0+)?\s*")  # a table with a gap is often saved as 3.0


@dataclass(frozen=True)
class Labels:
    """What a table says about the files that it names.

    Args:
        classes: names of the classes, sorted, if the table gives names; None if it gives indices.
        label: file -> index of its class.
        fault: file -> why it has no label that can be used.
    """

    classes: list[str] | None
    label: dict[str, int] = field(default_factory=dict)
    fault: dict[str, str] = field(default_factory=dict)


def read_labels(path: Path, files: Collection[str] = ()) -> Labels:
    """The labels in a comma-separated table whose first column names the file.

    The label's column is called `label`, `class`, `class_index` or anything with "index" in it; of several, the first
    that holds whole numbers. Without such a name it is the first column that holds whole numbers. Where it holds words,
    they are the classes, counted in sorted order.

    Args:
        path: the table, UTF-8.
        files: the files there are; if the first row names one of them, the table has no header.

    Raises:
        DataError: not such a table.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [(n, row) for n, row in enumerate(csv.reader(file, strict=True), 1) if any(map(str.strip, row))]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise DataError(f"unreadable table: {e}", where=str(path), remedy="save it as comma-separated UTF-8") from e
    if not rows:
        raise DataError("the table is empty", where=str(path), remedy="one row a picture: file,label")
    header = None if _file(rows[0][1][0]) in files else rows.pop(0)[1]
    column = _label_column(header, [row for _, row in rows], path)
    cells = [(line, _file(row[0]), row[column].strip() if column < len(row) else "") for line, row in rows]
    words = {cell for *_, cell in cells if cell}
    classes = None if any(WHOLE.fullmatch(w) for w in words) else sorted(words)
    index = None if classes is None else {name: i for i, name in enumerate(classes)}
    labels = Labels(classes)
    for line, file, cell in cells:
        label = index.get(cell) if index is not None else int(w[1]) if (w := WHOLE.fullmatch(cell)) else None
        where = f"{path.name} line {line}"
        if label is None:
            labels.fault[file] = (
                f"label {cell!r} is not a whole number from 0, {where}" if cell else f"no label in {where}"
            )
        elif labels.label.setdefault(file, label) != label:
            labels.fault[file] = f"a second, other label in {where}"
    return labels


def _file(cell: str) -> str:
    """A file's name as a folder lists it."""
    return str(PurePosixPath(cell.strip().replace("\\", "/")))


def _label_column(header: Sequence[str] | None, rows: Sequence[Sequence[str]], path: Path) -> int:
    """Index of the column that holds the labels."""
    width = max((len(row) for row in [*rows, header or []]), default=0)
    names = [name.strip().lower() for name in header or []]
    named = [names.index(n, 1) for n in ("label", "class", "class_index") if n in names[1:]]
    named += [i for i, n in enumerate(names) if i > 0 and "index" in n and i not in named]

    def whole(column: int) -> bool:
        cells = [row[column] for row in rows if column < len(row) and row[column].strip()]
        return bool(cells) and all(WHOLE.fullmatch(cell) for cell in cells)

    for column in named or range(1, width):
        if whole(column):
            return column
    if named:
        return named[0]
    raise DataError(
        f"no column of labels among {list(header or [])}",
        where=str(path),
        remedy="call it label; the first column is the file",
    )
