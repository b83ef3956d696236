"""`shiftproof repair`: a model with a guarantee, as files."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from shiftproof.commands.options import (
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


class Goal(StrEnum):
    """What the mended model must do."""

    circular = "circular"
    zero = "zero"
    crop = "crop"


class Method(StrEnum):
    """How it is done."""

    nothing = "nothing"
    phase = "phase"
    pose = "pose"
    pose_confidence = "pose+confidence"
    circular_phase = "circular+phase"
    circular = "circular"
    polyphase = "polyphase"
    dilation = "dilation"
    readout = "readout"
    average = "average"
    low_pass = "low-pass"
    fine_tuning = "fine-tuning"
    distillation = "distillation"


def repair(
    model: Model,
    goal: Annotated[
        Goal,
        typer.Option(
            help="circular: the picture moves around the circle; zero: an object moves on a uniform background; crop: a camera "
            "moves over the scene, for which nothing is proved, and --data is needed."
        ),
    ] = Goal.circular,
    method: Annotated[
        Method | None,
        typer.Option(help="Try this method only. By default, the method for the goal that changes least."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Your pictures: digits, mnist, mnist:DIR, cifar10:DIR, a folder of pictures, or FILE.npz. The methods of the "
            "goal are then tried on them, and the one is taken that keeps most correct answers. Methods are "
            "fitted to the training pictures of data that has some, else to half of the pictures; the others are measured."
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="With --data: the largest drop of the accuracy on unmoved pictures, as a fraction; without labels, "
            "the largest share of answers that may change.",
        ),
    ] = 0.05,
    limit: Annotated[
        int | None, typer.Option(min=2, help="Use at most this many pictures, spread evenly over the data.")
    ] = None,
    no_labels: NoLabels = False,
    weights: Weights = None,
    pretrained: Pretrained = False,
    input_size: Annotated[
        str | None, typer.Option("--input", help="Size of the model's input: channels,height,width, e.g. 3,224,224.")
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="For the methods that train (fine-tuning, distillation): passes over the pictures."
        ),
    ] = None,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    crop_fraction: CropFraction = None,
    budget: Annotated[
        float | None, typer.Option(help="Largest cost, in forward passes of the original model.", min=1.0)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for mended.pt2, mended.onnx, mended.safetensors, mended.py, repair.json and the page.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Also write the guarantee, the changes and the figures to this file, as CSV."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Mend a model: write a model with a guarantee, its proof and its cost, or for a camera one that was measured to be steadier.

    The check proves the guarantee, and then the mended model is run at many moves. A model whose runs contradict the proof is
    not returned. Only fine-tuning and distillation change weights, and they run only if --method names them.
    """
    size, means, stds = picture_size(input_size), numbers(mean, "--mean"), numbers(std, "--std")

    from rich.console import Console

    from shiftproof.records import OUR_TABLE, owned, refuse_unwritable, write_beside, writing
    from shiftproof.records.repair_parts import WRITTEN

    if out is not None:
        owned.refuse_foreign(out, WRITTEN)  # before minutes are spent on a large model
    if csv is not None:
        refuse_unwritable(csv, OUR_TABLE)

    from shiftproof.commands.progress import Shown
    from shiftproof.data import open_data, open_training
    from shiftproof.models import load_model
    from shiftproof.repairing import repair as mend
    from shiftproof.repairing.export import export
    from shiftproof.report.repair import write_repair_page
    from shiftproof.training import Recipe, remove_finished

    stderr = Console(stderr=True)
    place = nullcontext() if out is None else owned.alone(out)
    with place, warnings_on(stderr), redirect_stdout(sys.stderr):  # what a user's own model prints is not the record
        source = None if data is None else open_data(data, limit=limit)
        training = None if data is None else open_training(data)
        with doing(stderr, f"loading {model}"):
            loaded = load_model(
                model,
                weights=weights,
                pretrained=pretrained,
                input_size=size,
                default_size=None if source is None else source.size,
                mean=means,
                std=stds,
                scale=scale,
                crop_fraction=crop_fraction,
            )
        warn_of_random_weights(loaded, stderr)
        try:
            # A bar of its own while a network is trained.
            with Shown(stderr, "mending", unit="steps") as shown:
                mended = mend(
                    loaded,
                    goal=goal.value,
                    method=None if method is None else method.value,
                    data=source,
                    labels=False if no_labels and source is not None else None,
                    shown=training,
                    budget=budget,
                    max_drop=max_drop,
                    recipe=Recipe() if epochs is None else Recipe(epochs=epochs),
                    state=out,
                    progress=lambda done, total: shown("training", done, total, ""),
                )
        except KeyboardInterrupt:
            again = "" if out is None else "; a training goes on if the same command is run again"
            raise StoppedError(f"stopped{again}") from None
        if out is not None:
            with doing(stderr, f"writing {out}"), owned.own(out, WRITTEN):
                files = export(mended, loaded, out, page=True).files
                write_repair_page(mended.record, out, *mended.audits)
                for name in set(WRITTEN) - set(files):  # of an earlier repair: they would be taken for this one's
                    with writing(out / name):
                        (out / name).unlink(missing_ok=True)
            for other in remove_finished(out):
                say(stderr, f"{other} holds a training that was stopped: remove it if you do not want to go on with it")
    record = mended.record
    if csv is not None:
        write_beside(csv, record.to_csv().encode(), OUR_TABLE)
    if as_json:
        put_json(record.to_dict())
    else:
        Console().print(str(record), markup=False, highlight=False, soft_wrap=True)
    if out is not None:
        say(stderr, f"page: {out / 'index.html'}")
        say(stderr, f"files: {', '.join(str(out / f) for f in record.files)}")
        # A proof says nothing about accuracy: a pose may show the network pictures that it was not trained on.
        file = next((f for f in ("mended.pt2", "mended.onnx") if f in record.files), None)
        if file is not None and data is None:
            words = f"shiftproof audit {shlex.quote(str(out / file))} DATA --boundary {goal.value}"
            say(stderr, f"next: {words}    # what the repair costs in accuracy, on your pictures")
