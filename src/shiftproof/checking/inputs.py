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
OF_PICTURES = (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
OF_SERIES = (nn.Conv1d, nn.ConvTranspose1d, nn.MaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
THREE_AXES = "volumes and clips move along three axes, which the check does not cover"
OTHER_NETWORK = "give a network of pictures (c, h, w) or of series (c, w)"


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
        if found.ndim > 4 or layers_along(model) == 3:
            raise ModelError(f"input_size is a tensor, of {found.ndim} axes: {THREE_AXES}", remedy=OTHER_NETWORK)
        what = "input_size is a tensor: a check reads the network and needs no picture"
        raise ModelError(what, remedy=_size_to_give(model, tuple(found.shape), "give its size: input_size="))
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise ModelError(f"input_size is {found!r}", remedy="give (c, h, w), channels first: (3, 224, 224)")
    numbers = tuple(found)
    if len(numbers) > 3 and layers_along(model) == 3:
        raise ModelError(f"input_size is {numbers}: {THREE_AXES}", remedy=OTHER_NETWORK)
    if len(numbers) == 4:
        remedy = _size_to_give(model, numbers, "give (c, h, w), without the batch: ")
        remedy = f"{remedy}; three axes that move are not covered"
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


def layers_along(model: Any) -> int | None:
    """Along how many axes a network's layers move: 1, 2 or 3; None if none of them tells, or if they differ."""
    kinds = {1: OF_SERIES, 2: OF_PICTURES, 3: OF_VOLUMES}
    found = {n for n, several in kinds.items() if any(isinstance(m, several) for m in _modules(model))}
    return found.pop() if len(found) == 1 else None


def remedy_of_size(model: Any, size: tuple[int, ...]) -> str:
    """What to give instead of a size that a network's own layers refuse, in words.

    Args:
        model: a loaded model or a module.
        size: (c, h, w).

    >>> remedy_of_size(nn.Conv1d(3, 4, 3), (3, 1, 32)), remedy_of_size(nn.Conv1d(3, 4, 3), (1, 3, 32))
    ('it takes series, (c, w): input_size=(3, 32)', 'it takes series, (c, w): input_size=(3, 32)')
    """
    along = layers_along(model)
    if along == 3:
        return f"{THREE_AXES}: {OTHER_NETWORK}"
    if along == 1:
        return f"it takes series, (c, w): {_series(model, size)}"
    example = "" if along is None and size[1] > 1 else "it takes pictures, (c, h, w): "
    return f"{example}give the size that it takes, channels first (--input 3,224,224; input_size=(3, 224, 224))"


def _series(model: Any, size: tuple[int, ...]) -> str:
    """The size of a series that was given with a batch, or with a height."""
    channels = _channels(model)
    return f"input_size=({channels}, {size[-1]})" if channels in size[:-1] else "give two numbers, input_size=(c, w)"


def _size_to_give(model: Any, shape: tuple[int, ...], words: str) -> str:
    """The size without what stands before it, if the network's first convolution takes so many channels."""
    if layers_along(model) == 1:
        return f"it takes series, (c, w): {_series(model, shape)}"
    size, channels = shape[-3:], _channels(model)
    if len(size) < 3 or channels not in (None, size[0]):
        return "give (c, h, w), three numbers"
    return f"{words}{size}"


def _channels(model: Any) -> int | None:
    """How many channels the first convolution takes; None if there is none."""
    return next((m.in_channels for m in _modules(model) if isinstance(m, CONVOLUTIONS)), None)


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
