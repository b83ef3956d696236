"""The command line: words in, words out. Nothing heavy is imported before it is needed.

Exit status: 0 done; 1 a `--require` not met; 2 bad usage or input; 3 finished, with bad items skipped.
An error of the program itself shows its traceback and ends with 70.
"""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from contextlib import redirect_stdout
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftproof.commands.reproduce import reproduce
from shiftproof.errors import MeasureError, ShiftproofError

if TYPE_CHECKING:
    from shiftproof.records import AuditRecord
    from shiftproof.translations import TranslationSet

REQUIRE_FAILED, BAD_INPUT, BAD_ITEMS, BUG = 1, 2, 3, 70

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Does a vision model give the same answer when the object moves?",
)


class Boundary(StrEnum):
    """What comes in where a picture moves away."""

    circular = "circular"
    zero = "zero"
    reflect = "reflect"
    crop = "crop"


class Moves(StrEnum):
    """Which set of translations."""

    grid = "grid"
    ring = "ring"
    path = "path"
    random = "random"
    torus = "torus"


def _numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of numbers such as 0.485,0.456,0.406", param_hint=option
        ) from None


def _size(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(p.strip().isdigit() and int(p) > 0 for p in parts):
        raise typer.BadParameter(f"{text!r} is not channels,height,width such as 3,224,224", param_hint="--input")
    c, h, w = (int(p) for p in parts)
    return c, h, w


@app.callback()
def _group() -> None:
    """Does a vision model give the same answer when the object moves?"""


@app.command()
def version() -> None:
    """Print the version."""
    from shiftproof import __version__

    typer.echo(__version__)


@app.command(
    epilog="Exit status: 0 done; 1 a --require not met; 2 bad usage or input; 3 finished, with bad items skipped."
)
def audit(
    model: Annotated[
        str, typer.Argument(help="timm:NAME, torchvision:NAME, builtin:NAME, *.pt2, *.onnx or FILE.py:FACTORY")
    ],
    data: Annotated[str, typer.Argument(help="digits, mnist[[:DIR]], cifar10:DIR, a folder of pictures, or *.npz")],
    boundary: Annotated[
        Boundary,
        typer.Option(help="circular: wraps round; zero: constant fill; reflect: mirror; crop: the camera moves"),
    ] = Boundary.circular,
    max_px: Annotated[int, typer.Option(min=0, help="largest move along each axis, pixels (ring: its radius)")] = 8,
    moves: Annotated[Moves, typer.Option(help="which set of moves (torus: every circular one)")] = Moves.grid,
    step_px: Annotated[
        float, typer.Option(min=0.01, help="grid: distance of neighbouring moves; may be a fraction")
    ] = 1.0,
    count: Annotated[int, typer.Option(min=1, help="random: number of moves")] = 64,
    fill: Annotated[float, typer.Option(help="zero: what moves in, in [0, 1]")] = 0.0,
    weights: Annotated[Path | None, typer.Option(help="safetensors, or a state dict (tensors only)")] = None,
    input_size: Annotated[str | None, typer.Option("--input", help="channels,height,width, e.g. 3,224,224")] = None,
    mean: Annotated[str | None, typer.Option(help="per channel, after --scale, e.g. 0.485,0.456,0.406")] = None,
    std: Annotated[str | None, typer.Option(help="per channel, after --scale")] = None,
    scale: Annotated[float | None, typer.Option(help="the model's pixels are 0..SCALE (1 or 255)")] = None,
    crop_fraction: Annotated[
        float | None,
        typer.Option(min=0.01, max=1, help="side of the centre crop over the resized picture's short side, e.g. 0.875"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="use only so many pictures, spread evenly over the data")
    ] = None,
    no_labels: Annotated[bool, typer.Option("--no-labels", help="leave the data's labels out")] = False,
    layers: Annotated[int, typer.Option(min=0, help="pictures for the layer profile; 0 leaves it out")] = 16,
    features: Annotated[
        str | None, typer.Option(help="layer whose output the sensitivity is measured on; the model's own if not given")
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="stop when the intervals' half-width is under this fraction")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of the order of pictures and of random moves")] = 0,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="views a forward; chosen by itself if not given")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")] = "cpu",
    max_bad: Annotated[int, typer.Option(min=0, help="stop when more pictures than this had to be skipped")] = 10,
    require: Annotated[
        list[str] | None, typer.Option(help="e.g. 'consistency>=0.95' or 'flip_rate<=0.02'; may be repeated")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the record as JSON on standard output")] = False,
    out: Annotated[Path, typer.Option(help="run folder: index.html, record.json, views.parquet")] = Path(
        "shiftproof-report"
    ),
) -> None:
    """Measure how much a model's answer changes when the picture moves.

    Killed at any moment, the same command goes on where it was.
    """
    wanted = [_requirement(text) for text in require or []]
    size, means, stds = _size(input_size), _numbers(mean, "--mean"), _numbers(std, "--std")

    from rich.console import Console

    from shiftproof.auditing import audit as run_audit
    from shiftproof.data import open_data
    from shiftproof.models import load_model
    from shiftproof.report import print_record, write_page

    stderr = Console(stderr=True)
    with redirect_stdout(sys.stderr):  # what a user's own model prints is not the record
        with stderr.status(f"loading {model}"):
            loaded = load_model(
                model, weights=None if weights is None else str(weights), input_size=size, mean=means, std=stds,
                scale=scale, crop_fraction=crop_fraction, device=device,
            )  # fmt: skip
        if weights is None and model.startswith(("timm:", "torchvision:")):
            stderr.print(f"{model} has random weights: give its own with --weights", style="yellow", markup=False)
        source = open_data(data, limit=limit)
        translations = _translations(moves, boundary.value, max_px, step_px, count, fill, seed, loaded.input_size)
        try:
            with _Bar(stderr) as bar:
                record = run_audit(
                    loaded, source, False if no_labels else None, translations=translations, precision=precision,
                    seed=seed, layers=layers, features=features, batch_size=batch_size, max_bad=max_bad, out=out,
                    progress=bar,
                )  # fmt: skip
        except KeyboardInterrupt:
            stderr.print("stopped; the same command goes on from here", markup=False)
            raise typer.Exit(130) from None
    page = write_page(record, out)
    failed = [text for text in wanted if not _holds(record, text)]
    if as_json:
        typer.echo(json.dumps(record.to_dict(), indent=1, allow_nan=False))
    else:
        print_record(record, Console())
    stderr.print(f"page: {page}", soft_wrap=True, highlight=False, markup=False)
    for name, sign, bound in failed:
        found = f"required {name}{sign}{bound:g}, but {name} is {record.metrics[name].value:.6g}"
        stderr.print(found, style="bold red", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(REQUIRE_FAILED)
    if record.data.bad:
        raise typer.Exit(BAD_ITEMS)


@app.command(epilog="Exit status: 0 done; 1 a --require not met; 2 bad usage or input.")
def check(
    model: Annotated[str, typer.Argument(help="timm:NAME, torchvision:NAME, builtin:NAME, *.pt2 or FILE.py:FACTORY")],
    weights: Annotated[Path | None, typer.Option(help="safetensors, or a state dict (tensors only)")] = None,
    input_size: Annotated[str | None, typer.Option("--input", help="channels,height,width, e.g. 3,224,224")] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help="WORLD:STEP that must be proved, e.g. circular:1 or window:32,16; may be repeated"),
    ] = None,
    refute: Annotated[
        bool, typer.Option("--refute", help="run the model: a counterexample for each claim not proved, in each world")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the verdict as JSON on standard output")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="every finding on lines of its own")] = False,
) -> None:
    """Prove, from the network alone, what happens to its answer when the picture moves.

    No picture is run. What cannot be proved is listed: where the proof fails, why, and what would mend it.
    """
    wanted = [_required_step(text) for text in require or []]
    size = _size(input_size)

    from rich.console import Console

    from shiftproof.checking import check as run_check
    from shiftproof.checking import refuted
    from shiftproof.checking.words import text
    from shiftproof.models import load_model

    stderr = Console(stderr=True)
    with redirect_stdout(sys.stderr):  # what a user's own model prints is not the verdict
        with stderr.status(f"loading {model}"):
            loaded = load_model(model, weights=None if weights is None else str(weights), input_size=size)
        if weights is None and model.startswith(("timm:", "torchvision:")):
            stderr.print(f"{model} has random weights: give its own with --weights", style="yellow", markup=False)
        with stderr.status(f"checking {model}"):
            verdict = run_check(loaded)
        if refute:
            with stderr.status(f"running {model} to find counterexamples"):
                verdict = refuted(verdict, loaded)
    if as_json:
        typer.echo(json.dumps(verdict.to_dict(), indent=1, allow_nan=False))
    else:
        console = Console()
        words = text(verdict, verbose=verbose, width=min(console.width, 140))
        console.print(words, markup=False, highlight=False, soft_wrap=True)
    failed = [(w, step) for w, step in wanted if not _proves(getattr(verdict, w), step)]
    for world, (y, x) in failed:
        claim = getattr(verdict, world)
        held = " x ".join("-" if s is None else str(s) for s in claim.step)
        found = f"required {world}:{y},{x}, but it is {claim.status.replace('_', ' ')} (step {held})"
        stderr.print(found, style="bold red", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(REQUIRE_FAILED)


app.command(epilog="Exit status: 0 done; 2 bad usage or input; 3 finished, with experiments skipped.")(reproduce)


def _required_step(text: str) -> tuple[str, tuple[int, int]]:
    """`WORLD:STEP` or `WORLD:Y,X` in parts."""
    match = re.fullmatch(r"\s*(circular|window|canvas):([1-9]\d*)(?:,([1-9]\d*))?\s*", text)
    if match is None:
        raise typer.BadParameter(
            f"{text!r} is not WORLD:STEP such as circular:1 (worlds: circular, window, canvas)", param_hint="--require"
        )
    return match[1], (int(match[2]), int(match[3] or match[2]))


def _proves(claim, step: tuple[int, int]) -> bool:
    """Whether every move that is a multiple of the step is among those that a claim proves."""
    return claim.status == "proved" and all(s is not None and n % s == 0 for s, n in zip(claim.step, step, strict=True))


def _translations(
    moves: Moves,
    boundary: str,
    max_px: int,
    step_px: float,
    count: int,
    fill: float,
    seed: int,
    input_size: tuple[int, int, int],
) -> TranslationSet:
    """The set that the options name."""
    from shiftproof import translations as t

    if moves is Moves.torus:
        if boundary != "circular":
            raise typer.BadParameter("every move of a torus is circular", param_hint="--boundary")
        return t.torus(*input_size[1:])
    made = {
        Moves.grid: lambda: t.grid(max_px, boundary, step_px=step_px),  # type: ignore[arg-type]
        Moves.ring: lambda: t.ring(max_px, boundary),  # type: ignore[arg-type]
        Moves.path: lambda: t.path(max_px, boundary),  # type: ignore[arg-type]
        Moves.random: lambda: t.random(count, max_px, boundary, seed=seed),  # type: ignore[arg-type]
    }[moves]()
    return replace(made, fill=fill)


def _requirement(text: str) -> tuple[str, str, float]:
    """`METRIC>=X` or `METRIC<=X` in parts."""
    from shiftproof.records import PERCENT, PLAIN

    match = re.fullmatch(r"\s*(\w+)\s*(>=|<=)\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*", text)
    if match is None:
        raise typer.BadParameter(
            f"{text!r} is not METRIC>=X or METRIC<=X, e.g. consistency>=0.95", param_hint="--require"
        )
    name, sign, bound = match.groups()
    if name not in PERCENT | PLAIN:
        raise typer.BadParameter(
            f"{name!r} is no metric; there are {', '.join(PERCENT | PLAIN)}", param_hint="--require"
        )
    return name, sign, float(bound)


def _holds(record: AuditRecord, wanted: tuple[str, str, float]) -> bool:
    name, sign, bound = wanted
    if name not in record.metrics:
        raise MeasureError(
            f"{name} was required, but this run does not measure it",
            where="--require",
            remedy=f"it measures {', '.join(record.metrics)}",
        )
    value = record.metrics[name].value
    return value >= bound if sign == ">=" else value <= bound


class _Bar:
    """A progress bar with time left, on standard error; called with every `Progress`."""

    def __init__(self, console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        self.rich = Rich(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("pictures"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )
        self.task = self.rich.add_task("audit", total=None, note="")

    def __enter__(self):
        self.rich.start()
        return self

    def __exit__(self, *_) -> None:
        self.rich.stop()

    def __call__(self, p) -> None:
        half = p.half_width
        note = "" if half is None else f"± {half:.2%}" if half < 1 else "± ?"
        self.rich.update(self.task, completed=p.done, total=p.total, note=note)


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
