"""Data by its name, read one item at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol, runtime_checkable

from shiftproof.data.arrays import FINGERPRINT_DIGITS, ArraySource, Item
from shiftproof.data.cifar import open_cifar10
from shiftproof.data.digits import open_digits
from shiftproof.data.folder import open_folder
from shiftproof.data.mnist import open_mnist
from shiftproof.data.npz import open_npz
from shiftproof.errors import DataError

__all__ = ["FORMS", "WORDS", "ArraySource", "Chosen", "Item", "Source", "open_data", "open_training", "spread"]


@runtime_checkable
class Source(Protocol):
    """Pictures that are read one at a time. All have the same dtype; sizes and channels may differ.

    Args:
        word: what the user typed, or "tensor".
        classes: names of the classes, if they are known; a label is an index into them.
        labelled: whether it has labels; if so, every item that can be read has one.
        class_names: label -> name of its class, as far as names are known. Names may be known for some classes only.
        size: (c, h, w) in pixels if all pictures have the same; None if that is not known.
    """

    @property
    def word(self) -> str: ...  # noqa: D102
    @property
    def classes(self) -> list[str] | None: ...  # noqa: D102
    @property
    def labelled(self) -> bool: ...  # noqa: D102
    @property
    def class_names(self) -> Mapping[int, str]: ...  # noqa: D102
    @property
    def size(self) -> tuple[int, int, int] | None: ...  # noqa: D102

    def __len__(self) -> int: ...

    def read(self, i: int) -> Item:
        """Item `i`; several threads may call it.

        Raises BadItemError if the item cannot be used; the error's `where` is the name that the item has.
        """
        ...

    def fingerprint(self) -> str:
        """A short hexadecimal digest that changes whenever the items may have changed."""
        ...

    def unlabelled(self) -> Source:
        """The same items under the same indices without labels: an item is never bad because of its label."""
        ...


# The first pattern that matches decides which function opens the data.
WORDS: dict[str, Callable[[str, str], Source]] = {
    "digits": open_digits,
    "mnist": open_mnist,
    "mnist:*": open_mnist,
    "cifar10": open_cifar10,
    "cifar10:*": open_cifar10,
    "*.npz": open_npz,
    "*": open_folder,
}
FORMS = "digits, mnist[:DIR], cifar10:DIR, FILE.npz or a folder of pictures"


def open_data(word: str, *, limit: int | None = None, split: str = "test") -> Source:
    """The data that a word names.

    Args:
        word: `digits`, `mnist[:DIR]`, `cifar10:DIR`, `FILE.npz` or a folder of pictures; `./digits` is always a folder.
        limit: the largest number of items. They are spread evenly over the data, because the first ones of a folder may all
            be of one class.
        split: "test" or "train", if the data has both.

    Raises:
        DataError: there is no such data, it cannot be read at all, or an argument is out of range.

    >>> source = open_data("digits", limit=10)
    >>> len(source), source.labelled, source.read(0).picture.shape
    (10, True, (8, 8, 1))
    >>> open_data("no/such/folder")
    Traceback (most recent call last):
        ...
    shiftproof.errors.DataError: no data named 'no/such/folder' (...): the words are digits, mnist[:DIR], ...
    """
    if split not in ("test", "train"):
        raise DataError(f"no split {split!r}", where=word, remedy="the splits are test and train")
    if limit is not None and limit < 1:
        raise DataError(f"a limit of {limit} items", where=word, remedy="give a limit of at least 1")
    # `fnmatchcase`, because `fnmatch` ignores upper and lower case on some systems.
    opener = next(opener for pattern, opener in WORDS.items() if fnmatchcase(word, pattern))
    if not word.strip() or (opener is open_folder and not Path(word).expanduser().exists()):
        raise DataError(
            f"no data named {word!r}",
            where=f"looked for the folder {Path(word).expanduser().absolute()}",
            remedy=f"the words are {FORMS}",
        )
    source = opener(word, split)
    return source if limit is None or limit >= len(source) else spread(source, limit)


def open_training(word: str, *, limit: int | None = None) -> Source | None:
    """The training pictures of data that has both splits; None for a folder or a file, or if they are not there.

    >>> source = open_training("digits")
    >>> len(source) if source else 0, open_training(".")
    (1297, None)
    """
    opener = next(opener for pattern, opener in WORDS.items() if fnmatchcase(word, pattern))
    if opener in (open_folder, open_npz):
        return None
    try:
        return open_data(word, limit=limit, split="train")
    except DataError:
        return None


def spread(source: Source, count: int) -> Chosen:
    """`count` items of a source of n, at floor(k n / count): evenly spread, in the order of the source.

    Args:
        source: the whole data.
        count: number of items, 1..n.
    """
    return Chosen(source, tuple(k * len(source) // count for k in range(count)))


@dataclass(frozen=True)
class Chosen:
    """Some items of a source.

    Args:
        source: the whole data.
        chosen: their indices, in the order in which they are read.
    """

    source: Source
    chosen: tuple[int, ...]

    @property
    def word(self) -> str:
        """What the user typed."""
        return self.source.word

    @property
    def classes(self) -> list[str] | None:
        """Names of the classes, if they are known."""
        return self.source.classes

    @property
    def labelled(self) -> bool:
        """Whether the data has labels."""
        return self.source.labelled

    @property
    def class_names(self) -> Mapping[int, str]:
        """Label -> name of its class, as far as names are known."""
        return self.source.class_names

    @property
    def size(self) -> tuple[int, int, int] | None:
        """(c, h, w) of every picture, if all have the same."""
        return self.source.size

    def __len__(self) -> int:
        """Number of items."""
        return len(self.chosen)

    def read(self, i: int) -> Item:
        """Item `i`, 0 <= i < len(self); raises what the source raises."""
        if not 0 <= i < len(self.chosen):
            raise IndexError(f"item {i} of {len(self.chosen)}")
        return self.source.read(self.chosen[i])

    def unlabelled(self) -> Chosen:
        """The same items without labels."""
        return Chosen(self.source.unlabelled(), self.chosen)

    def fingerprint(self) -> str:
        """A digest of the whole data's fingerprint and of the chosen items."""
        taken = f"{self.chosen} of {self.source.fingerprint()}"
        return hashlib.sha256(taken.encode()).hexdigest()[:FINGERPRINT_DIGITS]
