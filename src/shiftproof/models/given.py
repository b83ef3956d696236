"""A module or function given in Python, as a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from shiftproof.errors import ModelError
from shiftproof.models.loading.description import Found, answer_kind, picture_size
from shiftproof.models.loading.factory import declared
from shiftproof.models.model import LoadedModel, complete, sized, stated_options
from shiftproof.records import AnswerKind

GIVEN = "given in Python"
"""Where the weights of a model come from that no word names."""


def wrap(
    module: nn.Module | Callable[..., Any],
    input_size: Sequence[int],
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    scale: float | None = None,
    labels: Sequence[str] | None = None,
    crop_fraction: float | None = None,
    interpolation: str | None = None,
    answer: AnswerKind | None = None,
) -> LoadedModel:
    """A module or function given in Python, as a model. By default pictures are not normalised.

    What is left out has the default of `load_model`, and the record of an audit on a data source says that it was assumed.

    The module is left as it was found.

    Args:
        module: takes (n, c, h, w); the layers of a function cannot be seen.
        input_size: (c, h, w) in pixels.
        mean: per channel, or one for all, in the unit of the scaled picture.
        std: per channel, or one for all; positive.
        scale: the factor that pictures are multiplied by first.
        labels: name of each class.
        crop_fraction: side of the centre crop over the resized picture's short side, in (0, 1].
        interpolation: how pictures are resized: "bicubic", "bilinear", ....
        answer: what the output is, e.g. "logit"; see `shiftproof.measure.ANSWERS`.

    Returns:
        The model, named after the class or function.

    Raises:
        ModelError: the module is not callable, or the sizes and numbers do not fit together.

    >>> wrap(lambda x: x.mean((2, 3)), (3, 4, 4))(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3])
    """
    word, network, traceable = _network(module)
    options = stated_options(
        word, mean=mean, std=std, scale=scale, crop_fraction=crop_fraction, interpolation=interpolation
    )
    found = Found(
        module=network,
        input_size=picture_size(input_size, word),
        labels=None if labels is None else [str(v) for v in labels],
        traceable=traceable,
        stated=frozenset(options),
        answer=None if answer is None else answer_kind(answer, word),
        **options,
    )
    first = next(network.parameters(), None)
    return complete(word, found, None, GIVEN, "cpu" if first is None else str(first.device))


def adopt(module: nn.Module | Callable[..., Any], default_size: Sequence[int] | None = None) -> LoadedModel:
    """A module or function given in Python, with what it declares about its pictures, for pictures of a data source.

    What it declares is read from its attributes, as for a `FILE.py:FACTORY`: `input_size`, `mean`, `std`, `labels`, timm's
    `pretrained_cfg`, torchvision's `transforms`.

    Args:
        module: takes (n, c, h, w).
        default_size: (c, h, w) of the data's pictures, used if the module declares no size.

    Returns:
        The model, named after the class or function.

    Raises:
        ModelError: it is not callable, or neither the module nor the data says how large its input is.

    >>> net = nn.Flatten()
    >>> net.mean = 0.5
    >>> adopt(net, (1, 8, 8)).mean, adopt(net, (1, 8, 8)).assumed
    ((0.5,), ('std', 'scale', 'crop_fraction', 'interpolation', 'input_size'))
    """
    word, network, traceable = _network(module)
    found = declared(network, where=word)
    default = None if default_size is None else picture_size(default_size, word)
    first = next(network.parameters(), None)
    device = "cpu" if first is None else str(first.device)
    return complete(word, dataclasses.replace(found, traceable=traceable), None, GIVEN, device, default)


def _network(module: nn.Module | Callable[..., Any]) -> tuple[str, nn.Module, bool]:
    """(name, module, whether its layers can be seen) of what is given in Python."""
    if isinstance(module, nn.Module):
        name = type(module).__name__
        return name, sized(module, name), not isinstance(module, torch.jit.ScriptModule)
    if callable(module):
        return getattr(module, "__name__", type(module).__name__), Function(module), False
    raise ModelError(f"a {type(module).__name__} is not a model", remedy="give a torch.nn.Module or a function")


class Function(nn.Module):
    """A function as a module. Two such modules look the same from outside, whatever the functions compute.

    Args:
        function: takes (n, c, h, w).
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        """The result of the function."""
        return self.function(x)
