"""A page for every code of a finding: why, a network that has it, the same network mended, and a picture of both.

    python docs/finding_pages.py     # runs every network and its check again, and writes docs/findings/

A test runs everything again and compares.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from finding_examples import EXAMPLES, SIDE, Example, built, file_of
from torch import Tensor
from worked_example import elsewhere, printed

from shiftproof.report.check.glossary import CODES
from shiftproof.report.definition import Definition

SOURCES = Path(__file__).resolve().parents[1] / "src"
FOLDER = Path(__file__).with_name("findings")
MARGIN = 2  # cells at each end of a window that padding may reach
CELL = 9  # pixels of the drawing per cell
INK, PAPER, LINE = "#1c1917", "#fafaf9", "#d6d3d1"


def checked(example: Example) -> tuple[str, str]:
    """What `shiftproof check` prints about the network before and after the change."""
    found = []
    with elsewhere():
        for name, body in (("before", example.before), ("after", example.after)):
            Path(f"{name}.py").write_text(file_of(body))
            command = f"shiftproof check {name}.py:build --input 1,{SIDE},{SIDE}"
            said = printed(command).split("\nWhat to do next")[0].strip("\n").replace(f"{SOURCES}/", "")
            said = re.sub(r" +export .*", "", said)  # how long it took
            found.append(f"$ {command}\n{said}")
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
