"""The command line. Nothing heavy is imported before it is needed, so that `--help` is quick.

Exit status: 0 done; 1 a `--require` is not met; 2 bad usage or input, or no memory or disk space left; 3 done, but bad pictures
or experiments were skipped; 70 a bug in shiftproof, with its traceback; 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import atexit
import inspect
import os
import shlex
import sys
import threading
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from shiftproof.commands.audit import audit
from shiftproof.commands.check import check
from shiftproof.commands.ending import exits_raised
from shiftproof.commands.learn import learn
from shiftproof.commands.options import STOPPED
from shiftproof.commands.output import StoppedError, lasting_streams, say
from shiftproof.commands.repair import repair
from shiftproof.commands.reproduce import reproduce
from shiftproof.commands.settings import with_settings
from shiftproof.commands.typed import typing
from shiftproof.errors import ModelError, ShiftproofError, is_out_of_memory
from shiftproof.printable import cut, printable, said

BAD_INPUT, BUG = 2, 70
REPORT = "This is a bug in shiftproof: please report it with the lines above."
USAGE_ERROR: Any = typer.BadParameter.__base__  # of typer's own copy of click, which it does not export


def _flags_without_values(params: list[Any]) -> list[Any]:
    """The parameters; typer would print `--json <bool>`, as if a flag took a value."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


class Verb(TyperCommand):
    """A command whose `--help` reads as its docstring does."""

    def __init__(self, *args: Any, help: str | None = None, **kwargs: Any) -> None:
        # typer would keep the ends of the docstring's lines in the middle of sentences
        paragraphs = inspect.cleandoc(help or "").split("\n\n")
        super().__init__(*args, help="\n\n".join(" ".join(p.split()) for p in paragraphs), **kwargs)

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters that `--help` lists."""
        return _flags_without_values(super().get_params(ctx))


class Verbs(TyperGroup):
    """The commands. They run the user's code, whose `sys.exit(0)` must not count as success."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters that `--help` lists."""
        return _flags_without_values(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that is named."""
        try:
            return super().invoke(ctx)
        # These have their own ends in `_status`.
        except (KeyboardInterrupt, Exception):
            raise
        except BaseException as e:  # SystemExit, or a class of the user's own that is not an Exception
            raise ModelError(
                f"the model's own code ended the command: {type(e).__name__}: {said(e)}",
                remedy="take out what ends the process, such as sys.exit",
            ) from e


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Does a vision model give the same answer when the object moves?",
)


def _epilog(*own: str) -> str:
    """The text about exit statuses in the `--help` of a command: those of all commands, and its own."""
    every = [
        "0 done",
        "2 bad usage or input, or no memory or disk space left",
        "70 a bug in shiftproof",
        "130 stopped with Ctrl-C",
    ]
    listed = "; ".join(sorted([*every, *own], key=lambda text: int(text.split()[0])))
    return f"Exit status: {listed}. A reader that closes the pipe, as head does, does not change it."


def _version(asked: bool) -> bool:
    if asked:
        from shiftproof import __version__

        typer.echo(f"shiftproof {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Does a vision model give the same answer when the object moves?"""


app.command(cls=Verb, epilog=_epilog("1 a --require is not met", "3 done, but bad pictures were skipped"))(audit)
app.command(cls=Verb, epilog=_epilog("1 a --require is not met, or a finding is not in the --baseline"))(check)
app.command(cls=Verb, epilog=_epilog())(repair)
app.command(cls=Verb, epilog=_epilog())(learn)
app.command(cls=Verb, epilog=_epilog("3 done, but experiments were skipped"))(reproduce)


def main(words: list[str] | None = None) -> None:
    """Runs the command line on `words`, or on the process's arguments, and exits with the status of the command.

    Run on the process's arguments, it ends the process itself.
    """
    # One thread moves pictures while others run the model. Waiting threads that spin would take the cores of those that work.
    # OpenMP reads this variable when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with lasting_streams(), exits_raised():
        status = _status(sys.argv[1:] if words is None else words)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    if words is not None or _has_guests():
        sys.exit(status)
    # Python would now take apart, one by one, all objects that torch has made: half a second in which nothing is done.
    atexit._run_exitfuncs()
    os._exit(status)


def _has_guests() -> bool:
    """Whether there may be threads that must end or files that must be closed: those of a user's code, or any thread at all."""
    factory = sys.modules.get("shiftproof.models.loading.factory")
    others = [t for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    return bool(others) or (factory is not None and factory.has_run())


def _run(typed: list[str]) -> Any:
    """Runs the command, with the settings of the project in which it was typed."""
    words, added, file = with_settings(typed, _options(), Path.cwd())
    if file is not None:
        from rich.console import Console

        say(Console(stderr=True), f"from {file}: {shlex.join(added)}")
    with typing(words):
        return app(words, standalone_mode=False)  # the status of a typer.Exit; it raises everything else


def _options() -> dict[str, list[str]]:
    """The long options of each command."""
    group: Any = typer.main.get_command(app)
    return {
        name: [option for p in command.params for option in p.opts if option.startswith("--")]
        for name, command in group.commands.items()
    }


def _status(words: list[str]) -> int:
    """The exit status. An error is printed as one sentence, and a bug of shiftproof's own as its traceback."""
    try:
        found = _run(words)
        # Here, so that a disk that is full is an error of this command, and not a message of Python's at exit.
        sys.stdout.flush()
    except USAGE_ERROR as e:
        from typer.rich_utils import rich_format_error

        e.message = printable(cut(e.message))
        rich_format_error(e)
        return BAD_INPUT
    except ShiftproofError as e:
        return _ended(f"error: {e}", BAD_INPUT)
    except StoppedError as e:
        return _ended(str(e), STOPPED)
    except KeyboardInterrupt:
        return _ended("stopped", STOPPED)
    except Exception as e:  # Python's own exit status would be 1, which means that a --require is not met
        if is_out_of_memory(e):
            return _ended(
                "error: memory ran out: use a smaller model or smaller pictures, or another device", BAD_INPUT
            )
        if isinstance(e, OSError) and e.strerror:
            where = f" ({printable(str(e.filename))})" if e.filename else ""
            return _ended(f"error: the operating system refuses: {e.strerror}{where}", BAD_INPUT)
        return _ended(printable(traceback.format_exc(), keep="\n").rstrip() + f"\n{REPORT}", BUG)
    if found == STOPPED:  # typer makes this status of a Ctrl-C
        return _ended("stopped", STOPPED)
    return found or 0


def _ended(text: str, status: int) -> int:
    """Prints on standard error why a command ends, and returns the exit status."""
    from rich.console import Console
    from rich.text import Text

    style = "" if status == STOPPED else "bold red"
    Console(stderr=True).print(Text(printable(text, keep="\n"), style), soft_wrap=True)
    return status
