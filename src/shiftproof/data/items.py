"""Pictures that are given in Python one at a time: arrays and PIL pictures of a list or a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from shiftproof.data.arrays import FINGERPRINT_DIGITS, Item, check_label
from shiftproof.data.decode import Decoded, decoded
from shiftproof.errors import BadItemError, DataError

PROBED = 8  # pictures whose sizes are looked at, to learn whether all are alike


@dataclass(frozen=True)
class ItemSource:
    """Pictures that a function gives, by their index.

    Args:
        word: name of the data in a record.
        get: index -> the picture and the index of its class, or None without a label. The picture is a PIL image, or an array
            (h, w), (h, w, 1) or (h, w, 3) of whole numbers 0..255 or floats in [0, 1], or (h, w, 4) in bytes, with transparency.
        count: number of pictures.
        classes: names of the classes, if they are known.
        labelled: whether the pictures have labels.
    """

    word: str
    get: Callable[[int], tuple[Any, int | None]]
    count: int
    classes: list[str] | None
    labelled: bool

    def __len__(self) -> int:
        """Number of pictures."""
        return self.count

    @property
    def class_names(self) -> dict[int, str]:
        """Label -> name of its class, if the classes are known."""
        return dict(enumerate(self.classes or []))

    @property
    def size(self) -> tuple[int, int, int] | None:
        """(c, h, w) if it is that of `PROBED` pictures, evenly spread from the first to the last; else None.

        Raises:
            BadItemError: none of them can be used.
        """
        found, fault = set(), None
        for i in np.unique(np.linspace(0, self.count - 1, PROBED).round().astype(int)).tolist():
            try:
                h, w, c = self.unlabelled().read(i).picture.shape
            except BadItemError as e:
                fault = fault or e
                continue
            found.add((c, h, w))
        if fault is not None and not found:
            raise fault
        return found.pop() if len(found) == 1 else None

    def read(self, i: int) -> Item:
        """Item `i`, 0 <= i < len(self).

        Raises:
            BadItemError: it is not such a picture, a value is out of range, or its label is missing or is not a class.
            IndexError: there is no such item.
        """
        if not 0 <= i < self.count:
            raise IndexError(f"item {i} of {self.count}")
        value, label = self.get(i)
        if self.labelled:
            if label is None:
                raise BadItemError("no label", where=str(i), remedy="give every picture a label, or none")
            check_label(label, self.classes, str(i))
        if isinstance(value, np.ndarray) and _has_alpha(value):
            value = Image.fromarray(value)
        found = decoded(value, str(i)) if isinstance(value, Image.Image) else Decoded(as_picture(value, str(i)))
        return Item(str(i), found.pixels, label if self.labelled else None, found.transparent, found.high16)

    def unlabelled(self) -> ItemSource:
        """The same pictures without labels."""
        return ItemSource(self.word, self.get, self.count, self.classes, labelled=False)

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any pixel, label or class. Every picture is read once."""
        found = hashlib.sha256(ascii((self.word, self.count, self.classes, self.labelled)).encode())
        for i in range(self.count):
            try:
                item = self.read(i)
                found.update(ascii((item.picture.shape, item.picture.dtype.str, item.label)).encode())
                found.update(item.picture.tobytes())
            except BadItemError as e:
                found.update(ascii(str(e)).encode())
        return found.hexdigest()[:FINGERPRINT_DIGITS]


def is_picture(value: Any) -> bool:
    """Whether a value is a PIL image, or an array with its channels last, as pictures are stored.

    >>> is_picture(np.zeros((4, 5, 3))), is_picture(np.zeros((4, 5))), is_picture(np.zeros((3, 4, 5)))
    (True, True, False)
    """
    if isinstance(value, Image.Image):
        return True
    if not isinstance(value, np.ndarray):
        return False
    return value.ndim == 2 or (value.ndim == 3 and value.shape[-1] in (1, 3)) or _has_alpha(value)


def _has_alpha(value: np.ndarray) -> bool:
    """Whether it is (h, w, 4) in bytes, and cannot be (c, h, w)."""
    return value.ndim == 3 and value.shape[-1] == 4 and value.shape[0] > 4 and value.dtype == np.uint8


def as_picture(value: Any, where: str) -> np.ndarray:
    """The pixels (h, w, c) of an array: uint8, or float32 in [0, 1]; a copy.

    Args:
        value: the picture.
        where: its name, for errors.

    Raises:
        BadItemError: it is not a picture, or a value is out of range.
    """
    if not is_picture(value) or 0 in value.shape:
        shape = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
        raise BadItemError(f"{shape} is not a picture", where=where, remedy="give (h, w), (h, w, 1) or (h, w, 3)")
    picture = value[..., None] if value.ndim == 2 else value
    whole = np.issubdtype(picture.dtype, np.integer)
    if not whole and not np.issubdtype(picture.dtype, np.floating):
        raise BadItemError(f"pixels are {picture.dtype}", where=where, remedy="give whole numbers 0..255, or floats")
    low, high = picture.min(), picture.max()
    if not (low >= 0 and high <= (255 if whole else 1)):  # NaN fails every comparison
        raise BadItemError(
            f"a pixel is NaN or outside {'0..255' if whole else '[0, 1]'}",
            where=where,
            remedy="scale pixels to [0, 1], or give uint8",
        )
    return np.array(picture, dtype=np.uint8 if whole else np.float32)


def named_classes(value: Any) -> list[str] | None:
    """Names of classes, as data sets of torchvision have them; None if the value is anything else.

    >>> named_classes(("cat", "dog")), named_classes(10), named_classes("cat")
    (['cat', 'dog'], None, None)
    """
    if isinstance(value, Sequence) and not isinstance(value, str) and value and all(isinstance(v, str) for v in value):
        return list(value)
    return None


def count_of(data: Any) -> int:
    """The number of items of a list or data set.

    Raises:
        DataError: there are none, or it does not say.
    """
    try:
        count = len(data)
    except TypeError as e:
        raise DataError(
            f"a {type(data).__name__} does not say how many pictures it has", where="images", remedy="give it __len__"
        ) from e
    if not count:
        raise DataError("no pictures", where="images", remedy="give data that holds at least one picture")
    return count
