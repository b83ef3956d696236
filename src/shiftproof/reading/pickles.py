"""Pickles read without executing them: a parser for the few instructions that data needs.

A pickle is a program: unpickling a file runs what it names. Nothing here runs or imports anything. `pickletools.genops`
splits the file into instructions. Those that build dicts, lists, strings and numbers are interpreted; names are looked up in
a table of words, and what a word does is up to the reader of each format. Everything else is refused.
"""

# Why not `pickle.Unpickler` with an allow-list in `find_class`? It keeps foreign code out, but not programs that never
# end or fill the memory, because those need no name. The unpickler hashes whatever is a key: sixty nested pairs of one
# another, 300 bytes of file, take 2^60 steps (the twin in tests/unit/data/test_batch_pickle.py). It also allocates a
# memo of as many entries as the program says, 32 GiB for five bytes of file in Python 3.11. Here each step is checked
# before it is taken, and a budget bounds what a program may use.

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Mapping
from io import BufferedIOBase
from typing import Any, cast

from shiftproof.errors import ShiftproofError
from shiftproof.reading.budget import Budget

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINSTRING", "SHORT_BINSTRING", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
COPIED = (dict, list, tuple)  # by calls; their lengths are known without looking inside
IGNORED = {"PROTO", "FRAME", "STOP"}
KEYS = (str, bytes, int, float, bool, type(None))  # hashed in one step: the hash of nested tuples could take for ever
MOST_KEY = 2**60  # larger whole numbers can be chosen to have one hash, and are then found one by one


class Name(str):
    """A word of a machine's table: a token, never the object of that name."""


class Machine:
    """The stack and the memo of a pickle program. A subclass says what its names do, and how it refuses.

    Args:
        names: "module member" as pickles spell it -> a word.
        budget: has the units "instructions" and "bytes of text", and "copies" if a call copies parts.
    """

    def __init__(self, names: Mapping[str, str], budget: Budget) -> None:
        self.names, self.budget = names, budget
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stack below each open mark
        self.memo: dict[int, Any] = {}

    def run(self, program: bytes | BufferedIOBase) -> Any:
        """What the program leaves on the stack; an open file is read up to the end of the program.

        Raises:
            ShiftproofError: the budget is exceeded, or an instruction or a name is refused.
            ValueError, LookupError, TypeError, AttributeError, OverflowError: it is not a pickle that fits together.
        """
        self.stack, self.below, self.memo = [], [], {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of a backslash in a text of the file
            for instruction, argument, _ in pickletools.genops(cast(bytes, program)):
                self.budget.spend("instructions")
                self._step(instruction.name, argument)
        return self.stack.pop()

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """The result of calling the name that has this word."""
        raise self.refusal(f"{name} with arguments")

    def build(self, target: Any, state: Any) -> None:
        """Sets the state of something that `call` returned."""
        raise self.refusal(f"the state of a {type(target).__name__}")

    def persistent(self, identity: Any) -> Any:
        """What stands outside the pickle under this identity."""
        raise self.refusal("something outside the file")

    def refusal(self, what: str) -> ShiftproofError:
        """The error for something that the format does not need."""
        raise NotImplementedError

    def key(self, key: Any) -> Any:
        """The key of a dict, if it can be hashed and found in one step."""
        if type(key) not in KEYS:
            raise self.refusal(f"a key of type {type(key).__name__}")
        if isinstance(key, int) and abs(key) > MOST_KEY:
            raise self.refusal("a key that is a number above 2^60")
        return key

    def counted(self, parts: Any) -> Any:
        """Parts that a call is about to copy. Three bytes of a file copy a dict that the memo has, however long it is."""
        if type(parts) not in COPIED:
            raise self.refusal(f"the parts of a {type(parts).__name__}")
        self.budget.spend("copies", len(parts))
        return parts

    def encoded(self, text: str) -> bytes:
        """Bytes that the file encodes as text. Python 3 writes bytes so in the pickles of Python 2."""
        self.budget.spend("bytes of text", len(text))  # one text may be taken from the memo many times
        return text.encode("latin-1")

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in VALUES:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in TUPLES:
            parts = [stack.pop() for _ in range(TUPLES[name])]
            stack.append(tuple(reversed(parts)))
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            # A dictionary: it grows by what is stored, whatever number the program names.
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
            self.build(stack[-1], state)
        elif name == "BINPERSID":
            stack.append(self.persistent(stack.pop()))
        elif name not in IGNORED:
            self._collect(name)

    def _collect(self, name: str) -> None:
        """Instructions that fill lists and dicts."""
        if name == "MARK":
            self.below.append(self.stack)
            self.stack = []
        elif name == "EMPTY_DICT":
            self.stack.append({})
        elif name == "EMPTY_LIST":
            self.stack.append([])
        elif name == "TUPLE":
            values = self._since_mark()
            self.stack.append(tuple(values))
        elif name in ("APPEND", "APPENDS"):
            values = [self.stack.pop()] if name == "APPEND" else self._since_mark()
            self._top(list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = [self.stack.pop(-2), self.stack.pop()] if name == "SETITEM" else self._since_mark()
            for key, value in zip(values[::2], values[1::2], strict=True):
                self._top(dict)[self.key(key)] = value
        else:
            raise self.refusal(f"the instruction {name}")

    def _since_mark(self) -> list[Any]:
        """Everything above the last mark, taken off the stack with it."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise self.refusal(f"filling a {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    def _name(self, argument: str | None) -> Name:
        """The token for a name: an operand of GLOBAL, or the two topmost strings."""
        if argument is None:
            member, module = self.stack.pop(), self.stack.pop()
            if type(member) is not str or type(module) is not str:  # not printed: printing it may never end
                raise self.refusal("a name that is not a string")
            argument = f"{module} {member}"
        if argument not in self.names:
            raise self.refused_name(argument.replace(" ", "."))
        return Name(self.names[argument])

    def refused_name(self, name: str) -> ShiftproofError:
        """The error for a name that is not in the table."""
        return self.refusal(f"{name!r:.80}")

    def _call(self, name: Any, arguments: Any) -> Any:
        if type(name) is not Name or type(arguments) is not tuple:
            raise self.refusal("a call of something without a name")
        return self.call(name, arguments)
