"""Where something was published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Citation:
    """Where a claim, a figure or a definition was published.

    Args:
        paper: authors and year, and the title where there is room for it.
        where: table, row, figure or equation; "" for the whole publication.
        url: its address, or "" where it has none.
    """

    paper: str
    where: str = ""
    url: str = ""
