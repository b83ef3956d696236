"""CIFAR's Python batches without executing pickles: a parser for the few instructions that the format needs.

A pickle is a program: unpickling one runs what it names. Nothing here runs or imports anything. `pickletools.genops`
splits the file into instructions, and those that build dicts, lists, strings, numbers and one array of bytes are
interpreted; every other instruction and every other name is refused.
"""

from __future__ import annotations

import math
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from shiftproof.errors import DataError

# The names that a batch may mention, as Python 2 and 3 and NumPy 1 and 2 spell them -> what is understood by them.
NAMES = {
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "_codecs encode": "encode",
    "numpy.core.multiarray _reconstruct": "reconstruct",
    "numpy._core.multiarray _reconstruct": "reconstruct",
    "numpy.core.numeric _frombuffer": "frombuffer",
    "numpy._core.numeric _frombuffer": "frombuffer",
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1"),
    *("BINSTRING", "SHORT_BINSTRING", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
IGNORED = {"PROTO", "FRAME", "STOP"}


class _Name(str):
    """A name out of NAMES: a token, never the thing itself."""


class _Bytes8:
    """The element type of unsigned bytes, the only one there is in a batch."""


class _Array:
    """An array that the program has begun and will fill in later."""

    filled: np.ndarray | None = None


_MARK = object()


def read_batch_pickle(path: Path) -> dict[str, Any]:
    """The dict in a CIFAR Python batch: strings, lists of numbers and strings, and arrays of unsigned bytes.

    Args:
        path: the file, pickled by protocol 2 or later.

    Returns:
        Its entries; keys of bytes are decoded.

    Raises:
        DataError: unreadable, or in need of anything that a batch does not need. Nothing was executed.

    Reference: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html; instructions: PEP 307, PEP 3154, PEP 574.
    """
    try:
        top = _Machine(str(path)).run(path.read_bytes())
    except DataError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError) as e:
        raise DataError(f"not a CIFAR batch that can be read: {e}", where=str(path), remedy="get the file again") from e
    if not isinstance(top, dict):
        raise DataError("holds no dict", where=str(path), remedy="is this a CIFAR-10 batch?")
    plain = {_text(k): v.filled if isinstance(v, _Array) else v for k, v in top.items()}
    if isinstance(names := plain.get("filenames"), list):
        plain["filenames"] = [_text(name) for name in names]
    return plain


def _text(value: Any) -> Any:
    """A string of what may be bytes."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


class _Machine:
    """The stack and the memo of a pickle program."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, program: bytes) -> Any:
        """What the program leaves on the stack."""
        for instruction, argument, _ in pickletools.genops(program):
            self._step(instruction.name, argument)
        return self.stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in VALUES:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in TUPLES:
            count = TUPLES[name]
            stack[len(stack) - count :] = [tuple(stack[len(stack) - count :])]
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(self._name(argument))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(self._call(stack.pop(), arguments))
        elif name == "BUILD":
            state = stack.pop()
            self._build(stack[-1], state)
        elif name not in IGNORED:
            self._collect(name)

    def _collect(self, name: str) -> None:
        """Instructions that fill lists and dicts."""
        stack = self.stack
        if name == "MARK":
            stack.append(_MARK)
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "TUPLE":
            stack.append(tuple(self._since_mark()))
        elif name in ("APPEND", "APPENDS"):
            values = [stack.pop()] if name == "APPEND" else self._since_mark()
            self._top(list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self._since_mark()
            for key, value in zip(values[::2], values[1::2], strict=True):
                if type(key) not in (str, bytes):
                    raise self._refusal(f"a key of type {type(key).__name__}")
                self._top(dict)[key] = value
        else:
            raise self._refusal(f"the instruction {name}")

    def _since_mark(self) -> list[Any]:
        """Everything above the last mark, taken off the stack with it."""
        at = max(i for i, value in enumerate(self.stack) if value is _MARK)
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise self._refusal(f"filling a {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    def _name(self, argument: str | None) -> _Name:
        """The token for a name: an operand of GLOBAL, or the two topmost strings."""
        if argument is None:
            member = self.stack.pop()
            argument = f"{self.stack.pop()} {member}"
        if argument not in NAMES:
            raise self._refusal(f"{argument.replace(' ', '.')!r:.80}")
        return _Name(NAMES[argument])

    def _call(self, name: Any, arguments: Any) -> Any:
        """What calling one of NAMES stands for."""
        if type(name) is not _Name or type(arguments) is not tuple:
            raise self._refusal("a call of something without a name")
        if name == "reconstruct":
            return _Array()
        if name == "encode" and arguments[1] in ("latin1", "latin-1"):
            return arguments[0].encode("latin-1")
        if name == "dtype" and arguments[0] in ("u1", "|u1"):
            return _Bytes8()
        if name == "frombuffer":
            raw, kind, shape, order = arguments
            array = _Array()
            self._fill(array, shape, kind, order == "F", raw)
            return array
        raise self._refusal(f"{name}{arguments[:2]!r:.80}")

    def _build(self, target: Any, state: Any) -> None:
        """The state of an array (version, shape, type, column order, bytes); that of a type is of no use."""
        if type(target) is _Array:
            _, shape, kind, columns, raw = state
            self._fill(target, shape, kind, columns, raw)
        elif type(target) is not _Bytes8:
            raise self._refusal(f"the state of a {type(target).__name__}")

    def _fill(self, array: _Array, shape: Any, kind: Any, columns: bool, raw: Any) -> None:
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw
        if type(kind) is not _Bytes8 or type(raw) not in (bytes, bytearray) or math.prod(shape) != len(raw):
            raise self._refusal(f"an array of shape {shape!r:.80} that is not made of as many bytes")
        array.filled = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if columns else "C")

    def _refusal(self, what: str) -> DataError:
        return DataError(
            f"this pickle asks for {what}, which no CIFAR batch needs: nothing of it was executed",
            where=self.where,
            remedy="do not trust this file; get the batch from its authors",
        )
