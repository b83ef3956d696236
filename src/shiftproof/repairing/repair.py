"""`repair` makes a model with a guarantee; the original model stays as it is."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn

from shiftproof.checking import check
from shiftproof.environment import now, versions
from shiftproof.errors import GuaranteeWarning, ModelError, RepairError
from shiftproof.interruptions import pass_on
from shiftproof.layers import CanonicalPose
from shiftproof.models import LoadedModel, evaluating
from shiftproof.models.loading.onnx_session import OnnxSession
from shiftproof.printable import said
from shiftproof.records import GOALS, Change, CheckedModel, Confirmed, Guarantee, RepairRecord, Verdict
from shiftproof.records.repair_measured import Measured, Rung
from shiftproof.records.repair_parts import PROVED_IN, Goal, MethodName
from shiftproof.repairing.confirm import confirmed
from shiftproof.repairing.job import Job
from shiftproof.repairing.ladder import Bounds, Climbed, audited, climbed, judged
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.methods import ON_REQUEST, ORDER, refused, tried
from shiftproof.repairing.pictures import Given, given
from shiftproof.training import Recipe

UNCOVERED = {
    "circular": "a camera that moves: what enters and leaves the picture may change the answer",
    "zero": "an object that is partly outside the picture, and a background that is not uniform",
}
TIMED = 8  # pictures in the batch by which the cost is measured
TIMED_S, MOST_RUNS = 0.3, 30  # CPU seconds, and runs of each model
MAX_DROP = 0.05


@dataclass(frozen=True)
class _Attempt:
    """What a method made, proved and run."""

    mended: Mended
    method: MethodName
    changes: tuple[Change, ...]
    after: Verdict | None = None
    guarantee: Guarantee | None = None
    confirmed: Confirmed | None = None
    cost: float = 0.0  # until it is timed


def repair(
    model: nn.Module | LoadedModel,
    input_size: Sequence[int] | None = None,
    *,
    goal: Goal = "circular",
    method: MethodName | None = None,
    data: Any = None,
    labels: Any = None,
    shown: Any = None,
    budget: float | None = None,
    max_drop: float = MAX_DROP,
    recipe: Recipe | None = None,
    state: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Mended:
    """A model that does what the caller's does, with the guarantee that is asked for.

    The methods of the goal are tried in order; what a method gives is checked (`shiftproof.check`) and then run at many moves, on
    pictures in float32 and float64. A model whose runs contradict the proof is not returned.

    Without data, the first method that does not refuse is taken. With data, every method is tried and audited on the pictures,
    and of those within `budget` and `max_drop` the one is taken that keeps most correct answers: a proof says nothing about
    accuracy.

    Args:
        model: a module or a loaded model; it is left as found. The mended model holds a copy of it, with the same weights.
        input_size: (c, h, w) in pixels; None for the size of a loaded model.
        goal: key of `shiftproof.records.GOALS`.
        method: key of `shiftproof.repairing.METHODS`, to try no other; None: those of the goal, in order.
        data: pictures, as `shiftproof.audit` takes them: a tensor, what `open_data` returns, a list, a data set or a loader;
            None: drawn pictures only, and nothing is said about accuracy.
        labels: as for `shiftproof.audit`. Without labels, what counts is how many answers stay as they were.
        shown: pictures that a method may be fitted to, of the same kinds as `data`. None: half of `data`, drawn by seed, which
            is then not measured.
        budget: largest cost of the mended model, in forward passes of the original model; None: any.
        max_drop: the largest drop of accuracy on unmoved pictures, a fraction; without labels, of answers that stay as they were.
        recipe: how the methods train that change weights ("fine-tuning", "distillation"); None is `Recipe()`. They are tried only
            if `method` names them, because they take long.
        state: folder in which a training keeps its state: a repair that was killed goes on from it, to the same weights. It
            stays there (`shiftproof.training.remove_finished`).
        progress: called with (steps done, total steps) while a network is trained.

    Returns:
        The mended model, a module in eval mode. `guarantee`, `changes` and `record` say what was done.

    Raises:
        RepairError: no method of the goal can mend the model; the error names the operator, the reason, and what would work. Or
            none is within the budget and the drop.
        ModelError: the input size is not known or not valid, or the model fails on a picture of that size.
        DataError: the data cannot be read, or the labels do not fit.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.Flatten(), nn.Linear(36, 2))
    >>> mended = repair(net, (1, 8, 8), goal="circular")
    >>> print(mended.guarantee)
    proved: the answer stays the same for every move around the circle
    >>> x = torch.rand(1, 1, 8, 8)
    >>> torch.equal(mended(x.roll((3, 5), (2, 3))), mended(x))
    True
    """
    _asked(goal, method, data, labels, shown, budget, max_drop)
    module = model.module if isinstance(model, LoadedModel) else model
    black_box = _black_box(module)
    before = None if black_box else check(model, input_size)
    size = before.input_size if before is not None else _size(model, input_size)
    pictures = None if data is None else given(model, data, labels, shown, goal, size)
    network = module if black_box else _copied(module)
    inputs = None if pictures is None else pictures.shown
    job = Job(network, size, goal, before, inputs, _is_dense(network, size, before), budget)
    if pictures is not None:
        job = replace(
            job,
            classes=pictures.classes,
            recipe=recipe or Recipe(),
            scores=pictures.model.answer_in,
            state=state,
            progress=progress,
        )
    # Torch cannot read a black box: there the pose alone is proved, in front of whatever is behind it.
    alone = black_box or (before is not None and _not_exported(before))
    if pictures is None:
        (done,), measured = _timed(job, [_attempt(job, method, alone)]), None
        if budget is not None and done.cost > budget:
            raise RepairError(
                f"{done.method} costs {done.cost:.2f} forward passes, and the budget is {budget:g}",
                where="repair",
                remedy="give a larger budget",
            )
    else:
        done, measured = _walked(job, method, alone, pictures, Bounds(budget, max_drop))
    identity = before.model if before is not None else _identity(model)
    done.mended.record = RepairRecord(
        identity,
        goal,
        done.method,
        size,
        done.guarantee,
        done.changes,
        before,
        done.after,
        done.confirmed,
        done.cost,
        (),
        versions(),
        now(),
        measured,
    )
    return done.mended


def _asked(
    goal: Goal, method: str | None, data: Any, labels: Any, shown: Any, budget: float | None, max_drop: float
) -> None:
    """Raises a RepairError for arguments that cannot be."""
    if goal not in GOALS:
        raise RepairError(f"{goal!r} is not a goal", where="repair", remedy=f"use one of {', '.join(GOALS)}")
    possible = (*ORDER[goal], *ON_REQUEST[goal])
    if method is not None and method not in possible:
        offered = f"use {' or '.join(possible)}"
        raise RepairError(f"there is no method {method!r} for the goal {goal!r}", where="repair", remedy=offered)
    if data is None and goal not in PROVED_IN:
        raise RepairError(
            f"nothing can be proved for the goal {goal!r}, and nothing can be measured without pictures",
            where="repair",
            remedy="give data (--data)",
        )
    if data is None and (labels is not None or shown is not None):
        raise RepairError("labels or shown without data", where="repair", remedy="give the pictures as data")
    if not 0 <= max_drop <= 1:
        raise RepairError(
            f"{max_drop} is not a fraction", where="repair", remedy="give a fraction, e.g. 0.02 for two points"
        )
    if budget is not None and not budget > 0:
        raise RepairError(f"budget={budget}", where="repair", remedy="give forward passes, e.g. 1.5")


def _attempt(job: Job, method: MethodName | None, alone: bool) -> _Attempt:
    """As `_proved`, and quiet about pictures for which no guarantee holds: some are run on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuaranteeWarning)
        return _proved(job, method, alone)


def _proved(job: Job, method: MethodName | None, alone: bool) -> _Attempt:
    """What a method makes of a model, or the first that does not refuse it: proved, and run.

    Raises:
        RepairError: they refuse it; nothing is proved of what they made; or a run contradicts the proof.
    """
    mended, name, changes = tried(job, method)
    mended.eval()
    if job.goal not in PROVED_IN:
        return _Attempt(mended, name, changes)
    alone = alone and mended.pose is not None  # a method that puts no pose in front has the whole to prove
    after = check(_pose_alone(mended) if alone else mended, job.input_size)
    guarantee = _guarantee(job, after, alone)
    ran = confirmed(mended, guarantee, job.data, _period(guarantee, job.verdict, job.input_size))
    return _Attempt(mended, name, changes, after, guarantee, ran)


def _walked(
    job: Job, method: MethodName | None, alone: bool, pictures: Given, bounds: Bounds
) -> tuple[_Attempt, Measured]:
    """The method that keeps most on the user's pictures, of those within bounds, and what was measured of all.

    Raises:
        RepairError: every method refuses the model, or none is within the bounds.
    """
    before = audited(pictures, job.network)
    names = (method,) if method else ORDER[job.goal]
    attempts, found, refusals = list[_Attempt](), list[Climbed](), list[Rung]()
    last: RepairError | None = None
    for name in names:
        try:
            attempt = _attempt(job, name, alone)
        except RepairError as e:
            refusals.append(Rung(name, "refused", f"{e.what}; see {e.where}" if e.where else e.what, {}))
            last = e
            continue
        found.append(climbed(pictures, before, job.network, attempt.mended, len(attempts), method=name))
        attempts.append(attempt)
        if name == "nothing":  # nothing is to be mended
            break
    if not found:
        assert last is not None
        raise last
    attempts = _timed(job, attempts)
    found = [replace(c, rung=replace(c.rung, cost=a.cost)) for c, a in zip(found, attempts, strict=True)]
    measured, best = judged(pictures, before, found, [r for r in refusals if r.method != "nothing"], bounds, names)
    done = attempts[best.number]
    done.mended.audits = (before, best.record)
    passed = [Change("refused", r.method, "", r.why) for r in refusals if r.method != "nothing"]
    return replace(done, changes=(*passed, *done.changes)), measured


def _guarantee(job: Job, after: Verdict, alone: bool) -> Guarantee:
    """What the check proved of the mended model.

    Raises:
        RepairError: it proved nothing, because of an operator that the error names.
    """
    world = "circular" if job.goal == "circular" else "canvas"
    claim = getattr(after, world)
    y, x = claim.step
    if claim.status != "proved" or y is None or x is None:
        broken = next((f for f in after.findings if world in f.breaks), None)
        where = f"{broken.operator} in {broken.module or broken.source}" if broken else "the mended model"
        why = broken.detail if broken else "; ".join(claim.told)
        raise refused(f"the proof ends: {why}", where, job.goal)
    # Of an object on a uniform background the guarantee says more exactly what is needed.
    conditions = [c.words for c in claim.conditions if world != "canvas" or c.kind != "background"]
    if world == "canvas":
        conditions.append("more than half of the border shows the background, and nothing of the object is outside")
    if alone:
        conditions.append("the network gives the same answer whenever it sees the same picture")
    kind = "equivariant" if job.dense else "invariant"
    return Guarantee(kind, world, (y, x), "pose" if alone else "whole", tuple(conditions), UNCOVERED[job.goal])


def _period(guarantee: Guarantee, before: Verdict | None, size: tuple[int, int, int]) -> tuple[int, int]:
    """Moves below it are run: the phases of a network that was exact for a step, else all there are."""
    _, h, w = size
    if guarantee.world == "canvas":  # as far as the object of `confirm` can go without leaving the picture
        return max(2, h - h // 2), max(2, w - w // 2)
    y, x = before.circular.step if before is not None else (None, None)
    # Where a model was exact for as little as the guarantee says, every move is a phase of its own.
    return tuple(s if s and s > g else n for s, g, n in zip((y, x), guarantee.step, (h, w), strict=True))  # type: ignore[return-value]


def _pose_alone(mended: Mended) -> nn.Module:
    pose = copy.deepcopy(mended.pose)
    if isinstance(pose, CanonicalPose):
        pose.return_origin = False
    assert pose is not None
    return pose


def _black_box(module: object) -> bool:
    """Whether a model's operators cannot be read at all: a session of another runtime."""
    return isinstance(module, nn.Module) and any(isinstance(m, OnnxSession) for m in module.modules())


def _not_exported(verdict: Verdict) -> bool:
    return any(f.operator == "export" for f in verdict.findings)


def _copied(module: nn.Module) -> nn.Module:
    try:
        found = copy.deepcopy(module)
    except Exception as e:  # whatever the module's own code raises
        pass_on(e)
        raise RepairError(
            f"the model cannot be copied: {said(e)}",
            where=type(module).__name__,
            remedy="let copy.deepcopy copy it, so that the model that was given stays as it is",
        ) from e
    for m in found.modules():
        m.training = False
    return found


def _is_dense(network: nn.Module, size: tuple[int, int, int], before: Verdict | None) -> bool:
    """Whether the answer is a map that moves with the picture.

    Raises:
        RepairError: its tensors are moving ones of another layout, which no pose can put back.
    """
    with torch.no_grad(), evaluating(network):
        x = torch.zeros(1, *size)
        first = next((p for p in network.parameters() if p.is_floating_point()), None)
        try:
            answer = network(x if first is None else x.to(first.device, first.dtype))
        except Exception as e:  # whatever the model's own code raises
            pass_on(e)
            raise ModelError(f"it fails on a picture of {size}: {said(e)}", where=type(network).__name__) from e
    shapes = [tuple(t.shape) for t in pytree.tree_leaves(answer) if isinstance(t, Tensor)]
    maps = [s for s in shapes if len(s) == 4 and max(s[2:]) > 1]
    moving = before is not None and before.kind == "equivariant"
    if moving and not maps:
        raise RepairError(
            f"the answer has positions in a tensor of shape {shapes[0] if shapes else ()}",
            where=type(network).__name__,
            remedy="repair the part of the model whose answer is a map (n, k, h, w), or one without positions",
        )
    return bool(maps) and (moving or before is None or before.kind == "none")


def _size(model: nn.Module | LoadedModel, asked: Sequence[int] | None) -> tuple[int, int, int]:
    found = asked if asked is not None else getattr(model, "input_size", None)
    if found is None:
        raise ModelError("the size of its pictures is not known", remedy="give input_size as (c, h, w)")
    c, h, w = (int(v) for v in found)
    return c, h, w


def _timed(job: Job, attempts: Sequence[_Attempt]) -> list[_Attempt]:
    """The attempts with their costs: CPU seconds over those of the network alone, the quickest run of each.

    All are run in turns, so that what slows the machine down meanwhile slows all of them down, and methods can be compared.
    Three turns or more: of small networks as many as fit into `TIMED_S`, because single runs of a millisecond differ by a lot.
    """
    c, h, w = job.input_size
    draw = torch.Generator().manual_seed(0)
    first = next((p for p in job.network.parameters() if p.is_floating_point()), torch.zeros(()))
    # The user's pictures where there are some: how much is run may depend on them.
    drawn = torch.rand((TIMED, c, h, w), generator=draw) if job.data is None else job.data[:TIMED].clone()
    x = drawn.to(first.device, first.dtype)
    if job.goal == "zero":  # a background, so that nothing is warned of
        x[:, :, :1], x[:, :, -1:], x[:, :, :, :1], x[:, :, :, -1:] = 0, 0, 0, 0
    models = [job.network, *(a.mended for a in attempts)]
    runs: list[list[float]] = [[] for _ in models]
    with torch.no_grad(), ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", GuaranteeWarning)
        for model in models:
            stack.enter_context(evaluating(model))
        while len(runs[0]) < 3 or (len(runs[0]) < MOST_RUNS and sum(map(sum, runs)) < TIMED_S * len(attempts)):
            for model, found in zip(models, runs, strict=True):
                started = time.process_time()
                model(x)
                found.append(time.process_time() - started)
    alone, *whole = map(min, runs)
    return [replace(a, cost=round(s / max(alone, 1e-9), 3)) for a, s in zip(attempts, whole, strict=True)]


def _identity(model: nn.Module | LoadedModel) -> CheckedModel:
    if isinstance(model, LoadedModel):
        return CheckedModel(model.word, model.sha256, model.weights, model.random_weights)
    return CheckedModel(type(model).__name__)


def with_files(record: RepairRecord, files: Sequence[str]) -> RepairRecord:
    """The record of a repair whose files were written."""
    return replace(record, files=tuple(files))
