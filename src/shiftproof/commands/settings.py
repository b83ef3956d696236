"""Settings in `pyproject.toml`: options of a command that a project wants on every run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from shiftproof.errors import SettingsError

FILE, TABLE = "pyproject.toml", "shiftproof"
MOST_BYTES = 1_000_000
# So many parts of names does Python's parser go through: it looks at each part of a name from the top of the file on, through
# the header above it. Ten thousand lines of addresses and versions have a tenth of it.
MOST_STEPS = 4_000_000
MOST_NUMBER = 2**63  # Python refuses to print whole numbers of more than 4,300 digits, which hexadecimal ones may have


def with_settings(
    words: Sequence[str], options: Mapping[str, Iterable[str]], folder: Path
) -> tuple[list[str], list[str], Path | None]:
    """(the words of a command with those of the project's settings in them, the words that were added, the file they came from).

    The table `[tool.shiftproof.check]` of the nearest `pyproject.toml` holds options of `shiftproof check` by their long names:
    `world = "window"` is `--world window`, `refute = true` is `--refute`, a list repeats the option. They stand before what was
    typed, so that what is typed counts where an option takes one value. An option that the user typed is not set.

    Args:
        words: as typed, behind `shiftproof`.
        options: for each command, its long options, such as "--world".
        folder: where to look first; then its parents.

    Raises:
        SettingsError: the file is not TOML, or an option or its value is none.

    >>> with_settings(["check", "net.py:build"], {"check": ["--world"]}, Path("/nowhere"))
    (['check', 'net.py:build'], [], None)
    """
    if not words or words[0] not in options:
        return list(words), [], None
    verb, *typed = words
    file, settings = _nearest(folder)
    known = set(options[verb])
    # For all commands, so that a wrong name is found by any of them.
    for name, table in settings.items():
        if name not in options or not isinstance(table, dict):
            raise _wrong(f"{name!r} is not a command", file, f"use {', '.join(sorted(options))}")
    added: list[str] = []
    for key, value in settings.get(verb, {}).items():
        option = f"--{key}"
        if option not in known or option == "--help":
            raise _wrong(f"{key!r} is not an option of {verb}", file, f"see shiftproof {verb} --help")
        if any(w == option or w.startswith(f"{option}=") for w in typed):
            continue
        added += _words(option, value, file)
    return [verb, *added, *typed], added, file if added else None


def _words(option: str, value: Any, file: Path | None) -> list[str]:
    if isinstance(value, bool):
        return [option] if value else []
    if isinstance(value, list):
        return [word for v in value for word in _words(option, v, file)]
    if isinstance(value, int) and abs(value) >= MOST_NUMBER:
        raise _wrong(
            f"{option[2:]} is a number of {value.bit_length()} bits", file, "no option takes so large a number"
        )
    if isinstance(value, str | int | float):
        return [f"{option}={value}"]  # one word: a value may begin with a dash
    raise _wrong(f"{option[2:]} = {_shown(value)}", file, "give a text, a number, true or false, or a list of them")


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.80}"
    except (ValueError, RecursionError):  # a number of too many digits, tables in tables
        return "a table"


def _nearest(folder: Path) -> tuple[Path | None, dict[str, Any]]:
    """The nearest file that has the table, and the table."""
    for parent in (folder, *folder.parents):
        file = parent / FILE
        if not file.is_file():  # a pipe would be waited for
            continue
        try:
            with file.open("rb") as f:
                content = f.read(MOST_BYTES + 1)
        except OSError:  # not there, or not for us to read
            continue
        if len(content) > MOST_BYTES:
            continue
        if b"tool" not in content or TABLE.encode() not in content:
            continue  # another project's file, which may be anything
        if _steps(content) > MOST_STEPS:
            raise _wrong(
                "its lines and headers have too many dots", file, "no settings need as many: do not trust the file"
            )
        try:
            found = tomllib.loads(content.decode()).get("tool", {}).get(TABLE)
        except (ValueError, AttributeError, RecursionError) as e:
            raise _wrong(f"it is not TOML: {e}", file, "mend the file") from e
        if found is not None:
            if not isinstance(found, dict):
                raise _wrong(f"[tool.{TABLE}] is not a table", file, f"write [tool.{TABLE}.check]")
            return file, found
    return None, {}


def _steps(content: bytes) -> int:
    """At least as many steps as Python's parser takes through the parts of names: those of a line times those above them."""
    header = steps = 0
    for line in content.splitlines():
        dots = line.count(b".")
        steps += (dots + 1) * (dots + header)
        if line.lstrip().startswith(b"["):  # the longest so far: a line of an array looks like a header, too
            header = max(header, dots)
    return steps


def _wrong(what: str, file: Path | None, remedy: str) -> SettingsError:
    return SettingsError(what, where=f"{file}, [tool.{TABLE}]", remedy=remedy)
