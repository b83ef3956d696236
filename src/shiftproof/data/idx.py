"""IDX files, the format of MNIST: a magic number, the sizes, then the bytes; plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from shiftproof.errors import DataError

MOST_BYTES = 2**31


def read_idx(path: Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """The array of unsigned bytes in an IDX file: magic 0x000008DD, DD sizes of 4 bytes (big-endian), then the data.

    Args:
        path: the file; whether it is gzipped is seen from its content, not from its name.
        dimensions: number of dimensions that it has to have: 3 for pictures (n, h, w), 1 for labels (n,).

    Returns:
        The array, with the sizes that the file states.

    Raises:
        DataError: unreadable, of another magic number, shorter or longer than its sizes say, or over 2 GiB.

    Reference: LeCun, Cortes and Burges 1998, http://yann.lecun.com/exdb/mnist/ ("the IDX file format").
    """
    try:
        with open(path, "rb") as probe:
            zipped = probe.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else open(path, "rb") as file:
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
            if count > MOST_BYTES:
                raise DataError(f"sizes {sizes} are over 2 GiB", where=str(path), remedy="get the file again")
            data = file.read(count + 1)
    except (OSError, EOFError, zlib.error, struct.error) as e:
        raise DataError(f"unreadable or truncated: {e}", where=str(path), remedy="get the file again") from e
    if len(data) != count:
        found = f"only {len(data)} bytes" if len(data) < count else "more bytes"
        raise DataError(
            f"{found} of data where sizes {sizes} make {count}", where=str(path), remedy="get the file again"
        )
    return np.frombuffer(data, np.uint8).reshape(sizes)
