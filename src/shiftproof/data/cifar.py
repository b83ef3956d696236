"""CIFAR-10 from its batches: the binary version, the Python version, or lossless mosaics."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from shiftproof.data.arrays import ArraySource
from shiftproof.data.batch_pickle import read_batch_pickle
from shiftproof.data.decode import decode
from shiftproof.errors import BadItemError, DataError
from shiftproof.printable import said
from shiftproof.reading.budget import Budget
from shiftproof.reading.bytes import inflate_gzip
from shiftproof.reading.plain_json import read_json

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SPLITS = {"test": ["test_batch"], "train": [f"data_batch_{k}" for k in range(1, 6)]}
MOSAIC_TABLE = "labels_and_filenames.json.gz"
# The table of all 60,000 pictures has 2 MB and 120,000 parts.
MOST_IN_TABLE = {"bytes inflated": 2**26, "parts": 2_000_000}
Batch = tuple[np.ndarray, list[int], list[str]]  # pictures (n, 32, 32, 3), labels, names


def open_cifar10(word: str, split: str) -> ArraySource:
    """The pictures of a split, uint8 (32, 32, 3), in the original order, in memory.

    The folder may hold the binary version (`test_batch.bin`), the Python version (`test_batch`; its pickle is parsed, never
    executed), or mosaics (`test_batch.webp`: 32 x 32 tiles, row by row, and `labels_and_filenames.json.gz`). The subfolder
    that the archive unpacks to is searched too. If some training batches are missing, the others are used.

    Args:
        word: `cifar10:DIR`.
        split: "test" or "train".

    Raises:
        DataError: the folder holds no batch, or a batch is broken.

    Reference: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images,
        https://www.cs.toronto.edu/~kriz/cifar.html (layout of both versions)
    """
    _, _, argument = word.partition(":")
    if not argument:
        raise DataError("cifar10 needs a folder", where=word, remedy="write cifar10:DIR")
    folder = Path(argument).expanduser()
    places = [folder, folder / "cifar-10-batches-bin", folder / "cifar-10-batches-py"]
    for place in places:
        for suffix, read in FORMS.items():
            files = [file for batch in SPLITS[split] if (file := place / f"{batch}{suffix}").is_file()]
            if files:
                return _source([read(file) for file in files], word)
    looked = " ".join(f"{SPLITS[split][0]}{suffix}" for suffix in FORMS)
    raise DataError(
        "no CIFAR-10 batch" if folder.is_dir() else "no such folder",
        where=str(folder.absolute()),
        remedy=f"looked for {looked}, also in cifar-10-batches-bin and cifar-10-batches-py",
    )


def _source(batches: list[Batch], word: str) -> ArraySource:
    """All batches as one source."""
    return ArraySource(
        np.concatenate([pictures for pictures, *_ in batches]),
        [label for _, labels, _ in batches for label in labels],
        word,
        classes=CLASSES,
        names=[name for *_, names in batches for name in names],
    )


def _binary(path: Path) -> Batch:
    """Rows of one label byte and 3 x 32 x 32 pixel bytes."""
    data = np.fromfile(path, np.uint8)
    if not len(data) or len(data) % 3073:
        raise DataError(
            f"truncated: {len(data)} bytes are not a multiple of 3073", where=str(path), remedy="get the file again"
        )
    rows = data.reshape(-1, 3073)
    return _planes(rows[:, 1:]), rows[:, 0].tolist(), _numbered(path, len(rows))


def _python(path: Path) -> Batch:
    """A pickled dict of `data` (n, 3072), `labels` and, optionally, `filenames`."""
    batch = read_batch_pickle(path)
    data = batch.get("data")
    if not (isinstance(data, np.ndarray) and data.ndim == 2 and data.shape[1] == 3072 and len(data)):
        raise DataError("no data of (n, 3072) bytes", where=str(path), remedy="is this a CIFAR-10 batch?")
    return _planes(data), *_labels_and_names(batch, len(data), path)


def _mosaic(path: Path) -> Batch:
    """Tiles of 32 x 32, row by row; labels and names from the table in the same folder."""
    table = path.parent / MOSAIC_TABLE
    try:
        mosaic = decode(path).pixels
    except BadItemError as e:
        raise DataError(e.what, where=e.where, remedy="get this file again: it holds the whole batch") from e
    height, width, channels = mosaic.shape
    if height % 32 or width % 32 or channels != 3:
        raise DataError(
            f"a mosaic of {height} x {width} x {channels}",
            where=str(path),
            remedy="a mosaic has 32 x 32 tiles in colour: get the file again",
        )
    # (tile row, row, tile column, column) to (tile row, tile column, row, column).
    tiles = mosaic.reshape(height // 32, 32, width // 32, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
    try:
        budget = Budget(table, MOST_IN_TABLE)
        with open(table, "rb") as file:
            text = inflate_gzip(file, budget)
        entry = dict(read_json(text, budget)[path.stem])
    except DataError:
        raise
    except (OSError, EOFError, ValueError, LookupError, TypeError, zlib.error) as e:
        raise DataError(
            f"no labels of {path.stem}: {type(e).__name__} {said(e)}", where=str(table), remedy="get the table again"
        ) from e
    return tiles, *_labels_and_names(entry, len(tiles), path)


FORMS = {".bin": _binary, "": _python, ".webp": _mosaic}


def _planes(rows: np.ndarray) -> np.ndarray:
    """(n, 3072) bytes, red before green before blue, as (n, 32, 32, 3)."""
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _numbered(path: Path, count: int) -> list[str]:
    """Names for a batch that has none."""
    return [f"{path.stem}/{i}" for i in range(count)]


def _labels_and_names(entry: dict[str, Any], count: int, path: Path) -> tuple[list[int], list[str]]:
    """The entry's labels, one whole number per picture, and its file names, or numbers if it does not have one per picture."""
    labels, names = entry.get("labels"), entry.get("filenames")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DataError("no list of labels", where=str(path), remedy="is this a CIFAR-10 batch?")
    if len(labels) != count:
        raise DataError(f"{len(labels)} labels for {count} pictures", where=str(path), remedy="get the batch again")
    if isinstance(names, list) and len(names) == count and all(type(name) is str for name in names):
        return labels, names
    return labels, _numbered(path, count)
