"""S24: what stride and padding do to equivariance, to corners, and to the smallest move that is kept."""

from __future__ import annotations

import torch
from torch import nn

from shiftproof.checking import check
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Figure, Series, Source, Table

BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.5, figures 9.12 and 9.13",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
SIDE = 16
PADDINGS = ("circular", "zeros", "reflect", "replicate", "none")


def layer(mode: str, stride: int, *, seed: int = 0) -> nn.Conv2d:
    """A 3 x 3 convolution, one channel to four, whole-numbered weights, padding 1 (or none)."""
    padding = {"padding": 0} if mode == "none" else {"padding": 1, "padding_mode": mode}
    conv = nn.Conv2d(1, 4, 3, stride=stride, bias=False, dtype=torch.float64, **padding)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    conv.weight.data = torch.randint(-4, 5, conv.weight.shape, generator=generator).double()
    return conv.requires_grad_(False)


def error_by_move(conv: nn.Conv2d, x: torch.Tensor) -> list[float]:
    """|f(T x) - T' f(x)| / |f(x)| for moves right by 1..SIDE px on the circle, T' the best whole move of the map."""
    still = conv(x)
    return [
        min(((conv(x.roll(v, 3)) - still.roll(u, 3)).norm() / still.norm()).item() for u in range(still.shape[3]))
        for v in range(1, SIDE + 1)
    ]


def measure(lab: Lab) -> Result:
    """Each padding with each stride, proved by the check and measured over every move."""
    x = torch.randint(-9, 10, (2, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(1)).double()
    figures, series, wrong = [], [], []
    for mode in PADDINGS:
        for stride in (1, 2, 4):
            conv, row = layer(mode, stride), f"{mode}, stride {stride}"
            errors = error_by_move(conv, x)
            kept = [v for v, e in enumerate(errors, 1) if e == 0]
            proved = check(conv, (1, SIDE, SIDE)).circular.step[1]
            figures.append(Figure("kept", row, "smallest move kept, measured", kept[0] if kept else SIDE, "px"))
            figures.append(Figure("kept", row, "smallest move kept, proved", 0 if proved is None else proved, "px"))
            figures.append(Figure("kept", row, "error of a move by 1 px", errors[0], ""))
            figures.append(Figure("kept", row, "cells", conv(x).shape[3] ** 2, "count"))
            if proved is not None and any(errors[v - 1] > 0 for v in range(proved, SIDE + 1, proved)):
                wrong.append(row)
            if stride == 1 or mode == "circular":
                series.append(Series(row, list(range(1, SIDE + 1)), errors))
    ones = torch.ones(1, 1, SIDE, SIDE, dtype=torch.float64)
    for mode in PADDINGS:
        conv = layer(mode, 1)
        conv.weight.data = torch.full_like(conv.weight, 1 / 9)
        seen = conv(ones)[0, 0]
        used = torch.autograd.functional.vjp(conv, ones, torch.ones_like(conv(ones)))[1][0, 0] * 9 / 4  # type: ignore[index]
        for place, (i, j) in {"corner": (0, 0), "edge": (0, SIDE // 2), "centre": (SIDE // 2, SIDE // 2)}.items():
            response = seen[min(i, len(seen) - 1), min(j, len(seen) - 1)].item()
            figures.append(Figure("corners", mode, f"mean of a white picture, {place}", response, ""))
            figures.append(Figure("corners", mode, f"times a pixel is used, {place}", round(used[i, j].item(), 9), ""))
    valid = next(f.measured for f in figures if f.row == "none" and f.column == "times a pixel is used, corner")
    dark = next(f.measured for f in figures if f.row == "zeros" and f.column == "mean of a white picture, corner")
    small = [f for f in figures if f.column == "smallest move kept, measured" and f.measured < SIDE]
    tiles = [f.row for f in small if not f.row.startswith("circular")]
    circular = [
        f.measured for f in figures if f.table == "kept" and f.row.startswith("circular") and "measured" in f.column
    ]
    return Result(
        finding=[
            "With circular padding the smallest move that is kept is the stride: "
            + ", ".join(f"{v:.0f} px" for v in circular) + " for strides 1, 2, 4; "
            + ("every proof is confirmed by running all moves." if not wrong else f"proofs are contradicted: {wrong}."),
            "Every other padding keeps no move but whole turns of the circle, for the border does not move with the picture"
            + (f"; except {', '.join(tiles)}, whose windows never meet the border and tile the circle." if tiles else "."),
            f"Corners: without padding a corner pixel is used {valid:.0f} time instead of 9; with zeros the "
            f"corner of a white picture comes out as {dark:.2f} instead of 1.",
        ],
        figures=figures,
        tables=[
            Table("kept", "Which moves are kept", "padding and stride",
                  f"On the circle of {SIDE} px. Measured {SIDE} px: only the whole turn. Proved 0: nothing is."),
            Table("corners", "What happens at corners, 3 x 3", "padding"),
        ],
        charts=[Chart("moves", "Error of a convolution when the picture moves", "lines", "move, px",
                      "|f(T x) - T' f(x)| / |f(x)|, best T'", series)],
        protocol={"boundary": "circular", "moves": f"1..{SIDE} px right", "kernel": "3 x 3, whole numbers, seed 0"},
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="stride-and-padding",
    systems=("S24",),
    shows="what stride and padding do to equivariance, to corners, and to the smallest move that is kept",
    claim="Stride subsamples the output; zero padding keeps its size but under-represents the border.",
    source=BOOK,
    measure=measure,
)
