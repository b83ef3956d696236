"""Notes and random weights stand above the figures: on the page, in the terminal and in a notebook."""

import io
from dataclasses import replace

from rich.console import Console

import records_made
from shiftproof.records import Note
from shiftproof.report import print_record
from shiftproof.report.audit.page import render

NOTES = [Note("weights", "The weights are <b>random</b>."), Note("repeat", "Noise.", fails=True)]
PLAIN = records_made.classification(shown=0, layers=4, reach=2)
RECORD = replace(PLAIN, notes=NOTES, model=replace(PLAIN.model, random_weights=True))


def test_the_page_says_them_before_the_headline():
    page = render(RECORD)
    assert "with random weights" in page
    assert "The weights are &lt;b&gt;random&lt;/b&gt;." in page
    assert page.index("Noise.") < page.index('class="lead"')
    assert "with random weights" not in render(PLAIN)


def test_the_terminal_says_them_in_its_first_lines():
    file = io.StringIO()
    print_record(RECORD, Console(file=file, width=100))
    lines = [line for line in file.getvalue().splitlines() if line.strip()]
    assert "with random weights (no figure holds for the trained model) on photos/" in lines[0]
    assert lines[1] == "Note: The weights are <b>random</b>."
    assert lines[2] == "Note: Noise."


def test_a_notebook_escapes_them():
    assert "&lt;b&gt;random" in RECORD._repr_html_()
    assert "Note: Noise." in str(RECORD)
