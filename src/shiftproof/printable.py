r"""Text from outside (names of files, labels, messages of exceptions) as it can be shown without steering a terminal.

File names and labels may hold escape sequences that clear a screen or retitle a window, line breaks that fake a line of
output, and marks that reverse the direction of writing so that a name reads as another. Each such character is printed as
Python writes it in a string, so that it can be seen and searched for.

>>> printable("cat\x1b[2J\u202egpj.exe\n")
'cat\\x1b[2J\\u202egpj.exe\\n'
"""

from __future__ import annotations

from typing import Any

SPACES = "\u00a0\u2009\u202f"  # the spaces that this package writes itself, between a number and its unit
MOST_OF_A_PART = 1000  # characters of what an error says is wrong, where, or what to do
MOST_CHARACTERS = 300  # of the message of an exception: some libraries put whole tensors or graphs into it


def printable(text: str, keep: str = "") -> str:
    r"""The text with an escape sequence in place of every character that is neither visible nor a space.

    These are the control characters, line and paragraph separators, direction marks and other invisible format characters,
    lone surrogates, and code points that are not assigned: all that `str.isprintable` refuses, except `SPACES`.

    Args:
        text: any text.
        keep: characters that are left as they are, such as "\n" in a text of several lines.

    >>> printable("two\nlines", keep="\n") == "two\nlines", printable("Škoda 猫.png"), printable("\udcff.png")
    (True, 'Škoda 猫.png', '\\udcff.png')
    """
    if text.isprintable():
        return text
    kept = SPACES + keep
    return "".join(c if c.isprintable() or c in kept else _escaped(c) for c in text)


def printable_strings(value: Any) -> Any:
    r"""Dicts, lists, tuples and strings with every string printable, the keys too; any other value as it is.

    >>> printable_strings({"a\x07": ["b\r", 1]})
    {'a\\x07': ['b\\r', 1]}
    """
    if type(value) is str:
        return printable(value)
    if isinstance(value, dict):
        return {printable_strings(k): printable_strings(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        # A named tuple takes its values one by one, so that it could not be rebuilt from a list of them.
        return type(value)(map(printable_strings, value)) if type(value) in (list, tuple) else value
    return value


def said(error: BaseException) -> str:
    r"""The first line of an exception's message, at most `MOST_CHARACTERS` long; the name of its class if that is empty.

    The message of an exception from somebody else's code may be empty, long, have many lines, or be an exception itself.

    >>> said(ValueError("out of order\nat line 3")), said(SystemExit()), said(ValueError("\n"))
    ('out of order', 'SystemExit', 'ValueError')
    """
    try:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    except Exception:
        lines = []
    text = printable(lines[0] if lines else type(error).__name__)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def cut(text: str, most: int = MOST_OF_A_PART) -> str:
    """The text, with its middle left out if it is longer than `most` characters: its ends say what it is about.

    >>> cut("input_size is 'xxxxxxxxxxxxxxxxxxxxxxxxxx': give (c, h, w)", 39), cut("short", 39)
    ("input_size is 'xx ... ': give (c, h, w)", 'short')
    """
    if len(text) <= most:
        return text
    kept = most - len(" ... ")
    return text[: kept - kept // 2] + " ... " + text[len(text) - kept // 2 :]


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
