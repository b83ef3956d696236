"""A picture minus its left neighbour: by numbers that count their operations, by a sparse and by the dense matrix."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

KERNEL = (-1.0, 1.0)  # weights of the left neighbour and of the pixel itself


@dataclass
class Tally:
    """How many multiplications and additions `Counted` numbers have taken part in.

    Args:
        multiplications: so far.
        additions: so far.
    """

    multiplications: int = field(default=0)
    additions: int = field(default=0)

    @property
    def operations(self) -> int:
        """Multiplications and additions together."""
        return self.multiplications + self.additions


@dataclass(frozen=True)
class Counted:
    """Numbers that report every multiplication and addition to a tally.

    Args:
        values: the numbers.
        tally: where they report.
    """

    values: np.ndarray
    tally: Tally

    def __mul__(self, other: float | np.ndarray) -> Counted:
        self.tally.multiplications += self.values.size
        return Counted(self.values * other, self.tally)

    def __add__(self, other: Counted) -> Counted:
        self.tally.additions += self.values.size
        return Counted(self.values + other.values, self.tally)

    def __getitem__(self, where: tuple[slice, slice]) -> Counted:
        return Counted(self.values[where], self.tally)

    def sum(self, *, onto_zero: bool) -> Counted:
        """The sum, added up one by one: onto a zero, as the straightforward loop does, or onto the first number."""
        # k numbers need k - 1 additions; a loop that begins at 0 makes one more, and this is how the book counts.
        self.tally.additions += self.values.size - (not onto_zero)
        return Counted(self.values.sum(keepdims=True), self.tally)


def by_counting(picture: Float32[np.ndarray, "h w"]) -> tuple[np.ndarray, Tally]:
    """The differences, and how many operations they took, computed with numbers that count."""
    tally = Tally()
    x = Counted(picture, tally)
    out = x[:, :-1] * KERNEL[0] + x[:, 1:] * KERNEL[1]
    return out.values.astype(np.float32), tally


def dense_row(picture: Float32[np.ndarray, "h w"], *, onto_zero: bool) -> Tally:
    """How many operations one output of the dense product takes, computed with numbers that count.

    Every other output takes as many, because every row of the matrix is as long.

    Args:
        picture: only its size matters.
        onto_zero: see `Counted.sum`.
    """
    tally = Tally()
    (Counted(picture.ravel(), tally) * np.zeros(picture.size, np.float32)).sum(onto_zero=onto_zero)
    return tally


def sparse_matrix(height: int, width: int):
    """The matrix from flattened pictures to flattened differences; it holds its nonzero entries only (SciPy's CSR)."""
    from scipy.sparse import csr_array

    rows = height * (width - 1)
    y, x = np.divmod(np.arange(rows), width - 1)
    left = y * width + x
    columns = np.stack([left, left + 1], axis=1).ravel()
    entries = np.tile(np.array(KERNEL, dtype=np.float32), rows)
    return csr_array((entries, columns, np.arange(0, 2 * rows + 1, 2)), shape=(rows, height * width))


def by_dense_matrix(picture: Float32[Tensor, "h w"]) -> Float32[Tensor, "h v"]:
    """The product with every entry of the dense matrix, zeros included.

    The whole matrix would not fit into memory, so only the rows for one line of the picture exist at a time.
    """
    height, width = picture.shape
    flat, out = picture.flatten(), torch.empty(height, width - 1)
    block, rows = torch.zeros(width - 1, height * width), torch.arange(width - 1)
    for y in range(height):
        for entry, column in zip(KERNEL, (y * width + rows, y * width + rows + 1), strict=True):
            block[rows, column] = entry
        out[y] = block @ flat
        # Only what was written: clearing all 89,600 columns would take longer than the product.
        block[:, y * width : (y + 1) * width] = 0
    return out
