"""A verdict as one self-contained web page: it needs no network, has a light and a dark theme, and can be printed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shiftproof import records
from shiftproof.records import MENDS, Finding, Verdict
from shiftproof.records.plain import printable_record
from shiftproof.records.verdict_parts import AXES
from shiftproof.records.verdict_printing import stride_words
from shiftproof.records.verdict_words import (
    WORLD_WORDS,
    conditions,
    groups,
    left_out_words,
    sentence_parts,
    status_words,
    tile_words,
)
from shiftproof.report import words
from shiftproof.report.check import glossary
from shiftproof.report.check.next_steps import next_steps
from shiftproof.report.check.strip import strip
from shiftproof.report.document import document

SHOWN = 6  # places per group of findings that are listed; the page folds the rest


def render_verdict(verdict: Verdict) -> str:
    """The page as HTML: the verdict in a sentence, the three worlds, the strip, findings, what to do next, a glossary.

    Args:
        verdict: the verdict from `shiftproof.check`.

    Example:
        page = render_verdict(shiftproof.records.load_verdict(Path("run")))
    """
    verdict = printable_record(verdict)
    title, rest = sentence_parts(verdict)
    return document(
        "check.html.j2",
        [],
        verdict=verdict,
        environment=verdict,
        title=f"{verdict.model.word}, checked",
        sentence=(title.capitalize(), rest),
        size=" × ".join(str(n) for n in verdict.input_size),
        worlds=[_world(verdict, w) for w in records.WORLDS],
        asked=_world(verdict, verdict.world),
        left_out=left_out_words(verdict),
        strip=strip(verdict),
        groups=[_group(g) for g in groups(verdict)],
        shown=SHOWN,
        stride=stride_words,
        next_steps=next_steps(verdict),
        terms=_terms(verdict),
        how=_how(verdict),
    )


def write_verdict_page(verdict: Verdict, folder: Path) -> Path:
    """Write the page to `index.html` in `folder` atomically and return its path."""
    return records.write_beside(folder / "index.html", render_verdict(verdict).encode("utf-8"))


@dataclass(frozen=True)
class _World:
    """A claim as the page shows it."""

    name: str
    status: str
    tone: str
    figure: str
    meaning: str
    conditions: list[str]
    counterexample: str


def _world(verdict: Verdict, name: str) -> _World:
    claim: records.Claim = getattr(verdict, name)
    parts = ["step " + " × ".join("–" if s is None else str(s) for s in claim.step) + " px"]
    parts += [told.replace(" x ", " × ") for told in tile_words(claim)]
    if claim.distance_px:
        parts.append(f"object at least {claim.distance_px} px from the border")
    figure = ", ".join(parts) if any(claim.step) else "nothing is proved"
    told = list(claim.told) if claim.status == "proved" else conditions(verdict, name)
    # "Not proved" has no colour: it says what the check could not do, and nothing about the model.
    tone = {"proved": "good", "refuted": "bad"}.get(claim.status, "")
    example = "" if claim.counterexample is None else str(claim.counterexample)
    return _World(name, status_words(claim), tone, figure, f"{WORLD_WORDS[name].capitalize()}.", told, example)


@dataclass(frozen=True)
class _Group:
    """The findings with the same code and the same fix, as the page shows them."""

    code: str
    name: str
    meaning: str
    effect: str
    mend: str
    mend_meaning: str
    places: list[Finding]
    folds: bool
    along: bool


def _group(found: list[Finding]) -> _Group:
    first = found[0]
    worlds = [w for w in records.WORLDS if any(w in f.breaks for f in found)]
    if not worlds:
        effect = "The proof continues, but its step becomes larger."
    elif len(worlds) == len(records.WORLDS):
        effect = "Ends the proof in every world."
    else:
        effect = f"Ends the proof in the {' and the '.join(worlds)} world{'s' * (len(worlds) > 1)}."
    return _Group(
        first.code,
        first.name,
        # A model that cannot be exported has a T0, too, but no operator for which a rule could be written.
        "" if first.operator == "export" else glossary.CODES[first.code].text,
        effect,
        first.mend.code,
        "" if first.operator == "export" else MENDS[first.mend.kind],
        found,
        any(f.alias is not None for f in found),
        any(len(f.axes) < len(AXES) for f in found),
    )


def _terms(verdict: Verdict) -> list[tuple[str, glossary.Definition]]:
    """(word, definition) for each word that this page uses."""
    codes = [c for c in records.CODES if c in verdict.counts and not _export_only(verdict, c)]
    statuses = {getattr(verdict, w).status for w in records.WORLDS}
    used = {"step"} | ({"stride", "margin"} if verdict.stages else set()) | ({"fix"} if verdict.findings else set())
    if any(f.alias is not None for f in verdict.findings):
        used.add("aliases")
    if any(f.mend.kind == "polyphase" for f in verdict.findings):
        used.add("adaptive polyphase sampling")
    return [
        *((f"{c} {records.CODES[c]}", glossary.CODES[c]) for c in codes),
        *((f"{w} world", glossary.WORLDS[w]) for w in records.WORLDS),
        *((s.replace("_", " "), d) for s, d in glossary.STATUSES.items() if s in statuses),
        *((t, d) for t, d in glossary.TERMS.items() if t in used),
    ]


def _export_only(verdict: Verdict, code: str) -> bool:
    return all(f.operator == "export" for f in verdict.findings if f.code == code)


def _how(verdict: Verdict) -> list[tuple[str, list[tuple[str, str]]]]:
    m = verdict.model
    weights = "random, because none were given" if m.random_weights else m.weights or "those that the model came with"
    return [
        (
            "Model",
            [
                ("Model", m.word),
                ("Input", f"{' × '.join(str(n) for n in verdict.input_size)} (c, h, w)"),
                ("Weights", weights),
                ("SHA-256", m.sha256 or "none, because the weights have no values"),
            ],
        ),
        (
            "Run",
            [
                ("Date", f"{verdict.date[:16].replace('T', ' ')} UTC"),
                ("Versions", ", ".join(f"{name} {version}" for name, version in verdict.versions.items())),
                *((k.capitalize(), words.seconds_words(s)) for k, s in verdict.seconds.items()),
            ],
        ),
    ]
