"""Which metrics an audit cannot measure, and why: known before the first picture is run."""

from __future__ import annotations

import math
from collections.abc import Iterable

from shiftproof.auditing.setup import Setup
from shiftproof.auditing.tally import resolve
from shiftproof.errors import MeasureError
from shiftproof.records.measures import Measure
from shiftproof.records.metrics import MAPS, METRICS


def must_measure(setup: Setup, names: Iterable[str]) -> None:
    """Check that an audit will measure these metrics.

    Args:
        setup: of the audit.
        names: names of metrics.

    Raises:
        MeasureError: the audit cannot measure one of them; the error says why, and what the audit measures instead.
    """
    why = unmeasured(setup)
    for name in names:
        if name in why:
            possible = [known for known in METRICS if known not in why]
            raise MeasureError(
                f"{name} is required, but this audit cannot measure it: {why[name]}",
                where="required metrics",
                remedy=f"require one of {', '.join(possible)}",
            )


def unmeasured(setup: Setup) -> dict[str, str]:
    """Every metric of the table that the audit cannot measure, with the reason in words.

    A metric that is not in the result may still be undefined on these pictures: the adjusted consistency is, if every answer
    is correct.
    """
    found = {row.name: _reason(row, setup) for row in METRICS.values()}
    return {name: reason for name, reason in found.items() if reason is not None}


def _reason(row: Measure, setup: Setup) -> str | None:
    """Why the audit cannot measure the row; None if it can."""
    names = resolve(row.function)[1]
    if row.merge == "whole":
        if "classes" in names and setup.classes == 1:
            return "the model has one class"
        parts = (_reason(METRICS[name], setup) for name in names if name in METRICS)
        return next((reason for reason in parts if reason is not None), None)
    if setup.is_dense and not row.per_move:
        return "the model's output is a map (n, k, h', w'), not one answer per picture"
    if row.per_move and not setup.is_dense:
        return "the model gives one answer per picture, not a map (n, k, h', w')"
    kind = setup.answer
    lacks = {
        "answers": kind.decide is None,
        "probability": kind.probability is None,
        "distances_cosine": "cosine" not in setup.distances,
        "per_move": kind.decide is None and row.needs_classes,
    }
    if any(lacks.get(name, False) for name in names) or (row.map in MAPS and kind.decide is None):
        return f"the model's output is {kind.words}"
    if not setup.labelled and ("labels" in names or (row.map in MAPS and MAPS[row.map].view == "correct")):
        return "it compares answers with labels, and this audit uses none"
    offsets = setup.plan.asked
    if row.moves in ("some", "moved") and not offsets.any():
        return "the set holds no move but (0, 0)"
    if row.moves in ("pairs", "path") and len(offsets) < 2:
        return "the set holds one move only"
    if row.moves == "path" and setup.translations.kind != "path":
        return "the moves are not a path"
    if setup.count < 2 and not all(map(math.isfinite, row.bounds)):
        return "one picture gives this metric no interval"
    return None
