"""Draws the network from left to right: maps, the cells that padding reaches, stride, step and findings."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from shiftproof.records import Finding, Stage, Verdict
from shiftproof.records.verdict_parts import part_of
from shiftproof.records.verdict_printing import both, condensed, stride_words

MOST_COLUMNS = 24
LONGEST = 15  # characters of a name
CHARACTER_PX, CHIP_PX, GUTTER_PX, WIDE_PX = 6.8, 20, 58, 960
TALLEST_PX, SMALLEST_PX = 104, 10
ROW_PX = 18


@dataclass(frozen=True)
class Chip:
    """The findings of one code in one part.

    Args:
        y: top, pixels.
        words: code and count, such as "T2 ×3".
        ends: whether these findings end the proof in the world that was asked for.
    """

    y: float
    words: str
    ends: bool


@dataclass(frozen=True)
class Column:
    """One part of the network; lengths in pixels.

    Args:
        x: centre.
        name: as shown, shortened in the middle.
        title: the full name, and the part's size, stride, step and margin in words.
        top: top of the bar.
        height: height of the bar, on a logarithmic scale of the number of cells.
        clean_top: top of the part of the bar that padding does not reach.
        clean_height: height of that part.
        stride: in words.
        step: in words.
        margin: in words.
        chips: its findings.
    """

    x: float
    name: str
    title: str
    top: float
    height: float
    clean_top: float
    clean_height: float
    stride: str
    step: str
    margin: str
    chips: tuple[Chip, ...] = ()


@dataclass(frozen=True)
class Strip:
    """The drawing: its size in pixels, its columns, the rows of text, and what it shows and leaves out, in words."""

    width: float
    height: float
    middle: float
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, float], ...]
    description: str
    elsewhere: str


def strip(verdict: Verdict) -> Strip | None:
    """The drawing of a verdict; None if the verdict has no stages."""
    if not verdict.stages:
        return None
    shown = condensed(verdict.stages, MOST_COLUMNS)
    chips, outside = _chips(verdict, shown)
    most = max((len(c) for c in chips.values()), default=0)
    # Bars stand about one middle line, below as many rows of findings as the fullest part has.
    middle = most * CHIP_PX + 14 + TALLEST_PX / 2
    _, h, w = verdict.input_size
    first = Stage("picture", (1.0, 1.0), (1, 1), (h, w), 0, covered=False)
    names = [_short(s.name) for s in (first, *shown)]
    widths = [max(48.0, CHARACTER_PX * len(n) + 10) for n in names]
    spare = max(0.0, WIDE_PX - GUTTER_PX - sum(widths)) / len(widths)
    widths = [n + min(spare, 40.0) for n in widths]
    columns, x = [], float(GUTTER_PX)
    for stage, name, width in zip((first, *shown), names, widths, strict=True):
        columns.append(_column(stage, name, x + width / 2, middle, max(h, w), chips.get(stage.name, ())))
        x += width
    bottom = middle + TALLEST_PX / 2
    rows = tuple((name, bottom + ROW_PX * (i + 1) + 4) for i, name in enumerate(("part", "stride", "step", "margin")))
    return Strip(x, rows[-1][1] + 8, middle, tuple(columns), rows, _description(verdict, shown), _elsewhere(outside))


def _column(stage: Stage, name: str, x: float, middle: float, extent: int, chips: tuple[Chip, ...]) -> Column:
    cells = max(n for n in stage.cells if n is not None)
    # By the logarithm, because each stage of a network halves the map: 7 cells beside 224 would be a line.
    share = math.log2(max(cells, 1) + 1) / math.log2(max(extent, cells, 2) + 1)
    height = SMALLEST_PX + (TALLEST_PX - SMALLEST_PX) * share
    # `margin` is the larger of both ends, and drawn at both: the clean piece is never drawn too large.
    clean = 0.0 if stage.covered else height * max(0.0, 1 - 2 * stage.margin / cells)
    size = both(*("-" if n is None else str(n) for n in stage.cells))
    stride, step = both(*(stride_words(s) for s in stage.stride)), both(*(str(s) for s in stage.step))
    margin = "all" if stage.covered else str(stage.margin)
    title = f"{stage.name}: {size} cells, stride {stride}, step {step}, margin {margin}"
    return Column(
        round(x, 1),
        name,
        title,
        round(middle - height / 2, 1),
        round(height, 1),
        round(middle - clean / 2, 1),
        round(clean, 1),
        stride,
        step,
        margin,
        chips,
    )


def _chips(verdict: Verdict, shown: list[Stage]) -> tuple[dict[str, tuple[Chip, ...]], list[Finding]]:
    """(findings by part, findings outside every part of the strip)."""
    order, kept = [s.name for s in verdict.stages], {s.name for s in shown}
    home, last = {}, shown[0].name
    for name in order:  # the part before shows the findings of a part that is left out
        last = name if name in kept else last
        home[name] = last
    counted: dict[str, Counter[str]] = {}
    ends: set[tuple[str, str]] = set()
    outside = []
    for f in verdict.findings:
        part = home.get(part_of(f.module))
        if part is None:
            outside.append(f)
            continue
        counted.setdefault(part, Counter())[f.code] += 1
        if verdict.world in f.breaks:
            ends.add((part, f.code))
    most = max((len(c) for c in counted.values()), default=0)
    return {
        part: tuple(
            Chip((most - len(codes) + i) * CHIP_PX, f"{code} ×{n}" if n > 1 else code, (part, code) in ends)
            for i, (code, n) in enumerate(sorted(codes.items()))
        )
        for part, codes in counted.items()
    }, outside


def _short(name: str) -> str:
    """The name shortened in the middle.

    >>> _short("features.denseblock12")
    'feature…block12'
    """
    half = LONGEST // 2
    # Names of modules differ at their ends, and begin with what tells a reader where they are.
    return name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}"


def _description(verdict: Verdict, shown: list[Stage]) -> str:
    last = shown[-1]
    return (
        f"{len(shown)} parts of {verdict.model.word} from left to right. At the last, {last.name}, the stride is "
        f"{both(*(stride_words(s) for s in last.stride))} and the step {both(*(str(s) for s in last.step))}."
    )


def _elsewhere(outside: list[Finding]) -> str:
    if not outside:
        return ""
    places = list(dict.fromkeys(f"{f.code} at {f.module or f.operator}" for f in outside))
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return f"Not in the drawing, because they are outside its parts: {', '.join(places[:3])}{more}."
