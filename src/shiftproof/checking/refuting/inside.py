"""Modes that see every operator of a run, also those inside what is compiled and inside `torch.cond`, `map` and attention."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import nn
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode


class Inside(TorchDispatchMode):
    """A mode that torch lets into higher-order operators. A subclass says in `answered` what becomes of an operator's answer."""

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()
        self.stances: list[Any] = []

    def __enter__(self) -> Any:
        # What the model has compiled runs operator by operator: in a fused one nobody sees anything.
        self.stances.append(torch.compiler.set_stance("default", force_backend="eager"))
        return super().__enter__()

    def __exit__(self, *why: Any) -> None:
        super().__exit__(*why)
        self.stances.pop().__exit__(*why)

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Under any other mode torch refuses to compile, and `flex_attention` runs in no other way."""
        return True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Torch switches a mode off while it handles an operator, so what this one runs needs it switched on.
        if isinstance(func, HigherOrderOperator):
            args, kwargs = pytree.tree_map(lambda a: self._seen(a) if callable(a) else a, (args, kwargs or {}))
        elif torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            return self._seen(func.decompose)(*args, **(kwargs or {}))  # inside the former they come whole
        return self.answered(func, func(*args, **(kwargs or {})))

    def answered(self, func: Any, found: Any) -> Any:
        """What the model gets in place of an operator's answer."""
        raise NotImplementedError

    def _seen(self, run: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(run.forward if isinstance(run, nn.Module) else run)
        def inside(*given: Any, **named: Any) -> Any:
            with self:
                return run(*given, **named)

        return inside
