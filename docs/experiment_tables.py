"""The experiments' tables for the documents, from their committed records."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from shiftproof.experiments import CHAPTERS, EXPERIMENTS, find
from shiftproof.records import Citation, ExperimentRecord, Figure, layout
from shiftproof.records.catalogue import About, about

ROOT = Path(__file__).parents[1]
SHOWN = 3  # figures beside a verdict


def experiment_records() -> list[ExperimentRecord]:
    """The committed records of the experiments, in the order of `shiftproof reproduce --list`."""
    files = [ROOT / f"tests/golden/experiments/{name}.json" for name in EXPERIMENTS]
    return [ExperimentRecord.from_dict(json.loads(f.read_text())) for f in files if f.exists()]


def cell(figure: Figure | None, *, published: bool = True) -> str:
    """A figure with its spread or interval, the published one and the difference."""
    if figure is None:
        return ""
    interval = layout.interval_words(figure) if figure.spread is None else ""
    parts = [layout.measured_words(figure), f"({interval})" if interval else "", layout.AGREES[figure.holds]]
    if published and figure.published is not None:
        parts.append(f"<br>{layout.beside_words(figure)}")
    return escaped(" ".join(p for p in parts if p))


def escaped(text: str) -> str:
    """The text as it stands in a table's cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def experiment_table(laid: layout.Laid) -> list[str]:
    """One table of a record."""
    rows = [
        f"| {' | '.join(escaped(c) for c in (laid.table.corner, *laid.columns))} |",
        f"|{' --- |' * (1 + len(laid.columns))}",
    ]
    for row in laid.rows:
        cells = [cell(laid.figures.get((row, c))) for c in laid.columns]
        rows.append(f"| {' | '.join([escaped(row), *cells])} |")
    below = "; ".join(
        part for part in (laid.table.note.rstrip("."), *layout.keys(laid), layout.intervals(laid)) if part
    )
    return [f"**{laid.table.title}**", "", *rows, *(["", below] if below else []), ""]


def source_link(source: Citation) -> str:
    """A source, with its address where it has one."""
    words = layout.source_words(source)
    return f"[{words}]({source.url})" if source.url else words


def figure_sources(record: ExperimentRecord) -> list[str]:
    """A line about the sources of published figures, if they are others than the source of the claim."""
    others = dict.fromkeys(f.source for f in record.figures if f.source is not None and f.source != record.source)
    return [f"Published figures: {'; '.join(source_link(s) for s in others)}", ""] if others else []


def anchor(title: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def verdicts() -> str:
    """Every claim with its verdict, the reason and the figures that decide it."""
    rows = ["| experiment | claim | verdict | why | figures |", "| --- | --- | --- | --- | --- |"]
    for record in experiment_records():
        link = f"[{record.name}](#{anchor(about(record.name).title)})"
        if not record.claims:
            rows.append(f"| {link} | {escaped(record.claim)} | not judged in this record | | |")
        for c in record.claims:
            figures = [record.figure(at.table, at.row, at.column) for at in c.rests_on[:SHOWN]]
            told = "; ".join(f"{f.row}, {f.column}: {layout.measured_words(f)}" for f in figures)
            told += f"; and {len(c.rests_on) - SHOWN} more" if len(c.rests_on) > SHOWN else ""
            cells = (link, f"{c.claim} ({source_link(c.source)})", f"**{c.outcome}**", c.reason, told)
            rows.append(f"| {' | '.join(escaped(cell) for cell in cells)} |")
    return "\n".join(rows)


def experiments() -> str:
    """Every experiment in reading order: definition, what to take away, claim, finding, tables, footnotes, command and date."""
    lines, chapter = [], ""
    for record in experiment_records():
        e, known = record.environment, about(record.name)
        lines += [f"## {known.chapter}", ""] if known.chapter != chapter else []
        chapter = known.chapter
        lines += [
            f"### {known.title}",
            "",
            f"`{record.name}`. {known.definition}",
            "",
            *([f"**What to take away.** {record.take_away}", ""] if record.take_away else []),
            f"Claimed: {record.claim} ({source_link(record.source)})",
            "",
        ]
        lines += ["Found: " + " ".join(record.finding), "", *figure_sources(record)]
        for laid in layout.laid_out(record):
            lines += experiment_table(laid)
        lines += [f"{n}. {note}" for n, note in enumerate(record.footnotes, 1)] + [""] * bool(record.footnotes)
        threads = f"{e.threads} thread{'' if e.threads == 1 else 's'}"
        versions = f"torch {e.versions.get('torch', '')}, {e.platform}, {e.device}, {threads}, {e.date[:10]}"
        seeds = f"; seeds {', '.join(str(s) for s in record.seeds)}" if record.seeds else ""
        lines += [f"`{record.command}`: {versions}{seeds}", ""]
    return "\n".join(lines).rstrip()


def pooling_and_augmentation() -> str:
    """README: the accuracy tables of pooling and augmentation, measured and published."""
    rows = []
    for record in experiment_records():
        for laid in layout.laid_out(record):
            if record.name not in ("pooling", "augmentation") or laid.table.name != "accuracy":
                continue
            words = {"pooling": "trained on unmoved digits", "augmentation": "trained on moved digits"}[record.name]
            if not rows:
                rows = [f"| model | {' | '.join(laid.columns)} |", f"|{' --- |' * (1 + len(laid.columns))}"]
            for row in laid.rows:
                found = [laid.figures.get((row, c)) for c in laid.columns]
                cells = [
                    f"{cell(f, published=False)}, published {layout.published_words(f)}"
                    if f and f.published is not None
                    else cell(f)
                    for f in found
                ]
                rows.append(f"| {row}, {words} | {' | '.join(cells)} |")
    return "\n".join(rows)


def catalogue() -> str:
    """src/shiftproof/records/experiments.json: what is known of every experiment before it is run, in reading order."""
    found = []
    for chapter, modules in CHAPTERS.items():
        for name in modules:
            e = find(name)
            about = About(
                name, e.title, e.definition, chapter, e.shows, layout.source_words(e.source), list(e.systems), e.trains
            )
            found.append(asdict(about))
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
