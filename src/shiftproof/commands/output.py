"""Printing by commands. No name or message can control the terminal, and a closed pipe does not change the result."""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from shiftproof.errors import RecordError, RestartWarning
from shiftproof.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

STANDARD_ERROR = 2


class StoppedError(Exception):
    """Ctrl-C, with a message about the work that is done."""


def say(console: Console, text: str, style: str = "") -> None:
    r"""Prints one line, however long: `text` may hold names and messages from outside.

    >>> from rich.console import Console
    >>> say(Console(width=20), "no such file (\x1b[2Jcat.py)", style="red")
    no such file (\x1b[2Jcat.py)
    """
    from rich.text import Text

    console.print(Text(printable(text), style), soft_wrap=True)


def doing(console: Console, text: str) -> Status:
    """On a terminal, shows what is being done while the context is open."""
    from rich.text import Text

    return console.status(Text(printable(text)))


def put_json(value: Any) -> None:
    """Prints a value as JSON on standard output; everything but ASCII is escaped."""
    typer.echo(json.dumps(value, indent=1, allow_nan=False))


@contextmanager
def warnings_on(stderr: Console) -> Iterator[None]:
    """Print each warning on one line: those of the package as a sentence, others with the class and the line of code.

    Others are of libraries and of the model's own code, and may say what stands in somebody's file.
    """
    with warnings.catch_warnings():

        def plainly(message: Warning | str, category: type[Warning], file: str, line: int, *_: Any) -> None:
            if issubclass(category, RestartWarning):
                say(stderr, str(message), "yellow")
            else:
                say(stderr, f"{category.__name__}: {' '.join(str(message).split())} ({file}:{line})", "yellow")

        warnings.showwarning = plainly
        warnings.simplefilter("always", RestartWarning)  # nobody wants it as an error, or only once
        yield


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Inside, writing to the standard streams works even after their reader has left.

    When the reader of a pipe leaves (`shiftproof audit ... | head -1`), the rest of the output is dropped and the command
    continues: its files and its exit status do not depend on the reader. Any other failure to write standard output, such as
    a full disk, is a `RecordError`. Every failure to write standard error is dropped, because it cannot be reported anywhere.
    """
    before = sys.stdout, sys.stderr
    _open_closed()
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Opens what the caller closed (`>&-`) to nowhere. Otherwise the next file that is opened would get the output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the system takes the lowest number that is free: this one
    # Python gives no stream for a number that was closed.
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False))  # pyright: ignore[reportUnreachable]
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(STANDARD_ERROR, "w", closefd=False))  # pyright: ignore[reportUnreachable]


def _lasting(stream: Any) -> Any:
    """The stream, if it is one of the process's own, with a `_Lasting` below it; other streams as they are."""
    buffer = getattr(stream, "buffer", None)
    # With PYTHONUNBUFFERED, as in many containers, there is nothing between the text and the file.
    unbuffered = isinstance(buffer, io.FileIO)
    raw = buffer if unbuffered else getattr(buffer, "raw", None)
    # A notebook or a test may have put another object there, which is not ours to replace.
    if not isinstance(raw, io.FileIO) or raw.fileno() not in (1, STANDARD_ERROR):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Lasting(raw.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering or unbuffered,
        write_through=stream.write_through,
    )


class _Lasting(io.FileIO):
    """A stream of the process that can be written to after its reader has left."""

    gone = False

    def write(self, data: Any, /) -> int | None:
        """Writes the bytes, or drops them."""
        # Once the reader has left, every write would fail: they are counted as written.
        if self.gone:
            return len(data)
        try:
            return super().write(data)
        except OSError as e:
            self.gone = True
            if isinstance(e, BrokenPipeError) or self.fileno() == STANDARD_ERROR:
                return len(data)
            raise RecordError(f"cannot be written: {e.strerror}", where="standard output") from e
