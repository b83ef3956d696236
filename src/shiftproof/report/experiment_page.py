"""An experiment's record as a web page, and the page of all experiments of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shiftproof import records
from shiftproof.errors import RecordError
from shiftproof.records import ExperimentRecord, layout
from shiftproof.report import words
from shiftproof.report.document import document, embedded
from shiftproof.report.facts import Facts
from shiftproof.report.facts import environment as environment_facts
from shiftproof.report.series import drawn


def render_experiment(record: ExperimentRecord) -> str:
    """The page as HTML: claim, finding, charts, tables with the published figures beside, pictures, protocol.

    Args:
        record: what the experiment found; its `images` (name -> PNG) are put into the page.

    Example:
        page = render_experiment(shiftproof.records.load_experiment(Path("shiftproof-reproduce/pooling")))
    """
    charts = [drawn(number, c) for number, c in enumerate(record.charts, 1)]
    return document(
        "experiment.html.j2",
        [figure for d in charts for figure, _, _ in d.figures],
        record=record,
        environment=record.environment,
        title=record.name,
        charts=charts,
        tables=layout.laid_out(record),
        pictures=[(p, embedded(record.images.get(p.name))) for p in record.pictures],
        stand_in=layout.stand_in(record),
        agreement=layout.agreement(record),
        link=_link(record.source.url),
        sources=_sources(record),
        how=_how(record),
        layout=layout,
    )


def write_experiment_page(record: ExperimentRecord, folder: Path) -> Path:
    """Write the page as `index.html` into `folder`, beside and then renamed; return its path."""
    return records.write_beside(folder / "index.html", render_experiment(record).encode("utf-8"))


def render_overview(found: list[ExperimentRecord], unreadable: dict[str, str]) -> str:
    """The page of several experiments: what each found, with a link to its own page in the folder of its name.

    Args:
        found: the records, in the order of the page.
        unreadable: folder -> why its record could not be read.
    """
    latest = max(found, key=lambda r: r.environment.date)
    return document(
        "overview.html.j2",
        [],
        environment=latest.environment,
        title="Experiments",
        cards=[(r, layout.agreement(r), layout.stand_in(r)) for r in found],
        unreadable=unreadable,
        layout=layout,
    )


def write_overview(folder: Path, order: Sequence[str] = ()) -> Path | None:
    """Write the page of all experiments kept in `folder` as its `index.html`; return its path, or None without any.

    Args:
        folder: holds a folder for each experiment, of its name.
        order: names, in reading order; others come after them, by the alphabet.
    """
    found: list[ExperimentRecord] = []
    unreadable = {}
    place = {name: i for i, name in enumerate(order)}
    paths = folder.glob("*/record.json")
    for path in sorted(paths, key=lambda p: (place.get(p.parent.name, len(place)), p.parent.name)):
        try:
            found.append(records.load_experiment(path.parent))
        except RecordError as e:
            unreadable[path.parent.name] = str(e)
    if not found:
        return None
    return records.write_beside(folder / "index.html", render_overview(found, unreadable).encode("utf-8"))


def _link(url: str) -> str:
    """The address, if it is one of the web."""
    return url if url.startswith(("https://", "http://")) else ""


def _sources(record: ExperimentRecord) -> list[tuple[str, str]]:
    """(words, address) of every source of a published figure, each once, the claim's own left out."""
    kept = {f.source: None for f in record.figures if f.source is not None and f.source != record.source}
    return [(layout.source_words(s), _link(s.url)) for s in kept]


def _how(record: ExperimentRecord) -> list[tuple[str, Facts]]:
    protocol = [(key.replace("_", " "), value_words(value)) for key, value in record.protocol.items()]
    run = [
        ("Data", record.data or "none"),
        ("Seeds", ", ".join(str(s) for s in record.seeds) or "none: nothing is random, or the seed is in the protocol"),
        ("Wall clock", words.seconds_words(record.seconds)),
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
        return layout.written(value)
    if isinstance(value, dict):
        return ", ".join(f"{k} {value_words(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(f"({value_words(v)})" if isinstance(v, list | tuple) else value_words(v) for v in value)
    return str(value)
