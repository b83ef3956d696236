"""Arrays saved by `numpy.savez`; nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from io import BufferedIOBase
from pathlib import Path
from typing import cast

import numpy as np

from shiftproof.data.arrays import ArraySource
from shiftproof.errors import DataError
from shiftproof.printable import said
from shiftproof.reading.budget import Budget, inflated_bytes
from shiftproof.reading.bytes import Counted, open_zip

PICTURES = ("x_{split}", "{split}_images", "x", "images", "pictures", "arr_0")
LABELS = ("y_{split}", "{split}_labels", "y", "labels", "arr_1")
MOST_ENTRIES = 100_000
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
SHOWN, MOST_SHOWN = 8, 40  # names listed in an error, and characters of each
NUMBERS = "iuf"  # NumPy's kinds of pixels and labels. Texts and records may have elements of no bytes: any number fits in a file
REMEDY = "save plain arrays by numpy.savez; arrays of Python objects are refused because they could run code"


def open_npz(word: str, split: str) -> ArraySource:
    """The pictures and labels in an `.npz` file, read into memory.

    Pictures are the first array in the file whose name is in `PICTURES`, labels the first in `LABELS`, where `{split}` stands
    for the name of the split; labels may be missing. Pictures are (n, h, w), (n, h, w, c) or (n, c, h, w) with c = 1 or 3
    (the last axis is tried first), in whole numbers 0..255 or floats in [0, 1].

    Args:
        word: the file.
        split: "test" or "train".

    Raises:
        DataError: there is no such file, it is not an .npz file, no array has such a name, one holds anything but whole numbers
            or floats, or the arrays are larger than `inflated_bytes` of the file's size.
    """
    path = Path(word).expanduser()
    if not path.is_file():
        raise DataError("no such file", where=str(path.absolute()), remedy="give an .npz file saved by numpy.savez")
    try:
        budget = Budget(path, {"parts": MOST_ENTRIES, "bytes inflated": inflated_bytes(path.stat().st_size)})
        with open(path, "rb") as file, open_zip(file, budget) as archive:
            found = [name.removesuffix(".npy") for name in archive.namelist()]
            pictures = _named(archive, PICTURES, split, budget)
            labels = _named(archive, LABELS, split, budget)
    except DataError:
        raise
    except Exception as e:  # of a damaged zip or header, NumPy and zipfile raise a dozen kinds
        raise DataError(f"not an .npz file that can be read: {said(e)}", where=str(path), remedy=REMEDY) from e
    if pictures is None:
        wanted = [name.format(split=split) for name in PICTURES]
        shown, more = [name[:MOST_SHOWN] for name in found[:SHOWN]], len(found) - SHOWN
        among = f"{shown} and {more:,} more" if more > 0 else f"{shown}"
        raise DataError(f"no pictures among {among}", where=str(path), remedy=f"call them one of {wanted}")
    if pictures.ndim == 3:
        pictures = pictures[..., None]
    elif pictures.ndim == 4 and pictures.shape[-1] not in (1, 3) and pictures.shape[1] in (1, 3):
        pictures = np.moveaxis(pictures, 1, -1)
    return ArraySource(pictures, labels, word)


def _named(archive: zipfile.ZipFile, names: tuple[str, ...], split: str, budget: Budget) -> np.ndarray | None:
    """The first array in the archive that has one of these names."""
    there = set(archive.namelist())
    for name in (name.format(split=split) for name in names):
        for entry in (f"{name}.npy", name):
            if entry in there:
                with archive.open(entry) as file:
                    return _array(Counted(cast(BufferedIOBase, file), budget), budget)
    return None


def _array(file: Counted, budget: Budget) -> np.ndarray:
    """The array in an .npy file."""
    read_header = HEADERS.get(np.lib.format.read_magic(file))
    if read_header is None:
        raise ValueError("an array of another version of NumPy's format")
    shape, columns, dtype = read_header(file)
    if dtype.hasobject:
        raise ValueError("Python objects")
    if dtype.kind not in NUMBERS:
        raise DataError(
            f"an array of {dtype!s:.{MOST_SHOWN}}, not of whole numbers or floats",
            where=budget.where,
            remedy="save pictures as whole numbers 0..255 or floats in [0, 1], and labels as whole numbers",
        )
    # Before NumPy takes the memory: the header alone may claim any size.
    count = math.prod(shape)
    budget.at_most("bytes inflated", count * dtype.itemsize)
    array = np.empty(count, dtype)
    held = array.reshape(-1).view(np.uint8).data if array.nbytes else memoryview(b"")
    at = 0
    while at < len(held):
        part = file.read(min(2**20, len(held) - at))
        if not part:
            raise ValueError(f"only {at:,} of {len(held):,} bytes")
        held[at : at + len(part)] = part
        at += len(part)
    return array.reshape(shape, order="F" if columns else "C")
