"""The names of a model's classes, from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from shiftproof.errors import ModelError
from shiftproof.printable import said
from shiftproof.reading.budget import Budget
from shiftproof.reading.bytes import read_bytes
from shiftproof.reading.plain_json import read_json
from shiftproof.reading.plain_yaml import read_yaml

MOST = {"bytes": 1_000_000, "parts": 100_000, "levels": 50, "digits": 400, "seconds": 30}  # as of preprocessing


def read_class_names(path: str | Path) -> list[str]:
    """The names in a file, one per class, in the order of the model's output.

    A text file has one name per line. A JSON or YAML file holds a list of names, or a mapping from each class's index to its
    name; that may lie under the key `names` or `labels`. Where a name is a list, its last element counts: ImageNet's index
    files give `["n01440764", "tench"]`.

    Args:
        path: the file; `.json`, `.yaml` and `.yml` are read as such, all others as text in UTF-8.

    Raises:
        ModelError: the file cannot be read or exceeds the budget `MOST`, it holds no names, or indices are missing.
    """
    path = Path(path)
    budget = Budget(path, MOST, error=ModelError, remedy="write one name per line")
    try:
        content = read_bytes(path, budget)
        if path.suffix.lower() == ".json":
            found = read_json(content, budget)
        elif path.suffix.lower() in (".yaml", ".yml"):
            found = read_yaml(content.decode("utf-8-sig"), budget)
        else:
            found = [line.strip() for line in content.decode("utf-8-sig").rstrip().splitlines()]
            if "" in found:  # names are counted by their lines
                raise ValueError(f"line {found.index('') + 1} is empty")
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:
        raise ModelError(
            f"the names of the classes cannot be read: {said(e)}", where=str(path), remedy="write one name per line"
        ) from e
    names = _listed(found)
    if not names:
        raise ModelError("no names of classes", where=str(path), remedy="write one name per line, or 0: name, 1: name")
    return names


def _listed(found: Any) -> list[str]:
    """The names in order; nothing if this is neither a list of names nor a mapping with an index for each."""
    if isinstance(found, Mapping):
        inner = found.get("names", found.get("labels"))
        if isinstance(inner, Mapping | list):
            return _listed(inner)
        by_index = {str(k): v for k, v in found.items()}
        found = [by_index.get(str(i)) for i in range(len(by_index))]
    if not isinstance(found, list):
        return []
    names = [v[-1] if isinstance(v, list) and v else v for v in found]
    return [str(v) for v in names] if all(isinstance(v, str | int) for v in names) else []
