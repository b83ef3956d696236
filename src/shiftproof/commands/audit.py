"""`shiftproof audit`: measured on pictures."""

from __future__ import annotations

import json
import re
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftproof.commands.options import BAD_ITEMS, REQUIRE_FAILED, STOPPED, numbers, picture_size
from shiftproof.errors import MeasureError

if TYPE_CHECKING:
    from shiftproof.records import AuditRecord
    from shiftproof.translations import TranslationSet


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
    size, means, stds = picture_size(input_size), numbers(mean, "--mean"), numbers(std, "--std")

    from rich.console import Console

    from shiftproof.auditing import audit as run_audit
    from shiftproof.commands.progress import Shown
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
            with Shown(stderr, "audit", unit="pictures") as shown:
                record = run_audit(
                    loaded, source, False if no_labels else None, translations=translations, precision=precision,
                    seed=seed, layers=layers, features=features, batch_size=batch_size, max_bad=max_bad, out=out,
                    progress=lambda p: shown("audit", p.done, p.total, _margin(p.half_width)),
                )  # fmt: skip
        except KeyboardInterrupt:
            stderr.print("stopped; the same command goes on from here", markup=False)
            raise typer.Exit(STOPPED) from None
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


def _margin(half_width: float | None) -> str:
    """How exact it is so far, in words."""
    return "" if half_width is None else f"± {half_width:.2%}" if half_width < 1 else "± ?"
