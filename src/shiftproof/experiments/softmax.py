"""S9: what softmax keeps and what it does not."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Figure, Series, Source, Table

BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 4.1, section 6.2.2.3",
    "https://www.deeplearningbook.org/",
)
CONSTANT, DOUBLED = "a constant added to every score, z + c", "every score doubled, 2 z"
LARGEST, SAME = "largest change of a probability", "same class"
ROUNDING = 1e-14  # of probabilities in float64, of scores of some tens
CELLS = 25


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
        CONSTANT: (scores + shift).softmax(1),
        "a constant added to one score": (scores + torch.eye(10, dtype=torch.float64)[0]).softmax(1),
        DOUBLED: (2 * scores).softmax(1),
    }
    order_of_places = torch.randperm(CELLS, generator=generator)
    maps = torch.randn(100, 10, CELLS, generator=generator, dtype=torch.float64)
    figures = []
    for row, moved in changes.items():
        kept = largest(base, moved)
        holds = kept < ROUNDING if row == CONSTANT else None
        figures.append(Figure("keeps", row, LARGEST, kept, "", source=BOOK if holds is not None else None, holds=holds))
        same = (base.argmax(1) == moved.argmax(1)).double().mean().item()
        figures.append(Figure("keeps", row, SAME, same))
    permuted = largest(base[:, order], scores[:, order].softmax(1))
    figures.append(Figure("keeps", "classes in another order", LARGEST, permuted, "", holds=permuted < ROUNDING))
    # over positions it is a law of equivariance: the places change, the probabilities go with them
    places = maps.softmax(2)
    again = maps[:, :, order_of_places].softmax(2)
    with_them, as_before = largest(places[:, :, order_of_places], again), largest(places, again)
    averages = largest(places.mean(2), again.mean(2))
    by_class = largest(maps.softmax(1)[:, :, order_of_places], maps[:, :, order_of_places].softmax(1))
    figures += [
        Figure(
            "places", "over positions, against the same moved along", LARGEST, with_them, "", holds=with_them < ROUNDING
        ),
        Figure("places", "over positions, against what it was", LARGEST, as_before, "", holds=as_before < ROUNDING),
        Figure(
            "places",
            "over classes, at each position, against the same moved along",
            LARGEST,
            by_class,
            "",
            holds=by_class < ROUNDING,
        ),
        Figure("places", "averaged over positions afterwards", LARGEST, averages, "", holds=averages < ROUNDING),
    ]
    sharpness = [0.1, 0.2, 0.5, 1, 2, 5, 10]
    curve = [(k * scores).softmax(1).amax(1).mean().item() for k in sharpness]
    return Result(
        finding=finding({(f.row, f.column): f.measured for f in figures}, len(scores)),
        figures=figures,
        tables=[
            Table("keeps", "What softmax keeps", "change", "1,000 random vectors of 10 scores, float64"),
            Table("places", "When maps of scores are read at other places", "softmax",
                  f"100 random maps of 10 channels and {CELLS} cells, the cells in another order; ticked: nothing changes"),
        ],
        charts=[
            Chart("factor", "The same scores, times a factor", "lines", "factor", "mean largest probability",
                  [Series("softmax(k z)", sharpness, curve)], x_log=True)
        ],
        protocol={"scores": "standard normal, 1000 x 10, float64, seed 0", "constants": "normal, sd 10",
                  "maps": f"standard normal, 100 x 10 x {CELLS}, float64, the same stream", "rounding": f"below {ROUNDING:g}"},
    )  # fmt: skip


def finding(at: Mapping[tuple[str, str], float], n: int) -> list[str]:
    """What came out, in sentences, from the figures by (row, column)."""
    kept, changed = at[CONSTANT, LARGEST], at[DOUBLED, LARGEST]
    other = 1 - at[DOUBLED, SAME]
    first = (
        f"softmax(z + c) = softmax(z): over {n} random scores no probability changes by more than {kept:.1e}, which is rounding."
        if kept < ROUNDING
        else f"softmax(z + c) is not softmax(z): over {n} random scores a probability changes by up to {kept:.1e}."
    )
    second = (
        f"It does not keep a factor: doubling every score changes a probability by up to {changed:.2f}, "
        if changed >= ROUNDING
        else "It keeps a factor too: doubling every score changes no probability, "
    ) + (
        f"and which class is the largest in {other:.1%} of them." if other else "and never which class is the largest."
    )
    moves, stays = (at[f"over positions, against {what}", LARGEST] for what in ("what it was", "the same moved along"))
    third = (
        f"Over positions it is equivariant, not invariant: the probabilities go with the places (to {stays:.0e}) and change by "
        f"up to {moves:.2f} where they were"
        if stays < ROUNDING <= moves
        else "Over positions it is "
        + ("invariant" if moves < ROUNDING else f"not even equivariant (off by {stays:.1e})")
    )
    average = at["averaged over positions afterwards", LARGEST]
    third += (
        f"; it is the average over positions that makes an answer invariant (to {average:.0e})."
        if average < ROUNDING
        else f"; averaging over positions changes the answer too, by {average:.1e}."
    )
    return [first, second, third]


EXPERIMENT = Experiment(
    name="softmax",
    systems=("S9",),
    shows="softmax keeps an added constant, not a factor; over positions it is equivariant, not invariant",
    claim="Softmax does not change when the same constant is added to all of its inputs.",
    source=BOOK,
    measure=measure,
)
