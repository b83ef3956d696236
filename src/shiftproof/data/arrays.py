"""Pictures in memory, with their labels, read one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from shiftproof.errors import BadItemError, DataError
from shiftproof.printable import said

WHOLE = "iu"  # NumPy's kinds of whole numbers; `np.integer` would have spans of time among them
SHOWN = 40  # characters of a type, in an error: a record has as many names as its author likes
FINGERPRINT_DIGITS = 16  # 64 bits tell data sets apart, but do not withstand an attacker


@dataclass(frozen=True, eq=False)
class Item:
    """One picture of the data.

    Args:
        name: its name in the data: a file name or an index.
        picture: (h, w, c) pixels, c = 1 or 3: uint8, or float32 in [0, 1]. A copy, which the caller may change.
        label: index of its class; None if the data has no labels.
        transparent: whether transparency was dropped.
        high16: the largest value of a picture of 16 bits per channel; None for others.
    """

    name: str
    picture: UInt8[np.ndarray, "h w c"] | Float32[np.ndarray, "h w c"]
    label: int | None
    transparent: bool = False
    high16: int | None = None


class ArraySource:
    """Items from arrays or tensors in memory; the arrays are not copied.

    Args:
        pictures: (n, h, w, c) with c = 1 or 3: whole numbers 0..255, or floats in [0, 1]. A NumPy array, a torch tensor
            (anything with `.numpy()`), or anything that `numpy.asarray` accepts.
        labels: (n,) whole numbers; a negative number means that the label is missing. None: the data has no labels.
        word: name of the data in a record.
        classes: names of the classes; if given, an item with a label outside them is an error.
        names: names of the items; by default their indices.

    Raises:
        DataError: the arrays have another shape or type, or the numbers of pictures, labels and names differ.

    >>> source = ArraySource(np.zeros((2, 4, 4, 1), np.uint8), [7, 1])
    >>> len(source), source.read(0).label, source.read(0).picture.shape
    (2, 7, (4, 4, 1))
    """

    def __init__(
        self,
        pictures: Any,
        labels: Any | None = None,
        word: str = "tensor",
        *,
        classes: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.word = word
        self.classes = None if classes is None else list(classes)
        self._pictures = _pictures(_to_numpy(pictures, word), word)
        self._labels = None if labels is None else _labels(_to_numpy(labels, word), len(self._pictures), word)
        if names is not None and len(names) != len(self._pictures):
            raise DataError(
                f"{len(names)} names for {len(self._pictures)} pictures", where=word, remedy="give one name per picture"
            )
        self._names = names

    @property
    def labelled(self) -> bool:
        """Whether the data has labels."""
        return self._labels is not None

    @property
    def class_names(self) -> dict[int, str]:
        """Label -> name of its class, if the classes are known."""
        return dict(enumerate(self.classes or []))

    @property
    def size(self) -> tuple[int, int, int]:
        """(c, h, w) of every picture."""
        _, h, w, c = self._pictures.shape
        return c, h, w

    def __len__(self) -> int:
        """Number of items."""
        return len(self._pictures)

    def read(self, i: int) -> Item:
        """Item `i`, 0 <= i < len(self).

        Raises:
            BadItemError: its label is missing or is not a class, or a pixel is NaN, infinite or outside [0, 1].
            IndexError: there is no such item.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"item {i} of {len(self)}")
        name = str(i) if self._names is None else self._names[i]
        label = None if self._labels is None else int(self._labels[i])
        if label is not None:
            check_label(label, self.classes, name)
        whole = self._pictures.dtype.kind in WHOLE
        # A copy: the caller may change it, and the array is shared by all threads that read.
        with np.errstate(over="ignore", invalid="ignore"):  # such a pixel is told below
            picture = np.array(self._pictures[i], dtype=np.uint8 if whole else np.float32)
        if not whole and not (picture.min() >= 0 and picture.max() <= 1):  # NaN fails every comparison
            raise BadItemError(
                "a pixel is NaN or outside [0, 1]", where=name, remedy="scale pixels to [0, 1], or give uint8"
            )
        return Item(name, picture, label)

    def unlabelled(self) -> ArraySource:
        """The same items without labels."""
        return ArraySource(self._pictures, None, self.word, names=self._names)

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any pixel, label, name or class: the start of a SHA-256.

        Pictures are hashed one at a time, so that at most one picture is copied.
        """
        found = hashlib.sha256()
        names = None if self._names is None else list(self._names)
        labels = None if self._labels is None else (self._labels.dtype.str, self._labels.shape)
        # `ascii`, because names of files may hold surrogates that UTF-8 cannot encode.
        found.update(ascii((self._pictures.dtype.str, self._pictures.shape, labels, self.classes, names)).encode())
        for picture in self._pictures:
            found.update(_bytes(picture))
        if self._labels is not None:
            found.update(_bytes(self._labels))
        return found.hexdigest()[:FINGERPRINT_DIGITS]


def check_label(label: int, classes: Sequence[str] | None, where: str) -> None:
    """Does nothing if `label` is the index of a class.

    Args:
        label: the index.
        classes: names of all classes; None: any index from 0 on is a class.
        where: the item's name, for the error.

    Raises:
        BadItemError: `label` is not the index of a class.
    """
    if label < 0:
        raise BadItemError(f"no label: {label} is negative", where=where, remedy="classes are counted from 0")
    if classes is not None and label >= len(classes):
        raise BadItemError(f"label {label} is not a class", where=where, remedy=f"classes are 0..{len(classes) - 1}")


def _bytes(array: np.ndarray) -> memoryview:
    """The array's bytes. As such, because the buffers of some numbers cannot be read: long floats of the other byte order."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _to_numpy(values: Any, word: str) -> np.ndarray:
    """The values as an array. Tensors convert themselves, so that torch is not imported here."""
    try:
        for step in ("detach", "cpu", "numpy"):
            values = getattr(values, step)() if hasattr(values, step) else values
        return np.asarray(values)
    except (TypeError, ValueError) as e:  # ragged lists, bfloat16
        raise DataError(
            f"not an array: {said(e)}", where=word, remedy="give one array (n, h, w, c), all of one size"
        ) from e


def _pictures(array: np.ndarray, word: str) -> np.ndarray:
    """The array, if it holds pictures."""
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise DataError(
            f"pictures have shape {array.shape}",
            where=word,
            remedy="give (n, h, w, c) with at least one picture and c = 1 or 3",
        )
    if array.dtype.kind == "f" or array.dtype == np.uint8:
        return array
    # Wider whole numbers are fine if their values are those of bytes.
    if array.dtype.kind in WHOLE and array.min() >= 0 and array.max() <= 255:
        return array
    what = "with values outside 0..255" if array.dtype.kind in WHOLE else "which are no whole numbers or floats"
    raise DataError(
        f"pictures of {array.dtype!s:.{SHOWN}}, {what}",
        where=word,
        remedy="give whole numbers 0..255, or floats in [0, 1]",
    )


def _labels(array: np.ndarray, count: int, word: str) -> np.ndarray:
    """The labels as (n,), if there is one whole number per picture."""
    # Keras stores the labels of CIFAR as a column.
    if array.shape == (count, 1):
        array = array[:, 0]
    if array.dtype.kind not in WHOLE or array.ndim != 1:
        raise DataError(
            f"labels are {array.dtype!s:.{SHOWN}} of shape {array.shape}",
            where=word,
            remedy="give one whole number per picture",
        )
    if len(array) != count:
        raise DataError(f"{len(array)} labels for {count} pictures", where=word, remedy="give one label per picture")
    return array
