"""scikit-learn's handwritten digits: 1,797 pictures of 8 x 8 pixels, on every machine without a download."""

from __future__ import annotations

import numpy as np

from shiftproof.data.arrays import ArraySource

SPLIT_SEED, COUNT, TRAIN = 0, 1797, 1297  # models/digits.py trains on the same split; a test compares the two


def split_indices(split: str) -> np.ndarray:
    """The indices of the digits of a split, in reading order.

    They are `numpy.random.default_rng(0).permutation(1797)`: the first 1,297 are `train`, the last 500 `test`.

    Args:
        split: "train" or "test".

    >>> len(split_indices("train")), len(split_indices("test")), split_indices("test")[:3].tolist()
    (1297, 500, [745, 52, 338])
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(COUNT)
    return order[:TRAIN] if split == "train" else order[TRAIN:]


def open_digits(word: str, split: str) -> ArraySource:
    """The digits of a split, float32 (8, 8, 1) in sixteenths of [0, 1], named by their index in scikit-learn's array.

    Reference: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, https://doi.org/10.24432/C50P49
    Differs: scikit-learn contains only the test part of the original; it is split here by a fixed seed.

    Args:
        word: `digits`.
        split: "test" or "train", see `split_indices`.
    """
    from sklearn.datasets import load_digits

    sixteenths, labels = load_digits(return_X_y=True)
    chosen = split_indices(split)
    return ArraySource(
        (np.reshape(sixteenths, (-1, 8, 8, 1))[chosen] / 16).astype(np.float32),
        np.asarray(labels)[chosen],
        word,
        classes=[str(k) for k in range(10)],
        names=[str(k) for k in chosen],
    )
