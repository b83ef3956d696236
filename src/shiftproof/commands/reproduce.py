"""`shiftproof reproduce`: published experiments, run again."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftproof.errors import RecordError, ShiftproofError

if TYPE_CHECKING:
    from rich.console import Console

    from shiftproof.records import ExperimentRecord

SKIPPED, STOPPED = 3, 130
DEFAULT_OUT = Path("shiftproof-reproduce")


def reproduce(
    name: Annotated[str | None, typer.Argument(help="an experiment of --list, or all")] = None,
    as_list: Annotated[
        bool, typer.Option("--list", help="every experiment: what it shows, its source, how long it takes here")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="runs of everything random: seeds 0, 1, ...")] = 3,
    data: Annotated[
        str, typer.Option(help="mnist (downloaded), mnist:DIR, a folder that holds it, or digits (no file needed)")
    ] = "mnist",
    out: Annotated[Path, typer.Option(help="pages, records and all that took long")] = DEFAULT_OUT,
    device: Annotated[str, typer.Option(help="what training runs on: cpu, cuda, mps")] = "cpu",
    devices: Annotated[int, typer.Option(min=1, help="how many of them")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="print the record as JSON on standard output")] = False,
) -> None:
    """Run a published experiment again: measured figures beside the published ones.

    Killed at any moment, the same command goes on where it was. Without MNIST, --data digits runs the same on
    scikit-learn's digits and says so.
    """
    from rich.console import Console

    from shiftproof.experiments import EXPERIMENTS, find

    stderr = Console(stderr=True)
    if as_list or name is None:
        _list(seeds, data, as_json, stderr)
        return
    names = list(EXPERIMENTS) if name == "all" else [find(name).name]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise RecordError(f"the folder cannot be made: {e.strerror}", where=str(out), remedy="--out DIR") from e
    made, skipped = _run(
        names,
        {"seeds": range(seeds), "data": data, "folder": out, "device": device, "devices": devices},
        None if as_json else Console(),
        stderr,
    )
    if as_json:
        plain = [record.to_dict() for record in made]
        typer.echo(json.dumps(plain if name == "all" else plain[0], indent=1, allow_nan=False))
    page = out / ("index.html" if name == "all" else f"{name}/index.html")
    if made:
        stderr.print(f"page: {page}", soft_wrap=True, highlight=False, markup=False)
    for missed, error in skipped.items():
        stderr.print(f"skipped {missed}: {error}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if skipped:
        raise typer.Exit(SKIPPED)


def _run(
    names: list[str], how: dict[str, Any], stdout: Console | None, stderr: Console
) -> tuple[list[ExperimentRecord], dict[str, ShiftproofError]]:
    """Each experiment in turn, its page written as soon as it is done; one alone that fails raises, of several it is skipped."""
    from shiftproof.experiments import reproduce as run
    from shiftproof.report import print_experiment, write_experiment_page, write_overview

    made: list[ExperimentRecord] = []
    skipped: dict[str, ShiftproofError] = {}
    for i, one in enumerate(names):
        try:
            with redirect_stdout(sys.stderr), _Bars(stderr, one, i, len(names)) as bars:
                record = run(one, progress=bars, **how)
        except KeyboardInterrupt:
            stderr.print("stopped; the same command goes on from here", markup=False)
            raise typer.Exit(STOPPED) from None
        except ShiftproofError as e:
            if len(names) == 1:
                raise
            skipped[one] = e
            stderr.print(f"{one}: skipped, {e}", style="yellow", markup=False, highlight=False, soft_wrap=True)
            continue
        made.append(record)
        write_experiment_page(record, how["folder"] / one)
        write_overview(how["folder"])
        if stdout is not None:
            print_experiment(record, stdout, short=len(names) > 1)
    return made, skipped


def _list(seeds: int, data: str, as_json: bool, stderr: Console) -> None:
    """Every experiment, with how long it takes here."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from shiftproof.experiments import EXPERIMENTS, find
    from shiftproof.experiments.costs import calibrate, expected_s, recorded
    from shiftproof.records.layout import source_words

    found, costs = [find(name) for name in EXPERIMENTS], recorded()
    step_s = 0.0
    if any(e.name in costs["experiments"] for e in found):
        with stderr.status("how fast is it here"):
            step_s = calibrate()
    seconds = [expected_s(e, seeds=seeds, data=data, calibration_s=step_s, costs=costs) for e in found]
    if as_json:
        rows: list[dict[str, Any]] = [
            {
                "name": e.name,
                "systems": list(e.systems),
                "shows": e.shows,
                "source": source_words(e.source),
                "seconds": s,
            }
            for e, s in zip(found, seconds, strict=True)
        ]
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    console = Console()
    for e, s in zip(found, seconds, strict=True):
        console.print(Text.assemble((e.name, "bold"), f"  {', '.join(e.systems)}  ", (about(s), "cyan")))
        shown = Text.assemble(e.shows, "\n", (source_words(e.source), "dim"))
        console.print(Padding(shown, (0, 0, 1, 4)), width=min(console.width, 110))
    if any(e.trains for e in found):
        shared = "what is trained once is shared, so that `all` takes less than the sum"
        words = f"with {seeds} seed{'' if seeds == 1 else 's'} on {data}; {shared}"
        console.print(words, style="dim", highlight=False, markup=False)


def about(seconds: float | None) -> str:
    """A time to wait, roughly.

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


class _Bars:
    """Progress on standard error: the stage with time left, and above it which experiment of how many."""

    def __init__(self, console: Console, name: str, done: int, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        self.rich = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeLeft(), console=console, transient=True,
        )  # fmt: skip
        if total > 1:
            self.rich.add_task(f"experiment {done + 1} of {total}: {name}", total=total, completed=done)
        self.stage = self.rich.add_task(name, total=None)
        self.words = ""

    def __enter__(self):
        self.rich.start()
        return self

    def __exit__(self, *_) -> None:
        self.rich.stop()

    def __call__(self, step) -> None:
        if step.stage != self.words:
            self.words = step.stage
            self.rich.reset(self.stage, description=step.stage, total=step.total)
        self.rich.update(self.stage, completed=step.done, total=step.total)
