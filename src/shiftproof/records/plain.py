"""Frozen dataclasses to plain dicts, lists, strings and numbers, and back."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any


def to_plain(value: Any) -> Any:
    """The value in words that JSON has."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    return value


def from_plain(kind: Any, plain: Any) -> Any:
    """The value of the declared kind that `plain` stands for."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        unknown = set(plain) - {f.name for f in dataclasses.fields(kind)}
        if unknown:
            raise KeyError(f"unknown keys {sorted(unknown)} in {kind.__name__}")  # type: ignore[union-attr]
        return kind(**{k: from_plain(hints[k], v) for k, v in plain.items()})  # type: ignore[operator]
    if origin is list:
        return [from_plain(args[0], v) for v in plain]
    if origin in (dict, Mapping):
        return {k: from_plain(args[1], v) for k, v in plain.items()}
    if origin in (typing.Union, types.UnionType):
        return None if plain is None else from_plain(next(a for a in args if a is not type(None)), plain)
    if kind is float:
        return float(plain)
    if kind in (int, str, bool) and not isinstance(plain, kind):
        raise TypeError(f"{plain!r} is not {kind.__name__}")
    return plain
