"""A term that a page explains."""

from __future__ import annotations

from dataclasses import dataclass

from shiftproof.records.citation import Citation


@dataclass(frozen=True)
class Definition:
    """What a word means.

    Args:
        text: one or two sentences, plain text.
        sources: where it was published.
    """

    text: str
    sources: tuple[Citation, ...] = ()
