"""Bytes of files, plain, gzipped or in a zip, read within a budget."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from shiftproof.reading.budget import Budget

CHUNK, MOST_AT_ONCE = 2**16, 2**20
GZIP = b"\x1f\x8b"
ENTRY = re.compile(rb"PK\x01\x02")  # what every entry in the list at the end of a zip begins with
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


def read_bytes(path: Path, budget: Budget) -> bytes:
    """The bytes of a file, within the budget's bytes.

    The size that the system states is checked first, and what is read is counted as well: files of /proc state a size of 0.

    Args:
        path: the file.
        budget: has the unit "bytes".

    Raises:
        ShiftproofError: the file has more bytes than the budget.
        OSError: it cannot be read.
    """
    budget.at_most("bytes", path.stat().st_size)
    with open(path, "rb") as file:
        content = file.read(budget.left("bytes") + 1)
    budget.spend("bytes", len(content))
    return content


def inflate_gzip(file: BufferedIOBase, budget: Budget) -> bytes:
    """What a gzip file inflates to, counted while it is inflated.

    Args:
        file: the open file, of one or more gzip members.
        budget: has the units "bytes inflated" and "parts"; each member is a part.

    Raises:
        ShiftproofError: it inflates to more bytes, or has more members, than the budget has.
        EOFError: the file ends too early.
        zlib.error: it is damaged.
    """
    found, unread = [], b""
    inflate = zlib.decompressobj(wbits=31)  # 31: with the header and the checksum of gzip
    while True:
        taken = unread or file.read(CHUNK)
        if not taken:
            raise EOFError("the file ends before its compressed data does")
        # One byte more than is left tells that there is more, without inflating it.
        part = inflate.decompress(taken, min(MOST_AT_ONCE, budget.left("bytes inflated") + 1))
        budget.spend("bytes inflated", len(part))
        found.append(part)
        unread = inflate.unconsumed_tail
        if inflate.eof:
            unread = (inflate.unused_data or file.read(CHUNK)).lstrip(b"\0")  # gzip allows zeros after a member
            if not unread:
                return b"".join(found)
            # What follows is copied for every member, so many tiny ones would take long.
            budget.spend("parts")
            inflate = zlib.decompressobj(wbits=31)


@contextmanager
def open_zip(file: BufferedIOBase, budget: Budget) -> Iterator[zipfile.ZipFile]:
    """A zip archive with no more entries than the budget has parts, each of them stored or deflated.

    Args:
        file: the open file.
        budget: has the unit "parts".

    Raises:
        ShiftproofError: it has more entries.
        zipfile.BadZipFile: it is not a zip archive, or an entry is packed in another way.
    """
    # Counted first: Python makes an object of half a kilobyte from each 46 bytes of the list.
    budget.spend("parts", _entries(file))
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if entry.compress_type not in METHODS:  # lzma takes as much memory as the file says that it needs
                raise zipfile.BadZipFile("an entry is neither stored nor deflated")
        yield archive


class Counted:
    """An open file whose bytes are counted as they are read.

    Args:
        file: the file, such as an entry of a zip.
        budget: has the unit "bytes inflated".
    """

    def __init__(self, file: BufferedIOBase, budget: Budget) -> None:
        self._file, self._budget = file, budget

    def read(self, count: int = -1) -> bytes:
        """Up to `count` bytes; all if it is negative, but never more than one over the budget.

        Raises:
            ShiftproofError: the budget is used up.
        """
        left = self._budget.left("bytes inflated") + 1
        found = self._file.read(left if count < 0 else min(count, left))
        self._budget.spend("bytes inflated", len(found))
        return found


def _entries(file: BufferedIOBase) -> int:
    """At least as many as the archive has entries."""
    count, tail = 0, b""
    file.seek(0)
    while chunk := file.read(CHUNK):
        count += len(ENTRY.findall(tail + chunk))
        tail = chunk[-3:]  # shorter than the mark, so that none is counted twice
    file.seek(0)
    return count
