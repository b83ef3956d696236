"""`repair` makes a model with a guarantee; the original model stays as it is."""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn

from shiftproof.checking import check
from shiftproof.environment import library_version
from shiftproof.errors import ModelError, RepairError
from shiftproof.layers import CanonicalPose
from shiftproof.models import LoadedModel, evaluating
from shiftproof.models.loading.onnx_session import OnnxSession
from shiftproof.printable import said
from shiftproof.records import GOALS, CheckedModel, Guarantee, RepairRecord, Verdict
from shiftproof.records.repair_parts import Goal, MethodName
from shiftproof.repairing.confirm import confirmed
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.methods import ORDER, refused, tried

UNCOVERED = {
    "circular": "a camera that moves: what enters and leaves the picture may change the answer",
    "zero": "an object that is partly outside the picture, and a background that is not uniform",
}
TIMED = 8  # pictures in the batch by which the cost is measured


def repair(
    model: nn.Module | LoadedModel,
    input_size: Sequence[int] | None = None,
    *,
    goal: Goal = "circular",
    method: MethodName | None = None,
    data: Tensor | None = None,
    budget: float | None = None,
) -> Mended:
    """A model that does what the caller's does, with the guarantee that is asked for.

    The methods of the goal are tried in order; what a method gives is checked (`shiftproof.check`) and then run at many moves, on
    pictures in float32 and float64. A model whose runs contradict the proof is not returned.

    Args:
        model: a module or a loaded model; it is left as found. The mended model holds a copy of it, with the same weights.
        input_size: (c, h, w) in pixels; None for the size of a loaded model.
        goal: key of `shiftproof.records.GOALS`.
        method: key of `shiftproof.repairing.METHODS`, to try no other; None: those of the goal, in order.
        data: some inputs of the network, (n, c, h, w), as it takes them: normalised. For the goal "zero" they say where objects
            lie in the training data; all methods are run on the first of them. None: drawn pictures only.
        budget: largest cost of the mended model, in forward passes of the original model; None: any.

    Returns:
        The mended model, a module in eval mode. `guarantee`, `changes` and `record` say what was done.

    Raises:
        RepairError: no method of the goal can mend the model; the error names the operator, the reason, and what would work.
        ModelError: the input size is not known or not valid, or the model fails on a picture of that size.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.Flatten(), nn.Linear(36, 2))
    >>> mended = repair(net, (1, 8, 8), goal="circular")
    >>> print(mended.guarantee)
    proved: the answer stays the same for every move around the circle
    >>> x = torch.rand(1, 1, 8, 8)
    >>> torch.equal(mended(x.roll((3, 5), (2, 3))), mended(x))
    True
    """
    if goal not in GOALS:
        raise RepairError(f"{goal!r} is not a goal", where="repair", remedy=f"use one of {', '.join(GOALS)}")
    if method is not None and method not in ORDER[goal]:
        offered = f"use {' or '.join(ORDER[goal])}" if ORDER[goal] else f"no method for the goal {goal!r} is there yet"
        raise RepairError(f"there is no method {method!r} for the goal {goal!r}", where="repair", remedy=offered)
    module = model.module if isinstance(model, LoadedModel) else model
    black_box = _black_box(module)
    before = None if black_box else check(model, input_size)
    size = before.input_size if before is not None else _size(model, input_size)
    inputs = _inputs(data, size)
    network = module if black_box else _copied(module)
    job = Job(network, size, goal, before, inputs, _is_dense(network, size, before), budget)
    mended, name, changes = tried(job, method)
    mended.eval()
    # Torch cannot read a black box: there the pose alone is proved, in front of whatever is behind it.
    alone = black_box or (before is not None and _not_exported(before) and mended.pose is not None)
    after = check(_pose_alone(mended) if alone else mended, size)
    guarantee = _guarantee(job, after, alone)
    ran = confirmed(mended, guarantee, inputs, _period(guarantee, before, size))
    cost = _cost(job, mended)
    if budget is not None and cost > budget:
        raise RepairError(
            f"{name} costs {cost:.2f} forward passes, and the budget is {budget:g}",
            where="repair",
            remedy="give a larger budget",
        )
    identity = before.model if before is not None else _identity(model)
    mended.record = RepairRecord(
        identity, goal, name, size, guarantee, changes, before, after, ran, cost, (), _versions(), _now()
    )
    return mended


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
    assert isinstance(pose, CanonicalPose)
    pose.return_origin = False
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


def _inputs(data: Tensor | None, size: tuple[int, int, int]) -> Tensor | None:
    if data is not None and (data.ndim != 4 or tuple(data.shape[1:]) != size or not len(data)):
        raise RepairError(
            f"the data have shape {tuple(data.shape)}",
            where="repair",
            remedy=f"give inputs of the network, (n, {size})",
        )
    return data


def _size(model: nn.Module | LoadedModel, asked: Sequence[int] | None) -> tuple[int, int, int]:
    found = asked if asked is not None else getattr(model, "input_size", None)
    if found is None:
        raise ModelError("the size of its pictures is not known", remedy="give input_size as (c, h, w)")
    c, h, w = (int(v) for v in found)
    return c, h, w


def _cost(job: Job, mended: Mended) -> float:
    """CPU seconds of the mended model over those of the network alone, the quickest of three runs each."""
    c, h, w = job.input_size
    draw = torch.Generator().manual_seed(0)
    first = next((p for p in job.network.parameters() if p.is_floating_point()), torch.zeros(()))
    x = torch.rand((TIMED, c, h, w), generator=draw).to(first.device, first.dtype)
    if job.goal == "zero":  # a background, so that nothing is warned of
        x[:, :, :1], x[:, :, -1:], x[:, :, :, :1], x[:, :, :, -1:] = 0, 0, 0, 0
    seconds = []
    for net in (job.network, mended):
        with torch.no_grad(), evaluating(net):
            runs = []
            for _ in range(3):
                started = time.process_time()
                net(x)
                runs.append(time.process_time() - started)
        seconds.append(min(runs))
    return round(seconds[1] / max(seconds[0], 1e-9), 3)


def _identity(model: nn.Module | LoadedModel) -> CheckedModel:
    if isinstance(model, LoadedModel):
        return CheckedModel(model.word, model.sha256, model.weights, model.random_weights)
    return CheckedModel(type(model).__name__)


def _versions() -> dict[str, str]:
    named = {name: library_version(name) for name in ("shiftproof", "torch")}
    return {**{k: v for k, v in named.items() if v}, "python": platform.python_version()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def with_files(record: RepairRecord, files: Sequence[str]) -> RepairRecord:
    """The record of a repair whose files were written."""
    return replace(record, files=tuple(files))
