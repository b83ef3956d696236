"""How much the reading of one file may use, and the error that says what it used more of.

A small file can ask for anything: a gzip of a megabyte inflates to a gigabyte, two hundred bytes of pickle name a tuple of
2^60 parts, ten characters of a size have more digits than the machine has memory. So each reader counts what it is about to
use in the units below, and refuses the file when it has used up what a real file of that kind needs many times less of.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from shiftproof.errors import DataError, ShiftproofError

UNITS = {
    "bytes": "of the file, before anything is read",
    "bytes inflated": "that compressed bytes become, counted while they are inflated",
    "bytes of text": "that are built from the file's texts",
    "instructions": "of a pickle",
    "copies": "that one instruction of a pickle makes of parts made before: entries of a dict, sizes of a tensor",
    "parts": "of JSON, YAML, a table or an archive: values, cells, records",
    "levels": "of parts inside parts",
    "digits": "of one number",
    "pixels": "of one picture",
    "scans": "of one JPEG file: passes over all of its pixels",
    "tensors": "of a file of weights",
    "nodes": "of a network's graph",
    "sizes": "of a network's graph, as expressions",
    "parts of sizes": "of all expressions together",
    "visits": "to the same folder, through different links",
    "bytes of memory": "of a process that only tries to load the file",
    "seconds": "of reading",
}
"""What is counted. No budget has another unit, so that every refusal can be looked up here."""

REMEDY = "no real file of this kind needs as much: do not trust it, or get it again"
SMALL_INFLATED, MOST_RATIO = 2**28, 32


class Budget:
    """What one file may still use.

    Args:
        where: the file, for errors.
        most: unit (a key of `UNITS`) -> how much of it may be used. "seconds" count from now.
        error: the class of the refusal.
        remedy: what the reader of the refusal can do.

    >>> budget = Budget("a.json", {"parts": 3})
    >>> budget.spend("parts", 2)
    >>> budget.left("parts")
    1
    >>> budget.spend("parts", 2)
    Traceback (most recent call last):
        ...
    shiftproof.errors.DataError: reading it takes more than 3 parts (a.json): no real file of this kind ...
    """

    def __init__(
        self,
        where: str | Path,
        most: Mapping[str, float],
        *,
        error: type[ShiftproofError] = DataError,
        remedy: str = REMEDY,
    ) -> None:
        if unknown := most.keys() - UNITS.keys():
            raise ValueError(f"{sorted(unknown)} are not units of a budget: {', '.join(UNITS)}")
        self.where, self.most, self.error, self.remedy = str(where), dict(most), error, remedy
        self.used = dict.fromkeys(most, 0.0)
        self._began = time.monotonic()

    def spend(self, unit: str, amount: float = 1) -> None:
        """Counts what is about to be used.

        Args:
            unit: one that the budget has.
            amount: how much of it, 0 or more.

        Raises:
            ShiftproofError: of the class `error`: more is used than the budget has, or its seconds are over.
        """
        self.used[unit] += amount
        if self.used[unit] > self.most[unit]:
            raise self.refusal(unit)
        self.check_time()

    def at_most(self, unit: str, amount: float) -> None:
        """Refuses one part of the file that alone exceeds the budget, where amounts do not add up: digits, levels.

        Raises:
            ShiftproofError: of the class `error`.
        """
        if amount > self.most[unit]:
            raise self.refusal(unit)

    def left(self, unit: str) -> int:
        """How much is left of a unit."""
        return int(self.most[unit] - self.used[unit])

    def seconds_left(self) -> float:
        """How many of the seconds are left, 0 or more."""
        return max(0.0, self.most["seconds"] - (time.monotonic() - self._began))

    def check_time(self) -> None:
        """Does nothing while there are seconds left.

        Raises:
            ShiftproofError: of the class `error`.
        """
        if "seconds" in self.most and self.seconds_left() == 0:
            raise self.refusal("seconds")

    def refusal(self, unit: str) -> ShiftproofError:
        """The error that says that the file needs more of this unit than there is."""
        return self.error(
            f"reading it takes more than {self.most[unit]:,} {unit}", where=self.where, remedy=self.remedy
        )


def inflated_bytes(size: int) -> int:
    """How many bytes a compressed file may inflate to: 32 times its size, or 256 MiB if that is more.

    Pictures shrink by a factor of 2 to 10; deflate can shrink zeros by a factor of 1,000.

    Args:
        size: of the file, in bytes.

    >>> inflated_bytes(10), inflated_bytes(2**30)
    (268435456, 34359738368)
    """
    return max(SMALL_INFLATED, MOST_RATIO * size)
