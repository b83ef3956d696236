"""What every summary in a terminal has in common: its styles, its characters, and what to do next."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.style import Style
from rich.text import Text

from shiftproof.printable import printable
from shiftproof.report.next_steps import Next

PLAIN_SIGNS = str.maketrans("→–…×÷−±✓✗", ">-~x/-~+!")
HEAD, SOFT, WARN = Style(bold=True), Style(dim=True), Style(color="yellow")


def print_following(steps: Sequence[Next], console: Console) -> None:
    """Print what to do next. A command stands on a line of its own, however long, so that it can be copied."""
    lines = [Text(), Text("What to do next", HEAD)] if steps else []
    for number, step in enumerate(steps, 1):
        told = textwrap.wrap(printable(f"{number}. {step.text}"), min(console.width, 110))
        lines += [Text(line, SOFT) for line in told]
        if step.command:
            lines.append(Text(f"   $ {printable(step.command)}"))
    for line in lines:
        if not has_unicode(console):
            line.plain = line.plain.translate(PLAIN_SIGNS).encode(console.encoding, "replace").decode(console.encoding)
        console.print(line, soft_wrap=True, highlight=False)


def show(parts: Sequence[RenderableType], console: Console) -> None:
    """Print the parts, with an empty line before each, in characters that the terminal's encoding has."""
    shown = Group(*(line for part in parts for line in (Text(), part)))
    if has_unicode(console):
        console.print(shown, highlight=False)
        return
    # Printed directly, a sign that the encoding lacks would be an error; here it gets its nearest ASCII first.
    with console.capture() as capture:
        console.print(shown, highlight=False)
    plain = capture.get().translate(PLAIN_SIGNS).encode(console.encoding, "replace").decode(console.encoding)
    console.file.write(plain)


def has_colours(console: Console) -> bool:
    """Whether the terminal shows colours and the user wants them."""
    return console.color_system is not None and not console.no_color


def has_unicode(console: Console) -> bool:
    """Whether the terminal can show arrows and blocks; otherwise their nearest ASCII is printed."""
    return console.encoding.lower().startswith("utf") and not console.legacy_windows
