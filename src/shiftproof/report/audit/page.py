"""An audit's record as one self-contained web page: it needs no network, has a light and a dark theme, and can be printed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from shiftproof import records
from shiftproof.boundaries import BOUNDARIES
from shiftproof.records import AuditRecord, Witness
from shiftproof.records.plain import printable_record
from shiftproof.records.printing import Row, few_words, in_words, interval_in_words
from shiftproof.report import words
from shiftproof.report.audit import facts
from shiftproof.report.audit.glossary import TERMS, Definition
from shiftproof.report.audit.next_steps import next_steps
from shiftproof.report.document import EmbeddedPicture, document, embedded

TILES = 4  # the figures in large type at the top of the page


def render(record: AuditRecord) -> str:
    """The page as HTML, with all its figures, charts, pictures and scripts inside.

    Args:
        record: what the audit found; its `pictures` (name -> PNG) are put into the page.

    Returns:
        One HTML document. It loads nothing, and its content security policy forbids loading.

    Example:
        page = render(shiftproof.records.load(Path("run")))
    """
    # Altair is imported with it, which is slow.
    from shiftproof.report.audit import maps as figures

    record = printable_record(record)
    from shiftproof.report.audit import profile

    rows = records.rows(record)
    maps = figures.map_figures(record)
    layers = profile.layer_figure(record)
    return document(
        "page.html.j2",
        [f for m in maps for f in (m.figure, m.radial) if f] + ([layers] if layers else []),
        record=record,
        environment=record.environment,
        title=records.title(record),
        # the line must not break between a figure and its sign
        headline=records.headline(record).replace(" %", "\u00a0%"),
        tiles=[row for row in rows if row.measure.tile][:TILES],
        rows=[(row, _whisker(row)) for row in rows],
        few_words=few_words(rows),
        maps=maps,
        in_words=in_words,
        interval_in_words=interval_in_words,
        layer_figure=layers,
        causes=words.causes(record.layers),
        worst_layers=words.worst_layers(record.layers, 6),
        witnesses=[_shown(n, w, record) for n, w in enumerate(record.witnesses, 1)],
        why_empty=facts.why_empty(record),
        protocol_sentence=words.protocol_sentence(record),
        how=facts.how(record),
        next_steps=next_steps(record),
        terms=_terms(record, rows),
    )


def write_page(record: AuditRecord, folder: Path) -> Path:
    """Write the page to `index.html` in `folder` atomically and return its path."""
    return records.write_beside(folder / "index.html", render(record).encode("utf-8"))


def _whisker(row: Row) -> tuple[float, float, float] | None:
    """Low, value and high in per cent of a scale from 0 to 1; None for a figure outside that scale."""
    ends = row.metric.low, row.metric.value, row.metric.high
    # The tile's line runs from 0 to 1; adjusted consistency can be negative.
    if row.measure.unit != "fraction" or not all(0 <= e <= 1 for e in ends):
        return None
    return round(100 * ends[0], 2), round(100 * ends[1], 2), round(100 * ends[2], 2)


def _terms(record: AuditRecord, rows: list[Row]) -> list[tuple[str, str, Definition]]:
    """(anchor, word, definition) of every word that this page uses."""
    measures = [row.measure for row in rows if row.measure.definition]
    found = [(m.name, m.words, Definition(m.definition, m.sources)) for m in measures]
    unused = set() if record.layers else {"equivariance error", "propagated, local", "interior", *records.CAUSES}
    unused |= set(records.CAUSES) - set(words.causes(record.layers))
    general = [(w.replace(", ", "-").replace(" ", "-"), w, d) for w, d in TERMS.items() if w not in unused]
    boundary = record.protocol.boundary
    if boundary in BOUNDARIES:
        meaning = Definition(BOUNDARIES[boundary].definition)
        general.insert(1, (f"boundary-{boundary}", f"{boundary} boundary", meaning))
    return found + general


@dataclass(frozen=True)
class _Shown:
    """A witness as the page shows it; `angle` turns an arrow that points right into the move, clockwise in degrees."""

    number: int
    witness: Witness
    move: str
    angle: float | None
    picture: EmbeddedPicture | None
    moved: EmbeddedPicture | None
    fell_points: float


def _shown(number: int, witness: Witness, record: AuditRecord) -> _Shown:
    # dy grows downwards, and CSS turns clockwise: no sign has to change.
    angle = round(math.degrees(math.atan2(witness.dy, witness.dx)), 1) if witness.dy or witness.dx else None
    pictures = [embedded(record.pictures.get(name)) if name else None for name in (witness.picture, witness.moved)]
    fell = 100 * (witness.probability_before - witness.probability_after)
    return _Shown(number, witness, words.move_words(witness.dy, witness.dx), angle, pictures[0], pictures[1], fell)
