"""What to do after an audit, as sentences with the commands to type."""

from __future__ import annotations

import math
import shlex

from shiftproof.records import CAUSES, MENDS, AuditRecord, Layer
from shiftproof.records.numbers import percent, without_rounding
from shiftproof.records.printing import headline_row
from shiftproof.records.verdict_parts import CODES
from shiftproof.report import words
from shiftproof.report.next_steps import (
    PICTURE_OPTIONS,
    Next,
    can_be_named,
    is_onnx,
    model_options,
    typed_options,
    with_option,
)

FINDINGS = {"aliasing": ("T1",), "border": ("T2",), "position": ("T4", "T5"), "undecided": ("T1", "T2")}
"""Which findings of a check explain a cause of a layer's error."""

UNSTEADY = ("repeat", "neighbours")
"""Topics of notes that say that answers change for another reason than a move: no layer is then to blame."""

MENDED_BY = {
    "aliasing": "polyphase",
    "border": "circular_padding",
    "position": "readout",
    "undecided": "input_size",
}
"""Which kind of mend fits a cause. In a world whose moves are not circular, `crop_padding` fits the border."""


def next_steps(record: AuditRecord) -> list[Next]:
    """What to do next, the most useful first."""
    found = [*_weights(record), *_distrusted(record)]
    if not any(note.topic in UNSTEADY for note in record.notes):
        found += [*_explained(record), *_mended(record)]
    if record.command:
        found.append(Next("Repeat this run.", record.command))
        found += _guarded(record)
    return found


def unchanged(record: AuditRecord) -> bool:
    """Whether no answer changed at any move."""
    row = headline_row(record)
    return row is not None and row.metric.value == row.measure.bounds[0 if row.measure.better == "lower" else 1]


def _weights(record: AuditRecord) -> list[Next]:
    if not record.model.random_weights:
        return []
    text = "The weights are random, so the figures say nothing about a trained model. Give its weights, and run again."
    return [Next(text, with_option(record.command, "--weights", "WEIGHTS-FILE"))]


def _distrusted(record: AuditRecord) -> list[Next]:
    if not any(note.fails for note in record.notes):
        return []
    text = (
        "A note above the figures says why they cannot be trusted: mend that first. Until then every --require fails."
    )
    return [Next(text)]


def _explained(record: AuditRecord) -> list[Next]:
    """The check, with the finding that explains the worst figure."""
    model = record.model
    if is_onnx(model.word):
        text = (
            "A check would say which place in the network causes this, but it cannot read ONNX files. Give it the module that "
            "this file was exported from, or its .pt2."
        )
        return [Next(text, "shiftproof check FILE.py:FACTORY")]
    options = model_options(record.command, model.weights, model.input_size)
    command = shlex.join(["shiftproof", "check", model.word, *options]) if can_be_named(model.word) else ""
    python = "" if command else f" In Python: shiftproof.check(model, {tuple(model.input_size)})."
    row = headline_row(record)
    if unchanged(record):
        text = "No answer changed at these moves of these pictures. A check says whether that can be proved for every picture."
        return [Next(f"{text}{python}", command)]
    figure = f"the {row.measure.words} of {row.value}" if row else "this"
    cause = leading_cause(record.layers[-1]) if record.layers else None
    if cause is None:
        return [
            Next(f"Find out which place in the network causes {figure}: a check needs no pictures.{python}", command)
        ]
    last, guilty = record.layers[-1], _of_cause(record, cause)
    codes = " or ".join(f"{code} {CODES[code]}" for code in FINDINGS[cause])
    share = getattr(last.error, cause).value / last.error.total.value
    look = ""
    if guilty:
        own = guilty[0].error.local
        adds = f", which adds {words.error_words(own.value)} by itself" if own is not None else ""
        look = f", and the layer to look at is {guilty[0].name}{adds}"
    text = (
        f"Find out what causes {figure}. Of the error of the last layer, {last.name}, {percent(share, 0)} is {cause}{look}. A "
        f"check gives the reason, as finding {codes}, with the line of code and a fix.{python}"
    )
    return [Next(text, command)]


def _of_cause(record: AuditRecord, cause: str) -> list[Layer]:
    """The worst layers whose error is mostly of that cause, the worst first."""
    return [layer for layer in words.worst_layers(record.layers, 6) if leading_cause(layer) == cause]


def _mended(record: AuditRecord) -> list[Next]:
    """The change of the network that fits the cause, with its layers; and the command that repairs it as a whole."""
    if not record.layers or leading_cause(record.layers[-1]) is None or unchanged(record):
        return []
    cause = leading_cause(record.layers[-1])
    assert cause is not None
    kind = MENDED_BY[cause]
    if kind == "circular_padding" and record.protocol.boundary != "circular":
        kind = "crop_padding"
    same = [layer.name for layer in _of_cause(record, cause)]
    # The last layer's error may be the sum of what many layers add.
    where = f" ({', '.join(same[:3])})" if same else ", of which many layers add a little, and none of the worst most"
    # What is undecided has no cause that a change could remove: at such a size the profile can tell the causes apart.
    about = "To see what is undecided" if cause == "undecided" else f"Against {cause}"
    return [Next(f"{about}{where}: {MENDS[kind]}"), *_posed(record)]


POSED = {
    "circular": "for every move around the circle",
    "zero": "wherever an object lies on a uniform background, inside the picture",
}
"""The goals of `repair` that are named as the boundary of an audit is, and what holds then; for a camera, see `_steadier`."""


def _posed(record: AuditRecord) -> list[Next]:
    """The command that repairs the model as a whole: without a change to its weights, where something can be proved."""
    model, goal = record.model, record.protocol.boundary
    if goal == "crop":
        return _steadier(record)
    if goal not in POSED:
        return []
    text = (
        "Or keep the network, and put a layer in front of it that brings every picture into one pose: the answer is then "
        f"proved to be the same {POSED[goal]}. That says nothing about a camera."
    )
    if not can_be_named(model.word):
        return [Next(f"{text} In Python: shiftproof.repair(model, {tuple(model.input_size)}, goal={goal!r}).")]
    options = model_options(record.command, model.weights, model.input_size)
    return [Next(text, shlex.join(["shiftproof", "repair", model.word, "--goal", goal, *options]))]


def _steadier(record: AuditRecord) -> list[Next]:
    """The command that tries on these pictures what makes a model steadier when a camera moves."""
    model, data = record.model, record.data.word
    text = (
        "Or let the methods that make a network steadier when a camera moves be tried on these pictures, with their accuracy "
        "before and after. Nothing can be proved there."
    )
    if not (record.command and can_be_named(model.word)):
        return [
            Next(f"{text} In Python: shiftproof.repair(model, {tuple(model.input_size)}, goal='crop', data=pictures).")
        ]
    options = model_options(record.command, model.weights, model.input_size)
    options += typed_options(record.command, PICTURE_OPTIONS)
    return [Next(text, shlex.join(["shiftproof", "repair", model.word, "--goal", "crop", "--data", data, *options]))]


def _guarded(record: AuditRecord) -> list[Next]:
    """The bound that this run meets, for a test that fails as soon as the model becomes worse."""
    row = headline_row(record)
    if "--require" in record.command or any(note.fails for note in record.notes):
        return []
    if row is None or row.measure.better not in ("lower", "higher"):
        return []
    lower = row.measure.better == "lower"
    # Outwards, so that the same run meets the bound.
    end = math.ceil(100 * row.metric.high) / 100 if lower else math.floor(100 * row.metric.low) / 100
    if not row.measure.bounds[0] < end < row.measure.bounds[1]:
        return []
    bound = f"{row.measure.name}{'<=' if lower else '>='}{end:g}"
    text = "Keep it: with this, the run exits with status 1 as soon as the model becomes worse."
    return [Next(text, with_option(record.command, "--require", bound))]


def leading_cause(layer: Layer) -> str | None:
    """The largest cause of a layer's error; None if the error is within rounding."""
    if not without_rounding(layer.error.total.value):
        return None
    return max(CAUSES, key=lambda cause: getattr(layer.error, cause).value)
