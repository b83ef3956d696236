"""`shiftproof repair`: a model with a guarantee, as files."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from shiftproof.commands.options import Pretrained, Weights, picture_size, warn_of_random_weights
from shiftproof.commands.output import doing, put_json, say, warnings_on


class Goal(StrEnum):  # typer takes its values as choices; a camera's goal, crop, has no method yet
    """What the mended model must do."""

    circular = "circular"
    zero = "zero"


class Method(StrEnum):
    """How it is done."""

    nothing = "nothing"
    phase = "phase"
    pose = "pose"
    circular_phase = "circular+phase"
    circular = "circular"
    polyphase = "polyphase"
    dilation = "dilation"
    readout = "readout"


def repair(
    model: Annotated[
        str,
        typer.Argument(
            help="The model: timm:NAME, torchvision:NAME, hf-hub:OWNER/NAME, builtin:NAME, FILE.pt2, FILE.onnx or "
            "FILE.py:FACTORY."
        ),
    ],
    goal: Annotated[
        Goal,
        typer.Option(
            help="circular: the picture moves around the circle; zero: an object moves on a uniform background."
        ),
    ] = Goal.circular,
    method: Annotated[
        Method | None,
        typer.Option(help="The method, to try no other; by default the one for the goal that changes least."),
    ] = None,
    weights: Weights = None,
    pretrained: Pretrained = False,
    input_size: Annotated[
        str | None, typer.Option("--input", help="Size of the model's input: channels,height,width, e.g. 3,224,224.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Largest cost, in forward passes of the original model.", min=1.0)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for mended.pt2, mended.onnx, mended.safetensors, mended.py and repair.json."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record as JSON on standard output.")] = False,
) -> None:
    """Mend a model: write a model with the same weights, a guarantee, its proof and its cost.

    The check proves the guarantee, and then the mended model is run at many moves. A model whose runs contradict the proof is
    not returned.
    """
    size = picture_size(input_size)

    from rich.console import Console

    from shiftproof.records import owned
    from shiftproof.records.repair_parts import WRITTEN

    if out is not None:
        owned.refuse_foreign(out, WRITTEN)  # before minutes are spent on a large model

    from shiftproof.models import load_model
    from shiftproof.repairing import repair as mend
    from shiftproof.repairing.export import export

    stderr = Console(stderr=True)
    place = nullcontext() if out is None else owned.alone(out)
    with place, warnings_on(stderr), redirect_stdout(sys.stderr):  # what a user's own model prints is not the record
        with doing(stderr, f"loading {model}"):
            loaded = load_model(model, weights=weights, pretrained=pretrained, input_size=size)
        warn_of_random_weights(loaded, stderr)
        with doing(stderr, f"mending {model}"):
            mended = mend(loaded, goal=goal.value, method=None if method is None else method.value, budget=budget)
        if out is not None:
            with doing(stderr, f"writing {out}"):
                export(mended, loaded, out)
    record = mended.record
    if as_json:
        put_json(record.to_dict())
    else:
        Console().print(str(record), markup=False, highlight=False, soft_wrap=True)
    if out is not None:
        say(stderr, f"files: {', '.join(str(out / f) for f in record.files)}")
        # A proof says nothing about accuracy: a pose may show the network pictures that it was not trained on.
        file = next((f for f in ("mended.pt2", "mended.onnx") if f in record.files), None)
        if file is not None:
            words = f"shiftproof audit {shlex.quote(str(out / file))} DATA --boundary {goal.value}"
            say(stderr, f"next: {words}    # what the repair costs in accuracy, on your pictures")
