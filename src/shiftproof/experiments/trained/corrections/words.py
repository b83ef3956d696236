"""The verdicts, figures and sentences of the four statements."""

from __future__ import annotations

from typing import Any

from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.sources import EIGHT_BILLION, GRADIENTS, NOTES
from shiftproof.experiments.trained.corrections.numbers import (
    CHANGE,
    EDGES,
    FLAT,
    FULL_K,
    FULL_V,
    HEIGHT,
    INVARIANT,
    PUBLISHED,
    ROUNDED,
    SHORT_K,
    SHORT_V,
    SOURCE,
    WIDTH,
    Numbers,
    convolutions_of,
    measure,
)
from shiftproof.records import Chart, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent


def figures(numbers: Numbers) -> list[Figure]:
    """Ticked where a network is invariant, a count is the published one, or a rule is autograd's up to rounding."""
    found = []
    for name, a in numbers.networks.items():
        kept = float(a.changed.max()) == 0
        found += [
            over_seeds("classifiers", name, "accuracy, unmoved", a.accuracy.tolist()),
            over_seeds("classifiers", name, CHANGE, a.changed.tolist(), holds=kept),
            Figure("classifiers", name, "proved step", a.step_px, "px", holds=a.step_px == 1),
        ]
    published = PUBLISHED.rows()
    for name, count in numbers.counts.rows().items():
        where, said = ("operations", name, "count"), published[name]
        found.append(Figure(*where, count, "count", published=float(said), source=EDGES, holds=count == said))
    for name, error in numbers.errors.items():
        found.append(Figure("gradients", name, "relative error", error, "", holds=error < ROUNDED))
    return found


def claims(numbers: Numbers) -> list[Judged]:
    """Four common statements, each with its verdict."""
    flat, most = numbers.changed(FLAT), max(numbers.changed(name) for name in INVARIANT)
    others = {name: numbers.changed(name) for name in numbers.networks if name not in INVARIANT}
    c, by_k, by_v = numbers.counts, numbers.errors[SHORT_K], numbers.errors[SHORT_V]
    return [
        judged(
            "Dense + softmax turn equivariance into invariance.",
            NOTES,
            [flat == 0],
            holds="A dense layer on flattened, exactly equivariant maps changes no answer.",
            does_not=f"A dense layer on flattened, exactly equivariant maps changes {percent(flat, 1)} of its answers when "
            f"the picture moves; an average, a maximum or tied weights change {percent(most, 1)} at most.",
            rests_on=[("classifiers", name, CHANGE) for name in (FLAT, *INVARIANT)],
        ),
        judged(
            "CNN classifiers are translation invariant.",
            NOTES,
            [value == 0 for value in others.values()],
            holds="No answer of any of these classifiers changed.",
            in_part=f"Some are, others change up to {percent(max(others.values()), 1)} of their answers.",
            does_not=f"These classifiers change {percent(min(others.values()), 1)} to {percent(max(others.values()), 1)} of "
            "their answers.",
            rests_on=[("classifiers", name, CHANGE) for name in others],
        ),
        judged(
            EIGHT_BILLION,
            NOTES,
            [c.matrix_operations == c.matrix_entries],
            holds="The dense product takes as many operations as the matrix has entries.",
            does_not=f"The dense product takes {c.matrix_operations:,} operations; {c.matrix_entries:,} is the number of "
            "its entries.",
            rests_on=[
                ("operations", "dense matrix, operations", "count"),
                ("operations", "dense matrix, entries", "count"),
            ],
        ),
        judged(
            GRADIENTS,
            NOTES,
            [by_k < ROUNDED, by_v < ROUNDED],
            holds="Both equal autograd's gradients.",
            in_part="Only one of the two equals autograd's gradient.",
            does_not=f"Without the sum over positions the first is off by {percent(by_k, 0)}, without the flip the second by "
            f"{percent(by_v, 0)}.",
            rests_on=[("gradients", SHORT_K, "relative error"), ("gradients", SHORT_V, "relative error")],
        ),
    ]


def finding(numbers: Numbers) -> list[Said | str]:
    """The result for each claim."""
    return [*_dense(numbers), *_classifiers(numbers), *_operations(numbers), *_gradients(numbers)]


def _dense(numbers: Numbers) -> list[Said | str]:
    flat, changed = numbers.changed(FLAT), {name: numbers.changed(name) for name in INVARIANT}
    proved = [name for name in INVARIANT if numbers.networks[name].step_px == 1]
    listed = "; ".join(f"{name} {percent(value, 1)}" for name, value in changed.items())
    return [
        Said(
            flat > 0,
            yes="1. Dense + softmax do not turn equivariance into invariance: on the same exactly equivariant maps, a dense "
            f"layer on flattened maps changes {percent(flat, 1)} of its answers when the picture moves.",
            no="1. Here dense + softmax kept every answer: a dense layer on flattened maps changes no answer when the picture "
            "moves.",
        ),
        Said(
            max(changed.values()) == 0,
            yes="On these maps, an average, a maximum or tied weights over positions make the network invariant: no answer "
            "changes.",
            no="On these maps, an average, a maximum or tied weights over positions do not all make the network invariant, "
            f"contrary to the correction; answers that change: {listed}.",
        ),
        Said(
            len(proved) == len(INVARIANT),
            yes=f"For all {len(INVARIANT)} of them, the check proves that no circular move changes an answer.",
            no=Said(
                bool(proved),
                yes=f"The check proves that no circular move changes an answer for some of them: {', '.join(proved)}.",
                no="For none of them does the check prove that no circular move changes an answer.",
            ),
        ),
    ]


def _classifiers(numbers: Numbers) -> list[Said | str]:
    others = {name: numbers.changed(name) for name in numbers.networks if name not in INVARIANT}
    changed = "; ".join(f"{name} {percent(value, 1)}" for name, value in others.items() if value > 0)
    kept = [name for name, value in others.items() if value == 0]
    return [
        Said(
            bool(changed),
            yes=f"2. CNN classifiers are not translation invariant; answers that change: {changed}.",
            no="2. No answer of any of these classifiers changed, so the claim is not contradicted here.",
        ),
        Said(bool(changed and kept), yes=f"No answer changed {' or '.join(kept)}.", no=""),
    ]


def _operations(numbers: Numbers) -> list[Said | str]:
    c = numbers.counts
    start = f"3. The {c.convolution_operations:,} operations must be compared with {c.matrix_operations:,} operations"
    end = f"the weights to compare are {c.weights:,} and {c.matrix_entries:,}."
    return [
        Said(
            c.matrix_operations != c.matrix_entries,
            yes=f"{start}, not with {c.matrix_entries:,}, which are matrix entries; {end}",
            no=f"{start}, as many as the matrix has entries; {end}",
        )
    ]


def _gradients(numbers: Numbers) -> list[Said | str]:
    by_k, by_v = numbers.errors[SHORT_K], numbers.errors[SHORT_V]
    full = max(numbers.errors[FULL_K], numbers.errors[FULL_V])
    sums = "The complete sums over positions, of delta times V and of delta times the flipped K,"
    return [
        Said(
            by_k >= ROUNDED,
            yes=f"4. The derivative with respect to the kernel is not V: V at one position has an error of {percent(by_k, 0)}.",
            no="4. V at one position is the derivative with respect to the kernel here.",
        ),
        Said(
            by_v >= ROUNDED,
            yes=f"The derivative with respect to the input is not K: without the flip, it has an error of {percent(by_v, 0)}.",
            no="K without its flip is the derivative with respect to the input here.",
        ),
        Said(
            full < ROUNDED,
            yes=f"{sums} equal autograd's gradients{f' up to {full:.0e}' if full else ' exactly'}.",
            no=f"{sums} do not equal autograd's gradients: they have an error of {full:.0e}.",
        ),
    ]


def readers(numbers: Numbers) -> dict[str, float]:
    """How well each network reads unmoved digits."""
    return {name: float(a.accuracy.mean()) for name, a in numbers.networks.items()}


def take_away(numbers: Numbers) -> Said:
    """What to remember."""
    outcomes = [c.outcome for c in claims(numbers)]
    holding = outcomes.count("holds")
    return Said(
        holding == 0,
        yes=f"None of the {len(outcomes)} sentences holds as it is said: a dense layer does not forget positions, networks are "
        "not invariant by themselves, operations are compared with operations, and gradients need their sums and flips.",
        no=f"Of the {len(outcomes)} sentences, {holding} can be said as they are.",
    )


def tables(numbers: Numbers) -> list[Table]:
    """How the figures are laid out."""
    return [
        Table(
            "classifiers",
            f"One thing changed at a time: circular moves up to {numbers.reach_px} px",
            "network",
            f"Claims 1 and 2. {numbers.pictures} test pictures are moved. A proved step of 0 means that nothing is proved; 1 "
            "means every whole-pixel move. All three: pooling, zero padding and the dense layer.",
            "The network is invariant.",
        ),
        Table(
            "operations",
            f"Claim 3: counts for a {WIDTH} x {HEIGHT} picture minus its left neighbour",
            "count",
            claim="It is as printed.",
        ),
        Table(
            "gradients", "Claim 4: relative error compared with autograd", "rule", claim="It is autograd's gradient."
        ),
    ]


def charts(numbers: Numbers) -> list[Chart]:
    """The flip rates as bars."""
    bars = [over_seeds("flips", name, CHANGE, a.changed.tolist()) for name, a in numbers.networks.items()]
    low = [b.measured if b.low is None else max(b.low, 0.0) for b in bars]
    high = [b.measured if b.high is None else max(b.high, 0.0) for b in bars]
    series = Series(CHANGE, list(numbers.networks), [b.measured for b in bars], low=low, high=high)
    title = "Answers that change when the picture moves around the circle"
    return [Chart("flips", title, "bars", "network", "flip rate", [series], percent=True)]


def protocol(numbers: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    return {
        "boundary": "circular",
        "moves": f"all up to {numbers.reach_px} px along each axis",
        "training": f"Adam, {numbers.training}",
        "network": [
            *(f"{f} filters of {k} x {k}, dilation {d}, ReLU" for f, k, d in convolutions_of(numbers.side_px)),
            "readout, batch normalisation of the scores",
        ],
        "proved step": "of the untrained network, seed 0",
        "operations": "counted while running, with numbers that count each * and +; the dense product: one row with the same "
        "numbers, every product added to zero, times the number of rows",
        "gradients": "normal values, float64, seed 0",
    }


EXPERIMENT = Experiment(
    name="corrections",
    systems=("claims 1 to 4",),
    title="Four common sentences, put to the test",
    definition="Correction: a sentence as it is often said, beside what measuring says.",
    shows="four common claims that are wrong: on dense layers, the invariance of CNNs, counts of operations, and gradients",
    claim="Four common statements, which the sources correct: dense + softmax turn equivariance into invariance; CNN classifiers "
    "are translation invariant; 267,960 operations against 8 billion; the derivative with respect to the kernel is V, with "
    "respect to the input K.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
    trains=True,
    readers=readers,
)
