"""A labelled data set of small pictures, in memory as tensors."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from shiftproof.data.arrays import ArraySource
from shiftproof.data.cifar import open_cifar10
from shiftproof.data.digits import open_digits
from shiftproof.data.mnist import open_mnist
from shiftproof.errors import DataError

WORDS = ("digits", "mnist")


@dataclass(frozen=True, eq=False)
class Labelled:
    """Pictures with their classes, in memory.

    Args:
        pictures: grey or in colour, 0..255.
        labels: indices of the classes.
        word: name of the data in a record.
        stand_in: whether they stand in for MNIST, for which the published figures are.
    """

    pictures: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    word: str
    stand_in: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: slice | Int64[Tensor, " m"]) -> Labelled:
        """The pictures and labels of a slice or of indices."""
        return Labelled(self.pictures[chosen], self.labels[chosen], self.word, self.stand_in)


def refuse_unknown(word: str) -> None:
    """Check that a word names digits, without reading them: what needs no digits must not accept any word either.

    Args:
        word: as for `open_labelled`.

    Raises:
        DataError: it is not a word that `open_labelled` knows, and no folder.

    >>> refuse_unknown("digitz")
    Traceback (most recent call last):
        ...
    shiftproof.errors.DataError: no such data (digitz): did you mean digits? use digits, mnist, mnist:DIR, or a folder ...
    """
    if word not in WORDS and not Path(word.removeprefix("mnist:")).expanduser().is_dir():
        raise _unknown(word)


def _unknown(word: str) -> DataError:
    near = difflib.get_close_matches(word.partition(":")[0], WORDS, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    return DataError(
        "no such data",
        where=word,
        remedy=f"{meant}use digits, mnist, mnist:DIR, or a folder that holds MNIST's four files",
    )


def open_labelled(word: str, split: str) -> Labelled:
    """Handwritten digits of a split: MNIST (28 x 28) or scikit-learn's (8 x 8).

    Args:
        word: `digits`; `mnist` (downloaded to the user's cache); `mnist:DIR`; or a folder that holds MNIST's files, or holds
            a folder `mnist` with them.
        split: "train" or "test".

    Raises:
        DataError: there is no such data, or it is broken.

    >>> open_labelled("digits", "test").pictures.shape
    torch.Size([500, 1, 8, 8])
    """
    if word == "digits":
        source = open_digits(word, split)
    elif word == "mnist" or word.startswith("mnist:"):
        source = open_mnist(word, split)
    elif (folder := Path(word).expanduser()).is_dir():
        inner = folder / "mnist"
        source = open_mnist(f"mnist:{inner if inner.is_dir() else folder}", split)
    else:
        raise _unknown(word)
    small = word == "digits"
    return _in_memory(source, "digits" if small else "MNIST", stand_in=small)


def open_labelled_photographs(word: str, split: str) -> Labelled:
    """The photographs of CIFAR-10 of a split, 32 x 32 in colour.

    Args:
        word: a folder that holds CIFAR-10's batches, or holds a folder `cifar10` with them; `mnist:DIR` is read as DIR.
        split: "train" or "test".

    Raises:
        DataError: there is no such data, or it is broken. Nothing stands in for it.

    >>> open_labelled_photographs("digits", "test")
    Traceback (most recent call last):
        ...
    shiftproof.errors.DataError: no CIFAR-10 (digits): give a folder that holds CIFAR-10's batches in a folder cifar10 ...
    """
    remedy = "get CIFAR-10 from https://www.cs.toronto.edu/~kriz/cifar.html"
    if word in WORDS:
        held = (
            "give a folder that holds CIFAR-10's batches in a folder cifar10 (and MNIST's four files in a folder mnist)"
        )
        raise DataError("no CIFAR-10", where=word, remedy=f"{held}; {remedy}")
    folder = Path(word.removeprefix("mnist:")).expanduser()
    inner = folder / "cifar10"
    try:
        return _in_memory(open_cifar10(f"cifar10:{inner if inner.is_dir() else folder}", split), "CIFAR-10")
    except DataError as e:
        raise DataError(e.what, where=e.where, remedy=f"{e.remedy}; {remedy}") from e


def _in_memory(source: ArraySource, word: str, *, stand_in: bool = False) -> Labelled:
    items = [source.read(i) for i in range(len(source))]
    pictures = np.stack([i.picture for i in items])
    if pictures.dtype != np.uint8:
        # scikit-learn's digits have 17 levels, which all stay different.
        pictures = np.rint(pictures * 255).astype(np.uint8)
    labels = torch.tensor([-1 if i.label is None else i.label for i in items], dtype=torch.int64)
    return Labelled(torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), labels, word, stand_in)
