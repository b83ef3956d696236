"""The tree of errors: each says what is wrong, where, and what to do about it.

>>> raise DataError("label 12 is not a class", where="labels.csv line 3", remedy="the model has 10 classes: use 0..9")
Traceback (most recent call last):
    ...
shiftproof.errors.DataError: label 12 is not a class (labels.csv line 3): the model has 10 classes: use 0..9
"""


class ShiftproofError(Exception):
    """What every error that this package raises on purpose is a kind of.

    Args:
        what: what is wrong, in a few words.
        where: the file, item, argument or layer concerned; may be empty.
        remedy: what the reader can do; may be empty.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what + (f" ({where})" if where else "") + (f": {remedy}" if remedy else ""))

    def __reduce__(self):  # keyword arguments survive a worker's pickle
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(kind: type[ShiftproofError], what: str, where: str, remedy: str) -> ShiftproofError:
    return kind(what, where=where, remedy=remedy)


class TranslationError(ShiftproofError, ValueError):
    """A translation that cannot act on the given picture, or a set that cannot be built."""


class ModelError(ShiftproofError):
    """A model that cannot be found, loaded or run."""


class NotExportedError(ModelError):
    """A model that runs, but of which torch.export makes no graph."""


class DataError(ShiftproofError):
    """Data that cannot be found or read as a whole."""


class BadItemError(DataError):
    """One picture or label that cannot be used; the rest of the data may be fine."""


class TooManyBadError(DataError):
    """More bad items than the caller allows (`max_bad`)."""


class LayerError(ShiftproofError, ValueError):
    """A layer built with arguments that make no sense, or given an input for which it promises nothing."""


class MeasureError(ShiftproofError, ValueError):
    """A measure asked of values for which it is not defined."""


class RecordError(ShiftproofError):
    """A record or run folder that cannot be read, or is of another version."""


class InvarianceError(ShiftproofError, AssertionError):
    """A model that was asserted to be invariant and is not."""
