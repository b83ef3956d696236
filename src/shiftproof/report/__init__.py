"""Shows a record as a web page and in a terminal. It never imports torch, and imports the plotting libraries only when needed.

`render` returns the page as text, `write_page` writes it to a folder, and `print_record` prints a summary. Experiments and
verdicts have the same functions.
"""

from shiftproof.report.audit.page import render, write_page
from shiftproof.report.audit.pictures import map_pictures
from shiftproof.report.audit.terminal import print_record
from shiftproof.report.check.annotations import github, sarif
from shiftproof.report.check.explained import page_of
from shiftproof.report.check.page import render_verdict, write_verdict_page
from shiftproof.report.check.terminal import print_next_steps
from shiftproof.report.experiment.page import render_experiment, write_experiment_page, write_overview
from shiftproof.report.experiment.terminal import print_experiment

__all__ = [
    "github",
    "map_pictures",
    "page_of",
    "print_experiment",
    "print_next_steps",
    "print_record",
    "render",
    "render_experiment",
    "render_verdict",
    "sarif",
    "write_experiment_page",
    "write_overview",
    "write_page",
    "write_verdict_page",
]
