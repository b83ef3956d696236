"""What the record of a repair may not say although every type is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from shiftproof.records.faults import Fault, empty, not_positive, out_of_bounds, twice
from shiftproof.records.metrics import metric_row
from shiftproof.records.repair_measured import Measured, Rung
from shiftproof.records.repair_parts import PROVED_IN, WRITTEN, Change, Confirmed, Guarantee, RepairParts
from shiftproof.records.verdict_parts import Claim


def of_repair(r: RepairParts) -> Iterator[Fault]:
    """A guarantee that the verdict on the mended model does not give; another size; files that no repair writes."""
    if r.goal not in PROVED_IN:
        for name in ("guarantee", "after", "confirmed"):
            if getattr(r, name) is not None:
                yield name, f"nothing can be proved for the goal {r.goal!r}"
        if r.measured is None:
            yield "measured", f"nothing was measured, and nothing can be proved for the goal {r.goal!r}"
    else:
        for name in ("guarantee", "after", "confirmed"):
            if getattr(r, name) is None:
                yield name, f"it is missing, and the goal {r.goal!r} is proved"
    if r.guarantee is not None and r.after is not None:
        yield from _of_proof(r, r.guarantee, getattr(r.after, r.guarantee.world))
    for name in ("before", "after"):
        verdict = getattr(r, name)
        if verdict is not None and verdict.input_size != r.input_size:
            yield f"{name}.input_size", f"{verdict.input_size} is not the size of the repair, {r.input_size}"
    yield from out_of_bounds("cost", r.cost, 0)
    yield from twice("files", r.files)
    for i, name in enumerate(r.files):
        if name not in WRITTEN:
            yield f"files[{i}]", f"{name!r:.80} is not a file that a repair writes"


def _of_proof(r: RepairParts, g: Guarantee, claim: Claim) -> Iterator[Fault]:
    if g.world != PROVED_IN.get(r.goal):
        yield "guarantee.world", f"{g.world!r} is not where the goal {r.goal!r} is proved"
    if claim.status != "proved":
        yield f"after.{g.world}.status", f"{claim.status!r}, but the guarantee says that it is proved"
    elif claim.step != g.step:
        yield "guarantee.step", f"{g.step} is not the step that is proved of the mended model, {claim.step}"


def of_guarantee(g: Guarantee) -> Iterator[Fault]:
    """A step that is not positive."""
    yield from not_positive("step", *g.step)


def of_change(c: Change) -> Iterator[Fault]:
    """A change without a reason, or with a mend of another place."""
    yield from empty("why", c.why)
    if c.mend is not None and c.mend.module != c.module:
        yield "mend.module", f"{c.mend.module!r:.80} is not the module of the change, {c.module!r:.80}"


def of_confirmed(c: Confirmed) -> Iterator[Fault]:
    """Negative counts and differences, and a model that was run in no precision."""
    yield from out_of_bounds("pictures", c.pictures, 1)
    yield from out_of_bounds("moves", c.moves, 0)
    yield from out_of_bounds("difference", c.difference, 0)
    yield from twice("dtypes", c.dtypes)
    if not c.dtypes:
        yield "dtypes", "it is empty"


def of_measured(m: Measured) -> Iterator[Fault]:
    """Counts and fractions that cannot be, a method twice, and none or two that are picked."""
    yield from out_of_bounds("fitted", m.fitted, 0)
    yield from out_of_bounds("pictures", m.pictures, 1)
    yield from out_of_bounds("moves", m.moves, 1)
    yield from out_of_bounds("max_drop", m.max_drop, 0, 1)
    yield from twice("rungs", [r.method for r in m.rungs])
    picked = sum(r.standing == "picked" for r in m.rungs)
    if picked != 1:
        yield "rungs", "no method is picked" if not picked else "two methods are picked"
    for name, metric in m.before.items():
        yield from out_of_bounds(f"before.{name}.value", metric.value, *metric_row(name).bounds)


def of_rung(r: Rung) -> Iterator[Fault]:
    """Fractions that cannot be, and a method without a reason."""
    yield from empty("why", r.why)
    yield from out_of_bounds("agreement", r.agreement, 0, 1)
    yield from out_of_bounds("covered", r.covered, 0, 1)
    yield from out_of_bounds("cost", r.cost, 0)
    for name, metric in r.metrics.items():
        yield from out_of_bounds(f"metrics.{name}.value", metric.value, *metric_row(name).bounds)


RULES: dict[type, Callable[[Any], Iterator[Fault]]] = {
    RepairParts: of_repair,
    Guarantee: of_guarantee,
    Change: of_change,
    Confirmed: of_confirmed,
    Measured: of_measured,
    Rung: of_rung,
}
"""What is asked of each class of a repair's record."""
