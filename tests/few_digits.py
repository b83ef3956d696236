"""Folders of few pictures: scikit-learn's digits, 8 x 8, in MNIST's format, and made-up photographs in CIFAR-10's.

Whole experiments run on them in seconds.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

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


def write_few_photographs(folder: Path, *, train: int = 60, test: int = 20) -> Path:
    """The folder, with a folder `cifar10` in it that holds so many pictures: noise, in the colour of its class.

    Args:
        folder: a folder.
        train: number of training pictures.
        test: number of test pictures.
    """
    inside, rng = folder / "cifar10", np.random.default_rng(0)
    inside.mkdir()
    for batch, n in (("data_batch_1", train), ("test_batch", test)):
        labels = np.arange(n) % 10
        colours = np.stack([labels * 20, 200 - labels * 20, (labels % 2) * 150], 1)[..., None, None]
        pixels = colours + rng.integers(0, 50, (n, 3, 32, 32))
        rows = np.concatenate([labels[:, None], pixels.reshape(n, -1)], 1).astype(np.uint8)
        (inside / f"{batch}.bin").write_bytes(rows.tobytes())
    return folder


def written(folder: Path) -> dict[str, int]:
    """When each network and each kept result below the folder was written: the same again if all was read back."""
    kept = [*folder.glob("models/*"), *folder.glob("**/.kept/*")]
    return {str(path): path.stat().st_mtime_ns for path in kept}
