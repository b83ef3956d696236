"""S10: models A, B, C without, with one and with two poolings, on digits that moved."""

from __future__ import annotations

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.moved_digits import (
    CONDITIONS,
    MEANS,
    SPREAD,
    Measured,
    accuracy_figures,
    curve_chart,
    curves,
    mean_of,
    measure_models,
    protocol,
    spread_figures,
)
from shiftproof.experiments.other_protocols import LONGER, OTHER, explain, longer, only_a_part, other_protocols
from shiftproof.records import Figure, Source, Table

SOURCE = Source("Project's source documents (specification row S10)", "table of models A, B, C, trained without moves")
PUBLISHED = {"A": (0.974, 0.959, 0.686), "B": (0.979, 0.967, 0.718), "C": (0.987, 0.982, 0.843)}
COMPARED = (("B - A: one pooling", "B", "A"), ("C - B: a second convolution and pooling", "C", "B"))


def measure(lab: Lab) -> Result:
    """Accuracy unmoved, moved little and moved, its spread, and its curve over distance."""
    measured = measure_models(lab, augmented=False)
    published = PUBLISHED if "MNIST" in lab.used else None
    figures = accuracy_figures("accuracy", measured, published, SOURCE if published else None)
    gains = gain_figures(measured)
    other = other_protocols(lab, PUBLISHED, augmented=False, source=SOURCE) if published else []
    again = longer(lab, ("A",), PUBLISHED, augmented=False, source=SOURCE) if published else []
    return Result(
        finding=finding(figures, gains),
        figures=[*figures, *gains, *spread_figures("spread", measured), *other, *again],
        tables=[
            Table("accuracy", "Accuracy on the test digits, trained without moves", "model", MEANS),
            Table("gain", "What pooling adds to the accuracy", "models", "the same seeds and the same moves"),
            Table("spread", "Standard deviation of one run's accuracy, by source", "model and digits", SPREAD),
            *([Table("other", "The same networks, other readings of the published protocol", "moves", OTHER)] if other else []),
            *([Table("longer", "Model A trained twice as long", "model", LONGER)] if again else []),
        ],
        charts=[curve_chart("distance", "Accuracy over distance, trained without moves", curves(measured))],
        footnotes=[*(only_a_part(lab) if published else []), *explain(figures, measured, other, again)],
        protocol=protocol(lab, augmented=False),
    )  # fmt: skip


def gain_figures(measured: Measured) -> list[Figure]:
    """Differences of accuracy, seed by seed; the claim holds where the interval lies above zero."""
    figures = []
    for row, more, less in COMPARED:
        for condition in CONDITIONS:
            pairs = zip(measured[more], measured[less], strict=True)
            values = [mean_of(a[condition]) - mean_of(b[condition]) for a, b in pairs]
            found = over_seeds("gain", row, condition, values)
            holds = None if found.low is None else found.low > 0
            figures.append(over_seeds("gain", row, condition, values, holds=holds))
    return figures


def finding(figures: list[Figure], gains: list[Figure]) -> list[str]:
    """What came out, in sentences."""
    at = {(f.row, f.column): f.measured for f in figures}
    moved = [at[m, "moved"] for m in "ABC"]
    lost = [at[m, "unmoved"] - at[m, "moved"] for m in "ABC"]
    words = ", ".join(f"{m} {a:.1%}" for m, a in zip("ABC", moved, strict=True))
    if moved[0] < moved[1] < moved[2]:
        first = f"On moved digits the order is the published one, A < B < C: {words}."
    else:
        first = f"On moved digits the order is not the published A < B < C: {words}."
    sentences = [first]
    for gain in (g for g in gains if g.column == "moved"):
        if gain.low is None or gain.high is None:
            sentences.append(f"{gain.row}: {gain.measured:+.1%} on moved digits, one seed only.")
        else:
            sure = "more" if gain.low > 0 else "less" if gain.high < 0 else "not told from nothing with these seeds"
            sentences.append(
                f"{gain.row}: {gain.measured:+.1%} ({gain.low:+.1%} to {gain.high:+.1%}) on moved digits, {sure}."
            )
    if min(lost) > 0:
        sentences.append(
            f"Pooling makes none of them invariant: moved digits cost C {lost[2]:.1%}, A {lost[0]:.1%} of all answers."
        )
    return sentences


EXPERIMENT = Experiment(
    name="pooling",
    systems=("S10",),
    shows="accuracy on moved digits of a convolution without, with one and with two poolings",
    claim="Pooling makes a convolutional network more tolerant of small moves, two poolings more than one.",
    source=SOURCE,
    measure=measure,
    trains=True,
)
