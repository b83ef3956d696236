"""Prints an experiment's record in a terminal: claim, finding, tables of measured and published figures, footnotes."""

from __future__ import annotations

import textwrap

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from shiftproof.printable import printable
from shiftproof.records import ExperimentRecord, Figure
from shiftproof.records.catalogue import about
from shiftproof.records.experiment_printing import made_words
from shiftproof.records.judged import DOES_NOT, HOLDS, IN_PART, UNDECIDED
from shiftproof.records.layout import (
    AGREES,
    Laid,
    beside_words,
    claims_of,
    interval_words,
    intervals,
    keys,
    laid_out,
    measured_words,
    source_words,
    stand_in,
)
from shiftproof.report.experiment.next_steps import next_steps
from shiftproof.report.terminal import HEAD, SOFT, print_following, show

HEADING = 20  # the most columns for a heading or for the names of the rows
LEAD = 9  # columns before the sentences
SIGNS = {True: "green", False: "bold red"}
OUTCOME_STYLES = {HOLDS: "bold green", IN_PART: "bold yellow", DOES_NOT: "bold red", UNDECIDED: "bold"}


def print_experiment(record: ExperimentRecord, console: Console, *, short: bool = False) -> None:
    """Print the record: what to remember, claim, finding, tables, footnotes, how it was made.

    Args:
        record: what the experiment found.
        console: where to print; its width, colours and encoding decide how.
        short: print only what to remember and the finding, for a list of experiments.

    Example:
        print_experiment(record, rich.console.Console(stderr=True))
    """
    parts: list[RenderableType | None] = [_head(record, short)]
    if not short:
        parts += [_table(laid, console) for laid in laid_out(record)]
        parts += [_footnotes(record), Text(printable(made_words(record)), SOFT)]
    show([part for part in parts if part is not None], console)
    if not short:
        print_following(next_steps(record), console)


def _head(record: ExperimentRecord, short: bool) -> RenderableType:
    known = about(record.name)
    title = Text(printable(known.title), HEAD)
    if known.title != record.name:
        title.append(f"  {printable(record.name)}", SOFT)
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=LEAD, style=SOFT, no_wrap=True)
    grid.add_column()
    if known.definition and not short:
        grid.add_row("means", Text(known.definition, SOFT))
    if record.take_away:
        grid.add_row("remember", Text(printable(record.take_away), HEAD))
    if not short:
        for claim, source, judged in claims_of(record):
            grid.add_row("claimed", Text.assemble(printable(claim), (f" ({printable(source_words(source))})", SOFT)))
            if judged is not None:
                told = Text(judged.outcome, OUTCOME_STYLES[judged.outcome])
                grid.add_row("verdict", told.append(f": {printable(judged.reason)}", "not bold default"))
    for n, sentence in enumerate(record.finding):
        grid.add_row("" if n else "found", Text(printable(sentence)))
    if words := stand_in(record):
        grid.add_row("note", Text(words, "yellow"))
    return Group(title, grid)


def _value(figure: Figure) -> Text:
    text = Text(measured_words(figure), HEAD)
    if figure.holds is not None:
        text.append(f" {AGREES[figure.holds]}", SIGNS[figure.holds])
    return text


def _table(laid: Laid, console: Console) -> RenderableType:
    """Columns side by side if they fit, else one line per figure."""
    widths = {c: min(len(c), HEADING) for c in laid.columns}
    for (_, column), figure in laid.figures.items():
        widths[column] = max(widths[column], len(_value(figure)), len(beside_words(figure)))
    first = max(len(r) for r in (laid.table.corner, *laid.rows))
    # A table that is wider than the terminal would be folded in the middle of its numbers.
    fits = min(first, HEADING) + sum(w + 2 for w in widths.values()) <= console.width
    return Group(
        Text(printable(laid.table.title), HEAD),
        _side_by_side(laid, widths) if fits else _one_by_one(laid),
        *(Text(printable(line), SOFT) for line in _below(laid)),
    )


def _plain_table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), header_style=SOFT, pad_edge=False)


def _side_by_side(laid: Laid, widths: dict[str, int]) -> Table:
    table = _plain_table()
    table.add_column(Text(printable(laid.table.corner)))
    for column in laid.columns:
        heading = textwrap.fill(printable(column), widths[column])  # folded here, because a cell may not fold
        table.add_column(Text(heading), justify="right", no_wrap=True)
    for row in laid.rows:
        cells = []
        for column in laid.columns:
            figure = laid.figures.get((row, column))
            text = Text() if figure is None else _value(figure)
            if figure is not None and (beside := beside_words(figure)):
                text.append(f"\n{beside}", SOFT)
            cells.append(text)
        table.add_row(Text(printable(row)), *cells)
    return table


def _one_by_one(laid: Laid) -> Table:
    table = _plain_table()
    published = any(f.published is not None for f in laid.figures.values())
    exact = all(f.low is None for f in laid.figures.values())
    table.add_column(Text(printable(laid.table.corner)))
    table.add_column()
    table.add_column("measured", justify="right", no_wrap=True)
    if published:
        table.add_column("beside it")
    elif not exact:
        table.add_column("interval", justify="right", style=SOFT, no_wrap=True)
    last = ""
    for (row, column), figure in laid.figures.items():
        # A row's name once, above all its columns.
        lead = "" if row == last else row
        extra = [Text(beside_words(figure), SOFT)] if published else [] if exact else [interval_words(figure)]
        table.add_row(Text(printable(lead)), Text(printable(column)), _value(figure), *extra)
        last = row
    return table


def _below(laid: Laid) -> list[str]:
    parts = [*keys(laid), *([f"interval: {kinds}"] if (kinds := intervals(laid)) else [])]
    return [line for line in (laid.table.note, "; ".join(parts)) if line]


def _footnotes(record: ExperimentRecord) -> RenderableType | None:
    if not record.footnotes:
        return None
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(justify="right", style=SOFT)
    grid.add_column()
    for n, note in enumerate(record.footnotes, 1):
        grid.add_row(f"{n}.", Text(printable(note)))
    return grid
