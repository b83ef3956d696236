"""The methods of a goal, measured one after the other on the user's pictures; one of them is picked, and the record says why."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from shiftproof.auditing import audit
from shiftproof.errors import GuaranteeWarning, RepairError
from shiftproof.measure.answer_kinds import ANSWERS
from shiftproof.models import LoadedModel, evaluating
from shiftproof.records import AuditRecord
from shiftproof.records.metrics import metric_row
from shiftproof.records.numbers import fixed, percent, points, signed_points
from shiftproof.records.repair_measured import (
    BY_ACCURACY,
    BY_AGREEMENT,
    BY_NOTHING,
    CONSISTENCY,
    MEASURES,
    MOVED,
    UNMOVED,
    Measured,
    Rung,
    Standing,
    drop_words,
)
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.pictures import Given

BATCH = 100
ALIKE = 1.25  # costs whose ratio is below this are alike: a measurement varies by as much


@dataclass(frozen=True)
class Bounds:
    """What the user allows.

    Args:
        budget: largest cost in forward passes; None: any.
        max_drop: largest drop in accuracy on unmoved pictures, a fraction.
    """

    budget: float | None
    max_drop: float


@dataclass(frozen=True)
class Climbed:
    """A method that gave a model, and what an audit of that model found.

    Args:
        rung: its figures.
        record: of the audit.
        number: of the attempt, as the caller counts them.
    """

    rung: Rung
    record: AuditRecord
    number: int


def audited(given: Given, network: nn.Module) -> AuditRecord:
    """An audit of a network on the pictures that are measured."""
    subject: LoadedModel = replace(given.model, module=network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuaranteeWarning)  # how many pictures it covers is counted
        return audit(subject, given.images, given.labels, translations=given.moves, layers=0)


def climbed(
    given: Given, before: AuditRecord, network: nn.Module, mended: Mended, number: int, **known: Any
) -> Climbed:
    """What a method's model does to the pictures. Its standing is decided later, among all."""
    record = audited(given, mended)
    metrics = {n: record.metrics[n] for n in MEASURES if n in record.metrics}
    agreement, covered = _unmoved(given, before, network, mended)
    rung = Rung(standing="passed", why="-", metrics=metrics, agreement=agreement, covered=covered, **known)
    return Climbed(rung, record, number)


def _unmoved(given: Given, before: AuditRecord, network: nn.Module, mended: Mended) -> tuple[float | None, float]:
    """Of unmoved pictures, the fraction that gets the answer of the original model, and the fraction that is covered."""
    decide = ANSWERS[before.model.answer].decide
    same, covered = list[Tensor](), list[Tensor]()
    with torch.no_grad(), evaluating(network), evaluating(mended), warnings.catch_warnings():
        warnings.simplefilter("ignore", GuaranteeWarning)
        for x in given.inputs().split(BATCH):
            covered.append(mended.covers(x).double())
            if decide is not None:
                a, b = (decide(given.model.answer_in(net(x.clone()))) for net in (network, mended))
                same.append((a == b).double().flatten(1).mean(1) if a.ndim > 1 else (a == b).double())
    return float(torch.cat(same).mean()) if same else None, float(torch.cat(covered).mean())


def judged(
    given: Given,
    before: AuditRecord,
    found: Sequence[Climbed],
    refused: Sequence[Rung],
    bounds: Bounds,
    order: Sequence[str],
) -> tuple[Measured, Climbed]:
    """What was measured, and the method that is picked: of those within the bounds the one that keeps most.

    Args:
        given: the pictures.
        before: the audit of the original model.
        found: the methods that gave a model.
        refused: those that refused it.
        bounds: what the user allows.
        order: of the methods.

    Raises:
        RepairError: none is within the bounds; the error says what each would have cost.
    """
    labelled = UNMOVED in before.metrics
    agreeing = any(c.rung.agreement is not None for c in found)
    measured = Measured(
        data=given.word,
        fitted=len(given.shown),
        pictures=before.data.used,
        boundary=given.moves.boundary,
        moves=len(given.moves),
        judged_by=BY_ACCURACY if labelled else BY_AGREEMENT if agreeing else BY_NOTHING,
        max_drop=bounds.max_drop,
        before={n: before.metrics[n] for n in MEASURES if n in before.metrics},
        rungs=(),
    )
    told = [replace(c, rung=_told(c.rung, measured, bounds)) for c in found]
    fit = [c for c in told if c.rung.standing == "passed"]
    if not fit:
        said = "; ".join(f"{r.method}: {r.why}" for r in (*(c.rung for c in told), *refused))
        raise RepairError(
            f"no method is within what is allowed: {said}",
            where=f"measured on {measured.pictures} pictures of {given.word}",
            remedy="allow a larger drop (--max-drop) or cost (--budget) to get such a model all the same, or choose another goal",
        )
    best = _best(fit, measured)
    why = _why(best.rung, [c.rung for c in fit if c is not best], measured)
    best = replace(best, rung=replace(best.rung, standing="picked", why=why))
    rungs = [best.rung if c.number == best.number else c.rung for c in told] + list(refused)
    rungs.sort(key=lambda r: order.index(r.method))
    return replace(measured, rungs=tuple(rungs)), best


def _best(fit: Sequence[Climbed], measured: Measured) -> Climbed:
    """The method that keeps most; of several the first, those that change least, that costs little more than the cheapest."""
    most = max(_kept(c.rung, measured) for c in fit)
    tied = [c for c in fit if _kept(c.rung, measured) == most]
    cheapest = min(c.rung.cost or 0 for c in tied)
    return next(c for c in tied if (c.rung.cost or 0) <= ALIKE * cheapest)


def _kept(rung: Rung, measured: Measured) -> float:
    """What the methods are compared by.

    Under a camera: the consistency. Where an answer is proved to stay the same: the accuracy over all moves; without labels, how
    many answers stay as they were.
    """
    if measured.boundary == "crop" and CONSISTENCY in rung.metrics:
        return rung.metrics[CONSISTENCY].value
    if measured.judged_by == BY_ACCURACY:
        return rung.metrics[MOVED].value
    if measured.judged_by == BY_AGREEMENT:
        return rung.agreement or 0.0
    return 0.0


def _told(rung: Rung, measured: Measured, bounds: Bounds) -> Rung:
    """The rung with its standing before one is picked."""
    drop = measured.drop(rung)
    standing: Standing = "passed"
    why = "" if drop is None else drop_words(drop)
    if bounds.budget is not None and rung.cost is not None and rung.cost > bounds.budget:
        standing = "too costly"
        why = f"costs {fixed(rung.cost, 2)} forward passes, and the budget is {bounds.budget:g}"
    elif drop is not None and drop > bounds.max_drop:
        standing = "too large a drop"
        why = f"{_from_to(rung, measured)}, {drop_words(drop)}, and no more than {points(bounds.max_drop)} are allowed"
    elif measured.boundary == "crop" and _gained(rung, measured) <= 0:
        standing = "no steadier"
        why = f"{_compared()} {signed_points(_gained(rung, measured))}"
    return replace(rung, standing=standing, why=why or "no drop can be measured: its answer is not one of classes")


def _compared() -> str:
    """What methods are compared by under a camera."""
    return metric_row(CONSISTENCY).head


def _gained(rung: Rung, measured: Measured) -> float:
    """What a method adds to the consistency."""
    if CONSISTENCY not in rung.metrics:
        return 0.0
    return rung.metrics[CONSISTENCY].value - measured.before[CONSISTENCY].value


def _from_to(rung: Rung, measured: Measured) -> str:
    if measured.judged_by == BY_ACCURACY:
        a, b = (m[UNMOVED].value for m in (measured.before, rung.metrics))
        return f"from {percent(a)} of the unmoved pictures correct to {percent(b)}"
    return f"{percent(rung.agreement or 0.0)} of the unmoved pictures keep their answer"


def _why(best: Rung, others: Sequence[Rung], measured: Measured) -> str:
    drop = measured.drop(best)
    told = "no drop can be measured" if drop is None else f"{_from_to(best, measured)}, {drop_words(drop)}"
    crop = measured.boundary == "crop"
    told = f"{_compared()} {signed_points(_gained(best, measured))}; {told}" if crop else told
    if not others:
        return f"the only one within what is allowed; {told}"
    most = {
        BY_ACCURACY: "most correct answers over all moves",
        BY_AGREEMENT: "most answers as they were",
        BY_NOTHING: "cheapest",
    }
    what = f"highest {_compared()}" if crop else most[measured.judged_by]
    return f"{what} of {len(others) + 1} methods within what is allowed; {told}"
