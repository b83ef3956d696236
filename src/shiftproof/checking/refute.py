"""Counterexamples: pictures and a move for which the answer is not what a proof would say, found by running the model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from shiftproof.checking import trials
from shiftproof.checking.findings import WORLDS
from shiftproof.checking.trials import Move, Trial, gap, moved, pictures
from shiftproof.checking.types import AXES, Constant, Signal, Type, Unknown
from shiftproof.checking.verdict import Claim, Verdict
from shiftproof.models import LoadedModel, evaluating
from shiftproof.models.answer import answer

__all__ = ["difference", "moved", "pictures", "refuted"]


def refuted(verdict: Verdict, model: LoadedModel | torch.nn.Module, *, tries: int = 12, seed: int = 0) -> Verdict:
    """The verdict with a counterexample, where running the model gives one, for what is not proved in each world.

    Pictures are noise, blobs and impulses, weak and strong; moves are those that the mended network would be exact for. Of
    what is proved the next stronger claim is tried: a part of the step, one cell more beyond the margin, one pixel nearer to
    the border. The model is run in float64 where it can be; a difference that a jitter of the picture by a few ulp explains is
    none.

    Args:
        verdict: as `check` gives it.
        model: the model that was checked; left as found.
        tries: pictures times moves for each axis.
        seed: of the pictures.

    Returns:
        The verdict; its claims "refuted" with their counterexamples, or with a note that none was found in N tries, or that
        it cannot be run.
    """
    if any(f.operator == "export" for f in verdict.findings):
        return verdict  # torch could not follow one run of it
    try:
        return _tried(verdict, model.module if isinstance(model, LoadedModel) else model, tries, seed)
    except Exception as e:  # whatever a forward of somebody else's raises
        what = f"no counterexample was looked for: running the model raises {type(e).__name__}: {e}"
        claims = {w: getattr(verdict, w) for w in WORLDS}
        return replace(verdict, **{w: replace(c, conditions=(*c.conditions, what)) for w, c in claims.items()})


def _tried(verdict: Verdict, model: torch.nn.Module, tries: int, seed: int) -> Verdict:
    module, like = _precise(model, verdict.input_size)
    with evaluating(module):
        runner = _Runner(module, like, _coarsest(module, verdict.input_size, like), tries, seed)
        return replace(
            verdict,
            circular=_circular(verdict, runner),
            window=_window(verdict, runner),
            canvas=_canvas(verdict, runner),
        )


@dataclass
class _Runner:
    module: torch.nn.Module
    like: Tensor  # dtype and device of its pictures
    eps: float  # of the coarsest numbers that it computes with
    tries: int
    seed: int

    def first(self, found: Iterable[Trial], tried: list[int] | None = None) -> dict[str, Any] | None:
        """The first trial that contradicts; how many were made is added to `tried`."""
        for trial in found:
            still, shown = (p.to(self.like) for p in trial.pictures)
            before, after = self.run(still), self.run(shown)
            try:
                wanted, seen = trial.parts(before, after)
            except ValueError:  # off the output's own grid, or nothing to compare
                continue
            if tried is not None:
                tried.append(1)
            far, size = gap(wanted, seen), _size(before)
            if far <= _rounding(self.eps) * size:
                continue
            if far <= 1e3 * gap(self.run(still * (1 + 8 * self.eps)), before):
                continue  # no more than rounding makes of it
            what = f"{trial.picture} moved by {trial.move} px changes the answer by {far:.3g} (of {size:.3g})"
            return {
                "picture": trial.picture,
                "seed": self.seed,
                "move": list(trial.move),
                "difference": far,
                "of": size,
                "words": f"counterexample: {what}",
            }
        return None

    def run(self, picture: Tensor) -> Tensor:
        with torch.no_grad():
            return answer(self.module(picture))


def _circular(verdict: Verdict, runner: _Runner) -> Claim:
    claim, size, kind = verdict.circular, verdict.input_size, verdict.output_type
    if claim.status == "proved":
        held = _turns(size, kind, [(a, s) for a, s in zip(AXES, claim.step, strict=True) if s], 4, runner.seed + 1)
        return _contradicted(claim, runner, held) or _smallest(verdict, runner)
    note = "its type is unknown: tried as if it were invariant" if isinstance(kind, Unknown) else ""
    kind = Constant("", ()) if note else kind
    along = [(a, _step(verdict, a)) for a, s in zip(AXES, claim.step, strict=True) if s is None]
    return _concluded(claim, runner, _turns(size, kind, along, runner.tries, runner.seed), note)


def _concluded(claim: Claim, runner: _Runner, found: Iterable[Trial], note: str = "") -> Claim:
    """A claim that is not proved, with what the trials say about it."""
    tried: list[int] = []
    counter = runner.first(found, tried)
    if counter is None:
        why = f"not proved, and no counterexample found in {len(tried)} tries"
        return replace(claim, conditions=(*claim.conditions, *([note] if note else []), why))
    if note:  # of an unknown layout a difference says nothing
        text = counter["words"].replace("counterexample", "not invariant")
        return replace(claim, conditions=(*claim.conditions, text))
    return replace(claim, status="refuted", counterexample=counter)


def _contradicted(claim: Claim, runner: _Runner, held: Iterable[Trial]) -> Claim | None:
    """The claim turned round if running the model contradicts what was proved: then the proof has a fault."""
    counter = runner.first(held)
    if counter is None:
        return None
    fault = "this contradicts the proof: please report it, with the network"
    return replace(claim, status="refuted", counterexample=counter, conditions=(*claim.conditions, fault))


def _turns(size, kind: Type, along: Iterable[tuple[str, int]], count: int, seed: int) -> Iterator[Trial]:
    """Trials of the circular world along several axes, in turn."""
    yield from _alternating([trials.circular(size, kind, a, s, count, seed) for a, s in along])


def _alternating(several: list[Iterator[Trial]]) -> Iterator[Trial]:
    while several:
        for one in list(several):
            found = next(one, None)
            if found is None:
                several.remove(one)
            else:
                yield found


def _smallest(verdict: Verdict, runner: _Runner) -> Claim:
    """A proved claim, with a counterexample to each largest part of its step where one is found."""
    claim, notes = verdict.circular, []
    for axis, step in zip(AXES, claim.step, strict=True):
        for part in _parts(step or 1):
            one = trials.circular(verdict.input_size, verdict.output_type, axis, part, runner.tries, runner.seed)
            found = runner.first(one)
            tried = f"no counterexample to {part} px along {axis} in {runner.tries} tries"
            notes.append(("", tried) if found is None else (found["words"], ""))
    if not notes:
        return claim
    kept = [k for _, k in notes if k]
    text = f"no smaller step was refuted: {'; '.join(kept)}" if kept else f"a smaller step is refuted: {notes[0][0]}"
    return replace(claim, conditions=(*claim.conditions, text))


def _parts(step: int) -> list[int]:
    """The step over each of its prime factors.

    >>> _parts(12), _parts(1)
    ([6, 4], [])
    """
    primes = [p for p in range(2, step + 1) if step % p == 0 and all(p % q for q in range(2, p))]
    return [step // p for p in primes]


def _step(verdict: Verdict, axis: str) -> int:
    """The move to try along an axis: what the mended network would be exact for; if that is all of it, a part."""
    i = AXES.index(axis)
    if not isinstance(verdict.output_type, Signal):
        return 1
    step, extent = verdict.output_type.step[i], verdict.input_size[1 + i]
    return step if step < extent else max(gcd(step, extent) // 2, 1)


def _window(verdict: Verdict, runner: _Runner) -> Claim:
    claim, size, kind = verdict.window, verdict.input_size, verdict.output_type
    if not isinstance(kind, Signal):
        return claim
    if claim.status != "proved":
        along = [a for a, s in zip(AXES, claim.step, strict=True) if s is None]
        bare = kind if all(claim.clean or ()) else _without_margins(kind)
        found = [trials.window(size, bare, a, _step(verdict, a), runner.tries, runner.seed) for a in along]
        return _concluded(claim, runner, _alternating(found))
    steps = [(a, s) for a, s in zip(AXES, claim.step, strict=True) if s]
    held = _alternating([trials.window(size, kind, a, s, 3, runner.seed + 1) for a, s in steps])
    found = _contradicted(claim, runner, held)
    if found is not None:
        return found
    loose, tight = [], []
    for axis, step in steps:
        for low in (True, False):
            less = trials.narrower(kind, axis, low)
            if less is not None:
                counter = runner.first(trials.window(size, less, axis, step, runner.tries, runner.seed))
                (loose if counter is None else tight).append(f"{axis} {'low' if low else 'high'}")
    text = f"one cell nearer to the border differs ({', '.join(tight)})" if tight else ""
    rest = f"no difference found one cell nearer to the border ({', '.join(loose)})" if loose else ""
    return replace(claim, conditions=(*claim.conditions, *(t for t in (text, rest) if t)))


def _without_margins(kind: Signal) -> Signal:
    """The type as if no cell were within reach of the padding: where all are, all are compared."""
    for axis in AXES:
        for low in (True, False):
            while (less := trials.narrower(kind, axis, low)) is not None:
                kind = less
    return kind


def _canvas(verdict: Verdict, runner: _Runner) -> Claim:
    claim, size, kind = verdict.canvas, verdict.input_size, verdict.output_type
    distance = claim.distance_px or 0
    if not isinstance(kind, Signal):
        return claim
    steps: dict[str, int] = dict(zip(AXES, kind.step, strict=True))
    if claim.status != "proved":
        fits = all(2 * distance + 1 + s <= n for s, n in zip(kind.step, size[1:], strict=True))
        along = [a for a, s in zip(AXES, claim.step, strict=True) if s is None]
        bare = kind if all(verdict.window.clean or ()) else _without_margins(kind)
        places = distance if fits else 0
        found = [trials.canvas(size, bare, a, steps[a], places, runner.tries, runner.seed) for a in along]
        return _concluded(claim, runner, _alternating(found))
    if verdict.circular.status == "proved":
        return claim  # said and tried there
    held = _alternating([trials.canvas(size, kind, a, steps[a], distance, 3, runner.seed + 1) for a in AXES])
    found = _contradicted(claim, runner, held)
    if found is not None or not distance:
        return found or claim
    nearer = [trials.canvas(size, kind, a, steps[a], distance - 1, runner.tries, runner.seed) for a in AXES]
    counter = runner.first(_alternating(nearer))
    if counter is None:
        text = f"no difference found {distance - 1} px from the border in {runner.tries * 2} tries"
    else:
        text = f"one pixel nearer is refuted: {counter['words']}"
    return replace(claim, conditions=(*claim.conditions, text))


def _precise(module: torch.nn.Module, size: tuple[int, int, int]) -> tuple[torch.nn.Module, Tensor]:
    """(a copy in float64, so that rounding is no excuse; or the module itself, if not; a number as its pictures are)."""
    try:
        found = copy.deepcopy(module).double()
        like = next((p.detach() for p in found.parameters() if p.is_floating_point()), torch.empty(0).double())
        with evaluating(found), torch.no_grad():
            answer(found(torch.zeros(1, *size).to(like)))
    except Exception:  # whatever a forward of somebody else's raises in another precision
        return module, next((p.detach() for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    return found, like


class _Watched(TorchDispatchMode):
    """Remembers the coarsest numbers that operators answer with."""

    eps = 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for t in found if isinstance(found, list | tuple) else [found]:
            if isinstance(t, Tensor) and t.is_floating_point():
                self.eps = max(self.eps, torch.finfo(t.dtype).eps)
        return found


def _coarsest(module: torch.nn.Module, size: tuple[int, int, int], like: Tensor) -> float:
    """The largest unit of rounding on the way: some networks compute their attention in float32 whatever they are given."""
    with _Watched() as seen, torch.no_grad():
        module(torch.zeros(1, *size).to(like))
    return max(seen.eps, torch.finfo(like.dtype).eps)


def _size(found: Tensor) -> float:
    """The largest finite number in an answer."""
    return max(found.double().nan_to_num(0, 0, 0).abs().max().item(), 1e-30)


def _rounding(eps: float) -> float:
    """The least relative difference that counts: 1e5 ulp of float64, 30 of float32: sums in another order, layer by layer."""
    return max(1e5 * torch.finfo(torch.float64).eps, 30 * eps if eps > 1e-12 else 0)


def difference(model: Callable[[Tensor], Any], picture: Tensor, type_: Type, move: Move) -> float:
    """The largest difference between the answer to a moved picture and what it must be; 0 if they are equal.

    Args:
        model: a function of (1, c, h, w) that answers with one tensor.
        picture: (1, c, h, w).
        type_: of the answer.
        move: (dy, dx) in pixels, circular.
    """
    with torch.no_grad():
        return gap(moved(model(picture), type_, move), model(picture.roll(move, (2, 3))))
