"""A folder in MNIST's format with a few of scikit-learn's digits, 8 x 8: whole experiments run on it in seconds."""

from __future__ import annotations

import struct
from pathlib import Path

from shiftproof.data.memory import open_labelled


def write_few_digits(folder: Path, *, train: int = 200, test: int = 40) -> Path:
    """The folder, with so many training and test digits in it; `--data FOLDER` reads them as MNIST's.

    Args:
        folder: an empty one.
        train: number of training digits.
        test: number of test digits.
    """
    for split, stem, n in (("train", "train", train), ("test", "t10k", test)):
        digits = open_labelled("digits", split)[slice(n)]
        h, w = digits.pictures.shape[2:]
        images = struct.pack(">4I", 2051, n, h, w) + digits.pictures.numpy().tobytes()
        labels = struct.pack(">2I", 2049, n) + bytes(digits.labels.tolist())
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(images)
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(labels)
    return folder


def written(folder: Path) -> dict[str, int]:
    """When each network and each kept result below the folder was written: the same again if all was read back."""
    kept = [*folder.glob("models/*"), *folder.glob("**/.kept/*")]
    return {str(path): path.stat().st_mtime_ns for path in kept}
