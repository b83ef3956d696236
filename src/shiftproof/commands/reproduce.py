"""`shiftproof reproduce`: run published experiments again."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftproof.commands.output import StoppedError, put_json, say, warnings_on
from shiftproof.errors import RecordError, ShiftproofError

if TYPE_CHECKING:
    from rich.console import Console

    from shiftproof.records import ExperimentRecord

SKIPPED = 3
DEFAULT_OUT = Path("shiftproof-reproduce")
PAGE = "index.html"


def reproduce(
    name: Annotated[str | None, typer.Argument(help="Name of an experiment (see --list), or all.")] = None,
    as_list: Annotated[
        bool,
        typer.Option(
            "--list", help="List every experiment: what it shows, its source, and how long it takes on this machine."
        ),
    ] = False,
    seeds: Annotated[
        int, typer.Option(min=1, help="Repeat everything random this many times, with seeds 0, 1, ...")
    ] = 3,
    data: Annotated[
        str,
        typer.Option(
            help="Handwritten digits: mnist (downloads it), mnist:DIR, a folder that holds MNIST, or digits "
            "(scikit-learn's, needs no file). larger-pictures needs a folder that holds MNIST and CIFAR-10."
        ),
    ] = "mnist",
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the pages, the records, and results that are kept for later runs. Files that shiftproof did not "
            "write are kept."
        ),
    ] = DEFAULT_OUT,
    device: Annotated[str, typer.Option(help="Device for training: cpu, cuda or mps.")] = "cpu",
    devices: Annotated[int, typer.Option(min=1, help="Number of devices for training.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON on standard output.")] = False,
    csv: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Also write every claim with its verdict and every figure to this file, as comma-separated values.",
        ),
    ] = None,
) -> None:
    """Run a published experiment again and show the measured figures beside the published ones.

    If the run is interrupted, run the same command again: it continues where it stopped. Without MNIST, use
    --data digits: the experiment then runs on scikit-learn's digits, and the record says so.
    """
    # Without a name, the list is what is needed to choose one.
    if as_list or name is None:
        _list(seeds, data, as_json)
        return

    from rich.console import Console

    from shiftproof.data.memory import refuse_unknown
    from shiftproof.experiments import EXPERIMENTS, find
    from shiftproof.records import OUR_TABLE, owned, refuse_unwritable, write_beside, writing

    stderr = Console(stderr=True)
    names = list(EXPERIMENTS) if name == "all" else [find(name).name]
    refuse_unknown(data)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    # Before hours of training: nobody wants to learn it after them.
    if csv is not None:
        refuse_unwritable(csv, OUR_TABLE)
    owned.refuse_foreign(out, [PAGE, *(f"{one}/{file}" for one in names for file in ("record.json", PAGE))])
    made, skipped = _run(
        names,
        {"seeds": range(seeds), "data": data, "folder": out, "device": device, "devices": devices},
        None if as_json else Console(),
        stderr,
    )
    if as_json:
        plain = [record.to_dict() for record in made]
        put_json(plain if name == "all" else plain[0])
    if csv is not None and made:
        tables = [record.to_csv() for record in made]
        # One line names the columns, whatever the number of experiments.
        write_beside(csv, "".join([tables[0], *(t.partition("\n")[2] for t in tables[1:])]).encode(), OUR_TABLE)
    page = out / (PAGE if name == "all" else f"{name}/{PAGE}")
    if made:
        say(stderr, f"page: {page}")
    for missed, error in skipped.items():
        say(stderr, f"skipped {missed}: {error}", "yellow")
    if skipped:
        raise typer.Exit(SKIPPED)


def _run(
    names: list[str], how: dict[str, Any], stdout: Console | None, stderr: Console
) -> tuple[list[ExperimentRecord], dict[str, ShiftproofError]]:
    """Runs each experiment and writes its page at once. An experiment that fails is skipped, unless it is the only one."""
    from shiftproof.commands.progress import Shown
    from shiftproof.experiments import EXPERIMENTS
    from shiftproof.experiments import reproduce as run
    from shiftproof.records import owned
    from shiftproof.report import print_experiment, write_experiment_page, write_overview

    made: list[ExperimentRecord] = []
    skipped: dict[str, ShiftproofError] = {}
    for i, one in enumerate(names):
        above = (f"experiment {i + 1} of {len(names)}: {one}", i, len(names)) if len(names) > 1 else None
        try:
            with warnings_on(stderr), redirect_stdout(sys.stderr), Shown(stderr, one, above=above) as shown:
                # `say=shown` binds this turn's bar; a closure would see the last one.
                record = run(one, progress=lambda step, say=shown: say(step.stage, step.done, step.total), **how)
        except KeyboardInterrupt:
            raise StoppedError("stopped; run the same command again to continue") from None
        except ShiftproofError as e:
            if len(names) == 1 or isinstance(e, RecordError):  # where one cannot be written, none can
                raise
            skipped[one] = e
            say(stderr, f"{one}: skipped, {e}", "yellow")
            continue
        made.append(record)
        folder = how["folder"]
        # After each: an interrupted run of all leaves an overview of what is there.
        with (
            warnings_on(stderr),
            owned.alone(folder, wait_s=owned.WRITING_S),
            owned.own(folder, [f"{one}/{PAGE}", PAGE]),
        ):
            write_experiment_page(record, folder / one)
            write_overview(folder, list(EXPERIMENTS))
        if stdout is not None:
            print_experiment(record, stdout, short=len(names) > 1)
    return made, skipped


def _list(seeds: int, data: str, as_json: bool) -> None:
    """Prints every experiment by chapter, and how long it takes on this machine. Without torch, which takes seconds to import."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from shiftproof.commands.progress import about
    from shiftproof.experiments.costs import calibrate, expected_s, recorded
    from shiftproof.records.catalogue import catalogue

    found, costs = list(catalogue().values()), recorded()
    step_s = calibrate()
    seconds = [expected_s(e, seeds=seeds, data=data, calibration_s=step_s, costs=costs) for e in found]
    if as_json:
        rows = [{**asdict(e), "seconds": s} for e, s in zip(found, seconds, strict=True)]
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    console, chapter = Console(), ""
    for e, s in zip(found, seconds, strict=True):
        if e.chapter != chapter:
            console.print(Text(e.chapter, "bold underline"))
            chapter = e.chapter
        console.print(Text.assemble((e.name, "bold"), "  ", e.title, "  ", (about(s), "cyan")), soft_wrap=True)
        shown = Text.assemble(e.shows, "\n", (e.source, "dim"))
        console.print(Padding(shown, (0, 0, 1, 4)), width=min(console.width, 110))
    if any(e.trains for e in found):
        shared = "experiments share trained networks, so `all` takes less than the sum"
        words = f"with {seeds} seed{'' if seeds == 1 else 's'} on {data}; {shared}"
        console.print(words, style="dim", highlight=False, markup=False)
