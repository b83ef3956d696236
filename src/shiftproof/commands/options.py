"""Common parts of several commands: how their options are read, and their exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shiftproof.commands.output import say

if TYPE_CHECKING:
    from rich.console import Console

    from shiftproof.models import LoadedModel

REQUIRE_FAILED, BAD_ITEMS, STOPPED = 1, 3, 130

Model = Annotated[
    str,
    typer.Argument(
        help="The model: timm:NAME, torchvision:NAME, hf-hub:OWNER/NAME, builtin:NAME, FILE.pt2, FILE.onnx or "
        "FILE.py:FACTORY."
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="File of the weights: safetensors, or a state dict that holds tensors only. For timm and torchvision, also the "
        "name of published weights: a tag (a1_in1k) or a member of torchvision's enum (IMAGENET1K_V1)."
    ),
]
Pretrained = Annotated[
    bool,
    typer.Option(
        "--pretrained",
        help="Load the published weights of timm:NAME, timm:NAME.TAG or torchvision:NAME. They are downloaded once.",
    ),
]
Mean = Annotated[str | None, typer.Option(help="Mean per channel, subtracted after --scale, e.g. 0.485,0.456,0.406.")]
Std = Annotated[str | None, typer.Option(help="Standard deviation per channel; divides after the mean is subtracted.")]
Scale = Annotated[float | None, typer.Option(help="The model takes pixels from 0 to SCALE: 1 or 255.")]
CropFraction = Annotated[
    float | None,
    typer.Option(
        min=0.01, max=1, help="Side of the centre crop over the short side of the resized picture, e.g. 0.875."
    ),
]
NoLabels = Annotated[bool, typer.Option("--no-labels", help="Ignore the labels of the data.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the record as JSON on standard output.")]


def warn_of_random_weights(model: LoadedModel, stderr: Console) -> None:
    """Says first of all if the weights are random: nothing that follows holds for the trained model."""
    if not model.random_weights:
        return
    load = (
        "--pretrained loads published weights, --weights FILE your own"
        if model.publishes
        else "give them with --weights"
    )
    say(
        stderr,
        f"{model.word} has random weights, so the result says nothing about the trained model: {load}",
        "yellow",
    )


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """The numbers of `X,Y,Z`."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of numbers such as 0.485,0.456,0.406", param_hint=option
        ) from None


def picture_size(text: str | None) -> tuple[int, int, int] | None:
    """Channels, height and width of `C,H,W`."""
    if text is None:
        return None
    parts = text.split(",")
    # `isdigit` refuses signs and points, which `int` or `float` would take.
    if len(parts) != 3 or not all(p.strip().isdigit() and int(p) > 0 for p in parts):
        raise typer.BadParameter(f"{text!r} is not channels,height,width such as 3,224,224", param_hint="--input")
    c, h, w = (int(p) for p in parts)
    return c, h, w
