"""CIFAR's Python batches, read without executing a pickle (`shiftproof.reading.pickles`): one array of bytes among data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from shiftproof.errors import DataError
from shiftproof.printable import said
from shiftproof.reading.budget import Budget
from shiftproof.reading.bytes import read_bytes
from shiftproof.reading.pickles import Machine

# The names that a batch may contain, as Python 2 and 3 and NumPy 1 and 2 spell them -> what the parser does for them.
NAMES = {
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "encode",
    "numpy.core.multiarray _reconstruct": "reconstruct",
    "numpy._core.multiarray _reconstruct": "reconstruct",
    "numpy.core.numeric _frombuffer": "frombuffer",
    "numpy._core.numeric _frombuffer": "frombuffer",
}
REMEDY = "do not trust this file; get the batch from its authors"
# CIFAR-10's batches have 31 MB and 60,000 instructions, CIFAR-100's training set 155 MB and 300,000.
MOST = {"bytes": 2**28, "instructions": 2_000_000, "bytes of text": 2**28, "seconds": 120}
MOST_IN_A_NAME = 1000


class _Bytes8:
    """The element type of unsigned bytes, the only one in a batch."""


class _Array:
    """An array that the program has created and fills later."""

    filled: np.ndarray | None = None


def read_batch_pickle(path: Path) -> dict[str, Any]:
    """The dict in a CIFAR Python batch: strings, lists of numbers and strings, and arrays of unsigned bytes.

    Args:
        path: the file, pickled by protocol 2 or later.

    Returns:
        Its entries; keys of bytes are decoded.

    Raises:
        DataError: the file cannot be read, contains an instruction or a name that no batch needs, or exceeds the budget
            `MOST`. Nothing was executed.

    Reference: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html; instructions: PEP 307, PEP 3154, PEP 574.
    """
    budget = Budget(path, MOST, remedy=REMEDY)
    try:
        content = read_bytes(path, budget)
        # Texts become bytes in a second form; all of them together stand in the file.
        budget.most["bytes of text"] = len(content)
        top = _Batch(budget).run(content)
    except DataError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError) as e:
        raise DataError(
            f"not a CIFAR batch that can be read: {said(e)}", where=str(path), remedy="get the file again"
        ) from e
    if not isinstance(top, dict):
        raise DataError("the file does not hold a dict", where=str(path), remedy="is this a CIFAR-10 batch?")
    plain = {_text(k): v.filled if isinstance(v, _Array) else v for k, v in top.items()}
    if isinstance(names := plain.get("filenames"), list):
        if any(len(name) > MOST_IN_A_NAME for name in names if isinstance(name, str | bytes)):
            raise DataError(f"a name of more than {MOST_IN_A_NAME} letters", where=str(path), remedy=REMEDY)
        budget.spend("bytes of text", sum(len(name) for name in names if isinstance(name, bytes)))
        plain["filenames"] = [_text(name) for name in names]
    return plain


def _text(value: Any) -> Any:
    """Bytes decoded to a string; anything else unchanged."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _holds(shape: Any, count: int) -> bool:
    """Whether an array of this shape has `count` elements."""
    # Each size is bounded before they are multiplied, so that the product stays small.
    if type(shape) is not tuple or len(shape) > 2 or not all(type(n) is int and 0 <= n <= count for n in shape):
        return False
    return math.prod(shape) == count


class _Batch(Machine):
    """The machine that knows arrays of unsigned bytes."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(NAMES, budget)

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """The result of calling one of NAMES."""
        if name == "reconstruct":
            return _Array()
        if name == "encode" and type(arguments[0]) is str and arguments[1] in ("latin1", "latin-1"):
            return self.encoded(arguments[0])
        if name == "dtype" and arguments[0] in ("u1", "|u1"):
            return _Bytes8()
        if name == "frombuffer":
            raw, kind, shape, order = arguments
            array = _Array()
            self._fill(array, shape, kind, order == "F", raw)
            return array
        raise self.refusal(f"{name} with other arguments")

    def build(self, target: Any, state: Any) -> None:
        """Sets the state of an array: (version, shape, type, column order, bytes). The state of a type is ignored."""
        if type(target) is _Array:
            _, shape, kind, columns, raw = state
            self._fill(target, shape, kind, columns, raw)
        elif type(target) is not _Bytes8:
            raise self.refusal(f"the state of a {type(target).__name__}")

    def refusal(self, what: str) -> DataError:
        """The error for something that no batch needs."""
        return DataError(
            f"this pickle asks for {what}, which no CIFAR batch needs; nothing was executed",
            where=self.budget.where,
            remedy=REMEDY,
        )

    def _fill(self, array: _Array, shape: Any, kind: Any, columns: bool, raw: Any) -> None:
        raw = self.encoded(raw) if type(raw) is str else raw
        if type(kind) is not _Bytes8 or type(raw) not in (bytes, bytearray) or not _holds(shape, len(raw)):
            raise self.refusal("an array of a shape that is not made of as many bytes")
        array.filled = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if columns else "C")
