"""What a loader returns: a module, and what is known about the pictures that it expects."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from torch import nn

from shiftproof.errors import ModelError
from shiftproof.records import AnswerKind

MOST_VALUES = 2**30  # of one picture: 4 GiB of float32
SHOWN = 80  # characters of a value, in an error
PREPROCESSING = ("mean", "std", "scale", "crop_fraction", "interpolation")
"""How a picture in [0, 1] becomes the network's input. What nobody states is assumed, and the record says so."""


INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "lanczos", "box", "hamming")
"""How pictures may be resized: the filters that `shiftproof.data.prepare` has, by Pillow's names."""


@dataclass(frozen=True)
class Found:
    """A module, and what its library, graph or author says about its input. The user's options override these values.

    Args:
        module: the network, as loaded.
        input_size: (c, h, w) in pixels; None if it is not stated.
        fixed: (c, h, w), each if it is known alone: a graph may fix the channels and leave the size free.
        mean: subtracted from the scaled picture; one value per channel, or one for all channels.
        std: divides the result; one value per channel, or one for all channels.
        scale: pictures in [0, 1] are first multiplied by this.
        crop_fraction: side of the centre crop over the short side of the resized picture, in (0, 1].
        interpolation: one of `INTERPOLATIONS`, for resizing.
        labels: name of each class.
        traceable: whether the module has layers that can be inspected.
        random_weights: whether the loader drew the weights at random: the model is untrained.
        published: name of the published weights that were loaded, if any.
        stated: which of `PREPROCESSING` the library, graph or author states; the others are the defaults here.
        answer: what the output is, if the author declares it: a name in `shiftproof.measure.ANSWERS`.
        sha256: SHA-256 of the file, for a model whose parameters cannot be read. None means that the fingerprint
            is computed from the parameters and buffers.
    """

    module: nn.Module
    input_size: tuple[int, int, int] | None = None
    fixed: tuple[int | None, int | None, int | None] = (None, None, None)
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    crop_fraction: float = 1.0
    interpolation: str = "bicubic"
    labels: list[str] | None = None
    traceable: bool = True
    random_weights: bool = False
    published: str | None = None
    stated: frozenset[str] = frozenset()
    answer: AnswerKind | None = None
    sha256: str | None = None


def with_stated(found: Found, says: Mapping[str, Any]) -> Found:
    """Return the model with values of `Found` that somebody states about its input."""
    return dataclasses.replace(found, **says, stated=found.stated | (frozenset(says) & frozenset(PREPROCESSING)))


def unknown(kind: str, name: str, known: Iterable[str], where: str = "") -> ModelError:
    """Return the error for a name that does not exist; it suggests the nearest names that do.

    Args:
        kind: what the name should be ("built-in model").
        name: the name that was given.
        known: the names that exist.
        where: the model's name, for errors.

    Returns:
        The error, for the caller to raise.

    >>> raise unknown("built-in model", "digit-cnn", ["digits-cnn", "identity"])
    Traceback (most recent call last):
        ...
    shiftproof.errors.ModelError: no built-in model is called 'digit-cnn': did you mean digits-cnn?
    """
    known = sorted(known)
    near = difflib.get_close_matches(name[:SHOWN], known, n=4, cutoff=0.5)
    if near:
        remedy = f"did you mean {' or '.join(near)}?"
    else:
        remedy = f"there are {', '.join(known[:8])}{' ...' if len(known) > 8 else ''}" if known else ""
    return ModelError(f"no {kind} is called {name!r:.{SHOWN}}", where=where, remedy=remedy)


def picture_size(value: Any, where: str = "") -> tuple[int, int, int]:
    """Convert three positive whole numbers to (c, h, w).

    Args:
        value: the three numbers.
        where: the model's name, for errors.

    Raises:
        ModelError: the value is anything else.

    >>> picture_size([3, 224, 224.0])
    (3, 224, 224)
    """
    try:
        c, h, w = (int(v) for v in value)
        # 224.0 is a whole number and 224.5 is not, which `int` alone would cut to 224.
        if min(c, h, w) >= 1 and tuple(value) == (c, h, w) and c * h * w <= MOST_VALUES:
            return c, h, w
    except (TypeError, ValueError, OverflowError):
        pass
    raise ModelError(
        f"{value!r:.{SHOWN}} is not a picture size", where=where, remedy="give c, h, w in pixels, as in 3, 224, 224"
    )


def per_channel(value: Any, where: str = "") -> tuple[float, ...]:
    """Convert one number, or a sequence of numbers, to a tuple of floats.

    Args:
        value: the number or numbers.
        where: the model's name, for errors.

    Raises:
        ModelError: the value is anything else.

    >>> per_channel(0.5), per_channel([0, 1])
    ((0.5,), (0.0, 1.0))
    """
    try:
        found = tuple(value) if hasattr(value, "__iter__") else (value,)
        # Python would read True as 1, and the text "12" as 1 and 2.
        if isinstance(value, str) or any(isinstance(v, bool) for v in found):
            raise TypeError
        return tuple(float(v) for v in found)
    except (TypeError, ValueError, OverflowError):
        raise ModelError(f"{value!r:.{SHOWN}} is not a number per channel", where=where) from None


def answer_kind(value: Any, where: str = "") -> AnswerKind:
    """Convert the name of a kind of answer.

    Args:
        value: the name.
        where: the model's name, for errors.

    Raises:
        ModelError: there is no such kind.

    >>> answer_kind("logit")
    'logit'
    """
    if value not in get_args(AnswerKind):
        raise unknown("kind of answer", str(value), get_args(AnswerKind), where=where)
    return value
