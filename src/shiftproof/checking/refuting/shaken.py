"""A run in which every operator's answer is off by a unit of rounding or two: how far rounding inside a model may take it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._ops import HigherOrderOperator

from shiftproof.checking.refuting.inside import Inside

GOLDEN = 0.6180339887498949
UNITS = 2.0  # of rounding, at most


class Shaken(Inside):
    """Changes what operators answer with, by up to `UNITS` units of rounding of its numbers.

    By how much says the number itself: equal numbers stay equal, so a tie goes as it went before. Views are left alone.

    Args:
        seed: another one changes numbers by something else.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def answered(self, func: Any, found: Any) -> Any:
        """The answer, a little off; of a higher-order operator it is, since the operators inside are."""
        if isinstance(func, HigherOrderOperator):
            return found
        returns = func._schema.returns
        several = isinstance(found, list | tuple)
        if not several and len(returns) == 1:
            return self._changed(found, returns[0].alias_info)
        if several and len(returns) == len(found):
            return type(found)(self._changed(t, r.alias_info) for t, r in zip(found, returns, strict=True))
        return found  # a list of views, as `split` gives

    def _changed(self, answer: Any, alias: Any) -> Any:
        if not isinstance(answer, Tensor) or answer.layout != torch.strided:
            return answer
        if not (answer.is_floating_point() or answer.is_complex()):
            return answer
        if alias is None:
            return answer + self._by(answer)
        return answer.add_(self._by(answer)) if alias.is_write else answer

    def _by(self, numbers: Tensor) -> Tensor:
        if numbers.is_complex():
            return torch.complex(self._by(numbers.real), self._by(numbers.imag))
        mantissa = torch.frexp(numbers.double()).mantissa
        drawn = (mantissa * 1e6 * GOLDEN + self.seed * GOLDEN).frac()  # in (-1, 1)
        change = numbers * (UNITS * torch.finfo(numbers.dtype).eps * drawn).to(numbers.dtype)
        return change.nan_to_num(0, 0, 0)


def shaken(run: Callable[[Tensor], Tensor], picture: Tensor, seed: int) -> Tensor:
    """What a model answers where every operator's answer is a little off.

    >>> off = shaken(lambda x: (x + 1e9) - 1e9, torch.full((1,), 0.25, dtype=torch.float64), 0)
    >>> 0 < abs(off.item() - 0.25) < 1e-5
    True
    """
    with Shaken(seed):
        return run(picture)
