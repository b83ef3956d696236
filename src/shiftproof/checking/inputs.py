"""What a network takes: pictures (n, c, h, w), or series (n, c, w), which are pictures of one row."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any

from jaxtyping import Shaped
from torch import Tensor, nn

from shiftproof.errors import ModelError

MOST_NUMBERS = 2**31  # of a picture
OF_VOLUMES = (
    *(nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.InstanceNorm3d),
    *(nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d),
)


def size_of(model: Any, input_size: object) -> tuple[tuple[int, int, int], bool]:
    """((c, h, w), whether the network takes series) from the caller, or else from the model.

    Args:
        model: a loaded model, a module or a program.
        input_size: (c, h, w); (c, w) for series; None for the model's own `input_size`.

    Raises:
        ModelError: it is anything else.

    >>> size_of(nn.Identity(), (3, 224, 224)), size_of(nn.Identity(), (1, 16000))
    (((3, 224, 224), False), ((1, 1, 16000), True))
    """
    # A plain module may say it as well: the built-in models do.
    found = getattr(model, "input_size", None) if input_size is None else input_size
    if found is None:
        raise ModelError("the size of its pictures is not known", remedy="give input_size as (c, h, w)")
    # A common slip, since `torch.export` itself takes an example picture.
    if isinstance(found, Tensor):
        size = tuple(found.shape[1:] if found.ndim == 4 else found.shape)
        what = "input_size is a tensor: a check reads the network and needs no picture"
        raise ModelError(what, remedy=f"give its size: input_size={size}" if len(size) == 3 else "give (c, h, w)")
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise ModelError(f"input_size is {found!r}", remedy="give (c, h, w), channels first: (3, 224, 224)")
    numbers = tuple(found)
    if len(numbers) > 3 and any(isinstance(m, OF_VOLUMES) for m in _modules(model)):
        what = f"input_size is {numbers}: volumes and clips move along three axes, which the check does not cover"
        raise ModelError(what, remedy="give a network of pictures (c, h, w) or of series (c, w)")
    if len(numbers) == 4:
        remedy = f"give (c, h, w), without the batch: {numbers[1:]}; three axes that move are not covered"
        raise ModelError(f"input_size is {numbers}, four numbers", remedy=remedy)
    # NumPy's whole numbers are `Integral`, and so is True.
    if len(numbers) not in (2, 3) or not all(isinstance(n, Integral) and not isinstance(n, bool) for n in numbers):
        remedy = "give three whole numbers, (c, h, w): (3, 224, 224); two, (c, w), for series"
        raise ModelError(f"input_size is {numbers}", remedy=remedy)
    series = len(numbers) == 2
    c, h, w = (int(n) for n in ((numbers[0], 1, numbers[1]) if series else numbers))
    if min(c, h, w) < 1:
        given = " x ".join(str(n) for n in numbers)
        raise ModelError(f"input_size is {given}", remedy="give input_size as (c, h, w), each 1 or more")
    if c * h * w > MOST_NUMBERS:
        raise ModelError(f"input_size is {c} x {h} x {w}", remedy=f"give a picture of at most {MOST_NUMBERS} numbers")
    return (c, h, w), series


def plain_module(module: Any) -> Any:
    """What `torch.compile` was given, where it made the module; any other as it is: compiling it would take long."""
    # Not imported here: where that part of torch is not loaded, no module can be of its class.
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    return module._orig_mod if compiler is not None and isinstance(module, compiler.OptimizedModule) else module


@contextmanager
def on_rows(module: nn.Module, series: bool) -> Iterator[None]:
    """Inside the block a network of series takes pictures of one row; any other network takes what it takes.

    >>> import torch
    >>> net = nn.Conv1d(1, 4, 3)
    >>> with on_rows(net, True):
    ...     print(net(torch.zeros(2, 1, 1, 10)).shape)
    torch.Size([2, 4, 8])
    """
    if not series:
        yield
        return
    handle = module.register_forward_pre_hook(
        _row, prepend=True
    )  # a module around it would change the paths of its parts
    try:
        yield
    finally:
        handle.remove()


def _row(module: nn.Module, given: tuple[Shaped[Tensor, "n c 1 w"], ...]) -> tuple[Tensor, ...]:
    return tuple(x.squeeze(2) for x in given)


def _modules(model: Any) -> Iterator[nn.Module]:
    module = getattr(model, "module", model)
    return module.modules() if isinstance(module, nn.Module) else iter(())
