"""IDX files, the format of MNIST: a magic number, the sizes, then the bytes, plain or gzipped."""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from shiftproof.errors import DataError
from shiftproof.printable import said
from shiftproof.reading.budget import Budget, inflated_bytes
from shiftproof.reading.bytes import GZIP, inflate_gzip

MOST_BYTES = 2**31  # of the plain file; those of EMNIST, the largest in this format, have 547 MB
MOST_MEMBERS = 100_000


def read_idx(path: Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """The array of unsigned bytes in an IDX file: magic 0x000008DD, DD sizes of 4 bytes (big-endian), then the data.

    Args:
        path: the file; its content, not its name, says whether it is gzipped.
        dimensions: the number of dimensions it must have: 3 for pictures (n, h, w), 1 for labels (n,).

    Returns:
        The array, in the sizes that the file states.

    Raises:
        DataError: the file is unreadable, has another magic number, is shorter or longer than its sizes say, is over 2 GiB,
            or inflates to more than `inflated_bytes` of its size.

    Reference: LeCun, Cortes and Burges 1998, http://yann.lecun.com/exdb/mnist/ ("the IDX file format").
    """
    try:
        with _plain(path) as file:
            magic = file.read(4)
            expected = bytes([0, 0, 8, dimensions])
            if magic != expected:
                raise DataError(
                    f"not an IDX file of bytes in {dimensions} dimensions: it starts with 0x{magic.hex()}, "
                    f"not 0x{expected.hex()}",
                    where=str(path),
                    remedy="pictures start with 0x00000803, labels with 0x00000801: get the file again",
                )
            sizes = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
            count = math.prod(sizes)
            # NumPy has no array of such sizes, even if another one is 0 and there is nothing in it.
            if math.prod(size or 1 for size in sizes) > MOST_BYTES:
                raise DataError(f"sizes {sizes} are over 2 GiB", where=str(path), remedy="get the file again")
            at = file.tell()
            there = file.seek(0, io.SEEK_END) - at
            file.seek(at)
            # One byte more than the sizes say: it tells a file that is too long. Python takes the memory before it reads.
            data = file.read(min(count + 1, there))
    except (OSError, EOFError, zlib.error, struct.error) as e:
        raise DataError(f"unreadable or truncated: {said(e)}", where=str(path), remedy="get the file again") from e
    if len(data) != count:
        found = f"only {len(data)} bytes" if len(data) < count else "more bytes"
        raise DataError(
            f"{found} of data, but sizes {sizes} need {count}", where=str(path), remedy="get the file again"
        )
    return np.frombuffer(data, np.uint8).reshape(sizes)


@contextmanager
def _plain(path: Path) -> Iterator[io.BufferedIOBase]:
    """The open file; one that is gzipped is inflated first."""
    with open(path, "rb") as file:
        zipped = file.read(len(GZIP)) == GZIP
        file.seek(0)
        most = {"bytes inflated": min(MOST_BYTES, inflated_bytes(path.stat().st_size)), "parts": MOST_MEMBERS}
        yield io.BytesIO(inflate_gzip(file, Budget(path, most))) if zipped else file
