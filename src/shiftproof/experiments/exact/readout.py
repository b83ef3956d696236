"""The channel-tied readout, a dense layer that has forgotten where the pattern is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.checking import check
from shiftproof.experiments.drawing import Cells, laid_out
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.sources import NOTES
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent
from shiftproof.training import untrained

SOURCE = Citation(
    "Lin, Chen and Yan 2013, Network in network",
    "section 3.2: one feature map per class, averaged over positions, then softmax",
    "https://arxiv.org/abs/1312.4400",
)
SIDE, CLASSES, SHOWN_PX = 5, 3, 20
CHANGE = "largest change of a probability over all positions"
RIGHT, STRICT = "correct class, all positions, ties to the first", "correct class without a tie"
TIE = 1e-12
TIED, FITTED, RANDOM = "tied over positions", "fitted with the pattern in the middle", "random"
PATTERNS = {  # 3 x 3 strokes, and the filters that find them
    "corner": [[1, 0, 0], [1, 0, 0], [1, 1, 1]],
    "cross": [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
    "bar": [[0, 1, 0], [0, 1, 0], [0, 1, 0]],  # not a part of the others: no two filters answer to one stroke
}


@dataclass(frozen=True)
class Readout:
    """What one dense layer answers to the patterns at all positions.

    Args:
        change: largest change of a probability over all positions.
        right: fraction of patterns and positions whose class is right; of classes with equal probabilities, the first is taken.
        strict: fraction of patterns and positions whose class has a probability above all others.
        proved: whether the check proves invariance to moves by one pixel.
        corner: probability of the class "corner" for the corner at each position, row by row.
    """

    change: float
    right: float
    strict: float
    proved: bool
    corner: list[float]


@dataclass(frozen=True)
class Numbers:
    """What was measured, by the weights of the dense layer: tied, fitted at one position, random."""

    tied: Readout
    fitted: Readout
    random: Readout


class Reader(nn.Module):
    """A filter per pattern (circular padding), ReLU above what a part of the pattern gives, a dense layer, softmax.

    Args:
        readout: (classes, channels x 25) weights of the dense layer on the flattened maps.
    """

    def __init__(self, readout: Float[Tensor, "k f"]) -> None:
        super().__init__()
        how = {"padding": 1, "padding_mode": "circular", "dtype": torch.float64}
        self.conv = untrained(lambda: nn.Conv2d(1, CLASSES, 3, **how))  # type: ignore[arg-type]
        kernels = torch.tensor(list(PATTERNS.values()), dtype=torch.float64)[:, None]
        ones = kernels.sum((1, 2, 3))
        absent = 2 * kernels - 1  # a cell outside the stroke counts against it
        self.conv.weight.data, self.conv.bias.data = absent, 0.5 - ones  # type: ignore[union-attr]
        classes, cells = readout.shape
        self.dense = untrained(lambda: nn.Linear(cells, classes, bias=False, dtype=torch.float64))
        self.dense.weight.data = readout

    def forward(self, x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n k"]:
        """Probabilities of the classes."""
        return self.dense(self.conv(x).relu().flatten(1)).softmax(1)


def tied() -> Float[Tensor, "k f"]:
    """Weight 1 on the 25 cells of class k's own channel, 0 elsewhere.

    >>> tied().sum(1).tolist(), tied()[1, 25:50].unique().tolist()
    ([25.0, 25.0, 25.0], [1.0])
    """
    return torch.eye(CLASSES, dtype=torch.float64).repeat_interleave(SIDE * SIDE, 1)


def pictures() -> Float[Tensor, "k m 1 h w"]:
    """Each pattern at each of the 25 positions of the circle."""
    strokes = torch.zeros(CLASSES, 1, SIDE, SIDE, dtype=torch.float64)
    strokes[:, 0, 1:4, 1:4] = torch.tensor(list(PATTERNS.values()), dtype=torch.float64)
    moves = [(dy, dx) for dy in range(SIDE) for dx in range(SIDE)]
    return torch.stack([strokes.roll(v, (2, 3)) for v in moves], 1)


def fitted(every: Float[Tensor, "k m 1 h w"]) -> Float[Tensor, "k f"]:
    """The least weights that are correct for each pattern in the middle."""
    maps = Reader(tied()).conv(every[:, 0]).relu().flatten(1).detach()
    return (torch.linalg.pinv(maps) @ (4 * torch.eye(CLASSES, dtype=torch.float64))).T


def drawn_at_random() -> Float[Tensor, "k f"]:
    """Standard normal weights."""
    return torch.randn(CLASSES, CLASSES * 25, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def measure(lab: Lab) -> Numbers:
    """The class and its probability at each position, with tied weights, random ones, and ones fitted at one position."""
    every = pictures()
    return Numbers(*(_readout(weights, every) for weights in (tied(), fitted(every), drawn_at_random())))


def _readout(weights: Float[Tensor, "k f"], every: Float[Tensor, "k m 1 h w"]) -> Readout:
    model = Reader(weights).requires_grad_(False).eval()
    answers = model(every.flatten(0, 1)).reshape(CLASSES, -1, CLASSES)
    verdict = check(model, (1, SIDE, SIDE)).circular
    # One matrix product adds the same numbers in another order at another position: a difference below this is a tie.
    own = answers.diagonal(dim1=0, dim2=2).T
    others = answers.masked_fill(torch.eye(CLASSES, dtype=torch.bool)[:, None], 0).amax(2) + TIE
    return Readout(
        change=(answers - answers[:, :1]).abs().max().item(),
        right=(answers.argmax(2) == torch.arange(CLASSES)[:, None]).double().mean().item(),
        strict=(own > others).double().mean().item(),
        proved=verdict.status == "proved" and verdict.step == (1, 1),
        corner=answers[0, :, 0].tolist(),
    )


def figures(n: Numbers) -> list[Figure]:
    """Change, correct answers and proof for each dense layer."""
    found = []
    for row, r in {TIED: n.tied, FITTED: n.fitted, RANDOM: n.random}.items():
        claimed = {"source": SOURCE, "holds": r.change == 0} if r is n.tied else {}
        found += [
            Figure("readout", row, CHANGE, r.change, "", **claimed),  # type: ignore[arg-type]
            Figure("readout", row, RIGHT, r.right),
            Figure("readout", row, STRICT, r.strict),
            Figure("readout", row, "proved invariant for one-pixel moves", float(r.proved), ""),
        ]
    return found


def claims(n: Numbers) -> list[Judged]:
    """The paper's readout, and what learners say of dense layers."""
    return [
        judged(
            "If class k has weight 1 on the cells of channel k and 0 elsewhere, followed by softmax, the class does not "
            "depend on "
            "where the pattern is.",
            SOURCE,
            [n.tied.change == 0],
            holds="No probability changes at any position of the circle, not even in the last bit.",
            does_not=f"A probability changes by up to {n.tied.change:.2g}.",
            rests_on=[("readout", TIED, CHANGE), ("readout", TIED, RIGHT)],
        ),
        judged(
            "A dense layer and softmax turn equivariant maps into an invariant answer.",
            NOTES,
            [n.fitted.strict == 1],
            holds="A dense layer that was fitted at one position is correct at every position.",
            does_not=f"A dense layer that was fitted at one position is correct at {percent(n.fitted.strict, 0)} of all "
            "positions, "
            f"or {percent(n.fitted.right, 0)} if ties are counted for the first class.",
            rests_on=[("readout", FITTED, STRICT), ("readout", FITTED, RIGHT)],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    fitted = (
        "A dense layer that is correct at the position where it was fitted is correct at "
        f"{percent(n.fitted.strict, 0)} of all positions"
    )
    return [
        Said(
            n.tied.change == 0,
            yes="With weights tied over positions, the answer is exactly the same wherever the pattern is on the circle.",
            no="With weights tied over positions, the answer changes with the position of the pattern: a probability changes by "
            f"up to {n.tied.change:.2g}.",
        ),
        Said(
            n.tied.proved,
            yes="The check proves this invariance from the weights.",
            no="The check does not prove invariance from the weights.",
        ),
        Said(
            n.fitted.strict < 1,
            yes=f"{fitted}: it has learned the position.",
            no=f"{fitted}: it needs no tied weights here.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    return Said(
        n.tied.change == 0 and n.fitted.strict < 1,
        yes="A dense layer forgets where the pattern is if its weights are the same at all positions. Fitted at one place "
        f"without this demand, it is correct at {percent(n.fitted.strict, 0)} of the places.",
        no=f"With tied weights, a probability changes by up to {n.tied.change:.1g} over all places; fitted at one place, a dense "
        f"layer is correct at {percent(n.fitted.strict, 0)} of them.",
    )


def tables(n: Numbers) -> list[Table]:
    """The three dense layers."""
    return [
        Table(
            "readout",
            "Three readouts of the same 5 x 5 maps",
            "dense layer",
            f"{CLASSES} patterns at all 25 positions of the circle, float64",
            "No probability changes.",
        )
    ]


def charts(n: Numbers) -> list[Chart]:
    """The correct class's probability at each position."""
    rows = {TIED: n.tied, FITTED: n.fitted, RANDOM: n.random}
    return [
        Chart(
            "places",
            "Probability of the correct class as the corner moves over all positions",
            "lines",
            "position, row by row",
            "probability",
            [Series(row, list(range(SIDE * SIDE)), r.corner) for row, r in rows.items()],
            percent=True,
        )
    ]


def _map(values: Float[Tensor, "h w"], colours: Literal["heat", "signed"], most: float) -> Cells:
    return Cells(values.numpy(), colours, most, side_px=SHOWN_PX)


def weights_and_maps() -> list[list[Cells | None]]:
    """The maps of a corner in the middle and after a move, and what three dense layers give the class "corner" for each cell."""
    every = pictures()
    rows: list[list[Cells | None]] = []
    for at in (0, every.shape[1] // 2 + 1):
        maps = Reader(tied()).conv(every[:1, at]).relu()[0].detach()
        picture = Cells(every[0, at, 0].numpy(), side_px=SHOWN_PX)
        rows.append([picture, *(_map(m, "heat", float(maps.max())) for m in maps)])
    for weights in (tied(), fitted(every), drawn_at_random()):
        corner = weights[0].reshape(CLASSES, SIDE, SIDE)
        rows.append([None, *(_map(m, "signed", float(corner.abs().max())) for m in corner)])
    return rows


def drawings(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The maps and the weights of the three dense layers."""
    beside = (
        "corner in the middle",
        "corner, moved",
        f"weights: {TIED}",
        "weights: fitted\nin the middle",
        "weights: random",
    )
    caption = (
        "Above: a corner on the circle and the maps of three filters. Below: the weights by which three dense layers make the "
        'score of the class "corner" from these maps; red is above 0, blue below, pale is 0.'
    )
    return {"weights.png": (laid_out(weights_and_maps(), above=("the picture", *PATTERNS), beside=beside), caption)}


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {
        "boundary": "circular",
        "moves": "all 25",
        "patterns": PATTERNS,
        "random weights": "standard normal, float64, seed 0",
    }


EXPERIMENT = Experiment(
    name="readout",
    systems=("S7",),
    title="Can a readout forget where?",
    definition="Readout: the last layer, which makes scores of classes from maps. Tied: with the same weight at all "
    "positions of a map.",
    shows="a dense layer with weights tied over positions makes the class exactly independent of where the pattern is",
    claim="If class k has weight 1 on the cells of channel k and 0 elsewhere, followed by softmax, the class does not depend on "
    "where the pattern is.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=drawings,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
