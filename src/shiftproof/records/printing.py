"""How an audit's record prints itself: its rows in words, its headline, and the record in a terminal and a notebook."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from shiftproof.boundaries import BOUNDARIES
from shiftproof.records.audit_parts import AuditParts, Metric
from shiftproof.records.measures import MapMeasure, Measure
from shiftproof.records.metrics import METRICS, in_order, metric_row
from shiftproof.records.numbers import (
    confidence_words,
    count_words,
    fixed,
    from_to,
    in_unit,
    seconds_words,
    without_rounding,
)
from shiftproof.records.plain import printable_record

RANDOM = " with random weights (no figure holds for the trained model)"
FEW = 20  # pictures; with fewer, an interval of a figure without finite bounds covers less than it says (docs/intervals.md)


@dataclass(frozen=True)
class Row:
    """One metric of a record, ready to print.

    Args:
        measure: its row in the table of measures.
        value: the figure with its unit.
        interval: low and high, the unit once.
        metric: the figure itself.
    """

    measure: Measure
    value: str
    interval: str
    metric: Metric

    @property
    def mark(self) -> str:
        """A star after an interval that rests on too few pictures; `few_words` says what it means."""
        return " *" if self.metric.n < FEW and not all(map(math.isfinite, self.measure.bounds)) else ""


def in_words(value: float, measure: Measure | MapMeasure) -> str:
    """A value of the measure with its unit; what is only rounding is 0.

    >>> in_words(1.8e-14, metric_row("equivariance_error_interior")), in_words(1.8e-14, metric_row("flip_rate"))
    ('0.00 %', '0.00 %')
    """
    return in_unit(without_rounding(value) if measure.rounds else value, measure.unit)


def interval_in_words(low: float, high: float, measure: Measure | MapMeasure) -> str:
    """An interval of the measure, its unit once.

    >>> interval_in_words(0.25, 0.5, metric_row("accuracy")), interval_in_words(0.0, 2.0, metric_row("sensitivity"))
    ('25.00 – 50.00 %', '0.0000 – 2.0000')
    """
    return from_to(in_words(low, measure), in_words(high, measure))


def rows(record: AuditParts) -> list[Row]:
    """Every metric of the record in the order of the table, those that this version does not know last."""
    found = []
    for name in in_order(record.metrics, METRICS):
        measure, metric = metric_row(name), record.metrics[name]
        interval = interval_in_words(metric.low, metric.high, measure)
        found.append(Row(measure, in_words(metric.value, measure), interval, metric))
    return found


def title(record: AuditParts) -> str:
    """The model and the data in one line, which says of random weights that they are."""
    return f"{record.model.word}{RANDOM if record.model.random_weights else ''} on {record.data.word}"


def few_words(found: Iterable[Row]) -> str:
    """What the star after an interval means; empty if none of the rows has one."""
    return (
        f"* fewer than {FEW} pictures: too few for this interval, which may be too narrow"
        if any(r.mark for r in found)
        else ""
    )


def headline_row(record: AuditParts) -> Row | None:
    """The metric that the headline is about; None if the record holds none that has a sentence."""
    return next((row for row in rows(record) if row.measure.sentence), None)


def headline(record: AuditParts) -> str:
    """The result in one sentence."""
    p = record.protocol
    counts = f"{count_words(record.data.used, 'picture')} × {moves_words(p.views_per_image, p.boundary)}"
    row = headline_row(record)
    # A record of another version may hold metrics that this one has no sentence for.
    if row is None:
        return f"{counts} were measured."
    # "0.00 % of cases" would leave open whether it is a small number.
    never = row.metric.value == 0 and row.measure.never
    sentence = never or row.measure.sentence.format(value=row.value)
    return f"{sentence} ({counts}), {confidence_words(p.confidence)} interval {row.interval}."


def moves_words(count: int, boundary: str) -> str:
    """A number of moves, with what the boundary makes of them.

    >>> moves_words(25, "crop"), moves_words(1, "zero")
    ('25 camera moves', '1 move on a constant background')
    """
    text = BOUNDARIES[boundary].moves if boundary in BOUNDARIES else "moves"
    return f"{count:,} {text.replace('moves', 'move') if count == 1 else text}"


def lines(record: AuditParts) -> list[str]:
    """The record as a short table, for a terminal without colours."""
    record = printable_record(record)
    found = rows(record)
    cells = [(row.measure.words, row.value, row.interval, row.mark) for row in found]
    wide = [max((len(c[i]) for c in cells), default=0) for i in range(3)]
    p, c = record.protocol, record.cost
    made = [
        f"{confidence_words(p.confidence)} intervals clustered by picture",
        f"seed {p.seed}",
        f"{count_words(c.views, 'view')}",
        f"{fixed(c.forward_equivalents_per_view, 2)} FE per view",
        seconds_words(c.seconds),
    ]
    skipped = [f"  {count_words(len(record.data.bad), 'item')} skipped"] if record.data.bad else []
    return [
        title(record),
        *(f"Note: {note.text}" for note in record.notes),
        headline(record),
        "",
        *(f"  {a:<{wide[0]}}  {b:>{wide[1]}}  [{i}]{mark}" for a, b, i, mark in cells),
        *([f"  {few}"] if (few := few_words(found)) else []),
        "",
        f"  {'; '.join(made)}",
        *skipped,
    ]
