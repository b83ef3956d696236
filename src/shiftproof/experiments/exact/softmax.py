"""What softmax keeps and what it does not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shiftproof.experiments.drawing import Cells, laid_out
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.sources import NOTES
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed, percent

BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 4.1, section 6.2.2.3",
    "https://www.deeplearningbook.org/",
)
LARGEST, SAME = "largest change of a probability", "same class"
ADDED = "a constant added to every score, z + c"
MOVED = "over positions, compared with the permuted result"
STAYED = "over positions, compared with the original result"
BY_CLASS = "over classes at each position, compared with the permuted result"
AVERAGED = "over positions, then averaged over positions"
ROUNDING = 1e-14  # of probabilities in float64, of scores of some tens
VECTORS, SCORES, MAPS, CELLS, SQUARE_PX = 1000, 10, 100, 25, 46


@dataclass(frozen=True)
class Change:
    """What a change of the scores does.

    Args:
        largest: the largest change of a probability.
        same: fraction of the vectors whose largest class stays.
    """

    largest: float
    same: float


@dataclass(frozen=True)
class Numbers:
    """What was measured. Except for the three changes and the curve, every number is a largest change of a probability.

    Args:
        constant: a constant is added to every score of a vector.
        one: a constant is added to one score.
        doubled: every score is doubled.
        permuted: the classes come in another order, against the same order of the probabilities.
        moved_along: softmax over positions, the positions in another order, against the same moved along.
        stayed: the same, against what it was.
        by_class: softmax over classes at each position, against the same moved along.
        average: the average over positions of softmax over positions, against what it was.
        sharpness: factors k.
        curve: the mean largest probability of softmax(k z).
    """

    constant: Change
    one: Change
    doubled: Change
    permuted: float
    moved_along: float
    stayed: float
    by_class: float
    average: float
    sharpness: list[float]
    curve: list[float]


def measure(lab: Lab) -> Numbers:
    """Softmax under an added constant, a factor, a permutation; over classes and over positions."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(VECTORS, SCORES, generator=generator, dtype=torch.float64)
    shift = torch.randn(VECTORS, 1, generator=generator, dtype=torch.float64) * 10
    order = torch.randperm(SCORES, generator=generator)
    # Any order, not only moves: softmax and averages know no neighbourhood.
    order_of_places = torch.randperm(CELLS, generator=generator)
    maps = torch.randn(MAPS, SCORES, CELLS, generator=generator, dtype=torch.float64)
    base, moved_maps = scores.softmax(1), maps[:, :, order_of_places]

    def changed(other: Tensor) -> Change:
        same = (base.argmax(1) == other.argmax(1)).double().mean().item()
        return Change(largest(base, other), same)

    places, again = maps.softmax(2), moved_maps.softmax(2)
    sharpness = [0.1, 0.2, 0.5, 1, 2, 5, 10]
    return Numbers(
        constant=changed((scores + shift).softmax(1)),
        one=changed((scores + torch.eye(SCORES, dtype=torch.float64)[0]).softmax(1)),
        doubled=changed((2 * scores).softmax(1)),
        permuted=largest(base[:, order], scores[:, order].softmax(1)),
        moved_along=largest(places[:, :, order_of_places], again),
        stayed=largest(places, again),
        by_class=largest(maps.softmax(1)[:, :, order_of_places], moved_maps.softmax(1)),
        average=largest(places.mean(2), again.mean(2)),
        sharpness=sharpness,
        curve=[(k * scores).softmax(1).amax(1).mean().item() for k in sharpness],
    )


def largest(a: Tensor, b: Tensor) -> float:
    """The largest difference of two tensors."""
    return (a - b).abs().max().item()


def figures(n: Numbers) -> list[Figure]:
    """The largest change of a probability under each change, and whether the class stays."""
    found = []
    changes = {
        ADDED: n.constant,
        "a constant added to one score": n.one,
        "every score doubled, 2 z": n.doubled,
    }
    for row, change in changes.items():
        found += [Figure("keeps", row, LARGEST, change.largest, ""), Figure("keeps", row, SAME, change.same)]
    found.append(Figure("keeps", "classes in another order", LARGEST, n.permuted, ""))
    for row, value in {MOVED: n.moved_along, STAYED: n.stayed, BY_CLASS: n.by_class, AVERAGED: n.average}.items():
        found.append(Figure("places", row, LARGEST, value, ""))
    return found


def claims(n: Numbers) -> list[Judged]:
    """The book's sentence, and what learners conclude from softmax at the end of a network."""
    return [
        judged(
            "Softmax does not change when the same constant is added to all of its inputs.",
            BOOK,
            [n.constant.largest < ROUNDING],
            holds=f"No probability changes by more than {n.constant.largest:.1e}, which is rounding.",
            does_not=f"A probability changes by up to {n.constant.largest:.1e}.",
            rests_on=[("keeps", ADDED, LARGEST)],
        ),
        judged(
            "Softmax at the end of a network makes its answer invariant to translation.",
            NOTES,
            [n.stayed < ROUNDING],
            holds="Over positions, the probabilities stay where they were when the positions are moved.",
            does_not="Over positions, the probabilities move with the positions, and the probability at a fixed position "
            f"changes by up to {fixed(n.stayed, 2)}.",
            rests_on=[("places", STAYED, LARGEST), ("places", AVERAGED, LARGEST)],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    other = 1 - n.doubled.same
    return [
        Said(
            n.constant.largest < ROUNDING,
            yes=f"softmax(z + c) = softmax(z): over {VECTORS:,} random vectors of scores, no probability changes by more than "
            f"{n.constant.largest:.1e}, which is rounding.",
            no=f"softmax(z + c) is not softmax(z): over {VECTORS:,} random vectors of scores, a probability changes by up to "
            f"{n.constant.largest:.1e}.",
        ),
        Said(
            n.doubled.largest >= ROUNDING,
            yes=f"Softmax is not invariant to a factor: doubling every score changes a probability by up to "
            f"{fixed(n.doubled.largest, 2)}.",
            no="Softmax is invariant to a factor: doubling every score changes no probability.",
        ),
        Said(
            other == 0,
            yes="Doubling never changes which class has the largest probability.",
            no=f"Doubling changes which class has the largest probability for {percent(other, 1)} of the vectors.",
        ),
        Said(
            n.stayed < ROUNDING,
            yes="Over positions, softmax is invariant: the probabilities stay where they were.",
            no=Said(
                n.moved_along < ROUNDING,
                yes=f"Over positions, softmax is equivariant, not invariant: the probabilities move with the positions (error "
                f"{n.moved_along:.0e}), and the probability at a fixed position changes by up to {fixed(n.stayed, 2)}.",
                no=f"Over positions, softmax is not even equivariant: the error is up to {n.moved_along:.1e}.",
            ),
        ),
        Said(
            n.average < ROUNDING,
            yes=f"Averaging over positions makes the answer invariant (error {n.average:.0e}).",
            no=f"Averaging over positions does not make the answer invariant: it changes by up to {n.average:.1e}.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    return Said(
        n.constant.largest < ROUNDING <= n.stayed and n.average < ROUNDING,
        yes="Softmax does not notice a constant added to all scores, but it does notice where things are. It is an average over "
        "positions that makes the answer the same everywhere.",
        no=f"A probability changes by up to {n.constant.largest:.1g} when a constant is added, by up to {n.stayed:.1g} when the "
        f"positions move, and by up to {n.average:.1g} after an average over them.",
    )


def tables(n: Numbers) -> list[Table]:
    """Changes of the scores, and maps read at other positions."""
    return [
        Table("keeps", "What softmax is invariant to", "change", "1,000 random vectors of 10 scores, float64"),
        Table(
            "places",
            "When the positions of score maps are permuted",
            "softmax",
            f"{MAPS} random maps of {SCORES} channels and {CELLS} cells, with the cells in another order; 0 up to rounding "
            "where nothing changes",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """What a factor does."""
    curve = Series("softmax(k z)", list(n.sharpness), n.curve)
    return [
        Chart(
            "factor",
            "Softmax of scores multiplied by a factor",
            "lines",
            "factor",
            "mean largest probability",
            [curve],
            x_log=True,
        )
    ]


def shown() -> list[Cells]:
    """Six scores and their probabilities; with a constant added, doubled, and moved by two places around the circle."""
    scores = torch.tensor([0.0, 1.0, 3.0, 2.0, -1.0, 0.5], dtype=torch.float64)
    probabilities = [s.softmax(0) for s in (scores, scores + 3, 2 * scores, scores.roll(2))]
    most = float(torch.stack(probabilities).max())
    rows = [(scores, 1, None), *((p, 2, most) for p in probabilities)]
    return [Cells(v[None].numpy(), "signed", m, written=digits, side_px=SQUARE_PX) for v, digits, m in rows]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """What softmax makes of a row of scores, and of the same row changed in three ways."""
    beside = ("scores z", "softmax(z)", "softmax(z + 3)", "softmax(2 z)", "z moved by 2,\nthen softmax")
    caption = (
        "Six scores, in a row of positions, and the probabilities that softmax makes of them and of changed scores."
    )
    return {"scores.png": (laid_out([[cells] for cells in shown()], beside=beside, gap_px=12), caption)}


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {
        "scores": f"standard normal, {VECTORS} x {SCORES}, float64, seed 0",
        "constants": "normal, sd 10",
        "maps": f"standard normal, {MAPS} x {SCORES} x {CELLS}, float64, the same stream",
        "rounding": f"below {ROUNDING:g}",
    }


EXPERIMENT = Experiment(
    name="softmax",
    systems=("S9",),
    title="What softmax keeps, and what it does not",
    definition="Softmax: turns scores z into probabilities, exp(z) over the sum of all exp(z).",
    shows="softmax is invariant to an added constant, not to a factor; over positions it is equivariant, not invariant",
    claim="Softmax does not change when the same constant is added to all of its inputs.",
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
