"""What stride and padding do to equivariance, to corners, and to the smallest move that is kept."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.checking import check
from shiftproof.experiments.drawing import Cells, laid_out
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed
from shiftproof.training import untrained

BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.5, figures 9.12 and 9.13",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
SIDE = 16
PADDINGS = ("circular", "zeros", "reflect", "replicate", "none")
STRIDES = (1, 2, 4)


@dataclass(frozen=True)
class Kept:
    """Which moves of the circle one layer keeps.

    Args:
        errors: |f(T x) - T' f(x)| / |f(x)| for moves by 1 to SIDE px, T' the best whole move of the map.
        proved: the smallest move that the check proves to be kept, in px; None if it proves nothing.
        cells: of the map, along one axis.
    """

    errors: list[float]
    proved: int | None
    cells: int

    @property
    def moves(self) -> list[int]:
        """The moves that are kept, in px."""
        return [v for v, e in enumerate(self.errors, 1) if e == 0]

    @property
    def smallest(self) -> int:
        """The smallest of them; the whole turn of the circle if there is none."""
        return self.moves[0] if self.moves else SIDE

    @property
    def contradicted(self) -> bool:
        """Whether a move that the proof covers is not kept."""
        covered = [] if self.proved is None else range(self.proved, SIDE + 1, self.proved)
        return any(self.errors[v - 1] > 0 for v in covered)


@dataclass(frozen=True)
class Place:
    """What happens at one place of the picture.

    Args:
        mean: the response of a 3 x 3 mean to a white picture.
        used: how many times a pixel there is used.
    """

    mean: float
    used: float


@dataclass(frozen=True)
class Numbers:
    """What was measured.

    Args:
        kept: by padding and stride.
        places: by padding, then by place: corner, edge, centre.
    """

    kept: dict[tuple[str, int], Kept]
    places: dict[str, dict[str, Place]]


def layer(mode: str, stride: int, *, seed: int = 0) -> nn.Conv2d:
    """A 3 x 3 convolution, one channel to four, whole-numbered weights, padding 1 (or none)."""
    padding = {"padding": 0} if mode == "none" else {"padding": 1, "padding_mode": mode}
    how = {"stride": stride, "bias": False, "dtype": torch.float64, **padding}
    conv = untrained(lambda: nn.Conv2d(1, 4, 3, **how))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    conv.weight.data = torch.randint(-4, 5, conv.weight.shape, generator=generator).double()
    return conv.requires_grad_(False)


def error_by_move(conv: nn.Conv2d, x: Tensor) -> list[float]:
    """|f(T x) - T' f(x)| / |f(x)| for moves right by 1..SIDE px on the circle, T' the best whole move of the map."""
    still = conv(x)
    return [
        # The best of all whole moves of the map, so that no choice of T' can be blamed.
        min(((conv(x.roll(v, 3)) - still.roll(u, 3)).norm() / still.norm()).item() for u in range(still.shape[3]))
        for v in range(1, SIDE + 1)
    ]


def measure(lab: Lab) -> Numbers:
    """Each padding with each stride, proved by the check and measured over every move."""
    x = torch.randint(-9, 10, (2, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(1)).double()
    kept = {}
    for mode in PADDINGS:
        for stride in STRIDES:
            conv = layer(mode, stride)
            proved = check(conv, (1, SIDE, SIDE)).circular.step[1]
            kept[mode, stride] = Kept(error_by_move(conv, x), proved, conv(x).shape[3])
    return Numbers(kept, {mode: places(mode) for mode in PADDINGS})


def white(mode: str) -> tuple[Float[Tensor, "i j"], Float[Tensor, "h w"]]:
    """With this padding, the response of a 3 x 3 mean to a white picture, and how many times each pixel is used."""
    ones = torch.ones(1, 1, SIDE, SIDE, dtype=torch.float64)
    conv = layer(mode, 1)
    conv.weight.data = torch.full_like(conv.weight, 1 / 9)
    seen = conv(ones)[0, 0]
    # The gradient of the sum of all outputs by a pixel is 1/9 for each window and
    # channel that uses it; there are 4 channels.
    used = torch.autograd.functional.vjp(conv, ones, torch.ones_like(conv(ones)))[1][0, 0] * 9 / 4  # type: ignore[index]
    return seen, used


def places(mode: str) -> dict[str, Place]:
    """How a corner, an edge and the centre fare with this padding, by place."""
    (seen, used), found = white(mode), {}
    for place, (i, j) in {"corner": (0, 0), "edge": (0, SIDE // 2), "centre": (SIDE // 2, SIDE // 2)}.items():
        mean = seen[min(i, len(seen) - 1), min(j, len(seen) - 1)].item()
        found[place] = Place(mean, round(used[i, j].item(), 9))
    return found


def figures(n: Numbers) -> list[Figure]:
    """The moves that are kept, and the corners."""
    found = []
    for (mode, stride), k in n.kept.items():
        row = f"{mode}, stride {stride}"
        is_true = None if k.proved is None else not k.contradicted
        found += [
            Figure("kept", row, "smallest equivariant move, measured", k.smallest, "px"),
            Figure("kept", row, "smallest equivariant move, proved", k.proved or 0, "px", holds=is_true),
            Figure("kept", row, "equivariant moves", len(k.moves), "count"),
            Figure("kept", row, "error of a move by 1 px", k.errors[0], ""),
            Figure("kept", row, "cells", k.cells**2, "count"),
        ]
    for mode, at in n.places.items():
        # the book: zero padding, or none, gives the border less weight than the centre
        mean = {"source": BOOK, "holds": at["corner"].mean < at["centre"].mean} if mode == "zeros" else {}
        used = {"source": BOOK, "holds": at["corner"].used < at["centre"].used} if mode == "none" else {}
        for place, p in at.items():
            judged_mean, judged_used = (mean, used) if place == "corner" else ({}, {})
            found += [
                Figure("corners", mode, f"mean of a white picture, {place}", p.mean, "", **judged_mean),  # type: ignore[arg-type]
                Figure("corners", mode, f"times a pixel is used, {place}", p.used, "", **judged_used),  # type: ignore[arg-type]
            ]
    return found


def claims(n: Numbers) -> list[Judged]:
    """The book's sentence in its two halves."""
    fewer = all(n.kept[mode, 2].cells < n.kept[mode, 1].cells for mode in PADDINGS)
    same, dark = n.kept["zeros", 1].cells == SIDE, n.places["zeros"]["corner"].mean < n.places["zeros"]["centre"].mean
    cells = [("kept", f"{mode}, stride {s}", "cells") for mode in PADDINGS for s in (1, 2)]
    return [
        judged(
            "Stride subsamples the output.",
            BOOK,
            [fewer],
            holds="With every padding, a stride of 2 leaves fewer cells, and around the circle the smallest move that is kept "
            "becomes the stride.",
            does_not="A stride of 2 does not leave fewer cells.",
            rests_on=cells,
        ),
        judged(
            "Zero padding keeps the size of the output but under-represents the border.",
            BOOK,
            [same, dark],
            holds=f"The map keeps its {SIDE} x {SIDE} cells, and the corner of a white picture becomes "
            f"{fixed(n.places['zeros']['corner'].mean, 2)} instead of 1.",
            in_part="Only one of the two is so.",
            does_not="Neither is so.",
            rests_on=[("kept", "zeros, stride 1", "cells"), ("corners", "zeros", "mean of a white picture, corner")],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    circular = {stride: k.smallest for (mode, stride), k in n.kept.items() if mode == "circular"}
    smallest = f"{', '.join(f'{v} px' for v in circular.values())} for strides {', '.join(map(str, circular))}"
    wrong = [f"{mode}, stride {stride}" for (mode, stride), k in n.kept.items() if k.contradicted]
    others = {at: k for at, k in n.kept.items() if at[0] != "circular"}
    some = [at for at, k in others.items() if k.smallest < SIDE]
    named = " and ".join(f'with padding "{mode}", stride {stride}' for mode, stride in some)
    used, dark = n.places["none"]["corner"].used, n.places["zeros"]["corner"].mean
    return [
        Said(
            all(stride == v for stride, v in circular.items()),
            yes=f"With circular padding, the smallest equivariant move is the stride: {smallest}.",
            no=f"With circular padding, the smallest equivariant move is not always the stride: {smallest}.",
        ),
        Said(
            not wrong,
            yes="Running all moves confirms every proof.",
            no=f"Running all moves contradicts the proofs of {', '.join(wrong)}.",
        ),
        Said(
            not some,
            yes="With any other padding, only whole turns of the circle are equivariant, because the border does not move with "
            "the picture.",
            no=Said(
                len(some) < len(others),
                yes=f"For {len(others) - len(some)} of the other {len(others)} pairs of padding and stride, only whole turns of "
                "the circle are equivariant, because the border does not move with the picture; smaller moves are equivariant "
                f"{named}.",
                no="With every other padding, some smaller move is equivariant.",
            ),
        ),
        Said(
            bool(some) and all(mode == "none" for mode, _ in some),
            yes="Without padding, windows with such a stride never cross the border, and they tile the circle.",
            no="",
        ),
        Said(
            used < 9,
            yes=f"Without padding, a corner pixel is used {used:.0f} time{'' if used == 1 else 's'} instead of 9.",
            no="Without padding, a corner pixel is used as often as any other, 9 times.",
        ),
        Said(
            dark < 1 - 1e-9,
            yes=f"With zero padding, the corner of a white picture becomes {fixed(dark, 2)} instead of 1.",
            no="With zero padding, the corner of a white picture is as white as the rest.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    smallest = {stride: k.smallest for (mode, stride), k in n.kept.items() if mode == "circular"}
    dark = n.places["zeros"]["corner"].mean
    return Said(
        all(stride == v for stride, v in smallest.items()) and dark < 1 - 1e-9,
        yes="With a stride of s, a map follows moves by multiples of s. Zero padding dims the border of the map, so a network "
        "can tell where the border is.",
        no=f"The smallest moves that a map follows are {', '.join(f'{v} px' for v in smallest.values())} for strides "
        f"{', '.join(map(str, smallest))}, and with zero padding a white corner becomes {fixed(dark, 2)}.",
    )


def tables(n: Numbers) -> list[Table]:
    """Moves and corners."""
    return [
        Table(
            "kept",
            "Which moves are equivariant",
            "padding and stride",
            f"On a circle of {SIDE} px. Measured {SIDE} px: only the whole turn. Proved 0: nothing is proved.",
            "Running every move confirms what is proved.",
        ),
        Table("corners", "What happens at corners, 3 x 3", "padding", claim="It is less than in the centre."),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Error by move, for stride 1 and for circular padding."""
    moves = list(range(1, SIDE + 1))
    shown = {at: k for at, k in n.kept.items() if at[0] == "circular" or at[1] == 1}
    return [
        Chart(
            "moves",
            "Error of a convolution when the picture moves",
            "lines",
            "move, px",
            "|f(T x) - T' f(x)| / |f(x)|, best T'",
            [Series(f"{mode}, stride {stride}", moves, k.errors) for (mode, stride), k in shown.items()],
        )
    ]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """What becomes of a white picture with each padding, and how many times each of its pixels is used."""
    whites = {mode: white(mode) for mode in PADDINGS}
    means = [Cells(seen.numpy(), "light", 1.0, side_px=7) for seen, _ in whites.values()]
    uses = [Cells(used.numpy(), "heat", 2 * 9.0, side_px=7) for _, used in whites.values()]
    beside = ("mean of\nneighbours", "uses of\na pixel")
    caption = (
        "Above: the mean over 3 x 3 neighbours of a white picture, by padding. Below: how many times each pixel is used, from "
        "pale, 0, to dark, 18 times."
    )
    return {"border.png": (laid_out([means, uses], above=PADDINGS, beside=beside), caption)}


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {
        "boundary": "circular",
        "moves": f"1..{SIDE} px right",
        "kernel": "3 x 3, whole numbers, seed 0",
        "picture": "2 of whole numbers -9..9, seed 1",
    }


EXPERIMENT = Experiment(
    name="stride-and-padding",
    systems=("S24",),
    title="What stride and padding do to a convolution",
    definition="Stride: how many pixels the kernel jumps from one output to the next. Padding: what is put around a "
    "picture so that the kernel fits at its border.",
    shows="the effect of stride and padding on equivariance, on corners, and on the smallest equivariant move",
    claim="Stride subsamples the output; zero padding keeps its size but under-represents the border.",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
