"""The catalogue says of every experiment what the experiment itself says, in reading order, without importing one."""

import subprocess
import sys
from dataclasses import replace

import pytest

from shiftproof.experiments import CHAPTERS, EXPERIMENTS, find
from shiftproof.records.catalogue import About, about, catalogue
from shiftproof.records.layout import source_words


def said(name: str) -> About:
    """What the experiment itself says."""
    e = find(name)
    chapter = next(chapter for chapter, modules in CHAPTERS.items() if name in modules)
    return About(
        e.name, e.title, e.definition, chapter, e.shows, source_words(e.source), list(e.systems), trains=e.trains
    )


def test_the_catalogue_is_in_the_order_of_the_experiments():
    assert list(catalogue()) == list(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_says_what_the_experiment_says(name):
    assert about(name) == said(name)
    assert about(name) != replace(said(name), title="another")


def test_titles_differ():
    assert len({a.title for a in catalogue().values()}) == len(EXPERIMENTS)


def test_it_imports_no_experiment():
    code = "import sys; from shiftproof.records.catalogue import catalogue; catalogue(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "shiftproof.records.catalogue" in loaded
    assert not {"torch", "shiftproof.experiments"} & set(loaded)
