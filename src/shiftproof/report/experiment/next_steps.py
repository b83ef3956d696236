"""What to do after an experiment, as sentences with the commands to type."""

from __future__ import annotations

import shlex

from shiftproof.records import ExperimentRecord
from shiftproof.records.judged import HOLDS
from shiftproof.records.layout import stand_in
from shiftproof.report.next_steps import Next


def next_steps(record: ExperimentRecord) -> list[Next]:
    """What to do next, the most useful first."""
    found = []
    command = record.command if record.command.startswith("shiftproof ") else ""
    if stand_in(record) and command:
        text = "The published figures are for MNIST. With it, they can be compared."
        found.append(Next(text, _changed(command, "--data", "mnist")))
    if any(c.outcome != HOLDS for c in record.claims):
        text = "Not every claim holds here: each verdict gives its reason, and the footnotes the limits."
        few = len(record.seeds) == 1 and command
        if few:
            text += " With one seed it may be chance; more seeds show how much."
        found.append(Next(text, _changed(command, "--seeds", "3") if few else ""))
    text = "Repeat this run. With the same --out, what is kept in the folder is not computed again."
    # One that was started from Python is repeated there: its command is Python.
    found.append(Next(text, record.command))
    found.append(Next("See whether your own model does the same.", "shiftproof audit YOUR-MODEL YOUR-PICTURES"))
    return found


def _changed(command: str, option: str, value: str) -> str:
    """The command with another value of an option."""
    words = shlex.split(command)
    if option in words:
        words[words.index(option) + 1] = value
    else:
        words += [option, value]
    return shlex.join(words)
