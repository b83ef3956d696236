"""The verdicts, figures and sentences of the attribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from shiftproof.experiments.drawing import Cells, laid_out
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.sources import NOTES
from shiftproof.experiments.trained.attribution.numbers import (
    CELLS,
    CORRECT,
    GIVEN,
    KEPT,
    OTHERS,
    SETS,
    SOURCE,
    UNMOVED,
    Numbers,
    listed,
    mean_by_seed,
    measure,
    network,
    training,
)
from shiftproof.experiments.trained.digit_pictures import layers_in_words
from shiftproof.records import Chart, Figure, Judged, Series, Table
from shiftproof.records.numbers import from_to, percent, signed_points
from shiftproof.repairing import AUGMENTATION, POOLING, READOUT, SHARING, STAGES
from shiftproof.translations import grid

MEAN, ALL = "mean", "all together"
SHARE, ALONE, LAST = COLUMNS = ("share", "alone", "last")
SCORES = {KEPT: "answers kept beyond chance", CORRECT: "correct, moved", UNMOVED: "correct, unmoved"}
INVARIANT = 0.99  # of the answers kept beyond chance: what is left is rounding and what leaves the picture
UNSHARED, DENSE = "no weight sharing", "dense readout"
CELL_WORDS = dict(zip(CELLS, ("weight sharing and an average", "weight sharing", "an average", "neither"), strict=True))
SUBJECTS = {  # the rows of `GIVEN`, as a sentence begins
    row: f"{where} weight sharing, an averaging readout"
    if stage == READOUT
    else f"{where} an averaging readout, weight sharing"
    for row, (stage, other) in GIVEN.items()
    for where in ("Without" if other is None else "Given",)
}
EXPLAINED = (
    "share: mean over all orders of adding the stages; alone: added to no other stage; last: lost if removed from all"
)


def given(numbers: Numbers, row: str, column: str) -> Figure:
    """What the averaging readout or weight sharing adds, with or without the other: in one context, or the mean over all."""
    stage, other = GIVEN[row]
    there = frozenset() if other is None else frozenset({other})
    contexts = OTHERS.values() if column == MEAN else [OTHERS[column]]
    return _gain("given", row, column, mean_by_seed([numbers.added(stage, there | c) for c in contexts]))


def besides(numbers: Numbers, cell: frozenset[str], stage: str) -> Figure:
    """What pooling or augmentation adds to a cell of the 2 x 2, the mean over networks with and without the other of them."""
    rest = {POOLING, AUGMENTATION} - {stage}
    rows = [numbers.added(stage, cell), numbers.added(stage, cell | rest)]
    return _gain("besides", listed(cell), stage, mean_by_seed(rows))


def _gain(table: str, row: str, column: str, values: Sequence[float]) -> Figure:
    """Ticked if the gain is beyond chance; not judged with one seed."""
    found = over_seeds(table, row, column, values)
    return replace(found, holds=None if found.low is None else found.low > 0)


def contribution(numbers: Numbers, stage: str, column: str) -> Figure:
    """What a stage brings to the answers kept: its "share", what it brings "alone", or what is lost without it ("last")."""
    at = STAGES.index(stage)
    return over_seeds(KEPT, stage, column, [getattr(c[at], column) for c in numbers.contributions()])


def figures(numbers: Numbers) -> list[Figure]:
    """The scores of the networks, and what each stage adds to which others."""
    shares = numbers.contributions()
    return [
        *(
            over_seeds("square", name, column, numbers.of(frozenset({*readout, *sharing}), KEPT))
            for name, readout in ((READOUT, [READOUT]), (DENSE, []))
            for column, sharing in ((SHARING, [SHARING]), (UNSHARED, []))
        ),
        *(given(numbers, row, column) for row in GIVEN for column in (*OTHERS, MEAN)),
        *(besides(numbers, cell, stage) for cell in CELLS for stage in (POOLING, AUGMENTATION)),
        *(
            over_seeds("networks", listed(there), column, numbers.of(there, score))
            for there in SETS
            for score, column in SCORES.items()
        ),
        *(contribution(numbers, stage, column) for stage in STAGES for column in COLUMNS),
        over_seeds(KEPT, ALL, SHARE, [sum(c.share for c in each) for each in shares]),
    ]


def claims(numbers: Numbers) -> list[Judged]:
    """What four kinds of sources say, each judged by what a stage adds to networks with and without the others."""
    pooled, averaged = frozenset({SHARING, POOLING}), frozenset({SHARING, READOUT})
    both = _gain(
        "", "", "", [a - b for a, b in zip(numbers.of(pooled, KEPT), numbers.of(frozenset(), KEPT), strict=True)]
    )
    kept = f"Before a dense readout, a network with both keeps {_kept(numbers, pooled)} of its answers beyond chance, one with "
    kept += f"neither {_kept(numbers, frozenset())}; one with weight sharing and an average keeps {_kept(numbers, averaged)}"

    both_kept = [numbers.mean(there, KEPT) for there in (averaged, frozenset({SHARING}))]
    told = (
        f"with an average behind it, {percent(both_kept[0], 1)} of the answers are kept beyond chance, before a dense "
    )
    told += f"readout {percent(both_kept[1], 1)}"

    def added(stage: str, claim: str, where: str) -> Judged:
        found = {cell: besides(numbers, cell, stage) for cell in CELLS}
        each = "; ".join(f"{CELL_WORDS[cell]} {signed_points(f.measured)}" for cell, f in found.items())
        return judged(
            claim,
            replace(SOURCE, where=where),
            [f.holds for f in found.values()],
            holds=f"It adds to every kind of network, beyond chance: {each}.",
            in_part=f"What it adds depends on what a network has: {each}.",
            does_not=f"It adds to no kind of network beyond chance: {each}.",
            undecided=f"With a single seed, it changes the answers kept as follows: {each}.",
            rests_on=[("besides", listed(cell), stage) for cell in CELLS],
        )

    return [
        judged(
            "Convolution and pooling together make a classifier translation invariant.",
            NOTES,
            [both.holds, None if both.holds is None else numbers.mean(pooled, KEPT) >= numbers.mean(averaged, KEPT)],
            holds=f"{kept}: nothing more is needed.",
            in_part=f"{kept}.",
            does_not=f"{kept}: they add nothing beyond chance.",
            undecided=f"{kept}, with a single seed.",
            rests_on=[("networks", listed(there), SCORES[KEPT]) for there in (pooled, averaged, frozenset[str]())],
        ),
        judged(
            "Weight sharing makes a network invariant.",
            replace(SOURCE, where="section 9.2 of the book: weight sharing"),
            [kept_by >= INVARIANT for kept_by in both_kept],
            holds=f"It does with either readout: {told}.",
            in_part=f"It depends on the readout: {told}.",
            does_not=f"It does with neither readout: {told}.",
            rests_on=[("networks", listed(there), SCORES[KEPT]) for there in (averaged, frozenset({SHARING}))],
        ),
        added(POOLING, "Pooling makes a network approximately invariant.", "section 9.3 of the book: pooling"),
        added(AUGMENTATION, "Augmentation makes a network invariant.", "abstract of the paper: augmentation"),
    ]


def _kept(numbers: Numbers, there: frozenset[str]) -> str:
    return percent(numbers.mean(there, KEPT), 1)


def finding(numbers: Numbers) -> list[Said | str]:
    """What sharing and averaging keep together and alone, what each adds to the other, and what averaging costs."""
    four = "; ".join(f"{words} {_kept(numbers, cell)}" for cell, words in CELL_WORDS.items())
    together, without = (given(numbers, row, MEAN).measured for row in GIVEN if GIVEN[row][0] == READOUT)
    cells = "; ".join(
        f"{words}: pooling {signed_points(besides(numbers, cell, POOLING).measured)}, augmentation "
        f"{signed_points(besides(numbers, cell, AUGMENTATION).measured)}"
        for cell, words in CELL_WORDS.items()
    )
    averaged, flat = (numbers.mean(frozenset(s), UNMOVED) for s in ((SHARING, READOUT), (SHARING,)))
    right, right_flat = percent(averaged, 1), percent(flat, 1)
    each = f"the average brings {signed_points(together)} with shared weights and {signed_points(without)} without"
    return [
        f"Answers kept beyond chance when digits move by up to {numbers.reach_px} px, by what a network has: {four}.",
        *(_added(row, given(numbers, row, MEAN)) for row in GIVEN),
        Said(
            together > without,
            yes=f"Weight sharing and averaging support each other: {each}. One mean over both would hide this.",
            no=f"Weight sharing and averaging do not support each other: {each}.",
        ),
        f"What pooling and augmentation change in networks with these: {cells}.",
        Said(
            averaged < flat,
            yes=f"Averaging over positions has a cost: {right} of unmoved digits are correct instead of {right_flat}.",
            no=f"Averaging over positions has no cost on unmoved digits: {right} are correct with it, {right_flat} without.",
        ),
    ]


def _added(row: str, found: Figure) -> Said:
    """What a stage adds to the answers kept: a gain, a loss, or neither."""
    low, high = (found.measured, found.measured) if found.low is None or found.high is None else (found.low, found.high)
    start = f"{SUBJECTS[row]} changes the answers kept by {signed_points(found.measured)}"
    interval = f"{start} ({from_to(signed_points(low), signed_points(high), 'to')}),"
    return Said(
        found.low is None,
        yes=f"{start}, with a single seed.",
        no=Said(
            low > 0,
            yes=f"{interval} a gain.",
            no=Said(high < 0, yes=f"{interval} a loss.", no=f"{interval} which cannot be told from zero."),
        ),
    )


def take_away(numbers: Numbers) -> Said:
    """What to remember."""
    both, *others = (numbers.mean(cell, KEPT) for cell in CELLS)
    told = f"with both, {percent(both, 1)} of the answers are kept, with one of them or none up to {percent(max(others), 1)}"
    return Said(
        both > max(others),
        yes=f"Weight sharing and an average over positions work as a pair: {told}.",
        no=f"Weight sharing and an average over positions do not work as a pair here: {told}.",
    )


def tables(numbers: Numbers) -> list[Table]:
    """How the figures are laid out."""
    moves = f"moves up to {numbers.reach_px} px along each axis"
    return [
        Table(
            "square",
            "Answers kept beyond chance, by weight sharing and readout",
            "readout",
            f"no pooling, no augmentation; {moves}",
        ),
        Table(
            "given",
            "Weight sharing and averaging, with and without each other: the change of the answers kept",
            "stage",
            f"columns: what is there besides; {moves}",
            "It adds to the answers kept, beyond chance.",
        ),
        Table(
            "besides",
            "Pooling and augmentation: the change of the answers kept",
            "stages in the network",
            f"mean over networks with and without the other of the two; {moves}",
            "It adds to the answers kept, beyond chance.",
        ),
        Table(
            "networks",
            "The sixteen networks",
            "stages in the network",
            f"{numbers.pictures} pictures, all moves; unmoved: {numbers.unmoved:,} pictures",
        ),
        Table(KEPT, "Contribution of each stage: the mean over all orders", "stage", f"{moves}; {EXPLAINED}"),
    ]


def charts(numbers: Numbers) -> list[Chart]:
    """The 2 x 2 of sharing and readout, without other stages and with augmentation."""
    found = []
    for name, words in (("alone", "no pooling, no augmentation"), ("with augmentation", "trained on moved digits")):
        series = []
        for column, sharing in ((SHARING, {SHARING}), (UNSHARED, set[str]())):
            values = [numbers.of(OTHERS[name] | sharing | readout, KEPT) for readout in ({READOUT}, set[str]())]
            bars = [over_seeds("", "", "", v) for v in values]
            low = [b.low for b in bars if b.low is not None]
            high = [b.high for b in bars if b.high is not None]
            series.append(Series(column, [READOUT, DENSE], [b.measured for b in bars], low, high))
        title = f"Answers kept beyond chance: weight sharing x readout, {words}"
        note = "whiskers: 95 % over seeds" if series[0].low else ""
        found.append(
            Chart(f"square-{name.replace(' ', '-')}", title, "bars", "", SCORES[KEPT], series, percent=True, note=note)
        )
    return found


def readers(numbers: Numbers) -> dict[str, float]:
    """How well each network reads unmoved digits."""
    return {listed(there): numbers.mean(there, UNMOVED) for there in SETS}


def footnotes(numbers: Numbers) -> list[Said | str]:
    """What the columns mean, and how to do the same."""
    return [
        "Removing a stage from all stages shows how much the others cannot replace; adding it to no other stage shows what it "
        "does alone. The share is the mean over all orders of adding the stages, and the shares sum to the total contribution. "
        "Where a stage helps some networks and harms others, the share is their balance: the tables above it say which.",
        f"The network with all stages: {layers(numbers)}. Its convolutions are padded around the circle. "
        "`shiftproof.experiments.attribute_invariance` does the same for your own network, residual ones included.",
    ]


def layers(numbers: Numbers) -> str:
    """The network with all stages, from the picture to the scores."""
    return layers_in_words(network(frozenset(STAGES), numbers.side_px), numbers.side_px)


def square(numbers: Numbers) -> list[list[Cells]]:
    """The answers kept in per cent: rows with and without weight sharing, columns with an average and a dense readout, twice."""

    def kept(*there: str) -> Cells:
        return Cells(np.array([[100 * numbers.mean(frozenset(there), KEPT)]]), "heat", 100.0, written=1, side_px=88)

    trained, readouts = ((), (AUGMENTATION,)), ((READOUT,), ())
    return [
        [kept(*sharing, *readout, *more) for more in trained for readout in readouts] for sharing in ((SHARING,), ())
    ]


def pictures(numbers: Numbers) -> dict[str, tuple[bytes, str]]:
    """The 2 x 2 of weight sharing and readout, without and with augmentation."""
    above = ("average", "dense", "average,\naugmented", "dense,\naugmented")
    picture = laid_out(square(numbers), above=above, beside=("weights\nshared", "not\nshared"), gap_px=10)
    caption = "Answers kept beyond chance when digits move, in per cent, by what the network has. No pooling; mean over seeds."
    return {"square.png": (picture, caption)}


def protocol(numbers: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    moves = len(grid(numbers.reach_px, "zero")) - 1
    return {
        "network": layers(numbers),
        "behind each convolution": "a ReLU; behind the dense layer a batch norm of the ten scores",
        "without weight sharing": "a separate kernel for every position, trained in the same way",
        "without pooling": "nothing in its place",
        "without averaging readout": "a dense layer on all positions",
        "without augmentation": "trained on unmoved pictures",
        "training": asdict(training(frozenset(STAGES), numbers.side_px, numbers.reach_px)),
        "boundary": "zeros are moved in; the layers are padded around the circle",
        "kept beyond chance": "Cohen's kappa of the answers to moved and unmoved pictures",
        "pictures": f"{numbers.pictures} of the test digits, the same for all networks; unmoved {numbers.unmoved}",
        "moves": f"all {moves} whole-pixel moves up to {numbers.reach_px} px along each axis",
    }


EXPERIMENT = Experiment(
    name="attribution",
    systems=("S28",),
    title="Which part of a network makes it invariant?",
    definition="Attribution: how much each part of a network adds to a result, given which of the other parts are there.",
    shows="what weight sharing, pooling, readout and augmentation add to invariance, by what is there besides",
    claim="Translation invariance is attributed to convolution and pooling together, to pooling but only approximately, to "
    "weight sharing, or to the filters while the dense layers depend on position.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
    trains=True,
    readers=readers,
)
