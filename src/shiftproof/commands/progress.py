"""Progress of a long command on standard error: a bar on a terminal, occasional lines in a log."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from shiftproof.commands.output import say
from shiftproof.printable import printable

EVERY_S = 60.0  # between two lines of one stage


def about(seconds: float | None) -> str:
    """A rough time to wait, in words.

    >>> about(None), about(0.4), about(12.3), about(250), about(9000)
    ('not measured', 'a second', 'about 12 s', 'about 4 min', 'about 2 h 30 min')
    """
    if seconds is None:
        return "not measured"
    if seconds < 1.5:
        return "a second"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"about {minutes} min" if minutes < 90 else f"about {minutes // 60} h {minutes % 60} min"


class Shown:
    """Shows the current stage, how much of it is done, and the time left. Call it whenever something changes.

    On a terminal it is a bar that vanishes at the end. Elsewhere (nohup, CI) it is a plain line at each new stage, and
    others less and less often, down to about once a minute.

    Args:
        console: on standard error.
        name: what to show before the first stage is known.
        unit: what is counted, in words.
        soon_s: when the second line of a stage comes, in seconds; the time to the next one doubles, up to a minute.
        above: if this is one of several commands: (words, how many are done, how many there are).
    """

    def __init__(
        self,
        console: Console,
        name: str,
        *,
        unit: str = "",
        soon_s: float = EVERY_S,
        above: tuple[str, int, int] | None = None,
    ) -> None:
        self.console, self.unit, self.soon_s, self.above = console, unit, soon_s, above
        self.bars: Progress | None = None
        if console.is_interactive and console.file.isatty():
            self.bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                _Count(),
                TimeElapsedColumn(),
                _Left(),
                TextColumn("{task.fields[note]}", markup=False),
                console=console,
                transient=True,
            )
            if above is not None:
                self.bars.add_task(above[0], completed=above[1], total=above[2], unit="", note="")
            self.task = self.bars.add_task(name, total=None, unit=unit, note="")
        self.stage = ""
        self.begun: dict[str, tuple[float, int]] = {}  # stage -> when it was first heard of, and what was done then
        self.said_s = 0.0

    def __enter__(self) -> Shown:
        if self.bars is not None:
            self.bars.start()
        elif self.above is not None:
            self._line(self.above[0])
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """Shows the current state.

        Args:
            stage: the name of the stage.
            done: parts done.
            total: parts in all.
            note: anything else to show.
        """
        stage, note = printable(stage), printable(note)
        new, self.stage = stage != self.stage, stage
        if self.bars is not None:
            if new:
                self.bars.reset(self.task, description=stage, total=total)
            self.bars.update(self.task, completed=done, total=total, note=note)
            return
        now = time.monotonic()
        if done < self.begun.setdefault(stage, (now, done))[1]:  # another stage of the same name
            self.begun[stage] = (now, done)
        began, first = self.begun[stage]
        if new or now - self.said_s >= min(EVERY_S, max(self.soon_s, self.said_s - began)):
            self.said_s = now
            # From where this run began: a resumed one has parts done that took it no time.
            left = (now - began) / (done - first) * (total - done) if done > first else None
            words = [f"{stage}: {done}/{total} {self.unit}".rstrip(), note, f"{about(left)} left" if left else ""]
            self._line(", ".join(w for w in words if w))

    def _line(self, words: str) -> None:
        say(self.console, words)


class _Count(ProgressColumn):
    """Done and total; nothing while the total is unknown."""

    def render(self, task: Task) -> Text:
        known = task.total is not None
        return Text(f"{task.completed:.0f}/{task.total:.0f} {task.fields['unit']}".rstrip() if known else "")


class _Left(ProgressColumn):
    """The time left; nothing while it is unknown."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        left = None if task.total is None or task.finished else task.time_remaining
        if left is None:
            return Text("")
        minutes, seconds = divmod(int(left), 60)
        return Text(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left")
