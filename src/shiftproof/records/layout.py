"""How an experiment's figures are laid out in tables and written: the same words in a terminal, a notebook and a page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shiftproof.records.citation import Citation
from shiftproof.records.experiment_parts import ExperimentParts
from shiftproof.records.figures import Figure, Table
from shiftproof.records.judged import Judged
from shiftproof.records.numbers import from_to, signed_points, written

AGREES = {True: "✓", False: "✗", None: ""}
KEYS = {  # what the signs of a table mean; a table explains only those that it uses
    "±": "± standard deviation over seeds",
    "sd": "sd: the difference from the published figure, in these standard deviations",
}


@dataclass(frozen=True)
class Laid:
    """A table with its figures in place.

    Args:
        table: title, corner and note.
        rows: names, in the order of their first figure in the record.
        columns: likewise.
        figures: by (row, column); a place may be empty.
    """

    table: Table
    rows: list[str]
    columns: list[str]
    figures: dict[tuple[str, str], Figure]


def laid_out(record: ExperimentParts) -> list[Laid]:
    """Every table of the record that has a figure; figures of a table without a layout come last, under its name."""
    known = {t.name: t for t in record.tables}
    for figure in record.figures:
        # A figure without a layout is shown all the same: leaving one out would be worse than an ugly table.
        known.setdefault(figure.table, Table(figure.table, figure.table))
    found = []
    for name, table in known.items():
        figures = [f for f in record.figures if f.table == name]
        if figures:
            # A dict keeps the order in which names first came: that is how the experiment laid them out.
            rows, columns = (list(dict.fromkeys(getattr(f, key) for f in figures)) for key in ("row", "column"))
            found.append(Laid(table, rows, columns, {(f.row, f.column): f for f in figures}))
    return found


def measured_words(figure: Figure) -> str:
    """The measured figure with its spread over seeds.

    >>> measured_words(Figure("t", "r", "c", 0.98, values=[0.97, 0.98, 0.99]))
    '98.00 ± 1.00 %'
    >>> measured_words(Figure("t", "r", "c", 267960, unit="count"))
    '267,960'
    """
    varies = figure.spread is not None or figure.low is not None
    places = 2 if varies and figure.unit == "fraction" else None
    text = written(figure.measured, figure.unit, places=places)
    if figure.spread is None:
        return text
    return from_to(text, written(figure.spread, figure.unit, places=places), "±")


def interval_words(figure: Figure) -> str:
    """The interval, its unit said once; empty for an exact figure.

    >>> interval_words(Figure("t", "r", "c", 0.5, low=0.25, high=0.75))
    '25.00 – 75.00 %'
    """
    if figure.low is None or figure.high is None:
        return ""
    places = 2 if figure.unit == "fraction" else None
    return from_to(*(written(end, figure.unit, places=places) for end in (figure.low, figure.high)))


def published_words(figure: Figure) -> str:
    """The published figure, in as many digits as it has; empty where there is none.

    >>> published_words(Figure("t", "r", "c", 0.98, published=0.974))
    '97.4 %'
    """
    return "" if figure.published is None else written(figure.published, figure.unit)


def difference_words(figure: Figure) -> str:
    """How much the measured figure exceeds the published one: in its own spread if it has one.

    >>> difference_words(Figure("t", "r", "c", 0.98, values=[0.97, 0.98, 0.99], published=0.975))
    '+0.5 sd'
    >>> difference_words(Figure("t", "r", "c", 5.0, unit="count", published=5.0))
    'equal'
    """
    if figure.published is None:
        return ""
    if figure.deviation is not None:
        return f"{figure.deviation:+.1f} sd"
    difference = figure.measured - figure.published
    # Exact figures are often quotients, which may differ from the published decimal in the last binary digit.
    if math.isclose(figure.measured, figure.published, rel_tol=1e-9):
        return "equal"
    if figure.unit == "fraction":
        return signed_points(difference, 2)
    return ("+" if difference > 0 else "-") + written(abs(difference), figure.unit)


def beside_words(figure: Figure) -> str:
    """The published figure and the difference from it, in one line; empty where there is none."""
    return f"published {published_words(figure)}, {difference_words(figure)}" if figure.published is not None else ""


def keys(laid: Laid) -> list[str]:
    """What the signs in a table mean."""
    figures = laid.figures.values()
    used = {
        "±": any(f.spread is not None for f in figures),
        "sd": any(f.deviation is not None for f in figures),
    }
    said = [text for sign, text in KEYS.items() if used[sign]]
    if any(f.holds is not None for f in figures):
        claim = laid.table.claim.rstrip(".")
        said.append(f"✓ agrees with the claim, ✗ does not: {claim}" if claim else "✓ agrees with the claim, ✗ does not")
    return said


def intervals(laid: Laid) -> str:
    """The kinds of intervals in a table, each kind once; empty if all figures are exact."""
    return "; ".join(dict.fromkeys(f.interval for f in laid.figures.values() if f.low is not None))


def claims_of(record: ExperimentParts) -> list[tuple[str, Citation, Judged | None]]:
    """(claim, source, verdict) of every claim; of a record that was made before claims were judged, its claim without one."""
    judged = [(c.claim, c.source, c) for c in record.claims]
    return [*judged] if judged else [(record.claim, record.source, None)]


def source_words(source: Citation) -> str:
    """A source in one line, without its address."""
    return ", ".join(part for part in (source.paper, source.where) if part)


def stand_in(record: ExperimentParts) -> str:
    """A sentence that says so if the record was made on scikit-learn's digits instead of MNIST; otherwise empty."""
    if not record.stand_in:
        return ""
    return (
        "This was run on scikit-learn's 8 x 8 digits instead of MNIST. The published figures are for MNIST, so differences from "
        "them mean nothing here."
    )
