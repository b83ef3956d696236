"""Looks for counterexamples: runs the model on pictures and moved pictures, and compares the answers with the claim."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from math import gcd
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from shiftproof.checking.answer_layout import type_of
from shiftproof.checking.graph.alone import alone, as_the_caller
from shiftproof.checking.graph.randomness import generators_restored
from shiftproof.checking.graph.restoring import in_own_context, restored
from shiftproof.checking.inputs import on_rows, plain_module
from shiftproof.checking.refuting import trials
from shiftproof.checking.refuting.runner import FAILURES, Runner, precise_copy, runner_of
from shiftproof.checking.refuting.trials import Trial
from shiftproof.checking.refuting.wrong_rule import distrusted
from shiftproof.checking.types import AXES, Constant, Signal, Type, Unknown
from shiftproof.errors import ModelError
from shiftproof.interruptions import pass_on
from shiftproof.models import LoadedModel, evaluating
from shiftproof.printable import said
from shiftproof.records.verdict import Verdict
from shiftproof.records.verdict_parts import WORLDS, Claim

MOST = 2**63 - 1  # torch takes seeds of 64 bits, and a claim that is proved is tried with one more


@in_own_context
def refuted(verdict: Verdict, model: LoadedModel | torch.nn.Module, *, tries: int = 12, seed: int = 0) -> Verdict:
    """Look for a counterexample to every claim that is not proved, by running the model.

    The pictures are noise, blobs and impulses, weak and strong. The moves are those for which the fixed network would be exact.
    Where a claim is proved, the next stronger claim is tried: a smaller step, a margin one cell smaller, or an object one pixel
    nearer to the border. The model runs in float64 if it can. A difference does not count if changing the picture by a few units
    of rounding changes the answer as much. Where a finding makes the layout of the answer unknown, it counts only if the
    numbers of the answer become others, in whatever order they stand.

    Args:
        verdict: as `check` gives it.
        model: the model that was checked; it is left as found.
        tries: pairs of a picture and a move per axis.
        seed: seed of the pictures, below 2**63.

    Returns:
        The verdict. Each claim is "refuted" and has its counterexample, or a condition says that none was found in N tries or
        that the model cannot be run.

    Raises:
        ModelError: an argument is not of its kind.
    """
    _need_arguments(verdict, model, tries, seed)
    if any(f.operator == "export" for f in verdict.findings):
        return verdict  # torch could not export the model, so running it would test nothing
    module = plain_module(model.module if isinstance(model, LoadedModel) else model)
    series = any(getattr(verdict, w).needs("series") for w in WORLDS)
    try:
        with (
            alone(),
            warnings.catch_warnings(),
            restored(module, values=True),
            generators_restored(),
            on_rows(module, series),
        ):
            return _tried(verdict, module, tries, seed)
    except FAILURES as e:
        pass_on(e)
        what = f"the model could not be run to look for a counterexample: {type(e).__name__}: {said(e)}"
        claims = {w: getattr(verdict, w) for w in WORLDS}
        return replace(verdict, **{w: c.under(what) for w, c in claims.items()})


def _need_arguments(verdict: object, model: object, tries: object, seed: object) -> None:
    if not isinstance(verdict, Verdict):
        raise ModelError(
            f"the verdict is of type {type(verdict).__name__}", remedy="give what shiftproof.check returns"
        )
    if not isinstance(model, LoadedModel | torch.nn.Module):
        what = f"the model is of type {type(model).__name__}, which cannot be run"
        raise ModelError(
            what, remedy="give the torch.nn.Module that was checked, or what shiftproof.load_model returns"
        )
    for name, value, least in (("tries", tries, 1), ("seed", seed, 0)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ModelError(f"{name} is {value!r}", remedy=f"give a whole number, {least} or more")
    if isinstance(seed, Integral) and int(seed) > MOST:
        raise ModelError(f"seed is {seed!r}", remedy="give a whole number below 2**63")


def _tried(verdict: Verdict, model: torch.nn.Module, tries: int, seed: int) -> Verdict:
    module, like = precise_copy(model, verdict.input_size)
    changes = any(getattr(verdict, w).needs("state") for w in WORLDS)
    with evaluating(module), restored(module, values=changes) as snapshot:

        def run(picture: Tensor) -> Any:
            if changes:  # the claims are about the model as it was found
                snapshot.put_back()
            with as_the_caller():
                return module(picture.clone())

        runner = runner_of(run, like, verdict.input_size, tries, seed)
        tried = {
            "circular": _circular(verdict, runner),
            "window": _window(verdict, runner),
            "canvas": _canvas(verdict, runner),
        }
        return distrusted(verdict, tried)


NOTHING_SHARED = "the answers to two pictures of this size, moved by the step, have nothing that must be equal"
# Behind these the walk goes on as if every cell had stayed. Parts of a map that are laid together again are then no map to it.
RELAID = ("T3", "T7", "T8")


def _behind_findings(verdict: Verdict, world: str) -> Type:
    """The type of the answer in a world, of which a cut, a window that does not fit or a new order makes the layout a guess."""
    kind = type_of(verdict.output)
    relaid = frozenset(a for f in verdict.findings if f.code in RELAID and world in f.breaks for a in f.axes)
    return replace(kind, lost=kind.lost | relaid) if isinstance(kind, Signal) else kind


def _circular(verdict: Verdict, runner: Runner) -> Claim:
    claim, size, kind = verdict.circular, verdict.input_size, _behind_findings(verdict, "circular")
    if claim.status == "proved":
        return contradiction(verdict, "circular", runner, 4) or _smallest(verdict, runner)
    note = (
        "the type of the answer is unknown; it was tried as if it were invariant" if isinstance(kind, Unknown) else ""
    )
    kind = Constant("", ()) if note else kind
    along = [(a, _step(verdict, a)) for a, s in zip(AXES, claim.step, strict=True) if s is None]
    return _concluded(claim, runner, _turns(size, kind, along, runner.tries, runner.seed), note)


def _concluded(claim: Claim, runner: Runner, found: Iterable[Trial], note: str = "") -> Claim:
    """The unproved claim with the result of the trials."""
    tried: list[int] = []
    counter = runner.first(found, tried)
    if counter is None:
        why = f"not proved, and no counterexample found in {len(tried)} tries"
        if not tried:
            why = f"not proved, and no counterexample could be looked for: {NOTHING_SHARED}"
        return claim.under(*([note] if note else []), why)
    if note:  # where the layout is unknown, a difference is not a counterexample
        return claim.under(f"not invariant: {counter.seen}")
    return replace(claim, status="refuted", counterexample=counter)


def contradiction(verdict: Verdict, world: str, runner: Runner, count: int, most: int | None = None) -> Claim | None:
    """The claim of a world as refuted if it is proved and a run contradicts it, so that the proof is wrong; otherwise None.

    Args:
        verdict: what is claimed.
        world: key of `WORLDS`.
        runner: runs the model.
        count: pairs of a picture and a move per axis.
        most: pairs in all; None for all of them.
    """
    claim, size, kind = getattr(verdict, world), verdict.input_size, type_of(verdict.output)
    # No run can be seen to meet that condition, so none can contradict the proof.
    if claim.status != "proved" or claim.needs("asymmetric"):
        return None
    steps, seed = (
        [(a, s) for a, s in zip(AXES, claim.step, strict=True) if s and a in _moving(verdict)],
        runner.seed + 1,
    )
    if world == "circular":
        held = _turns(size, kind, steps, count, seed)
    # the circular claim covers the canvas world, and is tried itself
    elif not isinstance(kind, Signal) or (world == "canvas" and verdict.circular.status == "proved"):
        return None
    elif world == "window":
        held = _alternating([trials.window(size, kind, a, s, count, seed) for a, s in steps])
    else:
        away = claim.distance_px or 0
        held = _alternating([trials.canvas(size, kind, a, s, away, count, seed) for a, s in steps])
    counter = runner.first(islice(held, most))
    if counter is None:
        return None
    # The message is for us: in exact arithmetic a proof has no counterexample, so a rule must be wrong.
    fault = "this contradicts the proof: please report it, with the network"
    return replace(claim, status="refuted", counterexample=counter).under(fault)


def _moving(verdict: Verdict) -> list[str]:
    """The axes along which there is anywhere to move to: a series has one row."""
    return [a for a, n in zip(AXES, verdict.input_size[1:], strict=True) if n > 1]


def _turns(size, kind: Type, along: Iterable[tuple[str, int]], count: int, seed: int) -> Iterator[Trial]:
    """Trials of the circular world that alternate between the axes."""
    yield from _alternating([trials.circular(size, kind, a, s, count, seed) for a, s in along])


def _alternating(several: list[Iterator[Trial]]) -> Iterator[Trial]:
    while several:
        for one in list(several):
            found = next(one, None)
            if found is None:
                several.remove(one)
            else:
                yield found


def _smallest(verdict: Verdict, runner: Runner) -> Claim:
    """The proved claim with the result of trying smaller steps: the step over each of its prime factors."""
    claim, notes = verdict.circular, []
    for axis, step in zip(AXES, claim.step, strict=True):
        for part in _parts(step or 1):
            one = trials.circular(verdict.input_size, type_of(verdict.output), axis, part, runner.tries, runner.seed)
            found = runner.first(one)
            tried = f"no counterexample to a step of {part} px along {axis} in {runner.tries} tries"
            notes.append(("", tried) if found is None else (str(found), ""))
    if not notes:
        return claim
    kept = [k for _, k in notes if k]
    text = f"no smaller step was refuted: {'; '.join(kept)}" if kept else f"a smaller step is refuted: {notes[0][0]}"
    return claim.under(text)


def _parts(step: int) -> list[int]:
    """The step divided by each of its prime factors.

    >>> _parts(12), _parts(1)
    ([6, 4], [])
    """
    primes = [p for p in range(2, step + 1) if step % p == 0 and all(p % q for q in range(2, p))]
    return [step // p for p in primes]


def _step(verdict: Verdict, axis: str) -> int:
    """The move to try along an axis: the fixed network's step, or a smaller one if that step is the whole picture."""
    i = AXES.index(axis)
    step, extent = (verdict.output.step or (1, 1))[i], verdict.input_size[1 + i]
    return step if step < extent else max(gcd(step, extent) // 2, 1)


def _window(verdict: Verdict, runner: Runner) -> Claim:
    claim, size, kind = verdict.window, verdict.input_size, _behind_findings(verdict, "window")
    if not isinstance(kind, Signal):
        return claim
    if claim.status != "proved":
        along = [a for a, s in zip(AXES, claim.step, strict=True) if s is None and a in _moving(verdict)]
        # With no clean cell left there would be nothing to compare: the whole maps are, as if there were no padding.
        bare = kind if all(claim.clean or ()) else trials.without_margins(kind)
        found = [trials.window(size, bare, a, _step(verdict, a), runner.tries, runner.seed) for a in along]
        return _concluded(claim, runner, _alternating(found))
    steps = [(a, s) for a, s in zip(AXES, claim.step, strict=True) if s and a in _moving(verdict)]
    found = contradiction(verdict, "window", runner, 3)
    if found is not None:
        return found
    # A margin that is one cell too large is true but weaker than need be; a difference
    # right at it shows that it is tight.
    loose, tight = [], []
    for axis, step in steps:
        for low in (True, False):
            less = trials.narrower(kind, axis, low)
            if less is not None:
                counter = runner.first(trials.window(size, less, axis, step, runner.tries, runner.seed))
                (loose if counter is None else tight).append(f"{axis} {'low' if low else 'high'}")
    text = f"one cell nearer to the border differs ({', '.join(tight)})" if tight else ""
    rest = f"no difference found one cell nearer to the border ({', '.join(loose)})" if loose else ""
    return claim.under(*(t for t in (text, rest) if t))


def _canvas(verdict: Verdict, runner: Runner) -> Claim:
    claim, size, kind = verdict.canvas, verdict.input_size, _behind_findings(verdict, "canvas")
    distance = claim.distance_px or 0
    if not isinstance(kind, Signal):
        return claim
    steps: dict[str, int] = dict(zip(AXES, kind.step, strict=True))
    if claim.status != "proved":
        fits = all(2 * distance + 1 + s <= n for s, n in zip(kind.step, size[1:], strict=True))
        along = [a for a, s in zip(AXES, claim.step, strict=True) if s is None]
        bare = kind if all(verdict.window.clean or ()) else trials.without_margins(kind)
        places = distance if fits else 0
        found = [trials.canvas(size, bare, a, _step(verdict, a), places, runner.tries, runner.seed) for a in along]
        return _concluded(claim, runner, _alternating(found))
    if verdict.circular.status == "proved":
        return claim  # the circular claim covers this one and was tried itself
    found = contradiction(verdict, "canvas", runner, 3)
    if found is not None or not distance:
        return found or claim
    nearer = [trials.canvas(size, kind, a, steps[a], distance - 1, runner.tries, runner.seed) for a in AXES]
    counter = runner.first(_alternating(nearer))
    if counter is None:
        text = f"no difference found {distance - 1} px from the border in {runner.tries * 2} tries"
    else:
        text = f"one pixel nearer is refuted: {counter!s}"
    return claim.under(text)
