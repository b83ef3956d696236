"""Arrays saved by `numpy.savez`, never unpickled."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from shiftproof.data.arrays import ArraySource
from shiftproof.errors import DataError

PICTURES = ("x_{split}", "{split}_images", "x", "images", "pictures", "arr_0")
LABELS = ("y_{split}", "{split}_labels", "y", "labels", "arr_1")


def open_npz(word: str, split: str) -> ArraySource:
    """The pictures and labels in an `.npz` file, read into memory.

    Pictures are the first array there is of `PICTURES`, labels (they may be missing) of `LABELS`, where `{split}`
    stands for the split's name. Pictures are (n, h, w), (n, h, w, c) or (n, c, h, w) with c = 1 or 3 (the last axis is
    looked at first), in whole numbers 0..255 or floats in [0, 1].

    Args:
        word: the file.
        split: "test" or "train".

    Raises:
        DataError: no such file, not an .npz file, no array of such a name, or one of Python objects.
    """
    path = Path(word).expanduser()
    if not path.is_file():
        raise DataError("no such file", where=str(path.absolute()), remedy="give an .npz file saved by numpy.savez")
    try:
        with open(path, "rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise ValueError("it holds one bare array")
            pictures = _named(arrays, PICTURES, split)
            labels = _named(arrays, LABELS, split)
            found = arrays.files
    except (OSError, EOFError, ValueError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error) as e:
        raise DataError(
            f"not an .npz file that can be read: {e}",
            where=str(path),
            remedy="save plain arrays by numpy.savez; arrays of Python objects are not opened, they could run code",
        ) from e
    if pictures is None:
        wanted = [name.format(split=split) for name in PICTURES]
        raise DataError(f"no pictures among {found}", where=str(path), remedy=f"call them one of {wanted}")
    if pictures.ndim == 3:
        pictures = pictures[..., None]
    elif pictures.ndim == 4 and pictures.shape[-1] not in (1, 3) and pictures.shape[1] in (1, 3):
        pictures = np.moveaxis(pictures, 1, -1)
    return ArraySource(pictures, labels, word)


def _named(arrays: np.lib.npyio.NpzFile, names: tuple[str, ...], split: str) -> np.ndarray | None:
    """The first array there is of these names."""
    for name in (name.format(split=split) for name in names):
        if name in arrays.files:
            if not isinstance(array := arrays[name], np.ndarray):  # a zip may hold any file
                raise ValueError(f"{name} is not an array")
            return array
    return None
