"""Verdicts, figures, sentences and pictures of the pooling and the augmentation experiments on digits and on photographs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.sources import NOTES
from shiftproof.experiments.trained.accuracy_report import MEANS, gained
from shiftproof.experiments.trained.augmentation import SOURCE as AUGMENTATION
from shiftproof.experiments.trained.augmentation import TRANSLATING
from shiftproof.experiments.trained.larger_pictures.numbers import (
    DIGITS,
    EPOCHS,
    KINDS,
    MODELS,
    PHOTOGRAPHS,
    Measured,
    Numbers,
    measure,
)
from shiftproof.experiments.trained.larger_pictures.pictures import boxes, pictures
from shiftproof.experiments.trained.moved_digits import (
    CONDITIONS,
    LITTLE,
    MOVED,
    UNMOVED,
    Accuracies,
    ByModel,
    curve_chart,
    protocol,
)
from shiftproof.experiments.trained.pooling import SOURCE as POOLING
from shiftproof.experiments.trained.pooling import TOLERANT, TWICE
from shiftproof.records import Chart, Figure, Judged, Table
from shiftproof.records.numbers import count_words, percent, points, signed_points

PLAIN, AUGMENTED = "", ", trained on moved pictures"
ONE, TWO, SECOND = "one pooling, B - A", "two poolings, C - A", "the second pooling, C - B"
MOVES = {model: f"training on moved pictures, {model}" for model in MODELS}
COMPARED = {  # what is compared: (model, how it was trained) that is claimed to be better, and the other one
    ONE: (("B", PLAIN), ("A", PLAIN)),
    TWO: (("C", PLAIN), ("A", PLAIN)),
    SECOND: (("C", PLAIN), ("B", PLAIN)),
    **{name: ((model, AUGMENTED), (model, PLAIN)) for model, name in MOVES.items()},
}
COST = "what moving costs"  # the accuracy on unmoved pictures minus that on moved ones
CONCLUSIONS = [
    *((compared, condition) for compared in (ONE, TWO) for condition in (LITTLE, MOVED)),
    *((compared, MOVED) for compared in (SECOND, *MOVES.values())),
]
TOO_SMALL = "28 x 28 pixels are too small to generalise: what is found on such pictures is not found on real ones."


def trained(m: Measured, how: str) -> ByModel:
    """The accuracies of the networks that were trained in that way."""
    return m.augmented if how == AUGMENTED else m.plain


def lost(a: Accuracies) -> float:
    """What moving costs."""
    return a.mean(UNMOVED) - a.mean(MOVED)


def change(n: Numbers, compared: str, kind: str, column: str) -> Figure:
    """What one network has more than the other: accuracy in a condition, or `COST`; seed by seed, on the same moves."""
    more, less = (trained(n[kind], how)[model] for model, how in COMPARED[compared])

    def gain(condition: str) -> np.ndarray:
        return np.subtract(more.by_seed(condition), less.by_seed(condition))

    values = gain(UNMOVED) - gain(MOVED) if column == COST else gain(column)
    return over_seeds("gain", f"{compared}, {kind}", column, values.tolist())


def lowered(found: Figure) -> bool | None:
    """Whether a difference is below zero (True) or above (False) beyond chance; None if neither can be told."""
    up = gained(found)
    return None if up is None else not up


def carries(n: Numbers, compared: str, condition: str) -> bool | None:
    """Whether a gain or a loss on digits comes out on photographs (True), or the opposite (False).

    None if there is none on digits, or if it cannot be told from chance on photographs.
    """
    digits, photographs = (gained(change(n, compared, kind, condition)) for kind in KINDS)
    return None if digits is None or photographs is None else digits == photographs


def figures(n: Numbers) -> list[Figure]:
    """What is gained, the accuracies, and what each network costs."""
    found = []
    for compared in COMPARED:
        for kind in KINDS:
            for column in (*CONDITIONS, COST):
                concludes = kind == PHOTOGRAPHS and (compared, column) in CONCLUSIONS
                holds = carries(n, compared, column) if concludes else None
                found.append(replace(change(n, compared, kind, column), holds=holds))
    for kind, m in n.items():
        for how in (PLAIN, AUGMENTED):
            for model, a in trained(m, how).items():
                found += [over_seeds(kind, f"{model}{how}", c, a.by_seed(c)) for c in CONDITIONS]
    for model in MODELS:
        for kind, m in n.items():
            found.append(Figure("cost", model, f"multiply-adds, {kind}", m.multiply_adds[model], "count"))
            found.append(Figure("cost", model, f"weights, {kind}", m.weights[model], "count"))
    return found


def claims(n: Numbers) -> list[Judged]:
    """The books' sentences on photographs, and the learners' on small pictures."""
    return [_more_tolerant(n), _second(n), _augmented(n), _too_small(n)]


def _told(n: Numbers, compared: str) -> str:
    """What a comparison gives on photographs, in words."""
    little, far, cost = (signed_points(change(n, compared, PHOTOGRAPHS, c).measured) for c in (LITTLE, MOVED, COST))
    return f"{compared}: {little} moved little, {far} moved, {cost} in what moving costs"


def _rests(*compared: str) -> list[tuple[str, str, str]]:
    return [("gain", f"{each}, {PHOTOGRAPHS}", column) for each in compared for column in (LITTLE, MOVED, COST)]


def _tolerant(n: Numbers, compared: str) -> list[bool | None]:
    """Whether moved photographs are read better, moved little and moved, and moving costs less."""
    better = [gained(change(n, compared, PHOTOGRAPHS, c)) for c in (LITTLE, MOVED)]
    return [*better, lowered(change(n, compared, PHOTOGRAPHS, COST))]


def _more_tolerant(n: Numbers) -> Judged:
    told = f"{_told(n, ONE)}; {_told(n, TWO)}"
    return judged(
        TOLERANT,
        POOLING,
        [*_tolerant(n, ONE), *_tolerant(n, TWO)],
        holds=f"On photographs, poolings raise the accuracy and moving costs less, beyond chance ({told}).",
        in_part=f"On photographs, some of these changes are for the better and some for the worse, beyond chance ({told}).",
        does_not=f"On photographs, no change is for the better beyond chance, and some are for the worse ({told}).",
        undecided=f"On photographs, not every change can be told from chance ({told}).",
        rests_on=_rests(ONE, TWO),
    )


def _second(n: Numbers) -> Judged:
    told = _told(n, SECOND)
    return judged(
        TWICE,
        NOTES,
        _tolerant(n, SECOND),
        holds=f"On photographs, it raises the accuracy and moving costs less, beyond chance ({told}).",
        in_part=f"On photographs, it changes some things for the better and some for the worse, beyond chance ({told}).",
        does_not=f"On photographs, it changes nothing for the better beyond chance, and some things for the worse ({told}).",
        undecided=f"On photographs, not every change can be told from chance ({told}).",
        rests_on=_rests(SECOND),
    )


def _augmented(n: Numbers) -> Judged:
    found = {model: change(n, name, PHOTOGRAPHS, MOVED) for model, name in MOVES.items()}
    told = ", ".join(f"{model} {signed_points(f.measured)}" for model, f in found.items())
    return judged(
        TRANSLATING,
        AUGMENTATION,
        [gained(f) for f in found.values()],
        holds=f"On moved photographs, the accuracy of every network rises beyond chance: {told}.",
        in_part=f"On moved photographs, some accuracies rise and some fall beyond chance: {told}.",
        does_not=f"On moved photographs, no accuracy rises beyond chance, and some fall: {told}.",
        undecided=f"On moved photographs, not every change can be told from chance: {told}.",
        rests_on=[("gain", f"{name}, {PHOTOGRAPHS}", MOVED) for name in MOVES.values()],
    )


def carried(n: Numbers) -> list[bool | None]:
    """`carries` of every conclusion that there is on digits: a gain or a loss beyond chance."""
    there = [(c, condition) for c, condition in CONCLUSIONS if gained(change(n, c, DIGITS, condition)) is not None]
    return [carries(n, *conclusion) for conclusion in there]


def _too_small(n: Numbers) -> Judged:
    found = carried(n)
    on_digits = f"{count_words(len(found), 'difference')} found on digits beyond chance"
    came, opposite, unknown = (sum(each is part for each in found) for part in (True, False, None))
    counts = f"{came} found on photographs, {opposite} opposite there, {unknown} not to be told from chance there"
    # It is refuted only if everything that was found on digits is found on photographs.
    parts: list[bool | None] = [None if each is None else not each for each in found] or [None]
    if None in parts and True not in parts:
        parts = [None]
    return judged(
        TOO_SMALL,
        NOTES,
        parts,
        holds=f"Of {on_digits}, every one is opposite on photographs.",
        in_part=f"Of {on_digits}, these are: {counts}.",
        does_not=f"Of {on_digits}, every one is found on photographs, with the same sign.",
        undecided=f"Of {on_digits}, not all are decided: {counts}."
        if found
        else "On digits, nothing is beyond chance.",
        rests_on=[("gain", f"{c}, {kind}", condition) for c, condition in CONCLUSIONS for kind in KINDS],
    )


def finding(n: Numbers) -> list[Said | str]:
    """The order of the networks, every comparison on both kinds of pictures, and what moving costs."""
    orders = {kind: sorted(MODELS, key=lambda model, m=m: m.plain[model].mean(MOVED)) for kind, m in n.items()}
    listed = {
        kind: ", ".join(f"{model} {percent(n[kind].plain[model].mean(MOVED), 1)}" for model in orders[kind])
        for kind in KINDS
    }
    start = f"Order on moved pictures, after training on unmoved ones: {listed[DIGITS]} on digits;"
    return [
        Said(
            orders[DIGITS] == orders[PHOTOGRAPHS],
            yes=f"{start} {listed[PHOTOGRAPHS]} on photographs. The order is the same.",
            no=f"{start} {listed[PHOTOGRAPHS]} on photographs. The order is another one.",
        ),
        *(_compared(n, compared) for compared in COMPARED),
        _costs(n),
    ]


def _compared(n: Numbers, compared: str) -> Said:
    """One comparison on moved pictures of both kinds."""
    digits, photographs = (change(n, compared, kind, MOVED) for kind in KINDS)
    told = (
        f"{signed_points(digits.measured)} on moved digits, {signed_points(photographs.measured)} on moved photographs"
    )
    name, verdict = f"{compared[0].upper()}{compared[1:]}", carries(n, compared, MOVED)
    return Said(
        verdict is None,
        yes=f"{name}: {told}; not both can be told from chance.",
        no=Said(
            verdict,
            yes=f"{name}: {told}; the same sign, beyond chance.",
            no=f"{name}: {told}; opposite, beyond chance.",
        ),
    )


def _costs(n: Numbers) -> Said:
    """Whether moving costs more on photographs."""
    cost = {kind: {model: lost(m.plain[model]) for model in MODELS} for kind, m in n.items()}
    told = ", ".join(f"{m} {points(cost[PHOTOGRAPHS][m])} instead of {points(cost[DIGITS][m])}" for m in MODELS)
    more = [cost[PHOTOGRAPHS][m] > cost[DIGITS][m] for m in MODELS]
    return Said(
        all(more),
        yes=f"Trained on unmoved pictures, every network loses more by moves on photographs than on digits: {told}.",
        no=Said(
            any(more),
            yes=f"Trained on unmoved pictures, only some networks lose more by moves on photographs than on digits: {told}.",
            no=f"Trained on unmoved pictures, no network loses more by moves on photographs than on digits: {told}.",
        ),
    )


def take_away(n: Numbers) -> Said:
    """What to remember."""
    found = carried(n)
    sizes = "; ".join(
        f"{name} {signed_points(change(n, name, DIGITS, MOVED).measured)} on digits and "
        f"{signed_points(change(n, name, PHOTOGRAPHS, MOVED).measured)} on photographs"
        for name in (TWO, MOVES["A"])
    )
    came = sum(each is True for each in found)
    return Said(
        bool(found) and all(found),
        yes="What pooling and training on moved pictures bring on small digits, they bring on photographs. The sign carries "
        f"over, the size has to be measured: {sizes}.",
        no=Said(
            False in found,
            yes=f"What is found on small digits need not hold on photographs: {came} of {len(found)} differences carry over.",
            no="Whether all that is found on small digits holds on photographs cannot be told here: of "
            f"{count_words(len(found), 'difference')} beyond chance on digits, {came} carry over.",
        ),
    )


def tables(n: Numbers) -> list[Table]:
    """How the figures are laid out."""
    return [
        Table(
            "gain",
            "The same comparisons on digits and on photographs",
            "comparison and pictures",
            f"differences in accuracy, with the same seeds and the same moves; {COST}: the accuracy on unmoved minus that on "
            "moved pictures",
            "On photographs, it has the sign that it has on digits, beyond chance.",
        ),
        *(Table(kind, f"Accuracy on the test {kind}", "network", MEANS) for kind in KINDS),
        Table(
            "cost",
            "The size of each network",
            "network",
            "multiply-adds: of one picture; weights: numbers that are learned",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Accuracy over distance, one chart per kind of pictures."""
    names = {"A": "A: strides", "B": "B: one pooling", "C": "C: two poolings"}
    found = []
    for kind, m in n.items():
        rows = {f"{names[model]}{how}": trained(m, how)[model].curve for how in (PLAIN, AUGMENTED) for model in MODELS}
        found.append(replace(curve_chart(f"Accuracy over distance on {kind}", rows), name=f"distance-{kind}"))
    return found


def footnotes(n: Numbers) -> list[Said | str]:
    """What digits and photographs differ in beside their size."""
    digits, photographs = (f"{n[k].setting.side_px} x {n[k].setting.side_px}" for k in KINDS)
    return [
        f"The photographs, of CIFAR-10, have {photographs} pixels, the digits {digits}: hardly more. They differ by what is on "
        "them, by colours, and by backgrounds that are not black. So this tells whether what is found on small digits is found "
        "on other pictures, and not what the number of pixels does.",
        "The zeros that move in cannot be seen beside a digit. Beside a photograph they are a black edge.",
        f"The networks are small and see each photograph {EPOCHS[PHOTOGRAPHS]} times, so they read fewer photographs than "
        "published ones do, which are far larger and trained for longer.",
    ]


def how(n: Numbers) -> dict[str, Any]:
    """The protocol."""
    found: dict[str, Any] = {
        "networks": {
            model: "; ".join(box.text for box in boxes(model, n[PHOTOGRAPHS].setting.side_px)) for model in MODELS
        },
        "layers": "zero padding; behind each convolution batch normalisation and ReLU; a dense layer on the flattened maps",
    }
    for kind, m in n.items():
        told = protocol(m.setting, test_pictures=m.tests, augmented=True)
        training = {**told["training"], "epochs": EPOCHS[kind], "pictures": m.trained}
        found[kind] = {**told, "training": training}
    return found


def readers(n: Numbers) -> dict[str, float]:
    """How well each network reads unmoved pictures."""
    return {
        f"{model} on {kind}{how}": a.mean(UNMOVED)
        for kind, m in n.items()
        for how in (PLAIN, AUGMENTED)
        for model, a in trained(m, how).items()
    }


EXPERIMENT = Experiment(
    name="larger-pictures",
    systems=("S36",),
    title="Is 28 x 28 too small to generalise?",
    definition="To generalise: what is found on some pictures is found on other pictures, too.",
    shows="whether what pooling and training on moved pictures bring on small digits is the same on photographs",
    claim="Pooling makes a convolutional network more tolerant of small moves, and translating the training pictures improves "
    "generalization. Learners add that 28 x 28 pixels are too small to generalise.",
    source=POOLING,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    footnotes=footnotes,
    protocol=how,
    claims=claims,
    take_away=take_away,
    trains=True,
    readers=readers,
)
