"""`shiftproof learn`: exhibits to touch, in a browser or as one file."""

from __future__ import annotations

import sys
import webbrowser
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shiftproof.commands.ending import end_at_once
from shiftproof.commands.options import (
    STOPPED,
    CropFraction,
    Mean,
    Pretrained,
    Scale,
    Std,
    Weights,
    numbers,
    warn_of_random_weights,
)
from shiftproof.commands.output import doing, say

if TYPE_CHECKING:
    from rich.console import Console

    from shiftproof.learning.own import Own

HIGHEST_PORT = 65_535


def learn(
    pictures: Annotated[
        str | None,
        typer.Argument(
            help="Your pictures, for --model: a folder, FILE.npz, digits, mnist:DIR or cifar10:DIR, as audit takes them."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Your own network, for the last exhibit: timm:NAME, torchvision:NAME, hf-hub:OWNER/NAME, FILE.pt2, FILE.onnx or "
            "FILE.py:FACTORY. Without it, builtin:digits-cnn is there."
        ),
    ] = None,
    weights: Weights = None,
    pretrained: Pretrained = False,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    crop_fraction: CropFraction = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Write all exhibits as one HTML file, which loads nothing and needs no server, and end."),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port of the server on this machine; 0 for any that is free.", min=0, max=HIGHEST_PORT)
    ] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in your browser.")] = True,
) -> None:
    """Exhibits to touch: what moves with the object, what does not, and why. English and Korean.

    The page runs small trained networks in the browser. It is served to this machine only, until Ctrl-C, and nothing is sent
    anywhere. The last exhibit takes your own network and pictures (--model timm:resnet18 --pretrained photos/).
    """
    if (model is None) != (pictures is None):
        raise typer.BadParameter("a network and pictures go together: shiftproof learn --model MODEL PICTURES")
    typed = {"--weights": weights, "--mean": mean, "--std": std, "--scale": scale, "--crop-fraction": crop_fraction}
    given = [word for name, value in typed.items() if value is not None for word in (name, str(value))]
    given += ["--pretrained"] if pretrained else []
    if model is None and given:
        raise typer.BadParameter("it is about no network: name one with --model", param_hint=given[0])
    how = {
        "weights": weights,
        "pretrained": pretrained,
        "mean": numbers(mean, "--mean"),
        "std": numbers(std, "--std"),
        "scale": scale,
        "crop_fraction": crop_fraction,
    }

    from rich.console import Console

    stderr = Console(stderr=True)
    if export is not None:
        from shiftproof.learning.pages import OUR_PAGE
        from shiftproof.records import refuse_unwritable

        refuse_unwritable(export, OUR_PAGE)
    own = None if model is None or pictures is None else _own(model, pictures, how, stderr)
    if export is not None:
        from shiftproof.learning.export import page
        from shiftproof.learning.pages import OUR_PAGE
        from shiftproof.records.disk import write_beside

        with doing(stderr, "asking the network at every move"):
            held = page(own).encode()
        write_beside(export, held, OUR_PAGE)
        say(stderr, f"file: {export} ({len(held) / 1000:,.0f} kB; it loads nothing, so it opens from anywhere)")
        return

    from shiftproof.learning.room import Room
    from shiftproof.learning.serve import server

    room = None if own is None else Room(lambda: own, tuple(given))
    with server(port, room) as serving:
        if port not in (0, serving.server_address[1]):
            say(stderr, f"port {port} is taken by another program: another one is used", "yellow")
        say(Console(), serving.address)
        say(stderr, "the exhibits are at this address until Ctrl-C")
        if browser and not webbrowser.open(serving.address):
            say(stderr, "no browser could be opened: open the address yourself", "yellow")
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            serving.room.leave()
            say(stderr, "stopped")
            end_at_once(STOPPED)


def _own(model: str, pictures: str, how: dict[str, Any], stderr: Console) -> Own:
    """The network and the pictures, opened before the page is, so that what is wrong with them is said in the terminal."""
    from shiftproof.learning.own import opened

    with (
        redirect_stdout(sys.stderr),
        doing(stderr, f"loading {model}"),
    ):  # what a user's own model prints is not the address
        own = opened(model, pictures, **how)
    warn_of_random_weights(own.model, stderr)
    return own
