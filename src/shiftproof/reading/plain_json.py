"""JSON from a stranger, read within a budget."""

from __future__ import annotations

import json
from typing import Any

from shiftproof.reading.budget import Budget


def read_json(content: bytes, budget: Budget) -> Any:
    """The value that the bytes spell.

    Args:
        content: JSON, in UTF-8, UTF-16 or UTF-32.
        budget: has the unit "parts"; a list of empty lists takes thirty times the memory of its text.

    Raises:
        ShiftproofError: it has more parts than the budget.
        ValueError: it is not JSON, is nested too deeply, has a number of more than 4,300 digits, or has a name twice in one
            object: which of the two was meant cannot be known.
    """
    # One of these stands before every value but the first. Inside texts they count too: no value is missed.
    budget.spend("parts", content.count(b"[") + content.count(b"{") + content.count(b","))
    try:
        return json.loads(content, object_pairs_hook=_once_each)
    except RecursionError as e:
        raise ValueError("it is nested too deeply") from e


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r:.40} stands twice")
        found[name] = value
    return found
