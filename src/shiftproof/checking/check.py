"""`check` proves how the answer of a model changes when its picture moves, from the exported graph."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from shiftproof.checking.agreement.agreement import MUCH_WORK, PATH_MEND, agreement, not_runnable, picture_like
from shiftproof.checking.agreement.claims import held_against_moves
from shiftproof.checking.agreement.running import LEFT_FROM_EXPORT, keeps_from_export, program_runner
from shiftproof.checking.agreement.tiles import held_against_tiles
from shiftproof.checking.agreement.work import work
from shiftproof.checking.answer_layout import output_of
from shiftproof.checking.findings import mend
from shiftproof.checking.graph.alone import alone
from shiftproof.checking.graph.nodes import Graph, Node, export
from shiftproof.checking.graph.randomness import generators_restored
from shiftproof.checking.inputs import on_rows, plain_module, size_of
from shiftproof.checking.types import AXES, Atom, Choice, Origin, Signal, Type, Unknown, atoms
from shiftproof.checking.verdict import judged
from shiftproof.checking.walk.walk import Walk, walk
from shiftproof.environment import now, versions
from shiftproof.errors import ModelError, NotExportedError
from shiftproof.models import LoadedModel, evaluating
from shiftproof.models.loading.onnx_session import OnnxSession
from shiftproof.models.loading.weights import fingerprint
from shiftproof.records.conditions import ASYMMETRIC, SERIES, Condition, reset
from shiftproof.records.verdict import Verdict
from shiftproof.records.verdict_parts import WORLDS, CheckedModel, Claim, Finding, Output, Stage, World, part_of


def check(
    model: nn.Module | LoadedModel | torch.export.ExportedProgram,
    input_size: Sequence[int] | None = None,
    *,
    world: World = "circular",
) -> Verdict:
    """Prove how the answer of a model changes when its picture moves, and list the findings where the proof fails.

    `torch.export` exports the module, and a walk over its graph gives every tensor a type. Status "proved" with step (s_y, s_x)
    means: for every circular move that is a multiple of the step, the answer is equal (invariant) or moves with the picture
    (equivariant), in exact arithmetic.

    The proof is about the exported graph. Before a claim is called proved, the model runs on a few random pictures, to see that
    it does what torch exported and gives the same answer twice. If it cannot run or would take long, a condition says so.

    The proof reads the values of buffers and other constants. It reads the values of parameters too, unless the model's weights
    are random (`LoadedModel.random_weights`): then no proof depends on the values before training.

    Args:
        model: a module, a loaded model, or an exported program; it is left as found.
        input_size: (c, h, w) in pixels; (c, w) for a network of series (n, c, w), which is checked along x; None for the size of
            a loaded model.
        world: which world the sentence at the top is about: "circular", "window" or "canvas". The claims are always about all.

    Returns:
        The verdict. If torch cannot export the model, its status is "unknown" and its finding names the line that stops it.

    Raises:
        ModelError: the input size is not known or not valid, or the model fails on a picture of that size.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> verdict = check(net, (1, 8, 8))
    >>> verdict.circular.status, verdict.circular.step, verdict.kind
    ('proved', (1, 1), 'invariant')
    """
    if world not in WORLDS:
        raise ModelError(f"{world!r} is not a world", remedy=f"use one of {', '.join(WORLDS)}")
    with alone():
        return replace(_checked(model, input_size), world=world)


def _checked(model: Any, input_size: object) -> Verdict:
    """The verdict on whatever a caller gives: what is not as it should be is refused in words."""
    module = plain_module(model.module if isinstance(model, LoadedModel) else model)
    # A session with a fixed batch size stands inside a module that cuts batches.
    if isinstance(module, nn.Module) and any(isinstance(part, OnnxSession) for part in module.modules()):
        raise ModelError(
            "an ONNX file cannot be checked: a proof needs the network as a graph of torch's operators",
            where=model.word if isinstance(model, LoadedModel) else type(model).__name__,
            remedy="give the module that it was exported from, as FILE.py:FACTORY, or its .pt2; `audit` takes ONNX files",
        )
    if not isinstance(module, nn.Module | torch.export.ExportedProgram):
        raise ModelError(
            f"the model is of type {type(model).__name__}: there is no graph to check",
            remedy="give a torch.nn.Module, an exported program, or what shiftproof.load_model makes of a name or a file",
        )
    identity = _identity(model)
    size, series = size_of(model, input_size)
    if not isinstance(module, nn.Module):
        return _found(identity, module, size)
    with on_rows(module, series):
        verdict = _found(identity, module, size)
    if not series:
        return verdict
    claims = {w: getattr(verdict, w) for w in WORLDS}
    return replace(verdict, **{w: c.under(SERIES) for w, c in claims.items()})


def _found(
    identity: CheckedModel, module: nn.Module | torch.export.ExportedProgram, size: tuple[int, int, int]
) -> Verdict:
    """The verdict on a module or program that takes pictures of a size."""
    try:
        if isinstance(module, nn.Module):
            with evaluating(module):
                graph = export(module, size)
        else:
            graph = export(module, size)
    except NotExportedError as e:
        return _not_exported(identity, size, e)
    verdict = proved(identity, graph, given=not identity.random_weights)
    if all(getattr(verdict, w).status != "proved" for w in WORLDS):
        return _run_once(verdict, graph.program, module)
    return _held_against_runs(verdict, graph, module if isinstance(module, nn.Module) else None)


def _run_once(verdict: Verdict, program: torch.export.ExportedProgram | None, module: Any) -> Verdict:
    """The verdict; if the model, which nothing is claimed about, answers without numbers after its export, that is said."""
    if program is None or not isinstance(module, nn.Module) or not_runnable(program) or work(program) > MUCH_WORK:
        return verdict
    if not keeps_from_export(module, torch.zeros(1, *verdict.input_size).to(picture_like(program))):
        return verdict
    return _of_the_run(verdict, str(LEFT_FROM_EXPORT), "", PATH_MEND)


def _of_the_run(verdict: Verdict, reason: str, source: str, remedy: tuple[str, str]) -> Verdict:
    """The verdict with a finding about running the model, and without its proofs."""
    finding = Finding("T0", "", source, "run", reason, mend(*remedy, operator="run"), AXES, WORLDS, "")
    claims = {w: getattr(verdict, w) for w in WORLDS}
    lost = {w: replace(c, status="unknown", step=(None, None)) for w, c in claims.items() if c.status == "proved"}
    unknown = {**verdict.unknown_operators, "run": 1}
    return replace(verdict, **lost, findings=(*verdict.findings, finding), unknown_operators=unknown)


def _held_against_runs(verdict: Verdict, graph: Graph, module: nn.Module | None) -> Verdict:
    """The verdict, unless the model does something else than the program that it is about."""
    if graph.program is None:
        return verdict
    with generators_restored():  # a program may draw numbers that its answer does not use
        return _run(verdict, graph, graph.program, module)


def _run(verdict: Verdict, graph: Graph, program: torch.export.ExportedProgram, module: nn.Module | None) -> Verdict:
    started = time.perf_counter()
    found = agreement(module, program, graph.input_size, verdict.circular.step)
    verdict = replace(verdict, seconds={**verdict.seconds, "run": round(time.perf_counter() - started, 3)})
    claims = {w: getattr(verdict, w) for w in WORLDS}
    if found.mend is not None:
        return _of_the_run(verdict, found.reason, found.source, found.mend)
    # "kept" is said already of "kept.inside"
    kept = tuple(n for n in found.kept if not any(f"{n}.".startswith(f"{k}.") for k in graph.kept))
    more = (*_about_state(kept), *found.conditions)
    told = {w: c.under(*more) for w, c in claims.items() if c.status == "proved"}
    found_out = held_against_moves(replace(verdict, **told), program)
    if module is not None and work(program) < MUCH_WORK and not not_runnable(program):
        like = picture_like(program)
        found_out = replace(found_out, window=held_against_tiles(found_out, module, program_runner(program), like))
    return replace(found_out, seconds={**verdict.seconds, "run": round(time.perf_counter() - started, 3)})


def proved(model: CheckedModel, graph: Graph, given: bool = True) -> Verdict:
    """The verdict on an exported graph, as `check` returns it.

    Args:
        model: the identity of the model.
        graph: the graph from `export`.
        given: whether the parameters have their final values; if not, no proof depends on them.
    """
    started = time.perf_counter()
    size = graph.input_size
    found = walk(graph, given)
    broken = any("circular" in f.breaks for f in found.findings)
    if broken and any(isinstance(t, Signal) and t.witness for t in found.types.values()):
        # one choice fixes the phase of both axes: if the proof fails along one axis, the choice proves nothing
        found = walk(graph, given, witnessed=False)
    circular, window, canvas, output = judged(
        found.findings,
        [_settled(t) for n in graph.answer for t in _each(found.types[n])],
        _last(graph, found),
        size,
        found.distance,
        (
            *_about_outputs(graph),
            *_about_values(found, given),
            *_about_state(graph.kept),
            *_about_choices(graph, found),
        ),
        of_one_size=any(_shares_out(n) for n in graph.nodes.values()),
    )
    seconds = {"export": round(graph.seconds, 3), "check": round(time.perf_counter() - started, 3)}
    return Verdict(
        model,
        size,
        circular,
        window,
        canvas,
        replace(output_of(output), name=graph.about[0] if graph.about else ""),
        found.findings,
        found.unknown,
        _stages(graph, found),
        seconds,
        versions(),
        now(),
    )


def _shares_out(node: Node) -> bool:
    """Whether a node makes a map of a given size of any other, and not only its mean or largest."""
    return node.operator.startswith("adaptive") and any(n != 1 for n in node.arguments.get("output_size", ()))


def _identity(model: nn.Module | LoadedModel | torch.export.ExportedProgram) -> CheckedModel:
    """The identity of the model: its name and its weights."""
    if isinstance(model, LoadedModel):
        return CheckedModel(model.word, model.sha256, model.weights, model.random_weights)
    return CheckedModel(type(model).__name__, _digest(model))


def _digest(model: nn.Module | torch.export.ExportedProgram) -> str | None:
    """The fingerprint of the weights; None if some have no values (meta device, not initialised) or cannot be read as plain."""
    # Sparse and quantized tensors have no flat bytes that `fingerprint` could read.
    tensors = [t for _, t in chain(model.named_parameters(), model.named_buffers())]
    if any(is_lazy(t) or t.is_meta or t.layout != torch.strided or t.is_quantized for t in tensors):
        return None
    return fingerprint(model)


def _settled(found: Type) -> Type:
    """The type of an answer for the verdict: an answer that does not move has the step of its witness; a choice is unknown."""
    # As the picture moves, the number of the winning component changes in a way of its
    # own, for which no kind of output has a name.
    if isinstance(found, Choice | Origin):
        return Unknown("phases that the content chose")
    # An answer that does not move cannot tell by which whole cells the content moved the map before it.
    if isinstance(found, Signal) and found.witness:
        return replace(found, step=found.step if found.axes else found.witness.step, witness=None)
    return found


def _about_choices(graph: Graph, found: Walk) -> tuple[Condition | str, ...]:
    """Conditions on sampling at phases that the content chooses, in words."""
    said: list[Condition | str] = []
    for n in graph.answer:
        for t in _each(found.types[n]):
            if isinstance(t, Signal) and t.witness and t.axes:
                # Finer than the claim's step. By which whole cells the answer then moves only the content tells,
                # so the claim itself cannot promise it.
                y, x = t.witness.step
                said.append(
                    f"for moves by multiples of {y}, {x} px the answer moves by whole cells that the content chooses"
                )
    # A map that is a move of itself has several equally good components. On it any of them will do; on another map they
    # differ, and their order decides.
    if found.reused:
        said.append(ASYMMETRIC)
    # Norms are summed in fixed point and stay equal to the bit when the picture moves.
    # A network's scores are equal up to rounding.
    if found.learned:
        said.append(
            "a network's scores choose the phase; in floating point, the best score must lead by more than rounding"
        )
    return tuple(said)


def _about_outputs(graph: Graph) -> tuple[str, ...]:
    """Which output the verdict is about, in words, if there are several."""
    if graph.about is None:
        return ()
    name, count = graph.about
    return (f"only about output{name}, one of {count}",)


def _about_values(found: Walk, given: bool) -> tuple[str, ...]:
    """The parameter values that the proof depends on, in words."""
    if not given:
        return ("any values of the parameters",)
    names = sorted(found.relied)
    # What was not relied on may be trained further, and the claim still holds.
    if not names:
        return ()
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return (f"the current values of {len(names)} parameter{'s' * (len(names) > 1)}: {shown}",)


def _about_state(kept: tuple[str, ...]) -> tuple[Condition, ...]:
    """The state that must be reset before each picture if running the model changes it, in words."""
    if not kept:
        return ()
    shown = ", ".join(kept[:3]) + (" ..." if len(kept) > 3 else "")
    return (reset(shown),)


def _not_exported(model: CheckedModel, size: tuple[int, int, int], error: NotExportedError) -> Verdict:
    remedy = mend("export", error.remedy)
    finding = Finding("T0", "", error.where, "export", error.what, remedy, AXES, WORLDS, "")
    lost = Claim("unknown").under(error.what)
    return Verdict(
        model,
        size,
        lost,
        lost,
        lost,
        Output("none", None),
        (finding,),
        {"export": 1},
        versions=versions(),
        date=now(),
    )


def _each(found) -> tuple:
    return found if isinstance(found, tuple) else (found,)


def _last(graph: Graph, found: Walk) -> dict[str, Atom]:
    """The last atom that moves along each axis on the way to the answer."""
    # In the order of the graph, so that of a map that was pooled its last state stays.
    last: dict[str, Atom] = {}
    for name in found.types:
        for t in _each(found.types[name]):
            if isinstance(t, Signal):
                last |= {a.axis: a for a in atoms(t.dims) if a.axis is not None}
    # An answer may hold an axis several times (a pyramid of maps, tokens in groups): the furthest reach counts for all.
    for name in graph.answer:
        for t in _each(found.types[name]):
            if isinstance(t, Signal):
                worst = {a.axis: a for a in atoms(t.dims) if a.axis is not None}
                for a in atoms(t.dims):
                    if a.axis is not None:
                        worst[a.axis] = replace(worst[a.axis], reach=worst[a.axis].reach.joined(a.reach))
                last |= worst
    return last


def _stages(graph: Graph, found: Walk) -> tuple[Stage, ...]:
    """One stage per part of the network: how its last map moves."""
    stages: dict[str, Stage] = {}
    for name, node in graph.nodes.items():
        t = found.types.get(name)
        if not isinstance(t, Signal) or not node.module:
            continue
        part = part_of(node.module)
        moving = {a.axis: a for a in atoms(t.dims) if a.axis is not None}
        # Behind the pooling the part keeps its last map. The step may still grow there.
        if not moving:
            if part in stages:
                stages[part] = replace(stages[part], step=t.step)
            continue
        strides = [float(moving[a].stride) if a in moving else None for a in AXES]
        cells = [moving[a].size if a in moving else None for a in AXES]
        margin = max(max(a.reach.before, a.reach.after) for a in moving.values())
        # A softmax or a norm over all cells shows the border to each of them.
        covered = bool(t.whole) or any(a.reach.before + a.reach.after >= a.size for a in moving.values())
        stages[part] = Stage(part, (strides[0], strides[1]), t.step, (cells[0], cells[1]), margin, covered)
    return tuple(stages.values())
