"""Invariance and equivariance as laws; convolution against any translation, with the exceptions named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.experiments.drawing import Cells, laid_out
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.sources import NOTES
from shiftproof.measure import equivariance_error_by_move, invariance_error
from shiftproof.records import Citation, Figure, Judged, Table
from shiftproof.records.numbers import fixed
from shiftproof.training import untrained

BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2: f(g(x)) = g(f(x)); 9.2: not equivariant to scale or rotation",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
SIDE = 12
ROUNDED = 1e-12  # means are not whole numbers
MOVES = [(dy, dx) for dy in range(SIDE) for dx in range(SIDE)]
EVEN = [(dy, dx) for dy, dx in MOVES if dy % 2 == dx % 2 == 0]
CONVOLUTION, ZEROS = "convolution, circular padding", "convolution, zero padding"
POOLING, FACTORS = "max pooling 2 x 2, even moves", "a separate factor per position"
EXACT = (
    "identity",
    CONVOLUTION,
    "ReLU",
    "convolution, ReLU, convolution",
    POOLING,
    "a mask: 1 where the convolution is above 10",
)
ROTATION, SCALE = "rotation by 90 degrees", "scale x 2"
MEAN, LARGEST, DENSE = "mean over positions", "largest over positions", "dense layer on flattened maps"


@dataclass(frozen=True)
class Numbers:
    """What was measured.

    Args:
        equivariance: the largest of |f(T x) - T' f(x)| over all moves, by f.
        moves: how many moves, by f.
        invariance: the largest of |f(T x) - f(x)| over all moves, by f.
        stride: the smallest |f(T x) - T' f(x)| / |f(x)| for a convolution of stride 2 and odd moves, with T' the best move of
            the map.
        rotation: |f(T x) - T f(x)| / |f(x)| for a rotation by 90 degrees.
        symmetric: the same for a kernel that is symmetric under this rotation.
        scale: the same for a picture twice as large.
    """

    equivariance: dict[str, float]
    moves: dict[str, int]
    invariance: dict[str, float]
    stride: float
    rotation: float
    symmetric: float
    scale: float


def whole(shape: tuple[int, ...], seed: int) -> Tensor:
    """Whole numbers -4..4 as float64: sums of them are exact in any order."""
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(seed)).double()


def convolution(mode: str = "circular", stride: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution of 2 channels to 3 with whole-numbered weights."""
    how = {"stride": stride, "padding": 1, "padding_mode": mode, "dtype": torch.float64}
    conv = untrained(lambda: nn.Conv2d(2, 3, 3, **how))  # type: ignore[arg-type]
    conv.weight.data, conv.bias.data = whole((3, 2, 3, 3), 1), whole((3,), 2)  # type: ignore[union-attr]
    return conv.requires_grad_(False)


def mixing() -> nn.Conv2d:
    """A 1 x 1 convolution of 3 channels to 2 with whole-numbered weights."""
    conv = untrained(lambda: nn.Conv2d(3, 2, 1, dtype=torch.float64))
    conv.weight.data, conv.bias.data = whole((2, 3, 1, 1), 5), whole((2,), 6)  # type: ignore[union-attr]
    return conv.requires_grad_(False)


@torch.no_grad()
def measure(lab: Lab) -> Numbers:
    """Every circular move of a 12 x 12 picture, exactly; then what is not a translation of the circle."""
    x, conv = whole((2, 2, SIDE, SIDE), 0), convolution()
    head = whole((3 * SIDE * SIDE, 10), 4)
    maps: dict[str, tuple[Callable[[Tensor], Tensor], list[tuple[int, int]], int]] = {
        "identity": (nn.Identity(), MOVES, 1),
        CONVOLUTION: (conv, MOVES, 1),
        "ReLU": (nn.ReLU(), MOVES, 1),
        "convolution, ReLU, convolution": (nn.Sequential(conv, nn.ReLU(), mixing()), MOVES, 1),
        POOLING: (nn.MaxPool2d(2), EVEN, 2),
        "a mask: 1 where the convolution is above 10": (
            lambda p: (conv(p).sum(1, keepdim=True) > 10).double(),
            MOVES,
            1,
        ),
        ZEROS: (convolution("zeros"), MOVES, 1),
        FACTORS: (lambda p: p * whole((1, 1, SIDE, SIDE), 3), MOVES, 1),
    }
    answers = {
        MEAN: lambda p: conv(p).relu().mean((2, 3)),
        LARGEST: lambda p: conv(p).amax((2, 3)),
        DENSE: lambda p: conv(p).relu().flatten(1) @ head,
    }
    symmetric = convolution()
    # A kernel that no quarter turn changes, as a sum over the group of the four.
    symmetric.weight.data = sum(torch.rot90(conv.weight.data, k, (2, 3)) for k in range(4))  # type: ignore[assignment]
    larger, turned = nn.Upsample(scale_factor=2, mode="nearest"), torch.rot90(x, 1, (2, 3))
    return Numbers(
        equivariance={
            name: equivariance_error_by_move(f, x, moves, "circular", stride=(stride, stride)).max().item()
            for name, (f, moves, stride) in maps.items()
        },
        moves={name: len(moves) for name, (_, moves, _) in maps.items()},
        invariance={name: invariance_error(f, x, MOVES, "circular").max().item() for name, f in answers.items()},
        stride=off_the_stride(x),
        rotation=_relative(conv(turned), torch.rot90(conv(x), 1, (2, 3))),
        symmetric=_relative(symmetric(turned), torch.rot90(symmetric(x), 1, (2, 3))),
        scale=_relative(conv(larger(x)), larger(conv(x))),
    )


def off_the_stride(x: Tensor) -> float:
    """The error of a convolution of stride 2 for odd moves, at its least over these and over moves of the map."""
    strided = convolution(stride=2)
    # Compared with each move of the map by 0 or 1 cell: whichever is taken for T', none fits.
    return min(
        (strided(x.roll(v, (2, 3))) - strided(x).roll(u, (2, 3))).norm().item() / strided(x).norm().item()
        for v in [(1, 0), (0, 1), (1, 1)]
        for u in [(0, 0), (1, 0), (0, 1), (1, 1)]
    )


def _relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def figures(n: Numbers) -> list[Figure]:
    """Errors of equivariance, of invariance, and of the exceptions."""
    found, worst = [], "largest error over all moves"
    for row, error in n.equivariance.items():
        holds, source = error == 0 if row in EXACT else None, BOOK if row == CONVOLUTION else None
        found.append(Figure("equivariance", row, worst, error, "", source=source, holds=holds))
        found.append(Figure("equivariance", row, "moves", n.moves[row], "count"))
    for row, error in n.invariance.items():
        found.append(Figure("invariance", row, worst, error, "", holds=error < ROUNDED))
    stride = "stride 2, odd moves, at the best move of the map"
    symmetric = "rotation by 90 degrees, kernel symmetrised over 4 rotations"  # this one rotation does cover
    return [
        *found,
        Figure("exceptions", stride, "error", n.stride, "", holds=n.stride != 0),
        Figure("exceptions", ROTATION, "error", n.rotation, "", source=BOOK, holds=n.rotation != 0),
        Figure("exceptions", symmetric, "error", n.symmetric, ""),
        Figure("exceptions", SCALE, "error", n.scale, "", source=BOOK, holds=n.scale != 0),
    ]


def claims(n: Numbers) -> list[Judged]:
    """The book's two sentences, and what learners conclude from them."""
    error, worst = n.equivariance[CONVOLUTION], "largest error over all moves"
    turned, larger = n.rotation != 0, n.scale != 0
    return [
        judged(
            "Convolution is equivariant to translation: f(g(x)) = g(f(x)).",
            BOOK,
            [error == 0],
            holds=f"It is so exactly at every one of the {len(MOVES)} moves around the circle. The formula has no border and no "
            "stride; what they change stands under the exceptions.",
            does_not=f"The error is {error:.2g}, even around the circle.",
            rests_on=[("equivariance", CONVOLUTION, worst)],
        ),
        judged(
            "Convolution is not equivariant to rotation and scale.",
            BOOK,
            [turned, larger],
            holds=f"The error is {fixed(n.rotation, 2)} for a rotation by 90 degrees and {fixed(n.scale, 2)} for twice the size.",
            in_part=f"The error is {fixed(n.rotation, 2)} for a rotation by 90 degrees and {fixed(n.scale, 2)} for twice "
            "the size: "
            "one of the two is kept.",
            does_not="Both are kept: the errors are 0.",
            rests_on=[("exceptions", ROTATION, "error"), ("exceptions", SCALE, "error")],
        ),
        judged(
            "A dense layer turns equivariant maps into an invariant answer.",
            NOTES,
            [n.invariance[DENSE] < ROUNDED],
            holds="Its output is the same at every move.",
            does_not=f"Its output changes by up to {fixed(n.invariance[DENSE], 2)}: it has a weight for every position.",
            rests_on=[("invariance", DENSE, worst)],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    broken = sorted(name for name in EXACT if n.equivariance[name] != 0)
    exceptions = {
        "zeros at the border": n.equivariance[ZEROS],
        "moves that are not multiples of the stride": n.stride,
        "rotation": n.rotation,
        "scale": n.scale,
    }
    seen = [f"{name} (error {fixed(error, 2)})" for name, error in exceptions.items() if error > 0]
    unseen = [name for name, error in exceptions.items() if error == 0]
    kept = [name for name, error in n.invariance.items() if error < ROUNDED]
    lost = [f"{name} (off by up to {fixed(error, 2)})" for name, error in n.invariance.items() if error >= ROUNDED]
    return [
        Said(
            not broken,
            yes=f"f(T x) = T' f(x) holds exactly for circular convolution at every one of the {len(MOVES)} moves, for "
            "operations on single positions, and for pooling at moves by multiples of its stride.",
            no=f"f(T x) = T' f(x) fails for {', '.join(broken)}.",
        ),
        Said(bool(seen), yes=f"These are exceptions: {', '.join(seen)}.", no="There are no exceptions."),
        Said(not unseen, yes="", no=f"These were expected as exceptions and are none: {', '.join(unseen)}."),
        Said(
            bool(kept),
            yes=f"On equivariant maps, the {' and the '.join(kept)} give an invariant answer.",
            no="None of the readouts that were tried makes the answer invariant.",
        ),
        Said(bool(lost), yes=f"The {' and the '.join(lost)} {'does' if len(lost) == 1 else 'do'} not.", no=""),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    kept = [name for name, error in n.invariance.items() if error < ROUNDED]
    lost = [name for name in n.invariance if name not in kept]
    return Said(
        n.equivariance[CONVOLUTION] == 0,
        yes=Said(
            bool(kept) and bool(lost),
            yes="The maps of a convolution move with the picture. Whether the answer stays is up to the readout: it does with "
            f"the {' and the '.join(kept)}, and not with the {' and the '.join(lost)}.",
            no="The maps of a convolution move with the picture. The readouts that were tried do not differ.",
        ),
        no="Here, the maps of a convolution do not move with the picture.",
    )


def tables(n: Numbers) -> list[Table]:
    """Equivariance, invariance, and the exceptions."""
    return [
        Table(
            "equivariance",
            "f(T x) = T' f(x)",
            "f",
            "Circular moves of 12 x 12 pictures; whole numbers, float64.",
            "It is equivariant to these moves.",
        ),
        Table("invariance", "f(T x) = f(x)", "f", claim="It makes the answer invariant."),
        Table(
            "exceptions",
            "Exceptions",
            "transformation",
            "|f(T x) - T f(x)| / |f(x)|",
            "Convolution is not equivariant to it.",
        ),
    ]


DIGIT = [".....", "#####", "...#.", "..#..", ".#...", ".#..."]  # a seven, drawn by hand
EDGES = torch.tensor([[[1.0, 1, 1], [0, 0, 0], [-1, -1, -1]], [[1.0, 0, -1], [1, 0, -1], [1, 0, -1]]])[:, None].double()
SHOWN_MOVE = (6, 5)


def digit() -> Float[Tensor, "1 1 12 12"]:
    """The seven near the upper left corner of an empty picture."""
    picture = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.float64)
    picture[0, 0, : len(DIGIT), : len(DIGIT[0])] = torch.tensor([[c == "#" for c in line] for line in DIGIT])
    return picture.roll((0, 1), (2, 3))


def edges(x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 2 h w"]:
    """Where the upper and the left edges of strokes are, around the circle."""
    return nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), EDGES).relu()


def moving_digit() -> list[list[Cells]]:
    """A digit and what a convolution, a mean and a dense layer make of it; the same after a move; and the differences."""
    head = whole((2 * SIDE * SIDE, 6), 4)
    still = digit()
    moved = still.roll(SHOWN_MOVE, (2, 3))
    back = tuple(-v for v in SHOWN_MOVE)
    a, b = edges(still), edges(moved)
    maps = [a[0], b[0], b[0].roll(back, (1, 2)) - a[0]]
    shown = [still[0, 0], moved[0, 0], moved[0, 0].roll(back, (0, 1)) - still[0, 0]]
    means, dense = ([f(a), f(b), f(b) - f(a)] for f in (lambda m: m.mean((2, 3)).T, lambda m: (m.flatten(1) @ head).T))
    rows = []
    for x, m, mean, d in zip(shown, maps, means, dense, strict=True):
        parts = [Cells(x.numpy(), "signed", 1.0), *(Cells(one.numpy(), "signed", float(a.max())) for one in m)]
        ends = [(mean, float(means[0].abs().max())), (d, float(dense[0].abs().max()))]
        rows.append([*parts, *(Cells(v.numpy(), "signed", most, side_px=24) for v, most in ends)])
    return rows


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The moving digit, with its maps and what two readouts make of them."""
    above = ("the picture", "its upper edges", "its left edges", "means", "dense\nlayer")
    beside = (
        "at one place",
        f"moved {SHOWN_MOVE[0]} px down,\n{SHOWN_MOVE[1]} px right",
        "moved back,\nminus the first row",
    )
    caption = (
        "A digit, the maps of a convolution with circular padding, and two readouts of these maps: the mean of each map, and a "
        "dense layer with weights drawn at random. Red is above 0, blue below, pale is 0. Last row: the second row minus the "
        "first, pictures and maps moved back."
    )
    return {"moving.png": (laid_out(moving_digit(), above=above, beside=beside), caption)}


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {
        "boundary": "circular",
        "moves": f"all {len(MOVES)}",
        "pictures": "2 of whole numbers -4..4, seed 0",
        "weights": "whole numbers -4..4, seeds 1 to 6",
    }


EXPERIMENT = Experiment(
    name="equivariance",
    systems=("S1", "S23"),
    title="When the input moves, does the output?",
    definition="Equivariant: moving the input moves the output in the same way. Invariant: moving the input leaves the "
    "output as it is.",
    shows="invariance and equivariance as laws: which operations obey them exactly, and which do not",
    claim="Convolution is equivariant to translation: f(g(x)) = g(f(x)). It is not equivariant to scale or rotation.",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    pictures=pictures,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
