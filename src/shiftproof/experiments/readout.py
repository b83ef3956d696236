"""S7: the channel-tied readout, a dense layer that has forgotten where the pattern is."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.checking import check
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.untrained import untrained
from shiftproof.records import Chart, Figure, Series, Source, Table

SOURCE = Source("The project's specification, row S7", "5 x 5 maps of k channels, tied dense layer, softmax")
SIDE, CLASSES = 5, 3
FITTED = "fitted with the pattern in the middle"
PATTERNS = {  # 3 x 3 strokes, and the filters that find them
    "corner": [[1, 0, 0], [1, 0, 0], [1, 1, 1]],
    "cross": [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
    "bar": [[1, 1, 1], [0, 0, 0], [0, 0, 0]],
}


class Reader(nn.Module):
    """A filter for each pattern (circular padding), ReLU above what a part of the pattern gives, dense layer, softmax.

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
    """Weight 1 on class k's own channel's 25 cells, 0 elsewhere.

    >>> tied().sum(1).tolist(), tied()[1, 25:50].unique().tolist()
    ([25.0, 25.0, 25.0], [1.0])
    """
    return torch.eye(CLASSES, dtype=torch.float64).repeat_interleave(SIDE * SIDE, 1)


def pictures() -> Float[Tensor, "k m 1 h w"]:
    """Each pattern at each of the 25 places of the circle."""
    strokes = torch.zeros(CLASSES, 1, SIDE, SIDE, dtype=torch.float64)
    strokes[:, 0, 1:4, 1:4] = torch.tensor(list(PATTERNS.values()), dtype=torch.float64)
    moves = [(dy, dx) for dy in range(SIDE) for dx in range(SIDE)]
    return torch.stack([strokes.roll(v, (2, 3)) for v in moves], 1)


def measure(lab: Lab) -> Result:
    """The class and its probability at each place, with tied weights, random ones, and ones fitted at one place."""
    every = pictures()
    labels = torch.arange(CLASSES)
    maps = Reader(tied()).conv(every[:, 0]).relu().flatten(1).detach()
    fitted = (torch.linalg.pinv(maps) @ (4 * torch.eye(CLASSES, dtype=torch.float64))).T  # right where it was fitted
    random = torch.randn(CLASSES, CLASSES * 25, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    figures, series = [], []
    for name, weights in {
        "tied (S7)": tied(),
        FITTED: fitted,
        "random": random,
    }.items():
        model = Reader(weights).requires_grad_(False).eval()
        answers = model(every.flatten(0, 1)).reshape(CLASSES, -1, CLASSES)
        change = (answers - answers[:, :1]).abs().max().item()
        right = (answers.argmax(2) == labels[:, None]).double().mean().item()
        verdict = check(model, (1, SIDE, SIDE)).circular
        step = verdict.step if verdict.status == "proved" else None
        claimed = 0.0 if name == "tied (S7)" else None
        figures += [
            Figure("readout", name, "largest change of a probability over all places", change, "", published=claimed,
                   source=SOURCE if claimed is not None else None, holds=None if claimed is None else change == 0),
            Figure("readout", name, "right class, all places", right),
            Figure("readout", name, "proved invariant for one-pixel moves", float(step == (1, 1)), ""),
        ]  # fmt: skip
        series.append(Series(name, list(range(25)), answers[0, :, 0].tolist()))
    change = {f.row: f.measured for f in figures if f.column.startswith("largest")}
    right = {f.row: f.measured for f in figures if f.column.startswith("right")}
    is_proved = figures[2].measured == 1
    return Result(
        finding=[
            f"With tied weights the answer {'does not change at all' if change['tied (S7)'] == 0 else 'changes'} wherever on the "
            f"circle the pattern is, and the check {'proves' if is_proved else 'does not prove'} it from the weights.",
            "A dense layer that was right where it was fitted is right at "
            f"{right[FITTED]:.0%} of all places"
            + (": it remembers where." if right[FITTED] < 1 else ": here it needs no tied weights."),
        ],
        figures=figures,
        tables=[Table("readout", "Three readouts of the same 5 x 5 maps", "dense layer",
                      f"{CLASSES} patterns at all 25 places of the circle, float64")],
        charts=[Chart("places", "Probability of the right class as the corner moves over all places", "lines",
                      "place, row by row", "probability", series, percent=True)],
        protocol={"boundary": "circular", "moves": "all 25", "patterns": PATTERNS,
                  "random weights": "standard normal, float64, seed 0"},
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="readout",
    systems=("S7",),
    shows="a dense layer tied over positions makes the class independent of where the pattern is, exactly",
    claim="With weight 1 on channel k's cells and 0 elsewhere, then softmax, the class does not depend on where the pattern is.",
    source=SOURCE,
    measure=measure,
)
