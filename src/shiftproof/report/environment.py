"""Where a record was made, as terms and facts for a page."""

from __future__ import annotations

from shiftproof.records import Environment
from shiftproof.records.numbers import count_words

Facts = list[tuple[str, str]]


def environment_facts(e: Environment) -> Facts:
    """The environment of a run: date, device, platform and versions."""
    return [
        ("Date", e.date),
        ("Device", f"{e.device}, {count_words(e.threads, 'thread')}"),
        ("Platform", e.platform),
        ("Versions", ", ".join(f"{name} {version}" for name, version in e.versions.items())),
    ]
