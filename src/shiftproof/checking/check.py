"""check(): a module in, a verdict out."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from shiftproof.checking.findings import WORLDS, Finding
from shiftproof.checking.graph import Graph, export
from shiftproof.checking.types import AXES, Atom, Choice, Signal, Type, Unknown, atoms
from shiftproof.checking.verdict import Claim, Stage, Verdict, judged
from shiftproof.checking.walk import Walk, walk
from shiftproof.errors import ModelError, NotExportedError
from shiftproof.models import LoadedModel, evaluating

UNTRAINED = ("timm:", "torchvision:")  # without a file of weights what they build is not trained


def check(
    model: nn.Module | LoadedModel | torch.export.ExportedProgram,
    input_size: Sequence[int] | None = None,
) -> Verdict:
    """What is proved about a model when its picture moves, and the findings where the proof fails.

    The module is exported once by torch and its graph walked once with types; no picture is run. Status "proved" with step
    (s_y, s_x) means: for every circular move that is a multiple of the step the answer is equal (invariant) or moved
    (equivariant), in exact arithmetic.

    Values of buffers and other constants are looked at, and those of parameters too, unless the model was loaded by a
    library's name without weights: then nothing hangs on what they happen to be before training.

    Args:
        model: a module, a loaded model, or an exported program; left as found.
        input_size: (c, h, w) in pixels; of a loaded model its own, if not given.

    Returns:
        The verdict. A model that torch cannot export is "unknown", with the line that stops it as its finding.

    Raises:
        ModelError: the size is not known, or of no picture, or the model fails on a picture of that size.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> verdict = check(net, (1, 8, 8))
    >>> verdict.circular.status, verdict.circular.step, verdict.kind
    ('proved', (1, 1), 'invariant')
    """
    module = model.module if isinstance(model, LoadedModel) else model
    if not isinstance(module, nn.Module | torch.export.ExportedProgram):
        raise ModelError(
            f"what is given is of type {type(model).__name__}: there is no graph to check",
            remedy="give a torch.nn.Module, an exported program, or what shiftproof.load_model makes of a name or a file",
        )
    given = not (isinstance(model, LoadedModel) and model.weights is None and model.word.startswith(UNTRAINED))
    name = model.word if isinstance(model, LoadedModel) else type(model).__name__
    size = _size(model, input_size)
    try:
        if isinstance(module, nn.Module):
            with evaluating(module):
                graph = export(module, size)
        else:
            graph = export(module, size)
    except NotExportedError as e:
        return _not_exported(name, size, e)
    return proved(name, graph, given)


def proved(name: str, graph: Graph, given: bool = True) -> Verdict:
    """The verdict on a graph, as `check` gives it for the module that was exported.

    Args:
        name: of the model, for the verdict.
        graph: as `export` gives it.
        given: whether its parameters have the values that are meant; else no proof hangs on them.
    """
    started = time.perf_counter()
    size = graph.input_size
    found = walk(graph, given)
    broken = any("circular" in f.breaks for f in found.findings)
    if broken and any(isinstance(t, Signal) and t.witness for t in found.types.values()):
        found = walk(
            graph, given, witnessed=False
        )  # a choice is for both axes at once: where one is lost it proves nothing
    circular, window, canvas, output = judged(
        found.findings,
        [_settled(t) for n in graph.answer for t in _each(found.types[n])],
        _last(graph, found),
        size,
        found.distance,
        (*_about_values(found, given), *_about_state(graph), *_about_choices(graph, found)),
    )
    seconds = {"export": graph.seconds, "check": time.perf_counter() - started}
    return Verdict(
        name, size, circular, window, canvas, output, found.findings, found.unknown, _stages(graph, found), seconds
    )


def _settled(found: Type) -> Type:
    """An answer as a user meets it: one that does not move has the step of its witness; phases alone are not known."""
    if isinstance(found, Choice):
        return Unknown("phases that the content chose")
    if isinstance(found, Signal) and found.witness:
        return replace(found, step=found.step if found.axes else found.witness.step, witness=None)
    return found


def _about_choices(graph: Graph, found: Walk) -> tuple[str, ...]:
    """What is to be known about sampling by content, in words."""
    said = []
    for n in graph.answer:
        for t in _each(found.types[n]):
            if isinstance(t, Signal) and t.witness and t.axes:
                y, x = t.witness.step
                said.append(
                    f"for moves by multiples of {y}, {x} px the answer moves by whole cells that the content chooses"
                )
    if found.reused:
        said.append("no map that is sampled by its content is a move of itself")
    if found.learned:
        said.append("a network's scores choose: in floating point as long as the best one leads by more than rounding")
    return tuple(said)


def _about_values(found: Walk, given: bool) -> tuple[str, ...]:
    """On what values a proof hangs, in words."""
    if not given:
        return ("whatever its parameters are trained to",)
    names = sorted(found.relied)
    if not names:
        return ()
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return (f"the values of {len(names)} parameter{'s' * (len(names) > 1)} as they are: {shown}",)


def _about_state(graph: Graph) -> tuple[str, ...]:
    """What a model that remembers what it saw must be set back to, in words."""
    if not graph.kept:
        return ()
    shown = ", ".join(graph.kept[:3]) + (" ..." if len(graph.kept) > 3 else "")
    return (f"running it changes it: set back, before each picture, to what it is now ({shown})",)


def _size(model, input_size: Sequence[int] | None) -> tuple[int, int, int]:
    found = input_size or getattr(model, "input_size", None)
    if found is None or len(found) != 3:
        raise ModelError("the size of its pictures is not known", remedy="give input_size as (c, h, w)")
    c, h, w = (int(n) for n in found)
    if min(c, h, w) < 1:
        raise ModelError(f"no picture is of {c} x {h} x {w}", remedy="give input_size as (c, h, w), each 1 or more")
    return c, h, w


def _not_exported(name: str, size: tuple[int, int, int], error: NotExportedError) -> Verdict:
    text, every = error.what, frozenset(AXES)
    finding = Finding("T0", "", error.where, "export", text, error.remedy, every, frozenset(WORLDS), "")
    lost = Claim("unknown", conditions=(text,))
    return Verdict(name, size, lost, lost, lost, Unknown("export"), (finding,), {"export": 1})


def _each(found) -> tuple:
    return found if isinstance(found, tuple) else (found,)


def _last(graph: Graph, found: Walk) -> dict[str, Atom]:
    """For each axis the last atom on the way to the answer that moves along it."""
    last: dict[str, Atom] = {}
    for name in found.types:
        for t in _each(found.types[name]):
            if isinstance(t, Signal):
                last |= {a.axis: a for a in atoms(t.dims) if a.axis is not None}
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
    """The strip: for each part of the network what its last map moves like."""
    stages: dict[str, Stage] = {}
    for name, node in graph.nodes.items():
        t = found.types.get(name)
        if not isinstance(t, Signal) or not node.module:
            continue
        part = _part(node.module)
        moving = {a.axis: a for a in atoms(t.dims) if a.axis is not None}
        if not moving:
            if part in stages:
                stages[part] = replace(stages[part], step=t.step)
            continue
        strides = tuple(str(moving[a].stride) if a in moving else "-" for a in AXES)
        margin = max((max(a.reach.before, a.reach.after) for a in moving.values()), default=0)
        covered = any(a.reach.before + a.reach.after >= a.size for a in moving.values()) or t.whole
        stages[part] = Stage(part, (strides[0], strides[1]), t.step, "all" if covered else str(margin))
    return tuple(stages.values())


def _part(module: str) -> str:
    """The part of a network that a module belongs to: "layer1", "blocks.3"."""
    match = re.match(r"[^.]+(\.\d+)?", module)
    return match[0] if match else module
