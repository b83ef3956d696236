"""The published experiments in reading order: what each is called, and what the words in it mean. No experiment is imported."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).parent / "experiments.json"  # made from the experiments by docs/generate.py


@dataclass(frozen=True)
class About:
    """What is known of an experiment before it is run.

    Args:
        name: on the command line.
        title: what it is called for a reader.
        definition: of the notion that it is about, in a sentence or two; empty if the experiment is not one of this package.
        chapter: of the reading order; empty likewise, as are all that follow.
        shows: what it shows, in one line.
        source: where its claim was published, in words.
        systems: keys for programs, see `ExperimentRecord`.
        trains: whether it trains networks, so that `--data` and `--seeds` matter.
    """

    name: str
    title: str
    definition: str = ""
    chapter: str = ""
    shows: str = ""
    source: str = ""
    systems: list[str] = field(default_factory=list)
    trains: bool = False


@functools.cache
def catalogue() -> dict[str, About]:
    """Every experiment of the package by name, in reading order.

    >>> about = catalogue()["softmax"]
    >>> about.chapter, about.trains
    ('What forgets the position', False)
    """
    return {row["name"]: About(**row) for row in json.loads(FILE.read_text("utf-8"))}


def about(name: str) -> About:
    """What is known of the experiment; of one that is not in the catalogue, its name is its title.

    >>> about("mine").title
    'mine'
    """
    return catalogue().get(name) or About(name, name)
