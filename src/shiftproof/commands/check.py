"""`shiftproof check`: proved from the network alone."""

from __future__ import annotations

import json
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from shiftproof.commands.options import REQUIRE_FAILED, picture_size


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
    size = picture_size(input_size)

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
