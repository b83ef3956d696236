"""The tree of errors: each says what is wrong, where, and what to do about it.

>>> raise DataError("label 12 is not a class", where="labels.csv line 3", remedy="the model has 10 classes: use 0..9")
Traceback (most recent call last):
    ...
shiftproof.errors.DataError: label 12 is not a class (labels.csv line 3): the model has 10 classes: use 0..9
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shiftproof.printable import cut, printable


class ShiftproofError(Exception):
    """The base class of every error that this package raises on purpose.

    Args:
        what: what is wrong, in a few words.
        where: the file, item, argument or layer concerned; may be empty.
        remedy: what the reader can do; may be empty.

    The text of the error is one line of visible characters, whatever names and messages the parts contain
    (`shiftproof.printable`). A long part, such as one that repeats a huge argument, is cut in its middle (`printable.cut`). The
    attributes hold the parts as they were given.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        said, at, do = cut(what), cut(where), cut(remedy)
        super().__init__(printable(said + (f" ({at})" if at else "") + (f": {do}" if do else "")))

    def __reduce__(self):  # keyword arguments survive a worker's pickle
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(kind: type[ShiftproofError], what: str, where: str, remedy: str) -> ShiftproofError:
    return kind(what, where=where, remedy=remedy)


class TranslationError(ShiftproofError, ValueError):
    """A translation that cannot act on the given picture, or a set that cannot be built."""


class ModelError(ShiftproofError):
    """A model that cannot be found, loaded or run."""


class NotExportedError(ModelError):
    """A model that runs, but that torch.export cannot turn into a graph."""


class DataError(ShiftproofError):
    """Data that cannot be found or read as a whole."""


class LearnError(ShiftproofError):
    """The exhibits of `shiftproof learn` cannot be shown."""


class BadItemError(DataError):
    """One picture or label that cannot be used; the rest of the data may be fine."""


class TooManyBadError(DataError):
    """More bad items than the caller allows (`max_bad`)."""


class OutOfMemoryError(ShiftproofError):
    """Work that does not fit into memory, whatever is done to make it smaller."""


class LayerError(ShiftproofError, ValueError):
    """A layer built with invalid arguments, or given an input for which it promises nothing."""


class MeasureError(ShiftproofError, ValueError):
    """A measure called with values for which it is not defined."""


class RecordError(ShiftproofError):
    """A record or run folder that cannot be read, or that another version wrote."""


class BusyError(RecordError):
    """Another process is writing into the folder."""


class SettingsError(ShiftproofError):
    """Settings of a project that no command has, or that cannot be read."""


class RepairError(ShiftproofError):
    """A model that a method cannot mend, or a mended model used where its guarantee does not hold."""


class GuaranteeWarning(UserWarning):
    """A picture for which the guarantee of a mended model does not hold."""


class MissingLibraryError(ShiftproofError, ImportError):
    """A library that a part of this package needs and that is not installed."""


class InvarianceError(ShiftproofError, AssertionError):
    """A model that was asserted to be invariant and is not. `witness`: the image, from 0, and the move (dy, dx) that show it."""

    witness: tuple[int, tuple[float, float]] | None = None


class RestartWarning(UserWarning):
    """Work of an earlier run that is not used but repeated, because it is damaged or belongs to another model."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, so that a smaller batch may work.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    (True, True)
    """
    if isinstance(error, MemoryError):
        return True
    # Of a GPU it is a kind of RuntimeError, and the allocator of the CPU raises a plain one: only its words tell.
    words = ("not enough memory", "out of memory", "can't allocate memory", "failed to allocate")
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)


@contextmanager
def enough_memory(where: str, remedy: str) -> Iterator[None]:
    """Inside, an exception that says that memory ran out becomes an `OutOfMemoryError`.

    Args:
        where: what was being done, or for which model.
        remedy: what the reader can do.

    >>> with enough_memory("net.py:build", "use smaller pictures"):
    ...     raise MemoryError
    Traceback (most recent call last):
        ...
    shiftproof.errors.OutOfMemoryError: memory ran out (net.py:build): use smaller pictures
    """
    try:
        yield
    except Exception as e:
        if not is_out_of_memory(e):
            raise
        raise OutOfMemoryError("memory ran out", where=where, remedy=remedy) from e
