"""Counterexamples: an image and a move for which the answer is not what a proof would say, found by running the model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import gcd
from typing import Any

import torch
from torch import Tensor

from shiftproof.checking.types import AXES, Constant, Signal, Type, Unknown, rolled
from shiftproof.checking.verdict import Claim, Verdict
from shiftproof.models import LoadedModel, evaluating
from shiftproof.models.answer import answer


def refuted(verdict: Verdict, model: LoadedModel | torch.nn.Module, *, tries: int = 12, seed: int = 0) -> Verdict:
    """The verdict with a counterexample, where running the model gives one, for what is not proved in the circular world.

    Pictures are noise, blobs and impulses; moves are those that the mended network would be exact for, and half of a proved
    step. The model is run in float64 where it can be, so that a difference is not rounding.

    Args:
        verdict: as `check` gives it.
        model: the model that was checked; left as found.
        tries: pictures times moves for each axis.
        seed: of the pictures.

    Returns:
        The verdict; the circular claim "refuted" with its counterexample, or with a note that none was found in N tries.
    """
    claim = verdict.circular
    if claim.status == "proved":
        return replace(verdict, circular=_smallest(verdict, model, tries, seed))
    if isinstance(verdict.output_type, Unknown):
        kind: Type = Constant("", ())
        note = "its type is unknown: tried as if it were invariant"
    else:
        kind, note = verdict.output_type, ""
    axes = [a for a, s in zip(AXES, claim.step, strict=True) if s is None]
    found = _search(verdict, model, kind, [(a, _step(verdict, a)) for a in axes], tries, seed)
    if found is None:
        why = f"not proved, and no counterexample found in {tries * len(axes)} tries"
        return replace(verdict, circular=replace(claim, conditions=(*claim.conditions, *([note] if note else []), why)))
    if note:  # of an unknown layout a difference says nothing
        text = found["words"].replace("counterexample", "not invariant")
        return replace(verdict, circular=replace(claim, conditions=(*claim.conditions, text)))
    return replace(verdict, circular=replace(claim, status="refuted", counterexample=found))


def _smallest(verdict: Verdict, model: Any, tries: int, seed: int) -> Claim:
    """A proved claim, with a counterexample to half its step (to a part of it) where one is found."""
    claim = verdict.circular
    parts = []
    for axis, step in zip(AXES, claim.step, strict=True):
        if step is not None and step > 1:
            prime = next(p for p in range(2, step + 1) if step % p == 0)
            parts.append((axis, step // prime))
    if not parts or (isinstance(verdict.output_type, Signal) and verdict.output_type.axes):
        return claim  # on the output's own grid no smaller move is defined
    found = _search(verdict, model, verdict.output_type, parts, tries, seed)
    if found is None:
        note = f"no smaller step was refuted in {tries * len(parts)} tries"
    else:
        note = f"a smaller step is refuted: {found['words']}"
    return replace(claim, conditions=(*claim.conditions, note))


def _step(verdict: Verdict, axis: str) -> int:
    """The move to try along an axis: what the mended network would be exact for; if that is all of it, the stride."""
    i = AXES.index(axis)
    if not isinstance(verdict.output_type, Signal):
        return 1
    step, extent = verdict.output_type.step[i], verdict.input_size[1 + i]
    return step if step < extent else max(gcd(step, extent) // 2, 1)


def _search(
    verdict: Verdict, model: Any, kind: Type, along: Sequence[tuple[str, int]], tries: int, seed: int
) -> dict[str, Any] | None:
    """The first counterexample: a picture by name, a move, the difference found."""
    module = _precise(model.module if isinstance(model, LoadedModel) else model, verdict.input_size)
    with evaluating(module):
        run = _run(module)
        like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
        for number, (name, picture) in enumerate(pictures(verdict.input_size, tries, seed)):
            picture = picture.to(like.dtype).to(like.device)
            for axis, step in along:
                times = 1 + number % max(1, verdict.input_size[1 + AXES.index(axis)] // step - 1)
                move = (step * times, 0) if axis == "y" else (0, step * times)
                try:
                    wanted, found = _both(run, picture, kind, move)
                except ValueError:  # off the output's own grid
                    continue
                far = (wanted.double() - found.double()).abs().max().item()
                size = wanted.double().abs().max().item()
                if not far <= _rounding(like.dtype) * max(size, 1e-30):
                    words = f"counterexample: {name} moved by {move} px changes the answer by {far:.3g} (of {size:.3g})"
                    return {
                        "picture": name,
                        "seed": seed,
                        "move": list(move),
                        "difference": far,
                        "of": size,
                        "words": words,
                    }
    return None


def _precise(module: torch.nn.Module, size: tuple[int, int, int]) -> torch.nn.Module:
    """A copy in float64, so that rounding is no excuse; the module itself where it cannot be copied or run like that."""
    try:
        found = copy.deepcopy(module).double()
        with evaluating(found):
            _run(found)(torch.zeros(1, *size, dtype=torch.float64))
    except (RuntimeError, TypeError, AttributeError, ValueError):
        return module
    return found if any(p.is_floating_point() for p in found.parameters()) else module


def _rounding(dtype: torch.dtype) -> float:
    """A relative difference that rounding cannot explain: 1e5 ulp, for sums in another order through many layers."""
    return 1e5 * torch.finfo(dtype).eps if dtype.is_floating_point else 0.0


def _run(module: torch.nn.Module) -> Callable[[Tensor], Tensor]:
    def run(picture: Tensor) -> Tensor:
        with torch.no_grad():
            return answer(module(picture))

    return run


def pictures(size: tuple[int, int, int], count: int, seed: int) -> Iterator[tuple[str, Tensor]]:
    """(name, picture) of noise, a blob and an impulse in turn, in float32.

    Args:
        size: (c, h, w).
        count: how many.
        seed: of the noise and the places.
    """
    random = torch.Generator().manual_seed(seed)
    c, h, w = size
    for i in range(count):
        noise = torch.randn((1, *size), generator=random)
        y, x = (int(torch.randint(n, (), generator=random)) for n in (h, w))
        if i % 3 == 0:
            yield f"noise {i}", noise
        elif i % 3 == 1:
            blob = torch.zeros(1, c, h, w)
            blob[:, :, : max(1, h // 4), : max(1, w // 4)] = 3 * noise[:, :, : max(1, h // 4), : max(1, w // 4)]
            yield f"blob {i} at {y}, {x}", blob.roll((y, x), (2, 3))
        else:
            impulse = torch.zeros(1, c, h, w)
            impulse[:, :, y, x] = 10
            yield f"impulse {i} at {y}, {x}", impulse


def moved(answer: Tensor, type_: Type, move: tuple[int, int]) -> Tensor:
    """What the answer to a moved picture must be: the answer, rolled as its type says.

    Args:
        answer: of the unmoved picture, batch of one.
        type_: of the answer.
        move: (dy, dx) in pixels, a multiple of the type's step.

    Raises:
        ValueError: the move is no whole number of the answer's cells.
    """
    if not isinstance(type_, Signal):
        return answer
    for axis, by in zip(AXES, move, strict=True):
        for i, dim in enumerate(type_.dims):
            if by and any(axis in b.axes for b in dim):
                answer = answer.index_select(i, torch.tensor(rolled(dim, axis, by), device=answer.device))
    return answer


def difference(model: Callable[[Tensor], Any], picture: Tensor, type_: Type, move: tuple[int, int]) -> float:
    """The largest difference between the answer to a moved picture and what it must be; 0 if they are equal.

    Args:
        model: a function of (1, c, h, w) that answers with one tensor.
        picture: (1, c, h, w).
        type_: of the answer.
        move: (dy, dx) in pixels, circular.
    """
    with torch.no_grad():
        wanted, found = _both(model, picture, type_, move)
    if torch.equal(wanted, found):
        return 0.0
    return (wanted.double() - found.double()).abs().nan_to_num(float("inf")).max().item()


def _both(model: Callable[[Tensor], Any], picture: Tensor, type_: Type, move: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(what the answer to the moved picture must be, what it is)."""
    return moved(model(picture), type_, move), model(picture.roll(move, (2, 3)))
