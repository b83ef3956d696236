"""`shiftproof check`: prove from the network alone how its answer depends on the position of the object."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftproof.commands.options import REQUIRE_FAILED, Pretrained, Weights, picture_size, warn_of_random_weights
from shiftproof.commands.output import doing, put_json, say, warnings_on
from shiftproof.commands.typed import typed

if TYPE_CHECKING:
    from shiftproof.records import Claim, Verdict


class World(StrEnum):
    """A kind of move."""

    circular = "circular"
    window = "window"
    canvas = "canvas"


class Format(StrEnum):
    """How the verdict is printed on standard output."""

    text = "text"
    json = "json"
    github = "github"
    sarif = "sarif"


WRITTEN = ("index.html", "check.json")


@contextmanager
def rare_collections() -> Iterator[None]:
    """Inside, Python looks for garbage a thousand times less often: among all that torch makes, this takes a fifth of a check."""
    before = gc.get_threshold()
    gc.set_threshold(1000 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _explain(code: str | None) -> None:
    """Prints the page about a code and ends the command."""
    if code is None:
        return
    from rich.console import Console
    from rich.markdown import Markdown

    from shiftproof.records import CODES
    from shiftproof.report import page_of

    if code.upper() not in CODES:
        raise typer.BadParameter(f"{code!r} is not a code; the codes are {', '.join(CODES)}", param_hint="--explain")
    console = Console()
    page = page_of(code.upper())
    if console.is_terminal:
        console.print(Markdown(page))
    else:
        typer.echo(page, nl=False)
    raise typer.Exit


@rare_collections()
def check(
    model: Annotated[
        str,
        typer.Argument(
            help="The model: timm:NAME, torchvision:NAME, hf-hub:OWNER/NAME, builtin:NAME, FILE.pt2 or FILE.py:FACTORY."
        ),
    ],
    weights: Weights = None,
    pretrained: Pretrained = False,
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Size of the model's input: channels,height,width, e.g. 3,224,224; channels,width if it takes series.",
        ),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit with status 1 unless this WORLD:STEP is proved, e.g. circular:1 or window:32,16. May be repeated."
        ),
    ] = None,
    world: Annotated[
        World,
        typer.Option(
            help="The world that the headline and the fixes are about. circular: the picture wraps around; window: the camera "
            "moves over a larger scene, or a scene is cut into tiles; canvas: an object moves on a uniform background."
        ),
    ] = World.circular,
    refute: Annotated[
        bool,
        typer.Option(
            "--refute", help="Also run the model, and look for a counterexample to each claim that is not proved."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the verdict as JSON on standard output: short for --format json.")
    ] = False,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="What is printed on standard output. json: the record; github: lines that GitHub shows at the code of a pull "
            "request; sarif: a SARIF 2.1.0 log for code scanning.",
        ),
    ] = Format.text,
    baseline: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="An earlier verdict (--json, or a folder of --out): exit with status 1 if there are findings that it does not "
            "have. With --format github only these are printed.",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Print every finding separately instead of grouping similar ones.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option(
            callback=_explain,
            is_eager=True,
            metavar="CODE",
            help="Say what a code of a finding means, e.g. T1: a network that has it, and the same network mended. Then exit.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Also write the claims, findings and parts of the network to this file, as CSV."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the page and the record: index.html, check.json. Files that shiftproof did not write are kept."
        ),
    ] = None,
) -> None:
    """Prove from the network alone what happens to its answer when the picture moves.

    You need no pictures: the model runs on a few random ones, to see that it does what torch exported. Where a proof fails,
    the check lists the place in the network, the reason, and a change that would fix it.
    """
    wanted = [_required_step(text) for text in require or []]
    if as_json and form not in (Format.text, Format.json):
        raise typer.BadParameter(f"--json and --format {form.value} exclude each other", param_hint="--format")
    form = Format.json if as_json else form
    series = re.fullmatch(r"\s*([1-9]\d*)\s*,\s*([1-9]\d*)\s*", input_size or "")
    size = (int(series[1]), 1, int(series[2])) if series else picture_size(input_size)

    from rich.console import Console

    from shiftproof.records import OUR_TABLE, load_verdict, new_findings, owned, refuse_unwritable, write_beside

    earlier = None if baseline is None else load_verdict(baseline)
    if csv is not None:
        refuse_unwritable(csv, OUR_TABLE)
    if out is not None:
        owned.refuse_foreign(out, WRITTEN)  # before minutes are spent on a large model

    from shiftproof.models import load_model
    from shiftproof.records.verdict_printing import text
    from shiftproof.report import github, print_next_steps, sarif

    stderr = Console(stderr=True)
    place = nullcontext() if out is None else owned.alone(out)
    with place, warnings_on(stderr), redirect_stdout(sys.stderr):  # what a user's own model prints is not the verdict
        with doing(stderr, f"loading {model}"):
            loaded = load_model(model, weights=weights, pretrained=pretrained, input_size=size)
        warn_of_random_weights(loaded, stderr)
        # Only now: what a check needs takes longer to import than to find that there is no such model.
        from shiftproof.checking import check as run_check
        from shiftproof.checking import refuted

        with doing(stderr, f"checking {model}"):
            of = (size[0], size[2]) if series and size else None
            verdict = replace(run_check(loaded, of, world=world.value), command=typed())
        if refute:
            with doing(stderr, f"running {model} to find counterexamples"):
                verdict = refuted(verdict, loaded)
        page = None if out is None else _written(verdict, out)
    if csv is not None:
        write_beside(csv, verdict.to_csv().encode(), OUR_TABLE)
    new = None if earlier is None else new_findings(verdict, earlier)
    if form == Format.json:
        put_json(verdict.to_dict())
    elif form == Format.sarif:
        put_json(sarif(verdict, new))
    elif form == Format.github:
        typer.echo(github(verdict, new), nl=bool(verdict.findings if new is None else new))
    else:
        console = Console()
        # On a very wide terminal the eye would lose the line.
        words = text(verdict, verbose=verbose, width=min(console.width, 140))
        console.print(words, markup=False, highlight=False, soft_wrap=True)
        print_next_steps(verdict, console)
    if page is not None:
        say(stderr, f"page: {page}")
    failed = [(w, step) for w, step in wanted if not _proves(getattr(verdict, w), step)]
    for required, (y, x) in failed:
        claim = getattr(verdict, required)
        held = " x ".join("-" if s is None else str(s) for s in claim.step)
        found = f"required {required}:{y},{x}, but it is {claim.status.replace('_', ' ')} (step {held})"
        say(stderr, found, "bold red")
    for finding in new or ():
        where = finding.module or finding.operator
        say(stderr, f"new since {baseline}: {finding.code} {finding.name}, {where}: {finding.detail}", "bold red")
    if failed or new:
        raise typer.Exit(REQUIRE_FAILED)


def _written(verdict: Verdict, out: Path) -> Path:
    """Writes the page and the record of a verdict into a folder, and returns the path of the page."""
    from shiftproof.records import owned, save_verdict
    from shiftproof.report import write_verdict_page

    with owned.own(out, WRITTEN):
        save_verdict(verdict, out)
        return write_verdict_page(verdict, out)


def _required_step(text: str) -> tuple[str, tuple[int, int]]:
    """The world and the step of `WORLD:STEP` or `WORLD:Y,X`."""
    match = re.fullmatch(r"\s*(circular|window|canvas):([1-9]\d*)(?:,([1-9]\d*))?\s*", text)
    if match is None:
        raise typer.BadParameter(
            f"{text!r} is not WORLD:STEP such as circular:1 (worlds: circular, window, canvas)", param_hint="--require"
        )
    return match[1], (int(match[2]), int(match[3] or match[2]))


def _proves(claim: Claim, step: tuple[int, int]) -> bool:
    """Whether every move that is a multiple of the step is among those that a claim proves."""
    return claim.status == "proved" and all(s is not None and n % s == 0 for s, n in zip(claim.step, step, strict=True))
