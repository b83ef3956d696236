"""What users give `audit` in Python: tensors, arrays, PIL pictures, data sets and their loaders; and the model for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shiftproof.auditing.default_moves import Fitted, default_moves, fitted
from shiftproof.auditing.given_notes import (
    channels_last,
    chosen_boundary,
    cut,
    not_normalised,
    other_size,
    unread_labels,
)
from shiftproof.auditing.items import Tensors, channels_first, class_indices, opened
from shiftproof.auditing.pictures import Pictures, from_source, from_tensors
from shiftproof.data import Source
from shiftproof.errors import DataError, MeasureError, ModelError
from shiftproof.models import LoadedModel, adopt, wrap
from shiftproof.records import Note
from shiftproof.records.numbers import count_words
from shiftproof.translations import TranslationSet

Model = nn.Module | LoadedModel | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Bound:
    """A model and pictures that go together, and the moves.

    Args:
        model: with its input size.
        pictures: with the margin that the moves need.
        translations: the moves.
        chosen: why their boundary was chosen, if the caller did not name one; else empty.
        undone: the normalisation that the module declares, if the pictures seem to lack it; else empty.
        said: what else a reader must know.
    """

    model: LoadedModel
    pictures: Pictures
    translations: TranslationSet
    chosen: str = ""
    undone: str = ""
    said: tuple[Note, ...] = ()

    @property
    def notes(self) -> list[Note]:
        """What a reader must know of this."""
        found = [not_normalised(self.undone)] if self.undone else []
        return [*self.said, *found, *([chosen_boundary(self.chosen)] if self.chosen else [])]


def bind(model: Model, images: Any, labels: Any, translations: TranslationSet | Fitted | None) -> Bound:
    """The model with its input size, the pictures with their margin, and the moves.

    Args:
        model: a module, a function or a loaded model.
        images: see `audit`.
        labels: one class index per picture, None, or False to leave labels out.
        translations: the moves; None chooses them.

    Raises:
        DataError: the images are none of what is understood, or the labels do not fit them.
        ModelError: the size of the model's input is not known.
        MeasureError: translations are something else.
    """
    if not isinstance(translations, TranslationSet | Fitted | None):
        raise MeasureError(f"translations is a {type(translations).__name__}", remedy="use e.g. grid(8, 'circular')")
    # Channels last, as pictures are stored: they are prepared for the model like a list of pictures.
    if isinstance(images, np.ndarray) and not is_channels_last(images):
        images = channels_first(images)
    given, ignored = (images, "") if isinstance(images, Tensor | Source) else opened(images, labels)
    notes = [unread_labels(ignored)] if ignored else []
    if isinstance(given, Tensor | Tensors):
        shape = tuple(given.shape)[-3:]
        moves = _chosen(translations, None, None, shape)
        sure = isinstance(model, LoadedModel) and model.input_size[0] == shape[0]
        notes += [] if sure or not _seems_channels_last(shape) else [channels_last(shape)]
        bound = _with_tensors(model, given, labels, moves)
        return replace(bound, said=(*notes, *bound.said))
    if labels is not None and not isinstance(labels, bool) and isinstance(images, Source):
        raise DataError(
            "labels were given together with a data source",
            where="labels",
            remedy="leave labels out: the source has its own",
        )
    loaded = model if isinstance(model, LoadedModel) else adopt(model, given.size)
    moves = _chosen(translations, given, loaded, loaded.input_size)
    margin = moves.translations.carried_px
    pictures = from_source(given, loaded, margin_px=margin, labelled=labels is not False)
    return Bound(loaded, pictures, moves.translations, moves.why, said=tuple(notes))


def _chosen(
    translations: TranslationSet | Fitted | None,
    source: Source | None,
    model: LoadedModel | None,
    size: tuple[int, ...],
) -> Fitted:
    """The moves and why they were chosen; those that the caller names, with no reason."""
    if isinstance(translations, TranslationSet):
        return Fitted(translations, "")
    if translations is None:
        return fitted(default_moves(size), source, model)
    return translations


def _with_tensors(model: Model, images: Tensor | Tensors, labels: Any, moves: Fitted) -> Bound:
    """The model and pictures that it takes as they are."""
    margin = moves.translations.carried_px
    pictures = (
        from_tensors(images, class_indices(labels), margin_px=margin)
        if isinstance(images, Tensor)
        else images.pictures(margin)
    )
    c, height, width = images.shape[-3:]
    size = (c, height - 2 * margin, width - 2 * margin)
    if min(size) < 1:
        raise DataError(
            f"pictures of {height} x {width} px have no window left inside a margin of {margin} px",
            where="images",
            remedy="give larger pictures or smaller moves",
        )
    said = (cut(size, margin),) if margin else ()
    if isinstance(model, LoadedModel):
        model, other = _sized(model, size, (height, width), margin)
        return Bound(model, pictures, moves.translations, moves.why, said=said if other is None else (other,))
    first = images if isinstance(images, Tensor) else images.first
    if first.dtype == torch.uint8:  # a model does not take bytes: they are prepared as the module declares
        declared = adopt(model, size)
        assumed = tuple(name for name in declared.assumed if name != "input_size")
        fitting = replace(declared, input_size=size, assumed=assumed)
        return Bound(fitting, pictures, moves.translations, moves.why, said=said)
    return Bound(wrap(model, size), pictures, moves.translations, moves.why, _unnormalised(model, first), said)


def _sized(
    model: LoadedModel, size: tuple[int, int, int], whole: tuple[int, int], margin: int
) -> tuple[LoadedModel, Note | None]:
    """The model with the size that it is given, and what must be said if it states another.

    Args:
        model: with the size that it states, or that was assumed.
        size: (c, h, w) of what it is given.
        whole: (H, W) of the tensor's pictures, with their margin.
        margin: around the window, in px.

    Raises:
        DataError: the pictures would fit the model, if no margin were cut off; or they have other channels than it states.
    """
    if model.input_size == size:
        return model, None
    # A mean per channel would make three channels of one, in silence.
    if model.input_size[0] != size[0] and "input_size" not in model.assumed:
        raise DataError(
            f"pictures of {count_words(size[0], 'channel')}, but the model states {model.input_size[0]}",
            where="images",
            remedy="give the channels that it takes, e.g. images.expand(-1, 3, -1, -1) for three of one",
        )
    if margin and model.input_size[1:] == whole:
        h, w = (n + 2 * margin for n in whole)
        raise DataError(
            f"pictures of {whole[0]} × {whole[1]} px, the size of the model's input, have nothing around it that could move in",
            where="images",
            remedy=f"give pictures of {h} × {w} px, with a margin of {margin} px on every side; or move what is there "
            '(boundary="circular", "zero" or "reflect")',
        )
    return replace(model, input_size=size), other_size(model.input_size, size, margin)


def _unnormalised(model: Model, pictures: Tensor) -> str:
    """What the module declares about pictures in [0, 1], if these are and it was not done; else empty."""
    try:
        declared = adopt(model, tuple(pictures.shape[-3:]))  # type: ignore[arg-type]
    except ModelError:  # attributes of these names that are about something else
        return ""
    if not (any(declared.mean) or set(declared.std) != {1.0} or declared.scale != 1):
        return ""
    some = pictures[:8] if pictures.ndim == 4 else pictures
    if not (bool(some.min() >= 0) and bool(some.max() <= 1)):
        return ""
    mean, std = (", ".join(f"{v:g}" for v in values) for values in (declared.mean, declared.std))
    return f"mean {mean} and standard deviation {std}, of pictures from 0 to {declared.scale:g}"


def _seems_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether (c, h, w) looks like (h, w, c): few columns, and more of the others than a picture has channels."""
    c, h, w = shape
    return w in (1, 3, 4) and w < min(c, h)


def is_channels_last(images: np.ndarray) -> bool:
    """Whether an array is (n, h, w, c) and cannot be (n, c, h, w)."""
    return images.ndim == 4 and images.shape[-1] in (1, 3) and images.shape[1] not in (1, 3)
