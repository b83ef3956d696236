"""S1, S23: invariance and equivariance as laws; convolution against any translation, with the exceptions named."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.untrained import untrained
from shiftproof.measure import equivariance_error_by_move, invariance_error
from shiftproof.records import Figure, Source, Table

BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2: f(g(x)) = g(f(x)); 9.2: not to scale or rotation",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
SIDE = 12
ROUNDED = 1e-12  # means are not whole numbers
MOVES = [(dy, dx) for dy in range(SIDE) for dx in range(SIDE)]
EVEN = [(dy, dx) for dy, dx in MOVES if dy % 2 == dx % 2 == 0]


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


def measure(lab: Lab) -> Result:
    """Every circular move of a 12 x 12 picture, exactly; then what is no translation of the circle."""
    x = whole((2, 2, SIDE, SIDE), 0)
    conv = convolution()
    maps = {
        "identity": (nn.Identity(), MOVES, 1),
        "convolution, circular padding": (conv, MOVES, 1),
        "ReLU": (nn.ReLU(), MOVES, 1),
        "convolution, ReLU, convolution": (
            nn.Sequential(conv, nn.ReLU(), mixing()),
            MOVES,
            1,
        ),
        "max pooling 2 x 2, even moves": (nn.MaxPool2d(2), EVEN, 2),
        "a mask: 1 where the convolution is above 10": (
            lambda p: (conv(p).sum(1, keepdim=True) > 10).double(),
            MOVES,
            1,
        ),
        "convolution, zero padding": (convolution("zeros"), MOVES, 1),
        "each position its own factor": (lambda p: p * whole((1, 1, SIDE, SIDE), 3), MOVES, 1),
    }
    figures = []
    exact = {"identity", "convolution, circular padding", "ReLU", "max pooling 2 x 2, even moves",
             "convolution, ReLU, convolution", "a mask: 1 where the convolution is above 10"}  # fmt: skip
    with torch.no_grad():
        for name, (f, moves, stride) in maps.items():
            worst = equivariance_error_by_move(f, x, moves, "circular", stride=(stride, stride)).max().item()
            figures.append(Figure("equivariance", name, "largest error over all moves", worst, "",
                                  source=BOOK if name == "convolution, circular padding" else None,
                                  holds=worst == 0 if name in exact else None))  # fmt: skip
            figures.append(Figure("equivariance", name, "moves", len(moves), "count"))
        head = whole((3 * SIDE * SIDE, 10), 4)
        answers = {
            "mean over positions": lambda p: conv(p).relu().mean((2, 3)),
            "largest over positions": lambda p: conv(p).amax((2, 3)),
            "dense layer on flattened maps": lambda p: conv(p).relu().flatten(1) @ head,
        }
        for name, f in answers.items():
            worst = invariance_error(f, x, MOVES, "circular").max().item()
            figures.append(Figure("invariance", name, "largest error over all moves", worst, "", holds=worst < ROUNDED))
        off = [(1, 0), (0, 1), (1, 1)]
        strided = convolution(stride=2)
        nearest = min(
            (strided(x.roll(v, (2, 3))) - strided(x).roll(u, (2, 3))).norm().item() / strided(x).norm().item()
            for v in off for u in ((0, 0), (1, 0), (0, 1), (1, 1))
        )  # fmt: skip
        symmetric = convolution()
        symmetric.weight.data = sum(torch.rot90(conv.weight.data, k, (2, 3)) for k in range(4))  # type: ignore[assignment]
        larger = nn.Upsample(scale_factor=2, mode="nearest")
        exceptions = {
            "stride 2, odd moves, at the best move of the map": nearest,
            "rotation by 90 degrees": _relative(conv(torch.rot90(x, 1, (2, 3))), torch.rot90(conv(x), 1, (2, 3))),
            "rotation by 90 degrees, kernel symmetrised over 4 rotations": _relative(
                symmetric(torch.rot90(x, 1, (2, 3))), torch.rot90(symmetric(x), 1, (2, 3))
            ),
            "scale x 2": _relative(conv(larger(x)), larger(conv(x))),
        }
    for name, error in exceptions.items():
        exempt = name.endswith("4 rotations")  # a symmetric kernel is one that rotation does cover
        source = BOOK if name in ("rotation by 90 degrees", "scale x 2") else None
        figures.append(Figure("exceptions", name, "error", error, "", source=source, holds=(error == 0) == exempt))
    return Result(
        finding=finding({(f.table, f.row): f.measured for f in figures if f.column != "moves"}, exact),
        figures=figures,
        tables=[
            Table(
                "equivariance", "f(T x) = T' f(x)", "f", "Circular moves of 12 x 12 pictures; whole numbers, float64."
            ),
            Table("invariance", "f(T x) = f(x)", "f"),
            Table("exceptions", "What is not covered", "transformation", "|f(T x) - T f(x)| / |f(x)|"),
        ],
        protocol={
            "boundary": "circular",
            "moves": f"all {len(MOVES)}",
            "pictures": "2 of whole numbers -4..4, seed 0",
            "weights": "whole numbers -4..4, seeds 1 to 6",
        },
    )


def finding(at: Mapping[tuple[str, str], float], exact: Collection[str]) -> list[str]:
    """What came out, in sentences, from the errors by (table, row)."""
    broken = [name for name in exact if at["equivariance", name] != 0]
    first = "f(T x) = T' f(x) " + (
        f"fails for {', '.join(sorted(broken))}."
        if broken
        else f"holds exactly for convolution on the circle, for every one of the {len(MOVES)} moves, for what works on each "
        "position alone, and for pooling by multiples of its stride."
    )
    exceptions = {
        "zeros at the border": at["equivariance", "convolution, zero padding"],
        "moves off the stride, at best": at["exceptions", "stride 2, odd moves, at the best move of the map"],
        "rotation": at["exceptions", "rotation by 90 degrees"],
        "scale": at["exceptions", "scale x 2"],
    }
    seen = [f"{name} (error {error:.2f})" for name, error in exceptions.items() if error > 0]
    unseen = [name for name, error in exceptions.items() if error == 0]
    second = f"Exceptions: {', '.join(seen)}." if seen else "There are no exceptions."
    if seen and unseen:
        second += f" Expected but not found: {', '.join(unseen)}."
    kept = [name for (table, name), error in at.items() if table == "invariance" and error < ROUNDED]
    lost = [f"{n} (off by up to {e:.2f})" for (t, n), e in at.items() if t == "invariance" and e >= ROUNDED]
    third = "Equivariant maps become an invariant answer by " + (
        f"the {' or the '.join(kept)}" if kept else "none of these"
    )
    third += f"; not by the {' or the '.join(lost)}." if lost else "."
    return [first, second, third]


def _relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


EXPERIMENT = Experiment(
    name="equivariance",
    systems=("S1", "S23"),
    shows="invariance and equivariance as laws: which operations keep them, exactly, and the exceptions",
    claim="Convolution is equivariant to translation: f(g(x)) = g(f(x)). It is not equivariant to scale or rotation.",
    source=BOOK,
    measure=measure,
)
