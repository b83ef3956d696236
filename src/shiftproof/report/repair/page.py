"""A repair as one self-contained web page: it needs no network, has a light and a dark theme, and can be printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shiftproof import records
from shiftproof.records import GOALS, AuditRecord, RepairRecord, Verdict
from shiftproof.records.audit_parts import Metric
from shiftproof.records.metrics import metric_row
from shiftproof.records.numbers import count_words, fixed, percent, signed_points
from shiftproof.records.plain import printable_record
from shiftproof.records.repair_measured import CONSISTENCY, FLIPS, MEASURES, MOVED, UNMOVED, Measured
from shiftproof.records.repair_parts import changes_in_words
from shiftproof.records.verdict_words import status_words
from shiftproof.report import words
from shiftproof.report.document import EmbeddedPicture, document, embedded
from shiftproof.report.repair.front import ORIGINAL, front_figure, on_front

SHOWN = 6  # pictures whose answer used to change
NOT_COVERED = {
    "circular": "The circular world is an artefact: that every circular move has one answer says nothing about a camera that "
    "moves. It does not show that the answer is steady in practice.",
    "zero": "Nothing is said about an object that is partly outside the picture, or about a background that is not uniform.",
    "crop": "Nothing is proved. Other pictures, and other moves, may give other figures.",
}


def render_repair(record: RepairRecord, before: AuditRecord | None = None, after: AuditRecord | None = None) -> str:
    """The page as HTML.

    Args:
        record: what the repair did.
        before: the audit of the original model, whose witnesses are shown; None without pictures.
        after: the audit of the mended model.

    Example:
        page = render_repair(shiftproof.records.load_repair(Path("mended")))
    """
    record = printable_record(record)
    measured = record.measured
    figure = None if measured is None else front_figure(measured)
    return document(
        "repair.html.j2",
        [figure] if figure else [],
        record=record,
        environment=_Made(record.versions or {}, record.date),
        title=f"{record.model.word}, repaired",
        lead=_lead(record),
        not_covered=NOT_COVERED[record.goal],
        tiles=_tiles(record),
        verdicts=_verdicts(record.before, record.after),
        figures=[] if measured is None else _figures(measured),
        measured=measured,
        where="" if measured is None else _where(measured),
        front=figure,
        heads=[metric_row(name).head for name in MEASURES],
        methods=[] if measured is None else _methods(measured),
        flips=[] if before is None else _flips(printable_record(before), after),
        changes=changes_in_words(record.changes),
        how=_how(record),
    )


def write_repair_page(
    record: RepairRecord, folder: Path, before: AuditRecord | None = None, after: AuditRecord | None = None
) -> Path:
    """Write the page to `index.html` in `folder` atomically and return its path."""
    return records.write_beside(folder / "index.html", render_repair(record, before, after).encode("utf-8"))


@dataclass(frozen=True)
class _Made:
    """What the foot of a page needs."""

    versions: Mapping[str, str]
    date: str


def _lead(record: RepairRecord) -> str:
    if record.guarantee is not None:
        told = str(record.guarantee)
        return f"{told[0].upper()}{told[1:]}."
    measured = record.measured
    assert measured is not None
    assert measured.picked is not None
    a, b = (m[CONSISTENCY].value for m in (measured.before, measured.picked.metrics))
    return f"Nothing is proved. Measured: {metric_row(CONSISTENCY).head} {percent(b)}, before {percent(a)}."


def _tiles(record: RepairRecord) -> list[tuple[str, str, str]]:
    """(label, figure, what stands below it) in large type."""
    found = []
    measured = record.measured
    if measured is not None and measured.picked is not None:
        for name in (UNMOVED, MOVED, CONSISTENCY):
            if name in measured.before and name in measured.picked.metrics:
                a, b = measured.before[name], measured.picked.metrics[name]
                found.append((metric_row(name).words, percent(b.value), f"before {percent(a.value)}"))
    if record.cost is not None:
        found.append(("cost", f"{fixed(record.cost, 2)} FE", "forward passes of the original model"))
    return found


def _verdicts(before: Verdict | None, after: Verdict | None) -> list[tuple[str, str, str, str, str]]:
    """(world, before, its tone, after, its tone) for each world that is known of either."""

    def told(verdict: Verdict | None, world: str) -> tuple[str, str]:
        if verdict is None:
            return "not known", ""
        claim = getattr(verdict, world)
        step = "" if None in claim.step else f", step {claim.step[0]} × {claim.step[1]} px"
        return status_words(claim) + step, {"proved": "good", "refuted": "bad"}.get(claim.status, "")

    if after is None:  # for a goal for which nothing can be proved
        return []
    return [(w, *told(before, w), *told(after, w)) for w in records.WORLDS]


def _figures(measured: Measured) -> list[tuple[str, str, str, str, str, str]]:
    """(measure, before, its interval, after, its interval, gain)."""
    after = measured.picked.metrics if measured.picked else {}

    def told(m: Metric | None) -> tuple[str, str]:
        return ("–", "") if m is None else (percent(m.value), f"{percent(m.low)} … {percent(m.high)}")

    found = []
    for name in MEASURES:
        if name in measured.before:
            a, b = measured.before[name], after.get(name)
            gain = "–" if b is None else signed_points(b.value - a.value)
            found.append((metric_row(name).words, *told(a), *told(b), gain))
    return found


def _where(measured: Measured) -> str:
    return (
        f"Both were audited on {count_words(measured.pictures, 'picture')} of {measured.data} with "
        f"{count_words(measured.moves, 'move')} ({measured.boundary}). The methods were fitted to "
        f"{count_words(measured.fitted, 'other picture')}."
    )


def _methods(measured: Measured) -> list[dict[str, Any]]:
    """The rows of the table of methods, the original model first."""
    front = on_front(measured)

    def row(word: str, metrics: Mapping[str, Metric], cost: float | None, standing: str, why: str) -> dict[str, Any]:
        told = "–" if cost is None else fixed(cost, 2)
        return {
            "method": word,
            "figures": [percent(metrics[n].value) if n in metrics else "–" for n in MEASURES],
            "cost": told,
            "front": "yes" if word in front else "",
            "standing": standing,
            "why": why,
        }

    original = row(ORIGINAL, measured.before, 1.0, "", "the model that was given")
    return [original, *(row(r.method, r.metrics, r.cost, r.standing, r.why) for r in measured.rungs)]


@dataclass(frozen=True)
class _Flip:
    """A picture whose answer changed before, and whether it still does."""

    before: str
    after: str
    move: str
    item: str
    label: str
    picture: EmbeddedPicture | None
    moved: EmbeddedPicture | None
    now: str


def _flips(before: AuditRecord, after: AuditRecord | None) -> list[_Flip]:
    still = set() if after is None else {(w.item, w.dy, w.dx) for w in after.witnesses}
    rate = None if after is None or FLIPS not in after.metrics else after.metrics[FLIPS].value
    found = []
    for w in before.witnesses[:SHOWN]:
        now = (
            ""
            if after is None
            else "it still changes"
            if (w.item, w.dy, w.dx) in still
            else "it stays the same"
            if rate == 0
            else "it is not among the worst any more"
        )
        still_picture, moved_picture = (embedded(before.pictures.get(n)) if n else None for n in (w.picture, w.moved))
        move = words.move_words(w.dy, w.dx)
        found.append(_Flip(w.before, w.after, move, w.item, w.label or "", still_picture, moved_picture, now))
    return found


def _how(record: RepairRecord) -> list[tuple[str, list[tuple[str, str]]]]:
    m, ran = record.model, record.confirmed
    proof = []
    if record.guarantee is not None:
        proof += [("Conditions", "; ".join(record.guarantee.preconditions) or "none")]
        whole = "shiftproof.check proved it of the whole model"
        proof += [
            ("Proof", whole if record.guarantee.proof == "whole" else "of the pose; the network behind it was run")
        ]
    if ran is not None:
        moves = f"{count_words(ran.pictures, 'picture')}, {count_words(ran.moves, 'move')}, {' and '.join(ran.dtypes)}"
        differs = (
            "none: equal to the last bit" if ran.difference == 0 else f"{ran.difference:.2g} of the answer's magnitude"
        )
        proof += [("Run to confirm it", moves), ("Largest difference", differs)]
    return [
        (
            "Model",
            [
                ("Model", m.word),
                ("Input", f"{' × '.join(str(n) for n in record.input_size)} (c, h, w)"),
                ("SHA-256", m.sha256 or "none"),
            ],
        ),
        *([("Guarantee", proof)] if proof else []),
        (
            "Run",
            [
                ("Goal", f"{record.goal}: {GOALS[record.goal]}"),
                ("Method", record.method),
                ("Date", f"{record.date[:16].replace('T', ' ')} UTC"),
                ("Versions", ", ".join(f"{k} {v}" for k, v in (record.versions or {}).items())),
                ("Files", ", ".join(record.files) or "none"),
            ],
        ),
    ]
