"""What the pooling and the augmentation experiments report alike: accuracies beside published ones, gains and spreads."""

from __future__ import annotations

from collections.abc import Iterable

from shiftproof.experiments.experiment import Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.moved_digits import (
    Accuracies,
    ByModel,
    Published,
    Setting,
    accuracy_figures,
    setting,
    spread_figures,
)
from shiftproof.experiments.trained.other_protocols import (
    OtherProtocols,
    explain,
    only_a_part,
    other_figures,
    other_tables,
)
from shiftproof.records import Citation, Figure, Judged, Table
from shiftproof.records.numbers import percent

MEANS = "the mean over draws of moves, then over seeds"
SPREAD = (
    "seed of training: spread between networks, without the part from the choice of moves; choice of moves: spread of one "
    "network's accuracy over draws of moves"
)


def digits_used(lab: Lab) -> tuple[Setting, int, int]:
    """The setting for the lab's digits, and how many digits are for training and for tests."""
    train, test = (len(lab.digits(split)) for split in ("train", "test"))
    return setting(lab), train, test


def gain(row: str, condition: str, more: Accuracies, less: Accuracies, *, claimed: bool) -> Figure:
    """The accuracy of some networks minus that of others, seed by seed.

    Args:
        row: of the figure.
        condition: of `CONDITIONS`.
        more: the networks that are claimed to be more accurate.
        less: those they are compared with; the same seeds.
        claimed: whether a gain is claimed. The claim holds where the interval lies above zero; with one seed it is open.
    """
    values = [a - b for a, b in zip(more.by_seed(condition), less.by_seed(condition), strict=True)]
    low = over_seeds("gain", row, condition, values).low
    return over_seeds("gain", row, condition, values, holds=low > 0 if claimed and low is not None else None)


def gained(found: Figure) -> bool | None:
    """Whether a difference is a gain (True) or a loss beyond chance; None if neither can be told."""
    if found.low is None or found.high is None or found.low <= 0 <= found.high:
        return None
    return found.low > 0


def all_figures(
    measured: ByModel, gains: Iterable[Figure], published: Published, other: OtherProtocols | None
) -> list[Figure]:
    """Accuracies, gains, spreads and other protocols.

    Args:
        measured: the accuracies.
        gains: made by `gain`.
        published: what the accuracies are compared with, if the digits are those that were published.
        other: the same networks under other protocols; None where the digits are not those that were published.
    """
    return [
        *accuracy_figures(measured, published if other else None),
        *gains,
        *spread_figures(measured),
        *(other_figures(other, published) if other else []),
    ]


def as_published(source: Citation, figures: Iterable[Figure]) -> list[Judged]:
    """The claim that the published accuracies come out; none where the digits are not those that were published.

    Args:
        source: of the published accuracies.
        figures: all figures.
    """
    found = [f for f in figures if f.table == "accuracy" and f.published is not None]
    if not found:
        return []
    agree = sum(bool(f.holds) for f in found)
    farthest = max(found, key=lambda f: abs(f.measured - (f.published or 0.0)))
    worst = f"the farthest is {farthest.row}, {farthest.column}: {percent(farthest.measured, 1)}, published "
    worst += percent(farthest.published or 0.0, 1)
    return [
        judged(
            "The accuracies of models A, B and C are as published.",
            source,
            [bool(f.holds) for f in found],
            holds=f"All {len(found)} are within the spread of single runs; {worst}.",
            in_part=f"{agree} of {len(found)} are within the spread of single runs; {worst}.",
            does_not=f"None of {len(found)} is within the spread of single runs; {worst}.",
            rests_on=[(f.table, f.row, f.column) for f in found],
        )
    ]


def all_tables(accuracy: str, gained: tuple[str, str], longer: str, other: OtherProtocols | None) -> list[Table]:
    """How `all_figures` are laid out.

    Args:
        accuracy: title of the accuracies.
        gained: title of the gains, and what is compared.
        longer: title of the networks that were trained longer.
        other: see `all_figures`.
    """
    return [
        Table("accuracy", accuracy, "model", MEANS, "It is within the spread of single runs of what was published."),
        Table("gain", *gained, "with the same seeds and the same moves", "It is a gain beyond chance."),
        Table("spread", "Standard deviation of one run's accuracy, by source", "model and digits", SPREAD),
        *(other_tables(longer) if other else []),
    ]


def all_footnotes(
    measured: ByModel, published: Published, other: OtherProtocols | None, digits: tuple[int, int]
) -> list[Said | str]:
    """Which digits were used, and why accuracies differ from the published ones; nothing where none were published.

    Args:
        measured: the accuracies.
        published: what they are compared with.
        other: see `all_figures`.
        digits: how many were used for training and for tests.
    """
    return [only_a_part(*digits), *explain(measured, published, other)] if other else []
