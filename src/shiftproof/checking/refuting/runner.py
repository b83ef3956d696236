"""Runs a model on trials, as precisely as it can, and tells a real difference between answers from rounding."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from shiftproof.checking.graph.alone import as_the_caller
from shiftproof.checking.refuting.inside import Inside
from shiftproof.checking.refuting.shaken import shaken
from shiftproof.checking.refuting.trials import Move, Trial, gap, moved, precise
from shiftproof.checking.types import Type
from shiftproof.interruptions import pass_on
from shiftproof.models import evaluating
from shiftproof.records.verdict_parts import Counterexample

# What a model's own code may raise: errors of any class. Whoever catches them calls `pass_on` first, because a caller's time
# limit looks like one of them.
FAILURES = (Exception, SystemExit)
# How often `explained` changes a picture: it runs only where a difference was found, so the time is of no weight.
JITTERS = 8


def runner_of(run: Callable[[Tensor], Any], like: Tensor, size: tuple[int, int, int], tries: int, seed: int) -> Runner:
    """What runs a model on trials.

    Args:
        run: maps (1, c, h, w) to an answer.
        like: a tensor with the dtype and device of its pictures.
        size: (c, h, w).
        tries: pairs of a picture and a move per axis.
        seed: seed of the pictures.
    """
    return Runner(run, like, _coarsest(run, size, like), tries, seed)


@dataclass
class Runner:
    """Runs a model on trials, and compares its answers; `eps` is of the coarsest numbers that it computes with."""

    module: Callable[[Tensor], Any]
    like: Tensor
    eps: float
    tries: int
    seed: int

    def first(self, found: Iterable[Trial], tried: list[int] | None = None) -> Counterexample | None:
        """The first trial that contradicts the claim; each trial made appends one entry to `tried`."""
        for trial in found:
            still, shown = (p.to(self.like) for p in trial.pictures)
            before, after = self.run(still), self.run(shown)
            try:
                wanted, seen = trial.parts(before, after)
            except ValueError as e:  # off the output's own grid, or nothing to compare
                pass_on(e)
                continue
            if tried is not None:
                tried.append(1)
            far, size = gap(wanted, seen), max(_size(before), _size(after))
            # The cheap test first; the other runs the model up to `JITTERS` more times.
            if far <= _rounding(self.eps) * size or self.explained(far, still, before):
                continue
            return Counterexample(trial.picture, self.seed, trial.move, far, size)
        return None

    def explained(self, far: float, picture: Tensor, before: Tensor) -> bool:
        """Whether rounding alone can cause a difference this large.

        The answer may be a sum that cancels to 0, so its size does not bound its rounding error. Instead each pixel is changed at
        random by up to 8 units of rounding, and in other runs each operator's answer, because large numbers may come in behind
        the picture. This is repeated, because one change may leave a cancelling sum exactly as it is.
        """
        random = torch.Generator().manual_seed(self.seed)
        for number in range(JITTERS):
            jitter = 2 * torch.rand(picture.shape, generator=random, dtype=torch.float64) - 1
            changed = picture * (1 + 8 * self.eps * jitter).to(picture)
            # A sum of n terms in another order differs by up to n units, more
            # than one random change of the picture shows.
            if far <= 1e3 * gap(self.run(changed), before):
                return True
            if far <= 1e3 * gap(shaken(self.run, picture, number), before):
                return True
        return False

    def run(self, picture: Tensor) -> Tensor:
        """The output that the verdict is about."""
        with torch.no_grad():
            return chosen(self.module(picture))


def chosen(output: Any) -> Tensor:
    """The output that a verdict is about: "logits" or else "out" of a dictionary, otherwise the first tensor.

    Raises:
        ValueError: the output holds no tensor.

    >>> chosen({"aux": torch.zeros(1), "out": torch.ones(2)})
    tensor([1., 1.])
    """
    named = [output.get(key) for key in ("logits", "out")] if isinstance(output, dict) else []
    found = next((t for t in [*named, *pytree.tree_leaves(output)] if isinstance(t, Tensor)), None)
    if found is None:
        raise ValueError("the model returns no tensor")
    return found


def precise_copy(module: torch.nn.Module, size: tuple[int, int, int]) -> tuple[torch.nn.Module, Tensor]:
    """(module to run, tensor with the dtype and device of its pictures): a float64 copy if it runs, else the module itself."""
    try:
        # Rounding is 5e8 times finer than in float32, so a real difference stands out. Some models cannot run so:
        # custom kernels, or a dtype named in `forward`.
        found = copy.deepcopy(module).double()
        # `double` leaves complex weights as they are, which products with double precision refuse.
        for held in [*found.parameters(), *found.buffers()]:
            held.data = precise(held.data) if held.is_complex() else held.data
        like = next((p.detach() for p in found.parameters() if p.is_floating_point()), torch.empty(0).double())
        picture = torch.zeros(1, *size).to(like)
        with evaluating(found), torch.no_grad(), as_the_caller():
            chosen(found(picture))
    except FAILURES as e:
        pass_on(e)
        return module, next((p.detach() for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    return found, like


class Coarsest(Inside):
    """Remembers the unit of rounding of the coarsest numbers that operators answer with."""

    eps = torch.finfo(torch.float64).eps

    def answered(self, func: Any, found: Any) -> Any:
        """The answer as it is."""
        for t in found if isinstance(found, list | tuple) else [found]:
            if isinstance(t, Tensor) and (t.is_floating_point() or t.is_complex()):
                self.eps = max(self.eps, torch.finfo(t.dtype).eps)
        return found


def _coarsest(module: Callable[[Tensor], Any], size: tuple[int, int, int], like: Tensor) -> float:
    """The largest machine epsilon in a run: some networks compute attention in float32 even on float64 input."""
    picture = torch.zeros(1, *size).to(like)
    with Coarsest() as seen, torch.no_grad():
        module(picture)
    # Below every module that mode sees each operator, also those of attention that casts to float32 by itself.
    return max(seen.eps, torch.finfo(like.dtype).eps)


def _size(found: Tensor) -> float:
    """The largest finite number in an answer."""
    if not found.numel():
        return 1e-30
    return max(precise(found).abs().nan_to_num(0, 0, 0).max().item(), 1e-30)


def _rounding(eps: float) -> float:
    """The least relative difference that counts, since each layer may sum in another order: 1e5 ulp of float64, 30 of float32."""
    return max(1e5 * torch.finfo(torch.float64).eps, 30 * eps if eps > 1e-12 else 0)


def difference(model: Callable[[Tensor], Any], picture: Tensor, type_: Type, move: Move) -> float:
    """The largest difference between the answer to a moved picture and the answer that the type predicts; 0 if they are equal.

    Args:
        model: maps (1, c, h, w) to one tensor.
        picture: (1, c, h, w).
        type_: type of the answer.
        move: (dy, dx) in pixels, circular.
    """
    with torch.no_grad():
        return gap(moved(model(picture), type_, move), model(picture.roll(move, (2, 3))))
