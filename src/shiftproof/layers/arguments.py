"""Arguments as torch takes them, one number or a pair, refused where they make no sense."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from shiftproof.errors import LayerError


def pair(value: int | tuple[int, ...], name: str) -> tuple[int, int]:
    """(rows, columns): one whole number is meant for both.

    Raises:
        LayerError: not one whole number or two.

    >>> pair(3, "stride"), pair((1, 2), "stride")
    ((3, 3), (1, 2))
    """
    found = whole_numbers((value, value) if isinstance(value, Integral) else value)
    if len(found) != 2:
        raise LayerError(f"{name}={value!r} is no size", where=name, remedy="give a whole number, or (rows, columns)")
    return found[0], found[1]


def whole_numbers(values: object) -> tuple[int, ...]:
    """The numbers of a sequence; none where one is not whole. NumPy's integers are whole numbers, True and False are not.

    >>> import numpy as np
    >>> whole_numbers((np.int64(1), 2)), whole_numbers([1, 2.0]), whole_numbers((True, 1)), whole_numbers("12")
    ((1, 2), (), (), ())
    """
    found = tuple(values) if isinstance(values, Sequence) else ()
    whole = all(isinstance(v, Integral) and not isinstance(v, bool) for v in found)
    return tuple(int(v) for v in found) if whole else ()
