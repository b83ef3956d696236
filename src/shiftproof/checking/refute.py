"""Counterexamples: an image and a move for which the answer is not what a proof would say, found by running the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from shiftproof.checking.types import AXES, Signal, Type, rolled


def moved(answer: Tensor, type_: Type, move: tuple[int, int]) -> Tensor:
    """What the answer to a moved picture must be: the answer, rolled as its type says.

    Args:
        answer: of the unmoved picture, batch of one.
        type_: of the answer.
        move: (dy, dx) in pixels, a multiple of the type's step.
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
        wanted = moved(model(picture), type_, move)
        found = model(picture.roll(move, (2, 3)))
    if torch.equal(wanted, found):
        return 0.0
    return (wanted.double() - found.double()).abs().nan_to_num(float("inf")).max().item()
