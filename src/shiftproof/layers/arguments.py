"""Arguments as torch takes them, one number or a pair, refused where they make no sense."""

from __future__ import annotations

from collections.abc import Sequence

from shiftproof.errors import LayerError


def pair(value: int | tuple[int, ...], name: str) -> tuple[int, int]:
    """(rows, columns): one whole number is meant for both.

    Raises:
        LayerError: not one whole number or two.

    >>> pair(3, "stride"), pair((1, 2), "stride")
    ((3, 3), (1, 2))
    """
    if isinstance(value, int):
        value = (value, value)
    found = tuple(value) if isinstance(value, Sequence) else ()
    if len(found) != 2 or not all(isinstance(v, int) and not isinstance(v, bool) for v in found):
        raise LayerError(f"{name}={value!r} is no size", where=name, remedy="give a whole number, or (rows, columns)")
    return found
