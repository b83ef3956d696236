"""An experiment's record made up for tests: every kind of figure, table, chart and picture, from formulas and a seed."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
from PIL import Image

from shiftproof.experiments.figures import over_seeds
from shiftproof.records import (
    Chart,
    Citation,
    Environment,
    ExperimentRecord,
    Figure,
    Judged,
    Picture,
    Place,
    Series,
    Table,
)

PAPER = Citation("Somebody 2017, On moving", "table 2", "https://example.org/paper?a=1&b=2")
AT = Place("accuracy", "C", "moved")
HOSTILE = "</script><img src=x onerror=alert(1)>"


def png(side: int, seed: int = 0) -> bytes:
    """A small grey picture."""
    grey = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
    kept = io.BytesIO()
    Image.fromarray(grey).save(kept, "PNG")
    return kept.getvalue()


def figures() -> list[Figure]:
    """Accuracies over seeds beside published ones, exact counts, an interval without seeds, pixels, plain numbers."""
    found = []
    published = {"A": (0.974, 0.959, 0.686), "B": (0.979, 0.967, 0.718), "C": (0.987, 0.982, 0.843)}
    for row, line in published.items():
        for column, value in zip(("unmoved", "moved little", "moved"), line, strict=True):
            values = [value + 0.004, value + 0.001, value + 0.007]
            holds = abs(value - 0.7) > 0.05
            found.append(over_seeds("accuracy", row, column, values, published=value, source=PAPER, holds=holds))
    found.append(
        Figure("counts", "convolution", "operations", 267960, "count", published=267960, source=PAPER, holds=True)
    )
    found.append(Figure("counts", "dense", "operations", 16006144000, "count", published=8003072000, holds=False))
    found.append(Figure("counts", "dense", "entries", 8003072000, "count"))
    found.append(Figure("rest", "flip rate", "value", 0.1, low=0.05, high=0.17, interval="95 %, over 50 pictures"))
    found.append(Figure("rest", "reach", "value", 2.5, "px", low=2.0, high=3.0, interval="95 %, bootstrap"))
    found.append(Figure("rest", "rounding", "value", 7.8e-16, ""))
    found.append(Figure("rest", "nothing", "value", 0.0))
    found.append(Figure("no layout", "alone", "value", 0.5, published=0.25))
    return found


def charts() -> list[Chart]:
    """One of each kind, with what each can have."""
    px = [float(d) for d in range(9)]
    falls = [0.98 - 0.004 * d * d for d in px]
    band = ([v - 0.01 for v in falls], [min(1.0, v + 0.01) for v in falls])
    sizes = [100.0, 300.0, 1000.0, 3000.0, 10000.0, 60000.0]
    errors = [0.5 / math.sqrt(s) for s in sizes]
    words = ["weight sharing", "pooling twice, with a name that is a good deal longer than others", "depth"]
    lattice = [[dy, dx] for dy in range(-4, 5) for dx in range(-4, 5)]
    far = [math.hypot(*at) for at in lattice]
    wheel = [[3 * math.sin(k), 3 * math.cos(k)] for k in range(12)]
    return [
        Chart(
            "curve",
            "Accuracy against the move",
            "lines",
            "length of the move, pixels",
            "accuracy",
            [
                Series("A", px, falls, *band),
                Series("B", px, [v - 0.05 for v in falls], [v - 0.05 for v in band[0]], [v - 0.05 for v in band[1]]),
                Series("published", px[:3], [0.97, 0.96, 0.95], dashed=True),
            ],
            percent=True,
            note="The band is the interval over seeds.",
        ),
        Chart(
            "sizes",
            "Error against the number of pictures",
            "lines",
            "training pictures",
            "test error",
            [
                Series("conv", sizes, errors),
                Series("theory", sizes, [0.6 / math.sqrt(s) for s in sizes], dashed=True),
            ],
            x_log=True,
            y_log=True,
        ),
        Chart(
            "words",
            "Lines over words",
            "lines",
            "stage",
            "share",
            [
                Series("seed 0", ["input", "conv", "pool"], [0.1, 0.4, 0.2]),
            ],
            percent=True,
        ),
        Chart(
            "cloud",
            "Points with intervals",
            "points",
            "true distance, px",
            "found distance, px",
            [
                Series("found", px, [d + 0.3 for d in px], [d - 0.5 for d in px], [d + 1 for d in px]),
                Series("as they should be", px, px, dashed=True),
            ],
        ),
        Chart(
            "effects",
            "What matters most",
            "bars",
            "effect",
            "gain in accuracy",
            [
                Series("MNIST", words, [0.21, 0.12, -0.03], [0.18, 0.08, -0.05], [0.24, 0.16, -0.01]),
                Series("digits", words, [0.25, 0.10, 0.02]),
                Series("published", words[:2], [0.2, 0.13], dashed=True),
            ],
            percent=True,
        ),
        Chart(
            "sizes of",
            "Weights",
            "bars",
            "layer",
            "weights",
            [
                Series("weights", ["convolution", "dense"], [2.0, 8003072000.0]),
            ],
            x_log=True,
        ),
        Chart(
            "maps",
            "Sensitivity maps",
            "maps",
            "dx, px",
            "dy, px",
            [
                Series("c", lattice, [0.1 * r for r in far]),
                Series("cp", lattice, [0.05 * r for r in far]),
                Series("cpcp", lattice, [0.02 * r for r in far]),
            ],
        ),
        Chart(
            "wheel",
            "Moves on a ring",
            "maps",
            "",
            "",
            [
                Series("ring", wheel, [0.9 + 0.005 * k for k in range(12)]),
            ],
            percent=True,
        ),
    ]


def whole() -> ExperimentRecord:
    """Every feature at once."""
    return ExperimentRecord(
        name="pooling",
        systems=["S10", "S2"],
        claim="Pooling makes a network less sensitive to moves of the object.",
        source=PAPER,
        finding=["C is right on 84.70 % of the moved digits, A on 69.00 %.", "The order of the three is as published."],
        figures=figures(),
        tables=[
            Table(
                "accuracy",
                "Accuracy on the test set",
                "model",
                "10,000 test digits, each moved once.",
                "It is as printed.",
            ),
            Table("counts", "What is counted", "layer", claim="It is as counted."),
            Table("rest", "Other figures", ""),
            Table("unused", "No figure stands here"),
        ],
        charts=charts(),
        pictures=[Picture("digit.png", "A digit, moved 3 px."), Picture("sheet.png", "Twelve of the digits.")],
        footnotes=["The published training set is not named; ours is all 60,000.", "Zeros are moved in."],
        protocol={
            "epochs": 5,
            "optimiser": {"name": "Adam", "rate": 0.001},
            "moves": [[-1, 1], [0, 0]],
            "augmentation": False,
            "boundary": "zero",
            "subset": None,
        },
        seeds=[0, 1, 2],
        data="MNIST",
        command="shiftproof reproduce pooling --seeds 3 --data mnist",
        seconds=1234.5,
        environment=Environment(
            {"python": "3.12.1", "shiftproof": "0.1.0", "torch": "2.6.0"},
            "Linux x86_64, 2 cores",
            "cpu",
            2,
            "2026-11-20T10:11:12+00:00",
        ),
        images={"digit.png": png(28), "sheet.png": png(300, 1)},
        claims=[
            Judged(
                "Pooling makes a network less sensitive to moves of the object.",
                PAPER,
                "holds in part",
                "Only on moved digits.",
                [AT, Place("accuracy", "B", "moved")],
            ),
            Judged(
                "Pooling is all that is needed.", Citation("Notes"), "does not hold", "A dense layer follows.", [AT]
            ),
            Judged("It works for faces.", Citation("Notes"), "not decided here", "There is no face."),
        ],
        take_away="Pooling helps on moved digits, and is not enough.",
    )


def exact() -> ExperimentRecord:
    """Nothing random, no chart, nothing published."""
    return replace(
        whole(),
        name="edges",
        systems=["S16"],
        figures=figures()[9:12],
        charts=[],
        pictures=[],
        footnotes=[],
        seeds=[],
        data="",
        images={},
        command="shiftproof reproduce edges",
        claims=[Judged("It is 267,960.", PAPER, "holds", "It is.", [Place("counts", "convolution", "operations")])],
    )


def on_digits() -> ExperimentRecord:
    """The stand-in data."""
    return replace(
        whole(), data="digits", stand_in=True, command="shiftproof reproduce pooling --seeds 3 --data digits"
    )


def hostile() -> ExperimentRecord:
    """Every text that an experiment writes is an attack."""
    bad = HOSTILE
    figure = Figure(bad, bad, bad, 0.5, values=[0.4, 0.6], low=0.1, high=0.9, interval=bad, published=0.3, holds=False)
    return replace(
        whole(),
        name="hostile",
        claim=bad,
        source=Citation(bad, bad, "javascript:alert(1)"),
        finding=[bad],
        figures=[figure],
        tables=[Table(bad, bad, bad, bad)],
        footnotes=[bad],
        protocol={bad: bad},
        data=bad,
        command=bad,
        charts=[
            replace(
                c,
                title=bad,
                x_label=bad,
                y_label=bad,
                note=bad,
                series=[replace(s, name=f"{bad}{i}") for i, s in enumerate(c.series)],
            )
            for c in charts()
        ],
        pictures=[Picture("digit.png", bad)],
        claims=[Judged(bad, Citation(bad, bad, "javascript:alert(1)"), "does not hold", bad, [Place(bad, bad, bad)])],
        take_away=bad,
    )
