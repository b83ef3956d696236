"""S11: models A, B, C trained on moved digits, beside the same trained without."""

from __future__ import annotations

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.moved_digits import (
    CONDITIONS,
    MEANS,
    MODELS,
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

SOURCE = Source("Project's source documents (specification row S11)", "table of models A, B, C, trained with moves")
PUBLISHED = {"A": (0.968, 0.974, 0.950), "B": (0.980, 0.982, 0.966), "C": (0.989, 0.989, 0.983)}


def measure(lab: Lab) -> Result:
    """Accuracy of the augmented networks, and what augmentation adds, seed by seed."""
    plain, augmented = measure_models(lab, augmented=False), measure_models(lab, augmented=True)
    published = PUBLISHED if "MNIST" in lab.used else None
    figures = accuracy_figures("accuracy", augmented, published, SOURCE if published else None)
    gains = gain_figures(plain, augmented)
    other = other_protocols(lab, PUBLISHED, augmented=True, source=SOURCE) if published else []
    again = longer(lab, tuple(MODELS), PUBLISHED, augmented=True, source=SOURCE) if published else []
    both = {f"{words}, {how}": rows for how, runs in (("not augmented", plain), ("augmented", augmented))
            for words, rows in curves(runs).items()}  # fmt: skip
    return Result(
        finding=finding(figures, gains),
        figures=[*figures, *gains, *spread_figures("spread", augmented), *other, *again],
        tables=[
            Table("accuracy", "Accuracy on the test digits, trained on moved digits", "model", MEANS),
            Table("gain", "What augmentation adds to the accuracy", "model", "the same seeds and the same moves"),
            Table("spread", "Standard deviation of one run's accuracy, by source", "model and digits", SPREAD),
            *([Table("other", "The same networks, other readings of the published protocol", "moves", OTHER)] if other else []),
            *([Table("longer", "Trained twice as long", "model", LONGER)] if again else []),
        ],
        charts=[curve_chart("distance", "Accuracy over distance, with and without augmentation", both)],
        footnotes=[*(only_a_part(lab) if published else []), *explain(figures, augmented, other, again)],
        protocol=protocol(lab, augmented=True),
    )  # fmt: skip


def gain_figures(plain: Measured, augmented: Measured) -> list[Figure]:
    """Augmented less not augmented, seed by seed; on moved digits the claim holds where the interval lies above zero."""
    figures = []
    for model in MODELS:
        for condition in CONDITIONS:
            pairs = zip(augmented[model], plain[model], strict=True)
            values = [mean_of(a[condition]) - mean_of(b[condition]) for a, b in pairs]
            low = over_seeds("gain", model, condition, values).low
            holds = None if low is None or condition != "moved" else low > 0
            figures.append(over_seeds("gain", model, condition, values, holds=holds))
    return figures


def finding(figures: list[Figure], gains: list[Figure]) -> list[str]:
    """What came out, in sentences."""
    at = {(f.row, f.column): f.measured for f in figures}
    moved = {g.row: g for g in gains if g.column == "moved"}
    unmoved = {g.row: g for g in gains if g.column == "unmoved"}
    words = ", ".join(f"{m} {g.measured:+.1%} to {at[m, 'moved']:.1%}" for m, g in moved.items())
    alone = any(g.low is None for g in gains)
    surely = all(g.low is not None and g.low > 0 for g in moved.values())
    chance = " (one seed only)" if alone else "" if surely else " (not beyond chance for all of them)"
    start = (
        "Augmentation raises" if all(g.measured > 0 for g in moved.values()) else "Augmentation does not always raise"
    )
    sentences = [f"{start} the accuracy on moved digits: {words}{chance}."]
    cost = [m for m, g in unmoved.items() if g.high is not None and g.high < 0]
    changes = ", ".join(f"{m} {g.measured:+.1%}" for m, g in unmoved.items())
    if alone:
        sentences.append(f"On unmoved digits the accuracy changes, one seed only: {changes}.")
    elif cost:
        sentences.append(f"On unmoved digits it costs {' and '.join(cost)} some accuracy ({changes}).")
    else:
        sentences.append(f"On unmoved digits no loss can be told from chance ({changes}).")
    left = {m: at[m, "unmoved"] - at[m, "moved"] for m in MODELS}
    best = min(left, key=left.__getitem__)
    sentences.append(f"The smallest gap between unmoved and moved digits that is left is {best}'s, {left[best]:.1%}.")
    return sentences


EXPERIMENT = Experiment(
    name="augmentation",
    systems=("S11",),
    shows="accuracy on moved digits of the same networks, trained with random moves",
    claim="Training with random moves of up to a tenth of the picture makes all three models nearly as good on moved "
    "digits as on unmoved ones.",
    source=SOURCE,
    measure=measure,
    trains=True,
)
