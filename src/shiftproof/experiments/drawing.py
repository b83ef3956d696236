"""Pictures of an experiment, laid out for a reader: maps as squares, in rows and columns with words; boxes with arrows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from shiftproof.data import png
from shiftproof.records.colours import PALETTE, heat

__all__ = ["SOFT", "Box", "Cells", "Sheet", "chains", "laid_out", "png", "side_by_side"]

PAPER, INK, SOFT, RULE, ACCENT, MARK = (
    PALETTE[name][0] for name in ("paper", "ink", "soft", "rule", "accent", "line1")
)
Colours = Literal["grey", "light", "heat", "signed"]
TEXT_PX, LINE_PX, GAP_PX = 15, 19, 18
FINEST_PX, MANY = 8, 6  # squares with a smaller side have no lines between them; more frames than this are thin


def side_by_side(parts: list[np.ndarray], *, gap_px: int = 8, zoom: int = 1) -> bytes:
    """Grey pictures (h, w) in [0, 1] next to one another, tops aligned, white between them, as PNG."""
    height = max(p.shape[0] for p in parts)
    row = [np.ones((height, 0))]
    for i, part in enumerate(parts):
        row += [np.ones((height, gap_px))] if i else []
        row += [np.pad(part, ((0, height - part.shape[0]), (0, 0)), constant_values=1.0)]
    return png(np.concatenate(row, axis=1), zoom=zoom)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def coloured(values: Float[np.ndarray, "h w"], colours: Colours, most: float) -> UInt8[np.ndarray, "h w 3"]:
    """The colour of each value.

    Args:
        values: to be drawn.
        colours: "grey" (0 is white, `most` is black), "light" (0 is black, `most` is white), "heat" (0 is pale, `most` is dark)
            or "signed" (negative values are blue, 0 is pale, positive ones are red).
        most: the size of value that has the strongest colour; 0 if all values are 0.

    >>> coloured(np.array([[0.0, 2.0]]), "grey", 2.0)[0].tolist()
    [[255, 255, 255], [28, 30, 35]]
    """
    share = np.clip(values / most if most else values * 0.0, -1, 1)[..., None]
    if colours == "heat":
        return np.array([[_rgb(heat(float(v[0]))) for v in row] for row in share], dtype=np.uint8)
    ends = {
        "grey": ("#ffffff", INK, INK),
        "light": (INK, INK, "#ffffff"),
        "signed": (PALETTE["heat0"][0], PALETTE["line0"][0], MARK),
    }[colours]
    zero, below, above = (np.array(_rgb(end), dtype=float) for end in ends)
    return np.rint(zero + np.abs(share) * (np.where(share < 0, below, above) - zero)).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Cells:
    """A map, drawn as squares.

    Args:
        values: one per square.
        colours: see `coloured`.
        most: see `coloured`; None for the largest of the map.
        every: a line after each of so many squares: the windows of a pooling, for example; 0 for none.
        rings: (row, column) of squares with a ring around them.
        boxes: (top, left, height, width) of frames, in squares.
        written: digits after the point of the value that is written into each square; None for no values.
        side_px: of a square.
    """

    values: Float[np.ndarray, "h w"]
    colours: Colours = "grey"
    most: float | None = None
    every: int = 0
    rings: Sequence[tuple[int, int]] = ()
    boxes: Sequence[tuple[float, float, float, float]] = ()
    written: int | None = None
    side_px: int = 12

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px."""
        height, width = self.values.shape
        return width * self.side_px + 1, height * self.side_px + 1


class Sheet:
    """Something to draw on: the paper of a page, with words, lines, boxes and maps.

    Args:
        width: in px.
        height: in px.

    >>> sheet = Sheet(40, 20)
    >>> sheet.box(2, 2, 30, 10, "a")
    >>> Image.open(io.BytesIO(sheet.png())).size
    (40, 20)
    """

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def words(
        self, x: float, y: float, text: str, *, anchor: str = "lm", colour: str = INK, size_px: int = TEXT_PX
    ) -> None:
        """Writes a line: `anchor` is l, m or r (where x is) and a, m or d (where y is), as in Pillow."""
        self.draw.text((x, y), text, fill=colour, anchor=anchor, font=ImageFont.load_default(size_px))

    def box(self, x: float, y: float, width: float, height: float, text: str = "", *, fill: str = "#ffffff") -> None:
        """A frame with words in its middle."""
        self.draw.rounded_rectangle((x, y, x + width, y + height), 5, fill=fill, outline=SOFT)
        self.words(x + width / 2, y + height / 2, text, anchor="mm", colour=INK if _is_light(fill) else PAPER)

    def bar(self, x: float, y: float, width: float, height: float) -> None:
        """A filled bar."""
        self.draw.rectangle((x, y, x + width, y + height), fill=ACCENT)

    def arrow(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """A line with a head at its end; it must run along an axis."""
        self.draw.line((x, y, to_x, to_y), fill=SOFT, width=2)
        dx, dy = np.sign(to_x - x) * 5, np.sign(to_y - y) * 5
        ends = [
            (to_x, to_y),
            (to_x - dx - dy * 0.8, to_y - dy - dx * 0.8),
            (to_x - dx + dy * 0.8, to_y - dy + dx * 0.8),
        ]
        self.draw.polygon([(float(a), float(b)) for a, b in ends], fill=SOFT)

    def cells(self, x: int, y: int, cells: Cells) -> None:
        """A map with its lines, rings and frames."""
        s, (height, width) = cells.side_px, cells.values.shape
        most = float(np.abs(cells.values).max(initial=0.0)) if cells.most is None else cells.most
        squares = coloured(cells.values, cells.colours, most)
        self.image.paste(Image.fromarray(squares).resize((width * s, height * s), Image.Resampling.NEAREST), (x, y))
        for count, length, down in ((width, height, False), (height, width, True)):
            for n in range(count + 1):
                strong = n in (0, count) or (cells.every > 0 and n % cells.every == 0)
                if strong or (s >= FINEST_PX and cells.colours != "light"):
                    ends = (
                        (x, y + n * s, x + length * s, y + n * s) if down else (x + n * s, y, x + n * s, y + length * s)
                    )
                    self.draw.line(ends, fill=SOFT if strong else RULE)
        if cells.written is not None:
            for i in range(height):
                for j in range(width):
                    dark = not _is_light("#" + "".join(f"{v:02x}" for v in squares[i, j]))
                    text = f"{cells.values[i, j]:.{cells.written}f}"
                    at = (x + (j + 0.5) * s, y + (i + 0.5) * s)
                    self.words(*at, text, anchor="mm", colour=PAPER if dark else INK, size_px=max(9, int(s * 0.36)))
        for i, j in cells.rings:
            self.draw.ellipse(
                (x + j * s - 2, y + i * s - 2, x + (j + 1) * s + 2, y + (i + 1) * s + 2), outline=MARK, width=3
            )
        for top, left, high, wide in cells.boxes:
            frame = (x + left * s, y + top * s, x + (left + wide) * s, y + (top + high) * s)
            self.draw.rectangle(frame, outline=MARK, width=1 if len(cells.boxes) > MANY else 2)

    def png(self) -> bytes:
        """The sheet as a PNG file."""
        kept = io.BytesIO()
        self.image.quantize(255, dither=Image.Dither.NONE).save(kept, format="PNG", optimize=True)
        return kept.getvalue()


def _is_light(colour: str) -> bool:
    return sum(weight * part for weight, part in zip((0.3, 0.6, 0.1), _rgb(colour), strict=True)) > 140


def _extent(text: str) -> tuple[int, int]:
    """Width and height of lines of words, in px."""
    font, lines = ImageFont.load_default(TEXT_PX), text.split("\n")
    return int(max(font.getlength(line) for line in lines)) + 1, LINE_PX * len(lines) if text else 0


def laid_out(
    rows: Sequence[Sequence[Cells | None]],
    *,
    above: Sequence[str] = (),
    beside: Sequence[str] = (),
    gap_px: int = GAP_PX,
) -> bytes:
    """Maps in rows and columns, as PNG.

    Args:
        rows: the maps; None leaves a place empty.
        above: words above each column; lines end with a newline character.
        beside: words before each row.
        gap_px: between maps.
    """
    heads = [_extent(text) for text in above]
    left = max((_extent(text)[0] + gap_px for text in beside), default=0)
    columns = [
        max([cells.size[0] if cells else 0 for cells in column] + ([heads[i][0]] if heads else []))
        for i, column in enumerate(zip(*rows, strict=True))
    ]
    heights = [
        max([cells.size[1] if cells else 0 for cells in row] + ([_extent(beside[i])[1]] if beside else []))
        for i, row in enumerate(rows)
    ]
    top = max((height + 6 for _, height in heads), default=0)
    width = left + sum(columns) + gap_px * (len(columns) - 1)
    sheet = Sheet(width + 2 * gap_px, top + sum(heights) + gap_px * (len(rows) - 1) + 2 * gap_px)
    starts = [gap_px + left + sum(columns[:i]) + gap_px * i for i in range(len(columns))]
    for x, text, (_, height) in zip(starts, above, heads, strict=False):
        for n, line in enumerate(text.split("\n")):
            sheet.words(x, gap_px + top - 6 - height + LINE_PX * (n + 0.5), line)
    y = gap_px + top
    for i, row in enumerate(rows):
        if beside:
            lines = beside[i].split("\n")
            for n, line in enumerate(lines):
                sheet.words(gap_px, y + heights[i] / 2 + LINE_PX * (n + 0.5 - len(lines) / 2), line)
        for x, cells in zip(starts, row, strict=True):
            if cells is not None:
                sheet.cells(x, y, cells)
        y += heights[i] + gap_px
    return sheet.png()


@dataclass(frozen=True)
class Box:
    """A part of a network in a diagram.

    Args:
        text: in the box.
        strong: whether it is the part that the experiment is about.
    """

    text: str
    strong: bool = False


def chains(rows: Sequence[tuple[str, Sequence[Box]]]) -> bytes:
    """Networks as boxes with arrows, one network per row, as PNG.

    Args:
        rows: the name of each network, and its parts from the input to the output.
    """
    pad, high, arrow, between = 10, 34, 22, 16
    left = max(_extent(name)[0] for name, _ in rows) + GAP_PX
    widths = [[_extent(box.text)[0] + 2 * pad for box in boxes] for _, boxes in rows]
    width = left + max(sum(each) + arrow * (len(each) - 1) for each in widths)
    sheet = Sheet(width + 2 * GAP_PX, len(rows) * (high + between) - between + 2 * GAP_PX)
    for i, ((name, boxes), each) in enumerate(zip(rows, widths, strict=True)):
        x, y = GAP_PX + left, GAP_PX + i * (high + between)
        sheet.words(GAP_PX, y + high / 2, name)
        for n, (box, wide) in enumerate(zip(boxes, each, strict=True)):
            if n:
                sheet.arrow(x - arrow + 2, y + high / 2, x - 2, y + high / 2)
            sheet.box(x, y, wide, high, box.text, fill=ACCENT if box.strong else "#ffffff")
            x += wide + arrow
    return sheet.png()
