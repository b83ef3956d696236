"""A record as a web page and as a few lines in a terminal. Imports no torch; the plotting libraries only when asked.

`render` gives the page as text, `write_page` puts it into a folder, `print_record` says the same in short.
"""

from shiftproof.report.experiment_page import render_experiment, write_experiment_page, write_overview
from shiftproof.report.experiment_terminal import print_experiment
from shiftproof.report.page import render, write_page
from shiftproof.report.terminal import print_record

__all__ = [
    "print_experiment",
    "print_record",
    "render",
    "render_experiment",
    "write_experiment_page",
    "write_overview",
    "write_page",
]
