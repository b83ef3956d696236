"""Models A, B, C, with no, one and two poolings, on digits that moved, and the two that tell depth from pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.sources import NOTES
from shiftproof.experiments.trained.accuracy_report import (
    all_figures,
    all_footnotes,
    all_tables,
    as_published,
    digits_used,
    gain,
    gained,
)
from shiftproof.experiments.trained.digit_pictures import digits_and_networks, in_words
from shiftproof.experiments.trained.moved_digits import (
    CONDITIONS,
    LEGENDS,
    LITTLE,
    MODELS,
    MOVED,
    REPORTED,
    UNMOVED,
    ByModel,
    Published,
    Setting,
    accuracy_figures,
    curve_chart,
    measure_models,
    protocol,
    spread_figures,
)
from shiftproof.experiments.trained.other_protocols import OtherProtocols, measure_other_protocols
from shiftproof.records import Chart, Citation, Figure, Judged, Table
from shiftproof.records.numbers import from_to, percent, points, signed_points

SOURCE = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.3, pooling",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
TOLERANT = "Pooling makes a convolutional network more tolerant of small moves."
TWICE = "Two pooling layers make it more tolerant than one."
PUBLISHED = Published(
    {"A": (0.974, 0.959, 0.686), "B": (0.979, 0.967, 0.718), "C": (0.987, 0.982, 0.843)},
    Citation(REPORTED, "models A, B, C, trained on unmoved digits of MNIST"),
)
ONCE, NEVER = "cpc", "cc"
APART = {ONCE: "cpc", NEVER: "cc"}  # C with one pooling and with none
APART_LEGENDS = {ONCE: "cpc: C with one pooling", NEVER: "cc: C without pooling"}
ADDED = {
    ("B", "A"): "one pooling",
    ("C", "B"): "a second convolution and pooling",
    (ONCE, "B"): "a second convolution",
    ("C", ONCE): "a second pooling",
    (NEVER, "A"): "a second convolution, no pooling",
    ("C", NEVER): "two poolings",
}


@dataclass(frozen=True)
class Numbers:
    """Accuracies of the models.

    Args:
        setting: the size of the digits.
        train_digits: how many digits they were trained on.
        test_digits: how many they were tested on.
        accuracy: by model.
        apart: of the models that have two convolutions, as C has, and fewer poolings.
        other: the same networks under other protocols; None where the digits are not MNIST's, which were published.
        digit: a test digit.
    """

    setting: Setting
    train_digits: int
    test_digits: int
    accuracy: ByModel
    apart: ByModel
    other: OtherProtocols | None
    digit: UInt8[np.ndarray, "h w"]


def measure(lab: Lab) -> Numbers:
    """Accuracy unmoved, moved little and moved, and its curve over distance."""
    digits, accuracy = digits_used(lab), measure_models(lab, augmented=False)
    apart = measure_models(lab, augmented=False, models=APART)
    other = measure_other_protocols(lab, augmented=False, longer=("A",)) if not lab.stand_in else None
    return Numbers(*digits, accuracy, apart, other, lab.digits("test").pictures[0, 0].numpy())


def gain_of(numbers: Numbers, more: str, less: str, condition: str) -> Figure:
    """The accuracy of one model minus another's."""
    models = {**numbers.accuracy, **numbers.apart}
    return gain(f"{more} - {less}: {ADDED[more, less]}", condition, models[more], models[less], claimed=True)


def figures(numbers: Numbers) -> list[Figure]:
    """Accuracies, what pooling adds, the spread, and other protocols."""
    gains = [gain_of(numbers, more, less, condition) for more, less in ADDED for condition in CONDITIONS]
    found = all_figures(numbers.accuracy, gains, PUBLISHED, numbers.other)
    return [*found, *accuracy_figures(numbers.apart, None), *spread_figures(numbers.apart)]


def claims(numbers: Numbers) -> list[Judged]:
    """The book's sentence, what learners add to it, and the accuracies that are passed on."""
    first = [gain_of(numbers, "B", "A", c) for c in (LITTLE, MOVED)]
    second, deeper = gain_of(numbers, "C", ONCE, MOVED), gain_of(numbers, ONCE, "B", MOVED)
    told = f"{signed_points(first[0].measured)} on digits moved little and {signed_points(first[1].measured)} on moved ones"
    change = (
        "With two convolutions in both networks, a second pooling changes the accuracy on moved digits by "
        f"{signed_points(second.measured)}; with one pooling in both, a second convolution by {signed_points(deeper.measured)}"
    )
    return [
        judged(
            TOLERANT,
            SOURCE,
            [f.holds for f in first],
            holds=f"One pooling adds {told}, beyond chance.",
            in_part=f"One pooling adds {told}; not both are gains beyond chance.",
            does_not=f"One pooling adds {told}; neither is a gain beyond chance.",
            undecided=f"One pooling adds {told}, with a single seed.",
            rests_on=[("gain", f"B - A: {ADDED['B', 'A']}", c) for c in (LITTLE, MOVED)],
        ),
        judged(
            TWICE,
            NOTES,
            [gained(second)],
            holds=f"{change}.",
            does_not=f"{change}: the second pooling is a loss.",
            undecided=f"{change}; the first of these cannot be told from chance.",
            rests_on=[("gain", f"{m} - {n}: {ADDED[m, n]}", MOVED) for m, n in (("C", ONCE), (ONCE, "B"))],
        ),
        *as_published(PUBLISHED.source, figures(numbers)),
    ]


def finding(numbers: Numbers) -> list[Said | str]:
    """Whether the order is the published one, what each pooling adds, and what moving the digits still costs."""
    moved = {m: numbers.accuracy[m].mean(MOVED) for m in MODELS}
    lost = {m: numbers.accuracy[m].mean(UNMOVED) - a for m, a in moved.items()}
    listed = ", ".join(f"{m} {percent(a, 1)}" for m, a in moved.items())
    costs = ", ".join(f"{m} by {points(v)}" for m, v in lost.items())
    changes = ", ".join(f"{m} {signed_points(-v)}" for m, v in lost.items())
    kept = " and ".join(m for m, a in lost.items() if a <= 0)
    pooled, deeper = (gain_of(numbers, *pair, MOVED).measured for pair in (("C", ONCE), (ONCE, "B")))
    parts = f"{signed_points(pooled)} and {signed_points(deeper)}"
    return [
        Said(
            moved["A"] < moved["B"] < moved["C"],
            yes=f"On moved digits, the models have the published order, A < B < C: {listed}.",
            no=f"On moved digits, the models do not have the published order, A < B < C: {listed}.",
        ),
        *(_gained(*pair, gain_of(numbers, *pair, MOVED)) for pair in ADDED),
        Said(
            pooled > deeper,
            yes=f"Of what C is ahead of B, the second pooling brings more than the second convolution: {parts}.",
            no=f"Of what C is ahead of B, the second pooling brings no more than the second convolution: {parts}.",
        ),
        Said(
            min(lost.values()) > 0,
            yes=f"Pooling makes none of the models invariant: moving the digits lowers the accuracy of {costs}.",
            no=f"Moving the digits does not lower the accuracy of {kept}; the accuracies change as follows: {changes}.",
        ),
    ]


def _gained(more: str, less: str, found: Figure) -> Said:
    """Whether one model is more accurate than another on moved digits."""
    low, high = found.low, found.high
    change = signed_points(found.measured)
    start = f"From {less} to {more} ({ADDED[more, less]}), the accuracy on moved digits changes by {change}"
    if low is None or high is None:
        low = high = found.measured
    interval = f"{start} ({from_to(signed_points(low), signed_points(high), 'to')}),"
    return Said(
        found.low is None,
        yes=f"{start}, with a single seed.",
        no=Said(
            low > 0,
            yes=f"{interval} a gain.",
            no=Said(
                high < 0, yes=f"{interval} a loss.", no=f"{interval} which these seeds cannot distinguish from zero."
            ),
        ),
    )


def take_away(numbers: Numbers) -> Said:
    """What to remember."""
    lost = {m: numbers.accuracy[m].mean(UNMOVED) - numbers.accuracy[m].mean(MOVED) for m in MODELS}
    best = min(lost, key=lost.__getitem__)
    second, deeper = (gain_of(numbers, *pair, MOVED).measured for pair in (("C", ONCE), (ONCE, "B")))
    parts = (
        f"A second pooling changes the accuracy on moved digits by {signed_points(second)}, a second convolution by "
    )
    parts += signed_points(deeper)
    return Said(
        lost[best] > 0,
        yes=f"Pooling does not make a network invariant: moved digits cost the best of these models {points(lost[best])}. "
        f"{parts}.",
        no=f"Moved digits cost {best} nothing. {parts}.",
    )


def tables(numbers: Numbers) -> list[Table]:
    """How the figures are laid out."""
    return all_tables(
        "Accuracy on the test digits, trained without moves",
        ("Gain in accuracy from pooling", "models"),
        "Model A trained twice as long",
        numbers.other,
    )


def charts(numbers: Numbers) -> list[Chart]:
    """Accuracy over distance."""
    legends, models = LEGENDS | APART_LEGENDS, {**numbers.accuracy, **numbers.apart}
    rows = {legends[m]: a.curve for m, a in models.items()}
    return [curve_chart("Accuracy over distance, trained without moves", rows)]


def pictures(numbers: Numbers) -> dict[str, tuple[bytes, str]]:
    """The networks as diagrams, and a digit as it is moved."""
    return digits_and_networks(numbers.setting, {**MODELS, **APART}, numbers.digit)


def footnotes(numbers: Numbers) -> list[Said | str]:
    """Which digits were used, and why figures differ from the published ones."""
    return all_footnotes(numbers.accuracy, PUBLISHED, numbers.other, (numbers.train_digits, numbers.test_digits))


def how(numbers: Numbers) -> dict[str, Any]:
    """The protocol."""
    how = protocol(numbers.setting, test_pictures=numbers.test_digits, augmented=False)
    return {"models": in_words(numbers.setting, MODELS | APART), **how}


def readers(numbers: Numbers) -> dict[str, float]:
    """How well each model reads unmoved digits."""
    return {model: a.mean(UNMOVED) for model, a in {**numbers.accuracy, **numbers.apart}.items()}


EXPERIMENT = Experiment(
    name="pooling",
    systems=("S10",),
    title="Does pooling help with moved digits?",
    definition="Pooling: a window of neighbouring values is replaced by one of them, here by the largest.",
    shows="accuracy on moved digits of convolutional networks with no, one and two pooling layers",
    claim="Pooling makes a convolutional network more tolerant of small moves, and two pooling layers more than one.",
    source=SOURCE,
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
