"""Which moves are run: each distinct one once, and one per residue where the model is periodic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shiftproof.auditing.forward import run
from shiftproof.errors import ModelError
from shiftproof.models import LoadedModel
from shiftproof.translations import translate


@dataclass(frozen=True, eq=False)
class Plan:
    """Which moves are run for each picture, and which of them answers each move that was asked for.

    Args:
        asked: (m, 2) the moves of the set.
        run: (r, 2) distinct moves; the first is always (0, 0), the unmoved picture.
        source: (m,) for each move of `asked`, its index in `run`.
        period: (y, x) in px if moves are run modulo a period, else None.
    """

    asked: np.ndarray
    run: np.ndarray
    source: np.ndarray
    period: tuple[int, int] | None = None


def plan_moves(offsets: np.ndarray, period: tuple[int, int] | None = None) -> Plan:
    """The plan for moves (m, 2): each distinct move once (modulo `period`, if given), the unmoved picture first.

    The unmoved picture is always run, whether or not the set holds (0, 0): every comparison is with it.
    """
    # NumPy's `mod` has the sign of the period, so a move by -1 px is one by period - 1.
    folded = offsets if period is None else np.mod(offsets, np.array(period))
    distinct, inverse = np.unique(np.concatenate([np.zeros((1, 2)), folded]), axis=0, return_inverse=True)
    # NumPy 2.0 gives it a second dimension.
    inverse = inverse.reshape(-1)
    order = np.concatenate([[inverse[0]], np.delete(np.arange(len(distinct)), inverse[0])])
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Plan(asked=offsets, run=distinct[order], source=place[inverse[1:]], period=period)


def find_period(model: LoadedModel, pictures: Tensor, *, seed: int, tries: int = 6) -> tuple[int, int] | None:
    """The smallest (y, x) in px with f(T_v x) = f(T_{v mod period} x) on `tries` circular moves per axis, or None.

    This is a measurement on a few pictures, not a proof: the audit checks one more random move on every picture.

    Args:
        model: the model.
        pictures: (n, c, h, w), at least one that is not uniform: on a uniform picture every model is periodic.
        seed: of the moves that are tried.
        tries: moves tried for each axis, and for both axes together.
    """
    generator = np.random.default_rng(seed)
    size = pictures.shape[-2:]

    def same(moves: np.ndarray, period: tuple[int, int]) -> bool:
        folded = np.mod(moves, np.array(period))
        for a, b in zip(moves, folded, strict=True):
            out = run(model, translate(pictures, torch.from_numpy(np.stack([a, b])), "circular").flatten(0, 1))
            if not agrees(out[::2], out[1::2]):
                return False
        return True

    def smallest(axis: int) -> int:
        n = size[axis]
        # Only divisors: on a circle of n pixels a period p implies the period gcd(p, n).
        for step in (d for d in range(1, n) if n % d == 0):
            moves = np.zeros((tries, 2))
            moves[:, axis] = step * generator.integers(1, n // step, tries) + generator.integers(0, step, tries)
            # The step itself always, and random moves beside it: a model may be periodic nearly everywhere.
            moves[0, axis] = step
            if same(moves, (step, size[1]) if axis == 0 else (size[0], step)):
                return step
        return n

    period = (smallest(0), smallest(1))
    if period == tuple(size):
        return None
    # Moved along one axis the pictures are other ones, on which the other axis has not been tried.
    both = np.stack([generator.integers(0, n, tries) for n in size], axis=1).astype(float)
    return period if same(both, period) else None


def rounding(dtype: torch.dtype) -> float:
    """The relative difference that may be rounding: 1,000 ulp of the dtype, and never more than 1/64.

    The same sums, cut into other blocks, differ by up to some hundred ulp in a deep network. In half precision 1,000 ulp
    would be as large as the output itself.

    >>> rounding(torch.float32), rounding(torch.float16)
    (0.00011920928955078125, 0.015625)
    """
    return min(1000 * torch.finfo(dtype).eps, 2.0**-6)


def agrees(a: Tensor, b: Tensor) -> bool:
    """Whether two outputs are equal up to `rounding`, relative to the largest value.

    Raises:
        ModelError: the outputs are not floating-point numbers.
    """
    if not a.is_floating_point():
        raise ModelError(f"the model answers in {a.dtype}", remedy="return floating-point logits")
    scale = torch.maximum(a.abs().max(), b.abs().max())
    return bool((a - b).abs().max() <= rounding(a.dtype) * scale)
