"""The user's pictures, in two parts: those that a method may be fitted to, and those on which its model is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shiftproof.auditing.given import bind, is_channels_last
from shiftproof.auditing.items import Tensors, channels_first, class_indices, opened
from shiftproof.auditing.pictures import Pictures
from shiftproof.auditing.stream import as_unit
from shiftproof.data import Chosen, Source
from shiftproof.errors import BadItemError, DataError, RepairError
from shiftproof.models import LoadedModel
from shiftproof.records.repair_parts import Goal
from shiftproof.translations import TranslationSet, random

SHOWN, MEASURED = 50_000, 1000  # pictures of each part, at most
MOST_VALUES = 2**27  # numbers in the pictures that a method is shown, at most: half a gigabyte
SEED, MOVES, FARTHEST = 0, 9, 8


@dataclass(frozen=True)
class Given:
    """The user's pictures.

    Args:
        word: what the user typed, or "tensor".
        model: the original model, with what its pictures need.
        images: those that are measured, as `audit` takes them.
        labels: of tensors; None where the images have their own, or none; False to leave them out.
        measured: the same, as an audit reads them.
        moves: the moves of the goal.
        shown: those that a method may be fitted to, (n, c, h, w), as the network takes them.
        classes: their classes, (n,); None without labels.
    """

    word: str
    model: LoadedModel
    images: Any
    labels: Any
    measured: Pictures
    moves: TranslationSet
    shown: Tensor
    classes: Tensor | None

    def inputs(self, first: int | None = None) -> Tensor:
        """The first of the measured pictures, unmoved, (n, c, h, w), as the network takes them; unusable ones are left out."""
        count = self.measured.count if first is None else min(first, self.measured.count)
        return _read(self.model, self.measured, range(count))[0]


def given(
    model: nn.Module | LoadedModel,
    data: Any,
    labels: Any,
    shown: Any,
    goal: Goal,
    size: tuple[int, int, int],
) -> Given:
    """The user's pictures for a model.

    Args:
        model: the original model.
        data: the pictures, as `audit` takes them.
        labels: one class index per picture; None for those of the data, False to leave them out.
        shown: pictures that a method may be fitted to, of the same kinds; None for half of the data, drawn by seed.
        goal: which decides the moves.
        size: (c, h, w) of the model's input.

    Raises:
        DataError: the pictures are none of what is understood, or the labels do not fit them.
        RepairError: they have another size than the model's input, or there is one only.
    """
    moves = moves_of(goal, size)
    images = _opened(data, labels)
    own = class_indices(labels) if isinstance(images, Tensor) else None
    order = np.random.default_rng(SEED).permutation(len(images) if not isinstance(images, Tensors) else images.count)
    if shown is None:
        if len(order) < 2:
            raise RepairError(
                "one picture", where="data", remedy="give two or more: no picture that a method was shown is measured"
            )
        first, rest = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :][:MEASURED])
        fit, fit_labels = _some(images, own, first)
    else:
        rest = np.sort(order[:MEASURED])
        fit, fit_labels = _opened(shown, None), None
    kept, kept_labels = _some(images, own, rest)
    wanted: Any = False if labels is False else kept_labels
    bound = bind(model, kept, wanted, moves)
    margin = bound.pictures.margin_px
    seen = bound.pictures.unlabelled().load(0).pixels.shape if isinstance(kept, Tensor) else None
    window = size if seen is None else (seen[0], seen[1] - 2 * margin, seen[2] - 2 * margin)
    if bound.model.input_size != size or window != size:
        raise RepairError(
            f"data of {tuple(window if window != size else bound.model.input_size)} (c, h, w)",
            where="repair",
            remedy=f"give inputs of the network, (n, {size})" + _with_margin(moves),
        )
    fitting = bind(model, fit, False if labels is False else fit_labels, moves).pictures
    most = min(SHOWN, max(1, MOST_VALUES // int(np.prod(size))), fitting.count)
    chosen = np.sort(np.random.default_rng(SEED).permutation(fitting.count)[:most]).tolist()
    inputs, classes = _read(bound.model, fitting, chosen)
    return Given(bound.pictures.word, bound.model, kept, wanted, bound.pictures, moves, inputs, classes)


def moves_of(goal: Goal, size: tuple[int, int, int]) -> TranslationSet:
    """The moves by which the methods of a goal are measured, drawn by seed: all around the circle, else by an eighth of the
    shorter side, and by 8 px at most.

    >>> moves_of("crop", (3, 32, 32)).margin_px, moves_of("zero", (1, 224, 224)).boundary
    (4, 'zero')
    """
    short = min(size[1:])
    if goal == "circular":
        return random(min(MOVES, (2 * (short // 2) + 1) ** 2), short // 2, "circular", seed=SEED)
    return random(MOVES, max(1, min(FARTHEST, short // 8)), goal, seed=SEED)


def _with_margin(moves: TranslationSet) -> str:
    return f", with a margin of {moves.margin_px} px on every side" if moves.margin_px else ""


def _opened(data: Any, labels: Any) -> Tensor | Tensors | Source:
    if isinstance(data, Tensor | Source):
        return data
    if isinstance(data, np.ndarray) and not is_channels_last(data):
        return channels_first(data)
    return opened(data, labels)[0]


def _some(images: Tensor | Tensors | Source, labels: Tensor | None, chosen: np.ndarray) -> tuple[Any, Any]:
    """The chosen pictures, in a form that `audit` takes, and their labels if the pictures have none of their own."""
    if isinstance(images, Source):
        return Chosen(images, tuple(chosen.tolist())), None
    if isinstance(images, Tensor):
        return images[chosen], None if labels is None else labels[chosen]
    read = [images.read(i, labelled=images.labelled) for i in chosen.tolist()]
    own = torch.tensor([p.label for p in read]) if images.labelled else None
    return torch.stack([p.pixels for p in read]), own


def _read(model: LoadedModel, pictures: Pictures, chosen: Sequence[int]) -> tuple[Tensor, Tensor | None]:
    """Pictures without their margin, as the network takes them, with their classes; those that cannot be used are left out."""
    found, classes, m = list[Tensor](), list[int | None](), pictures.margin_px
    for i in chosen:
        try:
            picture = pictures.load(i)
        except BadItemError:
            continue
        found.append(as_unit(picture.pixels[:, m : picture.pixels.shape[1] - m, m : picture.pixels.shape[2] - m]))
        classes.append(picture.label)
    if not found:
        raise DataError(
            "no picture can be used", where=pictures.word, remedy="give data that holds at least one picture"
        )
    inputs = torch.cat([model.ready(torch.stack(found[i : i + 100])) for i in range(0, len(found), 100)])
    whole = [c for c in classes if c is not None]
    return inputs, torch.tensor(whole) if len(whole) == len(found) else None
