"""A page for every code of a finding: why, a network that has it, the same network mended, and a picture of both.

    python docs/finding_pages.py     # runs every network and its check again, and writes docs/findings/

A test runs everything again and compares.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import torch
from torch import Tensor, nn

from shiftproof.report.check.glossary import CODES
from shiftproof.report.definition import Definition

SOURCES = Path(__file__).resolve().parents[1] / "src"
FOLDER = Path(__file__).with_name("findings")
SIDE = 12  # pixels of the pictures
WIDTH = 100
MARGIN = 2  # cells at each end of a window that padding may reach
CELL = 9  # pixels of the drawing per cell
INK, PAPER, LINE = "#1c1917", "#fafaf9", "#d6d3d1"
HEAD = """\
import torch
from torch import nn
from torch.nn import functional as F

import shiftproof as sp

torch.manual_seed(0)
"""


@dataclass(frozen=True)
class Example:
    """A network with a finding, and the same network without it.

    Args:
        name: of the finding.
        before: the body of `build()`, which returns the network.
        after: the same, mended.
        told: what the change does, and what it costs.
        moves: whether the answer is a map, which should move along.
        window: whether the picture shows two windows on one scene, and not a move around the circle.
        px: by how many pixels the content moves.
        down: whether it moves down, and not to the right.
    """

    name: str
    before: str
    after: str
    told: str
    moves: bool = False
    window: bool = False
    px: int = 1
    down: bool = False


EXAMPLES = {
    "T0": Example(
        "unknown operator",
        """
        class Net(nn.Module):
            def forward(self, x):
                return torch.linalg.svdvals(x).flatten(1)

        return Net()
        """,
        """
        class Net(nn.Module):
            def forward(self, x):
                return torch.linalg.vector_norm(x, dim=(2, 3))

        return Net()
        """,
        "Use an operator that the check knows, or write a rule for this one. Until then nothing is claimed, "
        "neither that the answer stays nor that it changes: the singular values of this picture do stay when it "
        "moves around the circle, and no rule says so.",
    ),
    "T1": Example(
        "subsampling",
        """
        conv = nn.Conv2d(1, 6, 3, stride=2, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.ReLU(), sp.layers.GlobalPool2d())
        """,
        """
        conv = nn.Conv2d(1, 6, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, sp.layers.PolyphasePool2d(2), nn.ReLU(), sp.layers.GlobalPool2d())
        """,
        "The content chooses which of the four grids of cells is kept, and the choice moves with the content. It costs the "
        "convolution at every cell. `shiftproof repair --method polyphase` makes this change with the weights as they are; "
        "`--method phase` moves the picture once by less than the step, and leaves the network alone.",
    ),
    "T2": Example(
        "padding",
        """
        return nn.Conv2d(1, 1, 3, padding=1)
        """,
        """
        return nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
        """,
        "What leaves on one side comes in again on the other. `shiftproof repair --method circular` changes every "
        "padding of a network. For a camera, padding is not a finding: the cells that it reaches are a margin.",
        moves=True,
    ),
    "T3": Example(
        "ragged",
        """
        conv = nn.Conv2d(1, 6, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.MaxPool2d(5), sp.layers.GlobalPool2d())
        """,
        """
        conv = nn.Conv2d(1, 6, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.MaxPool2d(4), sp.layers.GlobalPool2d())
        """,
        "Windows of 5 cells leave 2 of 12 cells out, and which those are depends on where the content is. With "
        "windows that divide the map every cell is in one. An input of 10 or 15 px would do the same. What is "
        "left is a `T1`: the step is the stride.",
        px=4,
    ),
    "T4": Example(
        "position constant",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
                self.position = nn.Parameter(torch.randn(1, 1, 12, 12))

            def forward(self, x):
                return self.conv(x) + self.position

        return Net()
        """,
        """
        return nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
        """,
        "A network that has to know where something is needs it. One that has to say what it is does not: leave "
        "the values out, or make them the same at every position. `shiftproof repair --method readout` averages "
        "them.",
        moves=True,
    ),
    "T5": Example(
        "position readout",
        """
        conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(2 * 12 * 12, 6))
        """,
        """
        conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.ReLU(), sp.layers.GlobalPool2d(), nn.Linear(2, 6))
        """,
        "A pool over all positions stands before the readout, which then has one weight per channel. It has to be "
        "trained again. `shiftproof repair --method readout` keeps the weights, and averages what the readout "
        "says of every move.",
    ),
    "T6": Example(
        "unshared weights",
        """
        return sp.layers.UnsharedConv2d(1, 1, 3, padding=1, padding_mode="circular", input_size=(12, 12))
        """,
        """
        return nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
        """,
        "One kernel for all positions. The layer has 1/144 of the weights, and what it learns at one place it knows at all.",
        moves=True,
    ),
    "T7": Example(
        "order",
        """
        class Net(nn.Module):
            def forward(self, x):
                return x.cumsum(3)

        return Net()
        """,
        """
        class Net(nn.Module):
            def forward(self, x):
                return x / x.sum(3, keepdim=True)

        return Net()
        """,
        "A sum up to each cell depends on where counting starts. A sum over all cells does not; nor do means, "
        "maxima, sorting, and attention without position embeddings.",
        moves=True,
    ),
    "T8": Example(
        "indexing",
        """
        class Net(nn.Module):
            def forward(self, x):
                return x[:, :, 6]

        return Net()
        """,
        """
        class Net(nn.Module):
            def forward(self, x):
                return x.mean(2)

        return Net()
        """,
        "The row in the middle shows what happens to be there. The mean over all rows does not ask where.",
        down=True,
    ),
    "T9": Example(
        "resampling",
        """
        class Net(nn.Module):
            def forward(self, x):
                x = F.interpolate(x, size=(8, 8), mode="bilinear")
                return x.amax((2, 3))

        return Net()
        """,
        """
        class Net(nn.Module):
            def forward(self, x):
                x = F.interpolate(x, size=(6, 6), mode="area")
                return x.amax((2, 3))

        return Net()
        """,
        "From 12 cells to 8, each new cell is another mixture of old ones: no move by a pixel or two is a move by whole new "
        "cells. The mean of whole windows of 2 x 2 is the same mixture everywhere; what is left is a `T1`, because a move by "
        "one pixel still changes what is in which window.",
        px=2,
    ),
    "T10": Example(
        "global context",
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")

            def forward(self, x):
                y = self.conv(x)
                return y - y.mean((2, 3), keepdim=True)

        return Net()
        """,
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")

            def forward(self, x):
                y = self.conv(x)
                return y - F.avg_pool2d(y, 3, 1, 1)

        return Net()
        """,
        "As the camera moves, the mean of all that it sees changes, and with it every cell. The mean of a "
        "neighbourhood of fixed size does not know what happens elsewhere. Statistics that are stored in "
        "training, as batch normalisation has them, do the same.",
        moves=True,
        window=True,
        px=3,
    ),
}


def built(body: str) -> nn.Module:
    """The network that the body of a `build()` returns."""
    shared: dict[str, Any] = {}
    exec(compile(file_of(body), "net.py", "exec"), shared)
    return shared["build"]().eval()


def file_of(body: str) -> str:
    """The file NET.py of an example."""
    return f"{HEAD}\n\ndef build():\n{indent(dedent(body).strip(), '    ')}\n"


def checked(example: Example) -> tuple[str, str]:
    """What `shiftproof check` prints about the network before and after the change."""
    from typer.testing import CliRunner

    from shiftproof.cli import app
    from shiftproof.commands.typed import typing

    found, before = [], Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for name, body in (("before", example.before), ("after", example.after)):
                Path(f"{name}.py").write_text(file_of(body))
                words = ["check", f"{name}.py:build", "--input", f"1,{SIDE},{SIDE}"]
                with typing(words):
                    done = CliRunner().invoke(app, words, env={"COLUMNS": str(WIDTH), "TERM": "dumb"})
                if done.exit_code:
                    raise SystemExit(f"{words}: exit status {done.exit_code}\n{done.output}{done.exception!r}")
                said = done.stdout.split("\nWhat to do next")[0].strip("\n").replace(f"{SOURCES}/", "")
                said = re.sub(r" +export .*", "", said)  # how long it took
                found.append(f"$ shiftproof {' '.join(words)}\n" + "\n".join(s.rstrip() for s in said.splitlines()))
        finally:
            os.chdir(before)
    return found[0], found[1]


def shown(body: str, example: Example) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(picture, moved picture, what the answer to it should be, what it is), (rows, columns) each."""
    network, px = built(body), example.px
    scene = torch.rand(1, 1, SIDE, SIDE + px, generator=torch.Generator().manual_seed(3)) * 0.2
    scene[..., 4:8, 3:6] += torch.tensor([[0.8, 0.5, 0.2], [0.2, 0.8, 0.4], [0.6, 0.3, 0.8], [0.8, 0.8, 0.1]])
    still = scene[..., :SIDE]
    along = 2 if example.down else 3
    if example.window:
        scene[..., 3:9, SIDE:] = 0.9  # something bright that comes into the window
    moved = scene[..., px:] if example.window else still.roll(px, along)
    with torch.no_grad():
        first, then = network(still)[0], network(moved)[0]
    first, then = (t[0] if t.ndim == 3 else t if t.ndim == 2 else t[None] for t in (first, then))
    if example.window:  # the cells that both windows show, and that padding does not reach
        rows = slice(MARGIN, SIDE - MARGIN)
        first, then = first[rows, px + MARGIN : SIDE - MARGIN], then[rows, MARGIN : SIDE - MARGIN - px]
    elif example.moves:
        first = first.roll(px, along - 2)
    return still[0, 0], moved[0, 0], first, then


def drawing(code: str) -> str:
    """Both networks' answers to a picture and to the moved picture, as SVG; cells that are not as they should be are ringed."""
    example = EXAMPLES[code]
    gap, top = 26, 34
    rows = [("before", example.before), ("after", example.after)]
    wide = 4 * SIDE * CELL + 5 * gap
    high = 2 * (SIDE * CELL + top + 34)
    parts = [f'<rect width="{wide}" height="{high}" rx="6" fill="{PAPER}"/>']
    for k, (name, body) in enumerate(rows):
        y = k * (SIDE * CELL + top + 34) + top
        maps = shown(body, example)
        far = (maps[2] - maps[3]).abs()
        scale = max(float(maps[2].abs().max()), float(maps[3].abs().max()), 1e-9)
        apart = far > 1e-4 * scale
        titles = (*named(example), "what it should say", "what it says")
        for i, (title, numbers) in enumerate(zip(titles, maps, strict=True)):
            x = gap + i * (SIDE * CELL + gap)
            parts.append(text(x, y - 8, title))
            parts.append(cells(x, y, numbers, scale if i > 1 else 1.0, apart if i == 3 else None))
        count = int(apart.sum())
        said = "all cells as they should be"
        if count:
            said = f"{count} of {apart.numel()} cells differ, by up to {float(far.max()) / scale:.2g} of the largest"
        parts.append(text(gap, y + SIDE * CELL + 18, f"{name}: {said}"))
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img">\n{body}\n</svg>\n'


def named(example: Example) -> tuple[str, str]:
    """What the two pictures are called."""
    if example.window:
        return "window", "next window"
    return "picture", f"moved {'down' if example.down else 'right'} by {example.px} px"


def text(x: float, y: float, words: str) -> str:
    """Words of the drawing."""
    return f'<text x="{x}" y="{y}" font-family="sans-serif" font-size="11" fill="{INK}">{words}</text>'


def cells(x: float, y: float, numbers: Tensor, scale: float, ringed: Tensor | None) -> str:
    """A map as squares: blue below 0, orange above."""
    found = []
    size = min(CELL * SIDE / numbers.shape[1], CELL * SIDE / numbers.shape[0], 3 * CELL)
    for i, row in enumerate(numbers.tolist()):
        for j, value in enumerate(row):
            strength = min(abs(value) / scale, 1.0)
            colour = "#1d4ed8" if value < 0 else "#c2410c"
            ring = (
                f' stroke="{INK}" stroke-width="1.4"'
                if ringed is not None and bool(ringed[i, j])
                else f' stroke="{LINE}"'
            )
            at = f'x="{x + j * size:.1f}" y="{y + i * size:.1f}" width="{size - 1:.1f}" height="{size - 1:.1f}"'
            found.append(f'<rect {at} fill="{colour}" fill-opacity="{strength:.2f}"{ring}/>')
    return "".join(found)


def page(code: str) -> str:
    """The page of a code."""
    example, meant = EXAMPLES[code], CODES[code]
    before, after = checked(example)
    what = " and to the ".join(named(example)).replace("to the moved", "to the same, moved")
    return "\n".join(
        [
            f"# {code}: {example.name}",
            "",
            *_meaning(meant),
            "",
            f"![The answers of both networks below to the {what}]({code}.svg)",
            "",
            "## A network that has it",
            "",
            f"```python\n{file_of(example.before)}```",
            "",
            f"```\n{before}\n```",
            "",
            "## Mended",
            "",
            example.told,
            "",
            f"```python\n{file_of(example.after)}```",
            "",
            f"```\n{after}\n```",
            "",
            "[All codes](README.md) · [what a verdict says](../check.md)",
            "",
        ]
    )


def _meaning(meant: Definition) -> list[str]:
    papers = [f"- [{p.paper}]({p.url})" if p.url else f"- {p.paper}" for p in meant.sources]
    return [meant.text, *(["", "Described by:", "", *papers] if papers else [])]


def index() -> str:
    """The list of all codes."""
    lines = [
        f"| [{code}]({code}.md) | {e.name} | {CODES[code].text.split('. ')[0].rstrip('.')}. |"
        for code, e in EXAMPLES.items()
    ]
    return "\n".join(
        [
            "# Findings of a check, one page per code",
            "",
            "Each page has a network with the finding, what `shiftproof check` prints about it, the network mended, and",
            "a picture of what both answer when the content moves. `python docs/finding_pages.py` makes them.",
            "",
            "| code | name | what it says |",
            "| --- | --- | --- |",
            *lines,
            "",
        ]
    )


def pages() -> dict[str, str]:
    """File name -> text, of every page and drawing."""
    found = {"README.md": index()}
    for code in EXAMPLES:
        found[f"{code}.md"] = page(code)
        found[f"{code}.svg"] = drawing(code)
    return found


def main() -> None:
    """Run everything and write it."""
    FOLDER.mkdir(exist_ok=True)
    for name, text_ in pages().items():
        (FOLDER / name).write_text(text_)


if __name__ == "__main__":
    main()
