"""What a loader found behind a word: a module, and what is known about the pictures it wants."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from shiftproof.errors import ModelError


@dataclass(frozen=True)
class Found:
    """A module and what its library, graph or author says about its input; the user's options come on top.

    Args:
        module: the network, as loaded.
        input_size: (c, h, w) in pixels; None where nobody said.
        mean: per channel, or one for all, in the unit of the scaled picture.
        std: per channel, or one for all.
        scale: pictures in [0, 1] are multiplied by this first.
        crop_fraction: side of the centre crop over the short side of the resized picture, in (0, 1].
        interpolation: "bicubic" or "bilinear", for resizing.
        labels: name of each class.
        traceable: whether the module has layers that can be looked at.
        sha256: of the file, where parameters cannot be seen; None: of the parameters and buffers.
    """

    module: nn.Module
    input_size: tuple[int, int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    crop_fraction: float = 1.0
    interpolation: str = "bicubic"
    labels: list[str] | None = None
    traceable: bool = True
    sha256: str | None = None


def unknown(kind: str, name: str, known: Iterable[str], where: str = "") -> ModelError:
    """The error for a name that does not exist, with the nearest names that do.

    Args:
        kind: what the name should have been ("built-in model").
        name: what was given.
        known: the names there are.
        where: the model word concerned.

    Returns:
        The error, to be raised.

    >>> raise unknown("built-in model", "digit-cnn", ["digits-cnn", "identity"])
    Traceback (most recent call last):
        ...
    shiftproof.errors.ModelError: no built-in model is called 'digit-cnn': did you mean digits-cnn?
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.5)
    if near:
        remedy = f"did you mean {' or '.join(near)}?"
    else:
        remedy = f"there are {', '.join(known[:8])}{' ...' if len(known) > 8 else ''}" if known else ""
    return ModelError(f"no {kind} is called {name!r}", where=where, remedy=remedy)


def picture_size(value: Any, where: str = "") -> tuple[int, int, int]:
    """(c, h, w) out of any three positive whole numbers.

    Args:
        value: the three numbers.
        where: the model word concerned.

    Raises:
        ModelError: anything else.

    >>> picture_size([3, 224, 224.0])
    (3, 224, 224)
    """
    try:
        c, h, w = (int(v) for v in value)
        if min(c, h, w) >= 1 and tuple(value) == (c, h, w):
            return c, h, w
    except (TypeError, ValueError):
        pass
    raise ModelError(f"{value!r} is no picture size", where=where, remedy="give c, h, w in pixels, as in 3, 224, 224")


def per_channel(value: Any, where: str = "") -> tuple[float, ...]:
    """Floats out of one number or a sequence of them.

    Args:
        value: the number or numbers.
        where: the model word concerned.

    Raises:
        ModelError: anything else.

    >>> per_channel(0.5), per_channel([0, 1])
    ((0.5,), (0.0, 1.0))
    """
    try:
        return tuple(float(v) for v in value) if hasattr(value, "__iter__") else (float(value),)
    except (TypeError, ValueError):
        raise ModelError(f"{value!r} is no number for each channel", where=where) from None
