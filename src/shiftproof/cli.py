"""The command line: words in, words out. Nothing heavy is imported before it is needed.

Exit status: 0 done; 1 a `--require` not met; 2 bad usage or input; 3 finished, with bad items skipped.
An error of the program itself shows its traceback and ends with 70.
"""

from __future__ import annotations

import os
import sys
import traceback

import typer

from shiftproof.commands.audit import audit
from shiftproof.commands.check import check
from shiftproof.commands.reproduce import reproduce
from shiftproof.errors import ShiftproofError

BAD_INPUT, BUG = 2, 70

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Does a vision model give the same answer when the object moves?",
)


@app.callback()
def _group() -> None:
    """Does a vision model give the same answer when the object moves?"""


@app.command()
def version() -> None:
    """Print the version."""
    from shiftproof import __version__

    typer.echo(__version__)


app.command(
    epilog="Exit status: 0 done; 1 a --require not met; 2 bad usage or input; 3 finished, with bad items skipped."
)(audit)
app.command(epilog="Exit status: 0 done; 1 a --require not met; 2 bad usage or input.")(check)
app.command(epilog="Exit status: 0 done; 2 bad usage or input; 3 finished, with experiments skipped.")(reproduce)


def main(words: list[str] | None = None) -> None:
    """Run the command line (`words`, or the process's own); a known error becomes one sentence and exit status 2."""
    # Threads that wait must not spin: one moves pictures while the others run the model. Read by OpenMP when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app(words)
    except ShiftproofError as e:
        from rich.console import Console

        Console(stderr=True).print(f"error: {e}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(BAD_INPUT)
    except Exception:  # a bug of ours must not look like a requirement that was not met
        traceback.print_exc()
        sys.exit(BUG)
