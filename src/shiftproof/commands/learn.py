"""`shiftproof learn`: exhibits to touch, in a browser or as one file."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from shiftproof.commands.output import say

HIGHEST_PORT = 65_535


def learn(
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
    anywhere.
    """
    from rich.console import Console

    stderr = Console(stderr=True)
    if export is not None:
        from shiftproof.learning.export import page
        from shiftproof.records.disk import write_beside

        held = page().encode()
        write_beside(export, held)
        say(stderr, f"file: {export} ({len(held) / 1000:,.0f} kB; it loads nothing, so it opens from anywhere)")
        return

    from shiftproof.learning.serve import server

    with server(port) as serving:
        if port not in (0, serving.server_address[1]):
            say(stderr, f"port {port} is taken by another program: another one is used", "yellow")
        say(Console(), serving.address)
        say(stderr, "the exhibits are at this address until Ctrl-C")
        if browser and not webbrowser.open(serving.address):
            say(stderr, "no browser could be opened: open the address yourself", "yellow")
        serving.serve_forever()
