"""How an experiment's figures are laid out in tables and written: the same words in a terminal, a notebook and a page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shiftproof.records.experiment import ExperimentRecord, Figure, Source, Table

AGREES = {True: "✓", False: "✗", None: ""}
KEYS = {  # what a table's signs mean; each is said only where it is used
    "±": "± standard deviation over seeds",
    "sd": "sd: the difference to the published figure in these standard deviations",
    "✓": "✓ agrees with what was claimed, ✗ does not",
}


@dataclass(frozen=True)
class Laid:
    """A table with its figures in place.

    Args:
        table: title, corner and note.
        rows: names, in the order in which they first stand in the record.
        columns: likewise.
        figures: by (row, column); a place may be empty.
    """

    table: Table
    rows: list[str]
    columns: list[str]
    figures: dict[tuple[str, str], Figure]


def laid_out(record: ExperimentRecord) -> list[Laid]:
    """Every table of the record that has a figure; figures of a table without a layout come last, under its name."""
    known = {t.name: t for t in record.tables}
    for figure in record.figures:
        known.setdefault(figure.table, Table(figure.table, figure.table))
    found = []
    for name, table in known.items():
        figures = [f for f in record.figures if f.table == name]
        if figures:
            rows, columns = (list(dict.fromkeys(getattr(f, key) for f in figures)) for key in ("row", "column"))
            found.append(Laid(table, rows, columns, {(f.row, f.column): f for f in figures}))
    return found


def written(value: float, unit: str = "", *, places: int | None = None) -> str:
    """A figure with its unit; fractions in per cent, counts in thousands.

    Args:
        value: the figure.
        unit: of a `Figure`.
        places: decimals of a per cent; None for as many as it needs, four figures at most.

    >>> [written(0.9820, "fraction", places=2), written(0.5, "fraction"), written(1e-9, "fraction")]
    ['98.20 %', '50 %', '1.0e-07 %']
    >>> [written(16006144000, "count"), written(2.0, "px"), written(0.12345), written(1.5e-16)]
    ['16,006,144,000', '2 px', '0.1235', '1.5e-16']
    """
    if not math.isfinite(value):
        return "–"
    if unit == "fraction":
        return f"{_number(100 * value, places)} %"
    text = _number(value, None)
    return f"{text} px" if unit == "px" else text


def _number(value: float, places: int | None) -> str:
    """The shortest that says enough; what is not zero never reads as zero."""
    if value == 0:
        return "0" if places is None else f"{0:.{places}f}"
    if places is not None:
        return f"{value:.1e}" if abs(value) < 0.5 * 10**-places else f"{value:.{places}f}"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) < 1e-3 or abs(value) >= 1e9:
        return f"{value:.1e}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


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
    spread = written(figure.spread, figure.unit, places=places)
    stem, unit = text.partition(" ")[0], text.partition(" ")[2]
    return f"{stem} ± {spread.partition(' ')[0]} {unit}".rstrip()


def interval_words(figure: Figure) -> str:
    """The interval, its unit said once; empty for an exact figure.

    >>> interval_words(Figure("t", "r", "c", 0.5, low=0.25, high=0.75))
    '25.00 – 75.00 %'
    """
    if figure.low is None or figure.high is None:
        return ""
    places = 2 if figure.unit == "fraction" else None
    low, high = (written(end, figure.unit, places=places) for end in (figure.low, figure.high))
    return f"{low.partition(' ')[0]} – {high}"


def published_words(figure: Figure) -> str:
    """The published figure, in as many digits as it has; empty where there is none.

    >>> published_words(Figure("t", "r", "c", 0.98, published=0.974))
    '97.4 %'
    """
    return "" if figure.published is None else written(figure.published, figure.unit)


def difference_words(figure: Figure) -> str:
    """What the measured figure is more than the published one, in its own spread where it has one.

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
    if math.isclose(figure.measured, figure.published, rel_tol=1e-9):
        return "equal"
    sign = "+" if difference > 0 else "-"
    if figure.unit == "fraction":
        return f"{sign}{_number(abs(100 * difference), 2)} points"
    return sign + written(abs(difference), figure.unit)


def beside_words(figure: Figure) -> str:
    """The published figure and the difference to it, in one line; empty where there is none."""
    return f"published {published_words(figure)}, {difference_words(figure)}" if figure.published is not None else ""


def keys(laid: Laid) -> list[str]:
    """What the signs in a table mean."""
    figures = laid.figures.values()
    used = {
        "±": any(f.spread is not None for f in figures),
        "sd": any(f.deviation is not None for f in figures),
        "✓": any(f.holds is not None for f in figures),
    }
    return [text for sign, text in KEYS.items() if used[sign]]


def intervals(laid: Laid) -> str:
    """What the intervals of a table are, each kind once; empty where all figures are exact."""
    return "; ".join(dict.fromkeys(f.interval for f in laid.figures.values() if f.low is not None))


def agreement(record: ExperimentRecord) -> tuple[int, int]:
    """How many figures agree with what was claimed, of how many of which something was."""
    judged = [f.holds for f in record.figures if f.holds is not None]
    return sum(judged), len(judged)


def source_words(source: Source) -> str:
    """A source in one line, without its address."""
    return ", ".join(part for part in (source.paper, source.where) if part)


def stand_in(record: ExperimentRecord) -> str:
    """A sentence where the record was made on scikit-learn's digits instead of MNIST; else empty."""
    if "digits" not in record.data.split(", "):
        return ""
    return (
        "Made on scikit-learn's 8 x 8 digits, which stand in for MNIST: published figures are about MNIST, and differences to "
        "them say nothing."
    )
