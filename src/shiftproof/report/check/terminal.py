"""What to do after a verdict, in a terminal."""

from __future__ import annotations

from rich.console import Console

from shiftproof.records import Verdict
from shiftproof.report.check.next_steps import next_steps
from shiftproof.report.terminal import print_following


def print_next_steps(verdict: Verdict, console: Console) -> None:
    """Print what to do next, with the commands to type.

    Args:
        verdict: what the check found out.
        console: where to print.

    Example:
        print_next_steps(verdict, rich.console.Console())
    """
    print_following(next_steps(verdict), console)
