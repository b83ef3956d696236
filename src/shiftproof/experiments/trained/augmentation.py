"""Models A, B, C trained on moved digits, beside the same models trained on unmoved ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.accuracy_report import (
    all_figures,
    all_footnotes,
    all_tables,
    as_published,
    digits_used,
    gain,
)
from shiftproof.experiments.trained.digit_pictures import digits_and_networks, in_words
from shiftproof.experiments.trained.moved_digits import (
    CONDITIONS,
    LEGENDS,
    MODELS,
    MOVED,
    REPORTED,
    UNMOVED,
    ByModel,
    Published,
    Setting,
    curve_chart,
    measure_models,
    protocol,
)
from shiftproof.experiments.trained.other_protocols import OtherProtocols, measure_other_protocols
from shiftproof.records import Chart, Citation, Figure, Judged, Table
from shiftproof.records.numbers import percent, points, signed_points

SOURCE = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 7.4, data set augmentation",
    "https://www.deeplearningbook.org/contents/regularization.html",
)
TRANSLATING = (
    "Translating the training pictures by a few pixels can greatly improve generalization, even if convolution and pooling "
    "already make the network partly invariant."
)
TABLE = Citation(REPORTED, "models A, B, C, trained on moved digits of MNIST")
PUBLISHED = Published({"A": (0.968, 0.974, 0.950), "B": (0.980, 0.982, 0.966), "C": (0.989, 0.989, 0.983)}, TABLE)


@dataclass(frozen=True)
class Numbers:
    """Accuracies of the models, trained with and without moves.

    Args:
        setting: the size of the digits.
        train_digits: how many digits they were trained on.
        test_digits: how many they were tested on.
        plain: accuracies by model, trained on unmoved digits.
        augmented: by model, trained on moved digits; the same seeds and test moves.
        other: the augmented networks under other protocols; None where the digits are not MNIST's, which were published.
        digit: a test digit.
    """

    setting: Setting
    train_digits: int
    test_digits: int
    plain: ByModel
    augmented: ByModel
    other: OtherProtocols | None
    digit: UInt8[np.ndarray, "h w"]


def measure(lab: Lab) -> Numbers:
    """Accuracy of the networks trained with and without moves."""
    digits = digits_used(lab)
    plain, augmented = measure_models(lab, augmented=False), measure_models(lab, augmented=True)
    other = measure_other_protocols(lab, augmented=True, longer=tuple(MODELS)) if not lab.stand_in else None
    return Numbers(*digits, plain, augmented, other, lab.digits("test").pictures[0, 0].numpy())


def gain_of(numbers: Numbers, model: str, condition: str) -> Figure:
    """Accuracy with minus without augmentation; a gain is claimed on moved digits only."""
    return gain(model, condition, numbers.augmented[model], numbers.plain[model], claimed=condition == MOVED)


def figures(numbers: Numbers) -> list[Figure]:
    """Accuracies, what augmentation adds, the spread, and other protocols."""
    gains = [gain_of(numbers, model, condition) for model in MODELS for condition in CONDITIONS]
    return all_figures(numbers.augmented, gains, PUBLISHED, numbers.other)


def claims(numbers: Numbers) -> list[Judged]:
    """The book's sentence, and the accuracies that are passed on."""
    moved = {m: gain_of(numbers, m, MOVED) for m in MODELS}
    told = ", ".join(f"{m} {signed_points(g.measured)}" for m, g in moved.items())
    return [
        judged(
            TRANSLATING,
            SOURCE,
            [g.holds for g in moved.values()],
            holds=f"On moved digits, the accuracy of every model rises beyond chance: {told}.",
            in_part=f"On moved digits, the accuracy changes by {told}; not every change is a gain beyond chance.",
            does_not=f"On moved digits, the accuracy changes by {told}; no change is a gain beyond chance.",
            undecided=f"On moved digits, the accuracy changes by {told}, with a single seed.",
            rests_on=[("gain", m, MOVED) for m in MODELS],
        ),
        *as_published(TABLE, figures(numbers)),
    ]


def finding(numbers: Numbers) -> list[Said | str]:
    """What augmentation adds on moved digits, what it costs on unmoved ones, and what gap is left."""
    moved = {m: gain_of(numbers, m, MOVED) for m in MODELS}
    unmoved = {m: gain_of(numbers, m, UNMOVED) for m in MODELS}
    after = {m: numbers.augmented[m].mean(MOVED) for m in MODELS}
    listed = ", ".join(f"{m} {percent(after[m], 1)} ({signed_points(g.measured)})" for m, g in moved.items())
    changes = ", ".join(f"{m} {signed_points(g.measured)}" for m, g in unmoved.items())
    alone = any(g.low is None for g in moved.values())
    surely = all(g.low is not None and g.low > 0 for g in moved.values())
    cost = [m for m, g in unmoved.items() if g.high is not None and g.high < 0]
    before = {m: numbers.augmented[m].mean(UNMOVED) for m in MODELS}
    left = {m: before[m] - a for m, a in after.items()}
    best = min(left, key=left.__getitem__)
    return [
        Said(
            all(g.measured > 0 for g in moved.values()),
            yes=f"Augmentation raises the accuracy on moved digits: {listed}.",
            no=f"Augmentation does not always raise the accuracy on moved digits: {listed}.",
        ),
        Said(
            alone,
            yes="With a single seed, it is not known whether these changes are beyond chance.",
            no=Said(
                surely,
                yes="All of these gains are beyond chance.",
                no="Not all of these changes are gains beyond chance.",
            ),
        ),
        Said(
            alone,
            yes=f"On unmoved digits, the accuracy changes as follows, with a single seed: {changes}.",
            no=Said(
                bool(cost),
                yes=f"On unmoved digits, it costs {' and '.join(cost)} some accuracy ({changes}).",
                no=f"On unmoved digits, no loss can be distinguished from chance ({changes}).",
            ),
        ),
        Said(
            left[best] > 0,
            yes=f"{best} has the smallest remaining gap between unmoved and moved digits, {points(left[best])}.",
            no=f"{best} is at least as accurate on moved digits as on unmoved ones: {percent(after[best], 1)} instead of "
            f"{percent(before[best], 1)}.",
        ),
    ]


def take_away(numbers: Numbers) -> Said:
    """What to remember."""
    moved = {m: gain_of(numbers, m, MOVED) for m in MODELS}
    told = ", ".join(f"{m} {signed_points(g.measured)}" for m, g in moved.items())
    return Said(
        all(g.low is not None and g.low > 0 for g in moved.values()),
        yes=f"A network that is shown moved digits learns to read them, whatever its architecture: {told}. This is learned, "
        "and not built in.",
        no=f"What training on moved digits brings is not beyond chance for every model: {told}.",
    )


def tables(numbers: Numbers) -> list[Table]:
    """How the figures are laid out."""
    return all_tables(
        "Accuracy on the test digits, trained on moved digits",
        ("Gain in accuracy from augmentation", "model"),
        "Trained twice as long",
        numbers.other,
    )


def charts(numbers: Numbers) -> list[Chart]:
    """Accuracy over distance, with and without augmentation."""
    plain = {f"{LEGENDS[m]}, not augmented": a.curve for m, a in numbers.plain.items()}
    augmented = {f"{LEGENDS[m]}, augmented": a.curve for m, a in numbers.augmented.items()}
    return [curve_chart("Accuracy over distance, with and without augmentation", plain | augmented)]


def pictures(numbers: Numbers) -> dict[str, tuple[bytes, str]]:
    """The networks as diagrams, and a digit as it is moved."""
    return digits_and_networks(numbers.setting, MODELS, numbers.digit)


def footnotes(numbers: Numbers) -> list[Said | str]:
    """Which digits were used, and why figures differ from the published ones."""
    return all_footnotes(numbers.augmented, PUBLISHED, numbers.other, (numbers.train_digits, numbers.test_digits))


def how(numbers: Numbers) -> dict[str, Any]:
    """The protocol."""
    how = protocol(numbers.setting, test_pictures=numbers.test_digits, augmented=True)
    return {"models": in_words(numbers.setting, MODELS), **how}


def readers(numbers: Numbers) -> dict[str, float]:
    """How well each model reads unmoved digits, trained without and with moves."""
    plain = {model: a.mean(UNMOVED) for model, a in numbers.plain.items()}
    return plain | {f"{model}, augmented": a.mean(UNMOVED) for model, a in numbers.augmented.items()}


EXPERIMENT = Experiment(
    name="augmentation",
    systems=("S11",),
    title="Training on moved digits",
    definition="Augmentation: the training pictures are moved at random, anew every time that they are shown.",
    shows="accuracy of the same networks on moved digits after training with random moves",
    claim=TRANSLATING,
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
