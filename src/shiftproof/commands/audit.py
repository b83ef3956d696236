"""`shiftproof audit`: measure a model on pictures."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shiftproof.boundaries import Boundary
from shiftproof.commands.moves import Moves, named, torus
from shiftproof.commands.options import (
    BAD_ITEMS,
    REQUIRE_FAILED,
    AsJson,
    CropFraction,
    Mean,
    Model,
    NoLabels,
    Pretrained,
    Scale,
    Std,
    Weights,
    numbers,
    picture_size,
    warn_of_random_weights,
)
from shiftproof.commands.output import StoppedError, doing, put_json, say, warnings_on
from shiftproof.commands.requirements import failure, requirement
from shiftproof.commands.run_folder import own_folder, point_to_latest, unfinished
from shiftproof.commands.typed import typed

if TYPE_CHECKING:
    from shiftproof.auditing.record import Progress


MOST_PX = 4096  # no picture that a model sees is larger, and a scene that is twice as wide still fits into memory
MANY_VIEWS = 1_000_000  # of more, a run says what it will cost before it starts


class Interpolation(StrEnum):
    """How pictures are resized."""

    bicubic = "bicubic"
    bilinear = "bilinear"
    nearest = "nearest"
    lanczos = "lanczos"
    box = "box"
    hamming = "hamming"


class Answer(StrEnum):
    """What the model's output is."""

    scores = "scores"
    probabilities = "probabilities"
    logit = "logit"
    embedding = "embedding"
    mask = "mask"
    values = "values"


def audit(
    model: Model,
    data: Annotated[
        str,
        typer.Argument(help="The pictures: digits, mnist, mnist:DIR, cifar10:DIR, a folder of pictures, or FILE.npz."),
    ],
    boundary: Annotated[
        Boundary | None,
        typer.Option(
            help="What moves into the picture. circular: what left on the other side; zero: a constant (--fill); "
            "reflect: the mirrored picture; crop: more of the scene, because the camera moves over a larger picture. The "
            "default is crop where the pictures are larger than the model's input, else circular; the result says which."
        ),
    ] = None,
    max_px: Annotated[
        int,
        typer.Option(min=0, max=MOST_PX, help="Largest move along each axis, in pixels. For --moves ring, the radius."),
    ] = 8,
    moves: Annotated[Moves, typer.Option(help="The set of moves. torus: every circular move.")] = Moves.grid,
    step_px: Annotated[
        float,
        typer.Option(
            min=0.01,
            help="For --moves grid, the distance between neighbouring moves, in pixels. Fractions are allowed.",
        ),
    ] = 1.0,
    count: Annotated[int, typer.Option(min=1, help="For --moves random, the number of moves.")] = 64,
    fill: Annotated[float, typer.Option(help="For --boundary zero, the value that moves in, from 0 to 1.")] = 0.0,
    weights: Weights = None,
    pretrained: Pretrained = False,
    input_size: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Size of the model's input: channels,height,width, e.g. 3,224,224. The size of the pictures if neither the "
            "model nor this says it, and all have the same.",
        ),
    ] = None,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    crop_fraction: CropFraction = None,
    interpolation: Annotated[
        Interpolation | None, typer.Option(help="How pictures are resized to the size of the input.")
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(help="File with the names of the model's classes: one per line, or a list in JSON or YAML."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use at most this many pictures, spread evenly over the data.")
    ] = None,
    no_labels: NoLabels = False,
    layers: Annotated[
        int, typer.Option(min=0, help="Number of pictures for the layer profile. 0 leaves the profile out.")
    ] = 16,
    features: Annotated[
        str | None,
        typer.Option(help="Measure the sensitivity on the output of this layer instead of the model's output."),
    ] = None,
    answer: Annotated[
        Answer | None,
        typer.Option(
            help="What the model's output is. Recognised if it is unambiguous. scores: one per class; probabilities: "
            "softmax or sigmoid is in the model; logit: one number, class 1 above 0; embedding; mask: class scores per "
            "cell; values: no classes."
        ),
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="Stop as soon as half the width of every interval is below this fraction.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed for the order of the pictures and for random moves.")] = 0,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Views per forward pass. Chosen automatically if not given.")
    ] = None,
    device: Annotated[str, typer.Option(help="Device that runs the model: cpu, cuda, cuda:1, mps, ...")] = "cpu",
    devices: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of processes of this machine that share the work: each has the next accelerator, or its part of the "
            "processor's threads.",
        ),
    ] = 1,
    nodes: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of times that this command is started, on one machine or on several that share the folder --out. The "
            "first leads, the others run what nobody is at; each may be killed or started again at any moment.",
        ),
    ] = 1,
    max_bad: Annotated[int, typer.Option(min=0, help="Stop when more than this many pictures cannot be read.")] = 10,
    require: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit with status 1 unless this holds for the whole interval: 'flip_rate<=0.02' holds if the upper end of "
            "the interval is at most 0.02, 'consistency>=0.95' if the lower end is at least 0.95. May be repeated."
        ),
    ] = None,
    require_estimate: Annotated[
        list[str] | None,
        typer.Option(help="The same for the estimate alone, whatever its interval. May be repeated."),
    ] = None,
    as_json: AsJson = False,
    csv: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Also write every metric and map to this file, as comma-separated values."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the results: index.html, record.json, views.parquet. The default is a folder of this run's own, "
            "shiftproof-runs/MODEL-DATA-KEY, with a link 'latest' beside it. Files that shiftproof did not write are kept."
        ),
    ] = None,
) -> None:
    """Measure how much a model's answer changes when the picture moves.

    If the run is interrupted, run the same command again: it continues where it stopped.
    """
    # Checked before anything is imported or loaded: a typing error is said at once.
    wanted = [requirement(text, "--require") for text in require or []]
    wanted += [requirement(text, "--require-estimate") for text in require_estimate or []]
    size, means, stds = picture_size(input_size), numbers(mean, "--mean"), numbers(std, "--std")

    from rich.console import Console

    from shiftproof.auditing import AuditOptions
    from shiftproof.auditing import audit as run_audit
    from shiftproof.auditing.default_moves import fitted
    from shiftproof.auditing.shared import own_device
    from shiftproof.commands.progress import Shown
    from shiftproof.data import open_data
    from shiftproof.models import load_model, read_class_names
    from shiftproof.records import OUR_TABLE, refuse_unwritable, write_beside
    from shiftproof.report import print_record, write_page

    stderr = Console(stderr=True)
    asked = AuditOptions(  # first of all, so that a bad option is said before minutes are spent on a model
        precision=precision,
        seed=seed,
        layers=layers,
        features=features,
        batch_size=batch_size,
        max_bad=max_bad,
        answer=None if answer is None else answer.value,
    )
    if moves is Moves.torus and boundary not in (None, "circular"):
        raise typer.BadParameter(
            "torus is the set of all circular moves; use --boundary circular", param_hint="--boundary"
        )
    if csv is not None:
        refuse_unwritable(csv, OUR_TABLE)
    moved = None if moves is Moves.torus else named(moves, boundary or "circular", max_px, step_px, count, fill, seed)
    with redirect_stdout(sys.stderr):  # what a user's own model prints is not the record
        source = open_data(data, limit=limit)
        with doing(stderr, f"loading {model}"):
            loaded = load_model(
                model,
                weights=weights,
                pretrained=pretrained,
                input_size=size,
                default_size=source.size,
                mean=means,
                std=stds,
                scale=scale,
                crop_fraction=crop_fraction,
                interpolation=None if interpolation is None else interpolation.value,
                labels=None if classes is None else read_class_names(classes),
                device=own_device(device, os.environ) if nodes > 1 else device,
            )
        warn_of_random_weights(loaded, stderr)
        translations = moved or torus(loaded.input_size)
        asked_moves = translations if boundary or moved is None else fitted(translations, source, loaded)
        places: list[Path] = []
        pages: list[Path] = []
        estimated: list[Progress] = []

        def place(key: str) -> Path:
            places.append(out or own_folder(model, data, key))
            return places[0]

        def show(p: Progress) -> None:
            if p.views == 0 and p.total_views > MANY_VIEWS and not estimated:
                estimated.append(p)
                say(stderr, _before(p, len(translations), device))
                return
            words = [f"{p.done:,}/{p.total:,} pictures", _margin(p.half_width)]
            if estimated and p.done == 0 and layers and loaded.traceable:
                words.append("slower at first, for the layer profile")
            shown("audit", min(p.views, p.total_views), p.total_views, ", ".join(filter(None, words)))

        try:
            with warnings_on(stderr), Shown(stderr, "audit", unit="views", soon_s=1.0) as shown:
                shown("preparing", 0, len(source) * len(translations))
                record = run_audit(
                    loaded,
                    source,
                    False if no_labels else None,
                    translations=asked_moves,
                    required=[w.metric for w in wanted],
                    options=asked,
                    out=place,
                    progress=show,
                    # Before the unfinished work is removed: a run that is killed while
                    # it draws the page need not measure again.
                    finish=lambda record: pages.append(write_page(record, places[0])),
                    command=typed(),
                    devices=devices,
                    nodes=nodes,
                )
        except KeyboardInterrupt:
            raise StoppedError("stopped; run the same command again to continue") from None
    folder = places[0]
    if csv is not None:
        write_beside(csv, record.to_csv().encode(), OUR_TABLE)
    if as_json:
        put_json(record.to_dict())
    elif pages:
        print_record(record, Console())
    if pages:
        if out is None:
            point_to_latest(folder)
        say(stderr, f"page: {folder / 'index.html'}")
        # Its own work is gone by now, so what is left belongs to other audits.
        if left := unfinished(folder, beside=out is None):
            say(stderr, left, "yellow")
    else:
        say(stderr, f"done, with other processes; the one that led wrote {folder / 'index.html'}")
    # Judged after everything is written: a requirement that is not met loses no results. Before bad pictures: a script that
    # asked for a bound must learn first that it is not met.
    failed = [said for w in wanted if (said := failure(record, w)) is not None]
    if wanted:  # a bound on figures that depend on more than the picture holds by luck
        failed += [f"required figures cannot be trusted: {note.text}" for note in record.notes if note.fails]
    for said in failed:
        say(stderr, said, "bold red")
    if failed:
        raise typer.Exit(REQUIRE_FAILED)
    if record.data.bad:
        raise typer.Exit(BAD_ITEMS)


def _before(p: Progress, moves: int, device: str) -> str:
    """What a long run will cost, in words, before it starts."""
    from shiftproof.commands.progress import about

    return (
        f"{p.total:,} pictures × {moves:,} moves: {p.total_views:,} views. The model alone needs {about(p.expected_s)} for "
        f"them on {device}. Fewer pictures (--limit), fewer moves (--moves random --count) or --precision make it shorter."
    )


def _margin(half_width: float | None) -> str:
    """The precision of the figures so far, in words."""
    from shiftproof.records.numbers import percent

    return "" if half_width is None else f"± {percent(half_width)}" if half_width < 1 else "± ?"
