"""An experiment's record as a web page, and the page of all experiments of a folder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shiftproof import records
from shiftproof.errors import RecordError, RestartWarning
from shiftproof.records import ExperimentRecord, layout
from shiftproof.records.catalogue import About, about, catalogue
from shiftproof.records.judged import DOES_NOT, HOLDS, IN_PART, UNDECIDED, outcomes_in_words, tone
from shiftproof.records.numbers import seconds_words, shortest
from shiftproof.records.plain import printable_record
from shiftproof.report.document import document, embedded
from shiftproof.report.environment import Facts, environment_facts
from shiftproof.report.experiment.next_steps import next_steps
from shiftproof.report.experiment.series import drawn

TONES = {HOLDS: "good", IN_PART: "", DOES_NOT: "bad", UNDECIDED: ""}


def render_experiment(record: ExperimentRecord) -> str:
    """The page as HTML: claim, finding, charts, tables with the published figures, pictures, protocol.

    Args:
        record: what the experiment found; its `images` (name -> PNG) are put into the page.

    Example:
        page = render_experiment(shiftproof.records.load_experiment(Path("shiftproof-reproduce/pooling")))
    """
    record = printable_record(record)
    charts = [drawn(number, c) for number, c in enumerate(record.charts, 1)]
    return document(
        "experiment.html.j2",
        [figure for d in charts for figure, _, _ in d.figures],
        record=record,
        environment=record.environment,
        title=about(record.name).title,
        about=about(record.name),
        charts=charts,
        tables=layout.laid_out(record),
        pictures=[(p, embedded(record.images.get(p.name))) for p in record.pictures],
        stand_in=layout.stand_in(record),
        claims=[(c, TONES[c.outcome], _link(c.source.url)) for c in record.claims],
        link=_link(record.source.url),
        sources=_sources(record),
        how=_how(record),
        next_steps=next_steps(record),
        layout=layout,
    )


def write_experiment_page(record: ExperimentRecord, folder: Path) -> Path:
    """Write the page to `index.html` in `folder` atomically and return its path."""
    return records.write_beside(folder / "index.html", render_experiment(record).encode("utf-8"))


def render_overview(found: list[ExperimentRecord], unreadable: dict[str, str]) -> str:
    """The page of several experiments by chapter: the finding of each, with a link to its page in the folder of that name.

    Args:
        found: the records, in the order of the page; chapters come in the order of their first record.
        unreadable: folder -> why its record could not be read.
    """
    # ISO dates in one time zone sort as text.
    latest = max(found, key=lambda r: r.environment.date)
    return document(
        "overview.html.j2",
        [],
        environment=latest.environment,
        title="Experiments",
        count=len(found),
        chapters=_by_chapter(found),
        unreadable=unreadable,
        layout=layout,
    )


def _by_chapter(found: list[ExperimentRecord]) -> dict[str, list[tuple[ExperimentRecord, About, str, str, str]]]:
    """Each record with what is known of it, its verdicts in words, their tone, and what stands in for MNIST."""
    chapters: dict[str, list[tuple[ExperimentRecord, About, str, str, str]]] = {}
    for r in found:
        card = (r, about(r.name), outcomes_in_words(r.claims), tone(r.claims), layout.stand_in(r))
        chapters.setdefault(card[1].chapter, []).append(card)
    return chapters


def write_overview(folder: Path, order: Sequence[str] | None = None) -> Path | None:
    """Write the page of all experiments kept in `folder` as its `index.html`; return its path, or None without any.

    Args:
        folder: holds one folder per experiment, with the name of the experiment.
        order: names in reading order, that of the catalogue if not given; other names follow in alphabetical order.
    """
    found: list[ExperimentRecord] = []
    unreadable = {}
    place = {name: i for i, name in enumerate(catalogue() if order is None else order)}
    paths = folder.glob("*/record.json")
    for path in sorted(paths, key=lambda p: (place.get(p.parent.name, len(place)), p.parent.name)):
        try:
            found.append(records.load_experiment(path.parent))
        # One broken record must not take the page of all others with it.
        except RecordError as e:
            unreadable[path.parent.name] = str(e)
            warnings.warn(f"{path} is left out of the overview: {e}", RestartWarning, stacklevel=2)
    if not found:
        return None
    return records.write_beside(folder / "index.html", render_overview(found, unreadable).encode("utf-8"))


def _link(url: str) -> str:
    """The address if it is a web address."""
    # A record from a stranger could hold a "javascript:" address.
    return url if url.startswith(("https://", "http://")) else ""


def _sources(record: ExperimentRecord) -> list[tuple[str, str]]:
    """(words, address) for every source of a published figure, each once, except the source of the claim."""
    kept = {f.source: None for f in record.figures if f.source is not None and f.source != record.source}
    return [(layout.source_words(s), _link(s.url)) for s in kept]


def _how(record: ExperimentRecord) -> list[tuple[str, Facts]]:
    protocol = [(key.replace("_", " "), value_words(value)) for key, value in record.protocol.items()]
    run = [
        ("Data", record.data or "none"),
        ("Seeds", ", ".join(str(s) for s in record.seeds) or "none: nothing is random, or the protocol has the seed"),
        ("Wall clock", seconds_words(record.seconds)),
    ]
    found = [("Protocol", protocol), ("Run", run), ("Environment", environment_facts(record.environment))]
    return [(heading, facts) for heading, facts in found if facts]


def value_words(value: Any) -> str:
    """A value of a protocol in words.

    >>> value_words({"name": "Adam", "rate": 0.001}), value_words([1, 2]), value_words(None), value_words(60000)
    ('name Adam, rate 0.001', '1, 2', 'none', '60,000')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return shortest(value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {value_words(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(f"({value_words(v)})" if isinstance(v, list | tuple) else value_words(v) for v in value)
    return str(value)
