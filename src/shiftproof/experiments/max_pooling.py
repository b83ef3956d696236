"""S2, S3, S4: max pooling keeps its answer for small moves, within a window, and only in part."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Figure, Series, Source, Table
from shiftproof.translations import translate

BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.3, figure 9.8",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
ROWS = "The project's specification"
S2, S3 = Source(ROWS, "row S2: these windows"), Source(ROWS, "row S3: an L-shaped stroke, moved one pixel down")
WINDOWS = {  # three patterns in a window, which all have the same maximum
    "[[1, 0], [0, 0]]": [[1, 0], [0, 0]],
    "[[0, 0], [0, 1]]": [[0, 0], [0, 1]],
    "[[0, 1], [0, 0]]": [[0, 1], [0, 0]],
    "[1, 0, 0]": [[1, 0, 0]],
    "[0, 0, 1]": [[0, 0, 1]],
}
DETECTOR = [0.3, 0.1, 1.0, 0.2, 0.1]  # figure 9.8's row, with its left neighbour
CHANCE = 0.006  # 5 standard errors of a share of 200,000 places
CORNER = [[1, 0, 0], [1, 0, 0], [1, 1, 1]]  # an L-shaped stroke


def pool_row(row: Float[Tensor, " n"], window: int, stride: int = 1) -> Float[Tensor, " m"]:
    """Maxima of `window` neighbours, every `stride` cells, inside the row only.

    >>> pool_row(torch.tensor([0.3, 0.1, 1.0, 0.2]), 3).tolist()
    [1.0, 1.0]
    """
    return nn.functional.max_pool1d(row[None, None], window, stride)[0, 0]


def unchanged_moves(window: int, stride: int, reach: int) -> list[float]:
    """Share of positions of a single 1 for which the pooled circle stays as it is after a move by 0, 1, ..., reach cells.

    Brute force over every position, on a circle of a whole number of strides; windows may overlap.

    >>> unchanged_moves(2, 2, 3)
    [1.0, 0.5, 0.0, 0.0]
    """
    n = 4 * stride * window
    ones = torch.eye(n, dtype=torch.float64)
    wrapped = torch.cat([ones, ones[:, : window - 1]], 1)
    pooled = nn.functional.max_pool1d(wrapped[:, None], window, stride)[:, 0]
    return [(pooled == pooled.roll(-v, 0)).all(1).double().mean().item() for v in range(reach + 1)]


def stroke(y: int, x: int) -> Float[Tensor, "1 1 12 12"]:
    """The corner-shaped pattern with its top left at (y, x) on an empty 12 x 12 picture."""
    picture = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    picture[0, 0, y : y + 3, x : x + 3] = torch.tensor(CORNER, dtype=torch.float64)
    return picture


def detected(picture: Float[Tensor, "1 1 h w"]) -> Float[Tensor, "1 1 h w"]:
    """Where the stroke is: the convolution with its own pattern, minus what a part of it would give."""
    kernel = torch.tensor(CORNER, dtype=torch.float64)[None, None]
    return (nn.functional.conv2d(picture, kernel, padding=1) - kernel.sum() + 1).relu()


def _cells(n: float) -> str:
    """How many pooled cells change, in words."""
    return "no pooled cell changes" if n == 0 else f"{n:.0f} pooled cell{'s change' if n > 1 else ' changes'}"


def measure(lab: Lab) -> Result:
    """Every number of the three rows, by running the pooling."""
    pool = nn.MaxPool2d(2)
    figures = [
        Figure("windows", name, "maximum", torch.tensor(cells, dtype=torch.float64).max().item(), "", published=1.0,
               source=S2, holds=max(map(max, cells)) == 1)
        for name, cells in WINDOWS.items()
    ]  # fmt: skip
    for window, stride in ((2, 2), (3, 3), (3, 2), (2, 1), (3, 1), (4, 4), (4, 2)):
        for v, share in enumerate(unchanged_moves(window, stride, 4)):
            holds = (
                share == max(window - v, 0) / window if window == stride else None
            )  # of disjoint windows, by counting
            figures.append(Figure("moves", f"window {window}, stride {stride}", f"{v} px", share, holds=holds))

    here = stroke(1, 1)
    maps = {"here": pool(detected(here))}
    for name, move in {"one pixel down": (1, 0), "two pixels down": (2, 0), "one pixel right": (0, 1)}.items():
        maps[name] = pool(detected(translate(here, [move], "zero")[:, 0]))
        changed = (maps[name] != maps["here"]).double().sum().item()
        claimed = 0.0 if name == "one pixel down" else None
        figures.append(Figure("stroke", name, "pooled cells that change", changed, "count", published=claimed,
                              source=S3 if claimed is not None else None,
                              holds=None if claimed is None else changed == claimed))  # fmt: skip

    row = torch.tensor(DETECTOR, dtype=torch.float64)
    before, after = row[1:], row[:-1]
    pooled = [pool_row(torch.cat([edge, r, r[-1:]]), 3) for edge, r in ((row[:1], before), (row[:1], after))]
    for name, (a, b) in {"detector values": (before, after), "pooled, window 3, stride 1": pooled}.items():
        share = (a != b).double().mean().item()
        claimed = 1.0 if name == "detector values" else 0.5
        figures.append(Figure("row", name, "share that changes", share, published=claimed, source=BOOK,
                              holds=share == claimed))  # fmt: skip
    series = []
    noise = torch.rand(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    worst = 0.0
    for window in (2, 3, 5, 9):
        maxima, moves = pool_row(noise, window), list(range(13))
        kept = [(maxima[: len(maxima) - v] != maxima[v:]).double().mean().item() if v else 0.0 for v in moves]
        theory = [1 - max(window - v, 0) / (window + v) for v in moves]
        worst = max(worst, *(abs(a - b) for a, b in zip(kept, theory, strict=True)))
        series += [
            Series(f"window {window}", moves, kept),
            Series(f"window {window}, theory", moves, theory, dashed=True),
        ]
    figures.append(
        Figure("theory", "windows 2, 3, 5 and 9, moves to 12 px", "largest difference", worst, "", holds=worst < CHANCE)
    )
    down, far = (f.measured for f in figures if f.table == "stroke" and f.row in ("one pixel down", "two pixels down"))
    every, share = (f.measured for f in figures if f.table == "row")
    return Result(
        finding=[
            f"The corner-shaped stroke, found by its own filter and pooled 2 x 2: moved one pixel down, {_cells(down)}; "
            f"moved two, across the window's edge, {_cells(far)}.",
            "The textbook's row of detector values, moved by one: "
            + ("all change" if every == 1 else f"{every:.0%} change") + f", of the pooled ones {share:.0%}"
            + (": fewer, as claimed." if share < every else ": not fewer, against the claim."),
            "Of independent values, pooling over k cells keeps a maximum after a move by v in (k - v) / (k + v) of all "
            "places (the largest of the k + v cells involved must lie in the k - v shared ones): "
            + (f"measured, this is right to {worst:.4f}." if worst < CHANCE else f"measured, it is off by up to {worst:.4f}.")
            + (" For k = 3 and v = 1 it is the textbook's half." if share == 0.5 else ""),
        ],
        figures=figures,
        tables=[
            Table("windows", "Small moves inside a window", "window"),
            Table("moves", "Share of positions of a single 1 for which the pooled map does not change at all", "pooling",
                  "On a circle, by brute force. Disjoint windows of k: (k - v) / k. Overlapping windows notice more."),
            Table("stroke", "A corner-shaped stroke, its own filter, 2 x 2 max pooling", "moved"),
            Table("row", "A row of detector values moved right by one", "stage"),
            Table("theory", "Measured share against 1 - (k - v) / (k + v)", "pooling", "200,000 independent values, seed 0"),
        ],
        charts=[
            Chart("changed", "Pooled values that change when the row moves, stride 1", "lines", "move, px", "share that changes",
                  series, percent=True)
        ],
        protocol={"boundary": "zero (stroke), circular (moves)", "values": "float64, exact comparison", "row": DETECTOR,
                  "theory": "200,000 uniform values, float64, seed 0"},
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="max-pooling",
    systems=("S2", "S3", "S4"),
    shows="max pooling keeps its answer for small moves, only within a window, and only in part",
    claim="Pooling makes the representation approximately invariant to small translations: moved by one, every detector "
    "value changes, but only half of the pooled values do.",
    source=BOOK,
    measure=measure,
)
