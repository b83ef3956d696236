"""Frozen dataclasses to what JSON has (dicts, lists, strings and numbers) and back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from shiftproof.errors import RecordError
from shiftproof.printable import printable

T = TypeVar("T")
MOST_BITS = 64  # of a whole number: seeds have so many
MOST_IN_A_KEY = (
    1000  # characters: errors name a part by the keys above it, and a place is spelt for each part that is compared
)
NOT_JSON = {"json": False}
"""The `metadata` of a field that is stored beside the JSON and not in it."""


class Place(NamedTuple):
    """Where a part of a record stands. It is spelt for an error alone: the keys above a part may be longer than all parts."""

    step: str | int
    above: Place | None = None

    def __str__(self) -> str:
        if self.above is None:
            return f"{self.step}"
        return f"{self.above}" + (f"[{self.step}]" if isinstance(self.step, int) else f".{self.step}")


def to_plain(value: Any) -> Any:
    """The value as dicts, lists, strings and numbers; fields marked `NOT_JSON` are left out.

    >>> from shiftproof.records import Picture
    >>> to_plain((Picture("a.png", "A cat."), 1.5))
    [{'name': 'a.png', 'caption': 'A cat.'}, 1.5]
    """
    # By hand, because msgspec would not make the same JSON: `msgspec.to_builtins` keeps tuples, and
    # `msgspec.json.encode` writes NaN as null instead of refusing it.
    if dataclasses.is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in _json_fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    return value


def printable_record(record: T) -> T:
    r"""The record with every string printable (see `shiftproof.printable`), for those who print it.

    >>> from shiftproof.records import Picture
    >>> printable_record(Picture("a\x1b[2J.png", "A cat.")).name
    'a\\x1b[2J.png'
    """
    return _printable(record)


def _printable(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: _printable(v) for name, v in found.items()})
    if isinstance(value, Mapping):
        return {_printable(k): _printable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_printable(v) for v in value]
    if isinstance(value, tuple):
        return tuple(_printable(v) for v in value)
    return printable(value) if isinstance(value, str) else value


def from_plain(kind: type[T], plain: Any, where: str = "") -> T:
    """The dataclass that `to_plain` turned into `plain`.

    Args:
        kind: a dataclass; its fields' types say what is allowed.
        plain: dicts, lists, strings and numbers, as `json.loads` gives them.
        where: of what record it is a part, for the error.

    Raises:
        RecordError: a key that is missing or unknown, a value of the wrong type or not among a field's choices, or a number
            that is infinite, not a number, or whole and of more than 64 bits, or a key of more than 1,000 characters: no
            record was written with one.

    >>> from shiftproof.records import Picture
    >>> from_plain(Picture, {"name": "a.png", "caption": 3})
    Traceback (most recent call last):
        ...
    shiftproof.errors.RecordError: not a valid record: expected `str`, got `int` (caption): use a record as it was written
    """
    try:
        # msgspec checks types and choices; the two checks below are what it lets through.
        value = msgspec.convert(plain, kind)
        _refuse_strange(plain, Place(where))
        _refuse_unknown_keys(plain, value, Place(where))
    except msgspec.ValidationError as e:
        # msgspec says "Expected `str`, got `int` - at `$.caption`".
        what, _, inside = str(e).partition(" - at `$")
        what = what[:1].lower() + what[1:]
        raise invalid(what, where + inside.strip("`")) from e
    except RecursionError as e:
        raise invalid("nested too deeply", where) from e
    except UnicodeEncodeError as e:  # msgspec's, where a text stands in place of something else
        raise invalid("a text that is not Unicode instead of another value", where) from e
    return value


def without_schema(plain: Any, schema: str) -> dict[str, Any]:
    """The keys of a record's JSON except `schema`, which must be the given one.

    Raises:
        RecordError: the schema is missing or is another one.
    """
    found = plain.get("schema") if isinstance(plain, Mapping) else None
    if found != schema:
        raise RecordError(
            f"schema {found!r:.80} is not {schema!r}", remedy="read it with the version of shiftproof that wrote it"
        )
    return {k: v for k, v in plain.items() if k != "schema"}


def _json_fields(kind: Any) -> list[dataclasses.Field[Any]]:
    return [f for f in dataclasses.fields(kind) if f.metadata.get("json", True)]


def invalid(what: str, where: str) -> RecordError:
    """The error of a record that was damaged or made up."""
    return RecordError(f"not a valid record: {what}", where=where.strip("."), remedy="use a record as it was written")


def _refuse_strange(plain: Any, where: Place) -> None:
    """Raises a RecordError for NaN, infinity and huge numbers and keys, which Python's reader of JSON lets through."""
    if isinstance(plain, float) and not math.isfinite(plain):
        raise invalid(f"{plain} is not a finite number", f"{where}")
    if isinstance(plain, int) and plain.bit_length() > MOST_BITS:
        raise invalid(f"a number of more than {MOST_BITS} bits", f"{where}")
    if isinstance(plain, Mapping):
        for key, item in plain.items():
            if len(f"{key}") > MOST_IN_A_KEY:
                raise invalid(f"a key of more than {MOST_IN_A_KEY:,} characters", f"{where}")
            _refuse_strange(item, Place(key, where))
    elif isinstance(plain, list | tuple):
        for number, item in enumerate(plain):
            _refuse_strange(item, Place(number, where))


def _refuse_unknown_keys(plain: Any, value: Any, where: Place) -> None:
    """Raises a RecordError for a key that the dataclass made from it does not have: msgspec ignores such keys."""
    if dataclasses.is_dataclass(value):
        known = [f.name for f in _json_fields(value)]
        if unknown := sorted(map(str, set(plain) - set(known))):
            raise invalid(f"unknown keys {unknown!s:.200}", f"{where}")
        for name in known:
            if name in plain:
                _refuse_unknown_keys(plain[name], getattr(value, name), Place(name, where))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_unknown_keys(plain[key], item, Place(key, where))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _refuse_unknown_keys(plain[number], item, Place(number, where))
