"""S24: what stride and padding do to equivariance, to corners, and to the smallest move that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from shiftproof.checking import check
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.untrained import untrained
from shiftproof.records import Chart, Figure, Series, Source, Table

BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.5, figures 9.12 and 9.13",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
SPECIFICATION = Source("The project's specification", "row S24: what each does to corners")
SIDE = 16
PADDINGS = ("circular", "zeros", "reflect", "replicate", "none")


def layer(mode: str, stride: int, *, seed: int = 0) -> nn.Conv2d:
    """A 3 x 3 convolution, one channel to four, whole-numbered weights, padding 1 (or none)."""
    padding = {"padding": 0} if mode == "none" else {"padding": 1, "padding_mode": mode}
    how = {"stride": stride, "bias": False, "dtype": torch.float64, **padding}
    conv = untrained(lambda: nn.Conv2d(1, 4, 3, **how))  # type: ignore[arg-type]
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


def _with_claim(f: Figure, figures: list[Figure]) -> Figure:
    """The figure with what is claimed of it: zero padding, or none, gives a corner less weight than the centre."""
    claimed = {"zeros": "mean of a white picture, ", "none": "times a pixel is used, "}.get(f.row)
    if f.table != "corners" or claimed is None or f.column != f"{claimed}corner":
        return f
    centre = next(g.measured for g in figures if (g.row, g.column) == (f.row, f"{claimed}centre"))
    return replace(f, source=SPECIFICATION, holds=f.measured < centre)


def finding(kept: Mapping[str, float], wrong: Sequence[str], valid: float, dark: float) -> list[str]:
    """What came out, in sentences.

    Args:
        kept: the smallest move that is kept, in px, by "padding, stride s".
        wrong: rows whose proof is contradicted by running.
        valid: how often a corner pixel is used without padding.
        dark: the corner of a white picture's mean with zeros.
    """
    circular = {row.rpartition(" ")[2]: v for row, v in kept.items() if row.startswith("circular")}
    law = all(int(stride) == v for stride, v in circular.items())
    first = (
        f"With circular padding the smallest move that is kept is {'the stride' if law else 'not always the stride'}: "
        f"{', '.join(f'{v:.0f} px' for v in circular.values())} for strides {', '.join(circular)}; "
        + (
            "every proof is confirmed by running all moves."
            if not wrong
            else f"proofs are contradicted: {', '.join(wrong)}."
        )
    )
    others = {row: v for row, v in kept.items() if not row.startswith("circular")}
    tiles = [row for row, v in others.items() if v < SIDE]
    why = "for the border does not move with the picture"
    if not tiles:
        second = f"No other padding keeps a move but whole turns of the circle, {why}."
    elif len(tiles) == len(others):
        second = "Every other padding keeps some move of the circle too."
    else:
        second = (
            f"Of the other {len(others)} pairs of padding and stride {len(others) - len(tiles)} keep no move but whole turns "
            f"of the circle, {why}; some move is kept by {', '.join(tiles)}"
        )
        free = all(row.startswith("none") for row in tiles)
        second += ", whose windows never meet the border and tile the circle." if free else "."
    third = "Corners: without padding a corner pixel is used " + (
        f"{valid:.0f} time{'' if valid == 1 else 's'} instead of 9; " if valid < 9 else "as often as any, 9 times; "
    )
    third += "with zeros the corner of a white picture comes out as " + (
        f"{dark:.2f} instead of 1." if dark < 1 - 1e-9 else "white as the rest."
    )
    return [first, second, third]


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
            smallest, right = kept[0] if kept else SIDE, len([v for v in errors if v == 0])
            if proved is not None and any(errors[v - 1] > 0 for v in range(proved, SIDE + 1, proved)):
                wrong.append(row)
            cells, full = conv(x).shape[3], SIDE if mode != "none" else SIDE - 2
            figures += [
                Figure("kept", row, "smallest move kept, measured", smallest, "px",
                       holds=smallest == stride if mode == "circular" else None),
                Figure("kept", row, "smallest move kept, proved", proved or 0, "px",
                       holds=None if proved is None else row not in wrong),
                Figure("kept", row, "moves kept", right, "count"),
                Figure("kept", row, "error of a move by 1 px", errors[0], ""),
                Figure("kept", row, "cells", cells**2, "count", holds=cells == -(-full // stride)),
            ]  # fmt: skip
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
    figures = [_with_claim(f, figures) for f in figures]
    valid = next(f.measured for f in figures if f.row == "none" and f.column == "times a pixel is used, corner")
    dark = next(f.measured for f in figures if f.row == "zeros" and f.column == "mean of a white picture, corner")
    kept = {f.row: f.measured for f in figures if f.column == "smallest move kept, measured"}
    return Result(
        finding=finding(kept, wrong, valid, dark),
        figures=figures,
        tables=[
            Table("kept", "Which moves are kept", "padding and stride",
                  f"On the circle of {SIDE} px. Measured {SIDE} px: only the whole turn. Proved 0: nothing is."),
            Table("corners", "What happens at corners, 3 x 3", "padding"),
        ],
        charts=[Chart("moves", "Error of a convolution when the picture moves", "lines", "move, px",
                      "|f(T x) - T' f(x)| / |f(x)|, best T'", series)],
        protocol={"boundary": "circular", "moves": f"1..{SIDE} px right", "kernel": "3 x 3, whole numbers, seed 0",
                  "picture": "2 of whole numbers -9..9, seed 1"},
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="stride-and-padding",
    systems=("S24",),
    shows="what stride and padding do to equivariance, to corners, and to the smallest move that is kept",
    claim="Stride subsamples the output; zero padding keeps its size but under-represents the border.",
    source=BOOK,
    measure=measure,
)
