"""Progress of long commands: plain lines in a log, a bar on a terminal."""

import io
import re

import pytest
from rich.console import Console

from shiftproof.commands import progress
from shiftproof.commands.progress import Shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock of the test's own: `clock[0] += seconds`."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("forced", [None, True])  # CI often forces colours where there is no terminal
def test_a_log_gets_a_line_at_each_stage_and_about_once_a_minute(clock, forced):
    log = io.StringIO()
    with Shown(
        Console(file=log, force_terminal=forced, width=40), "pooling", above=("experiment 2 of 25: pooling", 1, 25)
    ) as shown:
        for done in range(4):
            shown("networks", done, 9)
            for step in range(100):
                shown(f"training a network of a long name, seed {done}", step, 100)
                clock[0] += 1
        shown("networks", 4, 9)
    lines = [line for line in log.getvalue().splitlines() if "seed" not in line or "seed 0" in line]
    assert lines == [
        "experiment 2 of 25: pooling",
        "networks: 0/9",
        "training a network of a long name, seed 0: 0/100",
        "training a network of a long name, seed 0: 60/100, about 40 s left",
        "networks: 1/9, about 13 min left",
        "networks: 2/9, about 12 min left",
        "networks: 3/9, about 10 min left",
        "networks: 4/9, about 8 min left",
    ]
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", log.getvalue())


def test_a_log_gets_what_is_counted_and_what_else_is_known(clock):
    log = io.StringIO()
    with Shown(Console(file=log), "audit", unit="pictures") as shown:
        shown("audit", 10, 100)
        clock[0] += 90
        shown("audit", 40, 100, "± 1.20%")
    assert log.getvalue().splitlines() == [
        "audit: 10/100 pictures",
        "audit: 40/100 pictures, ± 1.20%, about 3 min left",
    ]


def test_counts_come_within_seconds_where_a_run_asks_for_it_and_then_ever_less_often(clock):
    log = io.StringIO()
    with Shown(Console(file=log), "audit", unit="views", soon_s=1.0) as shown:
        for done in range(400):
            shown("audit", done, 400)
            clock[0] += 0.5
    counts = [int(line.split()[1].partition("/")[0]) for line in log.getvalue().splitlines()]
    assert counts == [0, 2, 4, 8, 16, 32, 64, 128, 248, 368], "after 1, 2, 4, ... seconds, then once a minute"


def test_a_bar_says_no_time_before_it_knows_one():
    screen = Terminal()
    console = Console(file=screen, force_terminal=True, width=100, legacy_windows=False)
    with Shown(console, "pooling") as shown:
        shown.bars.refresh()
        before = screen.getvalue()
        shown("networks", 0, 9)
        shown("networks", 5, 9)
        shown.bars.refresh()
    assert "pooling" in before
    assert "left" not in before
    assert "/?" not in before
    assert "5/9" in screen.getvalue()
    assert "\x1b[" in screen.getvalue()
