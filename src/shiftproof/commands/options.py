"""Common parts of several commands: how their options are read, and their exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shiftproof.commands.output import say

if TYPE_CHECKING:
    from rich.console import Console

    from shiftproof.models import LoadedModel

REQUIRE_FAILED, BAD_ITEMS, STOPPED = 1, 3, 130

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
