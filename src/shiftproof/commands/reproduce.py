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
    from shiftproof.commands.progress import Shown
    from shiftproof.experiments import EXPERIMENTS
    from shiftproof.experiments import reproduce as run
    from shiftproof.report import print_experiment, write_experiment_page, write_overview

    made: list[ExperimentRecord] = []
    skipped: dict[str, ShiftproofError] = {}
    for i, one in enumerate(names):
        above = (f"experiment {i + 1} of {len(names)}: {one}", i, len(names)) if len(names) > 1 else None
        try:
            with redirect_stdout(sys.stderr), Shown(stderr, one, above=above) as shown:
                record = run(one, progress=lambda step, say=shown: say(step.stage, step.done, step.total), **how)
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
        write_overview(how["folder"], list(EXPERIMENTS))
        if stdout is not None:
            print_experiment(record, stdout, short=len(names) > 1)
    return made, skipped


def _list(seeds: int, data: str, as_json: bool, stderr: Console) -> None:
    """Every experiment, with how long it takes here."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from shiftproof.commands.progress import about
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
