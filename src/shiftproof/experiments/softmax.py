"""S9: what softmax keeps and what it does not."""

from __future__ import annotations

import torch

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Figure, Series, Source, Table

BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 4.1, section 6.2.2.3",
    "https://www.deeplearningbook.org/",
)


def measure(lab: Lab) -> Result:
    """Softmax under an added constant, a factor, a permutation; over classes and over positions."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(1000, 10, generator=generator, dtype=torch.float64)
    shift = torch.randn(1000, 1, generator=generator, dtype=torch.float64) * 10
    order = torch.randperm(10, generator=generator)
    base = scores.softmax(1)

    def largest(a: torch.Tensor, b: torch.Tensor) -> float:
        return (a - b).abs().max().item()

    changes = {
        "a constant added to every score, z + c": (scores + shift).softmax(1),
        "a constant added to one score": (scores + torch.eye(10, dtype=torch.float64)[0]).softmax(1),
        "every score doubled, 2 z": (2 * scores).softmax(1),
    }
    figures = []
    for row, moved in changes.items():
        figures.append(Figure("keeps", row, "largest change of a probability", largest(base, moved), ""))
        same = (base.argmax(1) == moved.argmax(1)).double().mean().item()
        figures.append(Figure("keeps", row, "same class", same))
    permuted = largest(base[:, order], scores[:, order].softmax(1))
    figures.append(Figure("keeps", "classes in another order", "largest change of a probability", permuted, ""))
    kept, changed = figures[0].measured, figures[4].measured
    sharpness = [0.1, 0.2, 0.5, 1, 2, 5, 10]
    curve = [(k * scores).softmax(1).amax(1).mean().item() for k in sharpness]
    return Result(
        finding=[
            f"softmax(z + c) = softmax(z): over {len(scores)} random scores no probability changes by more than {kept:.1e}, "
            f"which is rounding.",
            f"It does not keep a factor: doubling every score changes a probability by up to {changed:.2f}, and "
            f"which class is the largest in {100 * (1 - figures[5].measured):.0f} % of them.",
            "It acts on classes only. Nothing in it averages over positions, so it cannot make a network invariant.",
        ],
        figures=figures,
        tables=[Table("keeps", "What softmax keeps", "change", "1,000 random vectors of 10 scores, float64")],
        charts=[
            Chart("factor", "The same scores, times a factor", "lines", "factor", "mean largest probability",
                  [Series("softmax(k z)", sharpness, curve)], x_log=True)
        ],
        protocol={"scores": "standard normal, 1000 x 10, float64, seed 0", "constants": "normal, sd 10"},
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="softmax",
    systems=("S9",),
    shows="softmax keeps an added constant, not a factor, and knows nothing of positions",
    claim="Softmax does not change when the same constant is added to all of its inputs.",
    source=BOOK,
    measure=measure,
)
