"""A record as one self-contained web page: no network, light and dark, readable on a phone and on paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from shiftproof import records
from shiftproof.records import AuditRecord, Witness
from shiftproof.report import definitions, facts, words
from shiftproof.report.document import EmbeddedPicture, document, embedded

TILES = (  # the figures shown large: the first four that the record has
    "accuracy",
    "accuracy_every_move",
    "consistency",
    "flip_rate",
    "mask_agreement_interior",
    "mask_agreement_border",
    "equivariance_error_interior",
    "equivariance_error_border",
    "wobble",
    "mean_flip_rate",
    "sensitivity",
)


def render(record: AuditRecord) -> str:
    """The page as HTML: every figure, chart, picture and script of it inside.

    Args:
        record: what the audit found; its `pictures` (name -> PNG) are put into the page.

    Returns:
        One HTML document. It loads nothing; a content security policy forbids it to.

    Example:
        page = render(shiftproof.records.load(Path("run")))
    """
    from shiftproof.report import figures, profile

    maps = figures.map_figures(record)
    layers = profile.layer_figure(record)
    return document(
        "page.html.j2",
        [f for m in maps for f in (m.figure, m.radial) if f] + ([layers] if layers else []),
        record=record,
        environment=record.environment,
        title=f"{record.model.word} on {record.data.word}",
        headline=records.headline(record),
        tiles=_tiles(record),
        rows=[(row, _whisker(row)) for row in words.rows(record)],
        maps=[(m, words.map_words(m.name), _map_definition(m.name)) for m in maps],
        layer_figure=layers,
        worst_layers=words.worst_layers(record.layers, 6),
        witnesses=[_shown(n, w, record) for n, w in enumerate(record.witnesses, 1)],
        why_empty=facts.why_empty(record),
        protocol_sentence=words.protocol_sentence(record),
        how=facts.how(record),
        terms=_terms(record),
    )


def write_page(record: AuditRecord, folder: Path) -> Path:
    """Write the page as `index.html` into `folder`, beside and then renamed; return its path."""
    return records.write_beside(folder / "index.html", render(record).encode("utf-8"))


def _tiles(record: AuditRecord) -> list[words.Row]:
    found = {row.name: row for row in words.rows(record)}
    return [found[name] for name in TILES if name in found][:4]


def _whisker(row: words.Row) -> tuple[float, float, float] | None:
    """Low, value and high in per cent of a scale from 0 to 1; None for a figure that is no fraction."""
    ends = row.metric.low, row.metric.value, row.metric.high
    if not words.is_fraction(row.name) or not all(0 <= e <= 1 for e in ends):
        return None
    return round(100 * ends[0], 2), round(100 * ends[1], 2), round(100 * ends[2], 2)


def _map_definition(name: str) -> str:
    stem = name.removesuffix("_interior").removesuffix("_border")
    where = {"_interior": " Cells away from the border.", "_border": " Cells that padding or moved-in content reaches."}
    return definitions.MAPS.get(stem, "") + where.get(name[len(stem) :], "")


def _terms(record: AuditRecord) -> list[tuple[str, str, definitions.Definition]]:
    """(anchor, word, definition) of every word that this page uses."""
    found = [
        (r.name, r.words, definitions.METRICS[r.name]) for r in words.rows(record) if r.name in definitions.METRICS
    ]
    unused = set() if record.layers else {"equivariance error", "propagated, local", "aliasing", "border", "position"}
    general = [(w.replace(", ", "-").replace(" ", "-"), w, d) for w, d in definitions.TERMS.items() if w not in unused]
    boundary = record.protocol.boundary
    if text := definitions.BOUNDARIES.get(boundary):
        general.insert(1, (f"boundary-{boundary}", f"{boundary} boundary", definitions.Definition(text)))
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
    angle = round(math.degrees(math.atan2(witness.dy, witness.dx)), 1) if witness.dy or witness.dx else None
    pictures = [embedded(record.pictures.get(name)) if name else None for name in (witness.picture, witness.moved)]
    fell = 100 * (witness.probability_before - witness.probability_after)
    return _Shown(number, witness, words.move_words(witness.dy, witness.dx), angle, pictures[0], pictures[1], fell)
