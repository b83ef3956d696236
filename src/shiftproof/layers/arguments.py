"""Arguments as torch takes them, one number or a pair, and the errors for those that do not make sense."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

from shiftproof.errors import LayerError


def pair(value: int | tuple[int, ...], name: str) -> tuple[int, int]:
    """(rows, columns). One whole number stands for both.

    Raises:
        LayerError: not one whole number or two.

    >>> pair(3, "stride"), pair((1, 2), "stride")
    ((3, 3), (1, 2))
    """
    found = whole_numbers((value, value) if isinstance(value, Integral) else value)
    if len(found) != 2:
        raise LayerError(
            f"{name}={value!r} is not a size", where=name, remedy="give a whole number, or (rows, columns)"
        )
    return found[0], found[1]


def counts(where: str, **values: object) -> tuple[int, ...]:
    """The values: whole numbers from 1.

    Args:
        where: the layer whose arguments they are.
        values: by the argument's name.

    Raises:
        LayerError: a value is not a whole number, or is below 1.

    >>> counts("Capsules", in_capsules=3, out_capsules=2)
    (3, 2)
    """
    for name, value in values.items():
        if min(whole_numbers((value,)), default=0) < 1:
            raise LayerError(f"{name} is {value!r}", where=where, remedy="a whole number, at least 1")
    return whole_numbers(tuple(values.values()))


def whole_numbers(values: object) -> tuple[int, ...]:
    """The numbers of a sequence, or () if one of them is not whole. NumPy's integers are whole; True and False are not.

    >>> import numpy as np
    >>> whole_numbers((np.int64(1), 2)), whole_numbers([1, 2.0]), whole_numbers((True, 1)), whole_numbers("12")
    ((1, 2), (), (), ())
    """
    found = tuple(values) if isinstance(values, Sequence) else ()
    whole = all(isinstance(v, Integral) and not isinstance(v, bool) for v in found)
    return tuple(int(v) for v in found) if whole else ()
