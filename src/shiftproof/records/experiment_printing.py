"""How an experiment's record prints itself, in a terminal without colours and in a notebook."""

from __future__ import annotations

import html
import textwrap

from shiftproof.records.catalogue import about
from shiftproof.records.experiment_parts import ExperimentParts
from shiftproof.records.layout import (
    AGREES,
    Laid,
    beside_words,
    claims_of,
    intervals,
    keys,
    laid_out,
    measured_words,
    source_words,
    stand_in,
)
from shiftproof.records.numbers import count_words, seconds_words
from shiftproof.records.plain import printable_record

WIDTH = 100


def lines(record: ExperimentParts) -> list[str]:
    """The record as text: title, definition, what to remember, claim, finding, tables, footnotes, how it was made."""
    record = printable_record(record)
    shown = [title_of(record), ""]
    shown += _wrapped("means    ", about(record.name).definition)
    shown += _wrapped("remember ", record.take_away)
    for claim, source, judged in claims_of(record):
        shown += _wrapped("claimed  ", f"{claim} ({source_words(source)})")
        if judged is not None:
            shown += _wrapped("verdict  ", f"{judged.outcome}: {judged.reason}")
    for n, sentence in enumerate(record.finding):
        shown += _wrapped("         " if n else "found    ", sentence)
    # Eight by eight digits are not MNIST: this must stand before any figure that is compared with a published one.
    shown += _wrapped("note     ", stand_in(record))
    for laid in laid_out(record):
        shown += ["", laid.table.title, *_table(laid), *_wrapped("  ", "; ".join(_below(laid)))]
    for n, note in enumerate(record.footnotes, 1):
        shown += [*([""] if n == 1 else []), *_wrapped(f"{n}. ", note)]
    return [*shown, "", *_wrapped("", made_words(record)), f"$ {record.command}"]


def title_of(record: ExperimentParts) -> str:
    """The title for a reader, with the name on the command line where that is another."""
    title = about(record.name).title
    return title if title == record.name else f"{title} ({record.name})"


def made_words(record: ExperimentParts) -> str:
    """Data, seeds, seconds, device, date."""
    e = record.environment
    parts = [
        record.data,
        f"seeds {', '.join(str(s) for s in record.seeds)}" if record.seeds else "",
        seconds_words(record.seconds),
        f"{e.device}, {count_words(e.threads, 'thread')}",
        e.date[:10],
    ]
    return "; ".join(p for p in parts if p)


def _wrapped(lead: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead)) if text else []


def _below(laid: Laid) -> list[str]:
    return [part for part in (laid.table.note.rstrip("."), *keys(laid)) if part]


def _table(laid: Laid) -> list[str]:
    """Columns side by side where they fit; else one line per figure."""
    cells = {at: (f"{measured_words(f)} {AGREES[f.holds]}".rstrip(), beside_words(f)) for at, f in laid.figures.items()}
    first = max(len(r) for r in (laid.table.corner, *laid.rows))
    widths = [max([len(c), *(len(p) for r in laid.rows for p in cells.get((r, c), ("",)))]) for c in laid.columns]
    if 2 + first + sum(w + 2 for w in widths) <= WIDTH:
        shown = [[laid.table.corner.ljust(first), *(c.rjust(w) for c, w in zip(laid.columns, widths, strict=True))]]
        for row in laid.rows:
            for part in (0, 1):
                texts = [cells.get((row, c), ("", ""))[part] for c in laid.columns]
                # A second line, for published figures, only in rows that have one.
                if part == 0 or any(texts):
                    lead = row if part == 0 else ""
                    shown.append([lead.ljust(first), *(t.rjust(w) for t, w in zip(texts, widths, strict=True))])
        return ["  " + "  ".join(line).rstrip() for line in shown]
    return [
        line
        for (row, column), (value, beside) in cells.items()
        for line in _wrapped("  ", f"{row}, {column}: {value}" + (f"; {beside}" if beside else ""))
    ]


def notebook_html(record: ExperimentParts) -> str:
    """The record as HTML for a notebook: title, definition, what to take away, claim, finding, tables."""
    record = printable_record(record)
    parts = [f"<b>{html.escape(title_of(record))}</b>"]
    told = [about(record.name).definition, record.take_away and f"What to take away: {record.take_away}"]
    parts += [f"<p>{html.escape(words)}</p>" for words in told if words]
    for claim, source, judged in claims_of(record):
        parts.append(f"<p><i>claimed</i> {html.escape(claim)} ({html.escape(source_words(source))})</p>")
        if judged is not None:
            parts.append(f"<p><b>{html.escape(judged.outcome)}</b>: {html.escape(judged.reason)}</p>")
    parts += [f"<p>{html.escape(sentence)}</p>" for sentence in record.finding]
    parts += [f"<p><b>{html.escape(stand_in(record))}</b></p>"] if stand_in(record) else []
    for laid in laid_out(record):
        head = "".join(f"<th>{html.escape(c)}</th>" for c in laid.columns)
        body = "".join(
            f"<tr><th style='text-align:left'>{html.escape(r)}</th>{_cells(laid, r)}</tr>" for r in laid.rows
        )
        caption = f"<caption style='text-align:left'>{html.escape(laid.table.title)}</caption>"
        below = html.escape("; ".join([*_below(laid), *filter(None, [intervals(laid)])]))
        corner = html.escape(laid.table.corner)
        parts.append(
            f"<table>{caption}<thead><tr><th style='text-align:left'>{corner}</th>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table><small>{below}</small>"
        )
    if record.footnotes:
        parts.append("<ol>" + "".join(f"<li>{html.escape(note)}</li>" for note in record.footnotes) + "</ol>")
    return f"<div>{''.join(parts)}<p><small>{html.escape(made_words(record))}</small></p></div>"


def _cells(laid: Laid, row: str) -> str:
    shown = []
    for column in laid.columns:
        figure = laid.figures.get((row, column))
        beside = "" if figure is None else beside_words(figure)
        value = "" if figure is None else f"{measured_words(figure)} {AGREES[figure.holds]}".rstrip()
        small = f"<br><small>{html.escape(beside)}</small>" if beside else ""
        shown.append(f"<td>{html.escape(value)}{small}</td>")
    return "".join(shown)
