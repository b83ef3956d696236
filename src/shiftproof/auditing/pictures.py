"""Where an audit's pictures come from: a data source with the model's preparation, or tensors given in Python."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shiftproof.data import Source, prepare
from shiftproof.errors import BadItemError, DataError
from shiftproof.models import LoadedModel


@dataclass(frozen=True)
class Picture:
    """One picture ready to be moved: pixels (c, H, W), with the margin that a `crop` set needs; label or None.

    `mirrored` says that part of that margin is made up, by mirroring, because the picture has too little of its own.
    """

    name: str
    pixels: Tensor
    label: int | None
    mirrored: bool = False


@dataclass
class Pictures:
    """All pictures of an audit, loaded one at a time by `load`; safe to call from several threads.

    Args:
        word: what the user typed, or "tensor".
        count: number of pictures.
        labelled: whether labels are there.
        classes: names of the classes, if the data has them.
        margin_px: pixels on every side of the window that a picture carries.
        preparation: how pictures were resized and cropped, in words.
        fingerprint: tells these pictures and labels from all others.
    """

    word: str
    count: int
    labelled: bool
    classes: list[str] | None
    margin_px: int
    preparation: str
    fingerprint: Callable[[], str]
    _source: Source | None = None
    _tensors: tuple[Tensor, Tensor | None] | None = None
    _model: LoadedModel | None = None
    _index: dict[int, int] | None = None

    def load(self, i: int) -> Picture:
        """Picture `i`.

        Raises:
            BadItemError: it cannot be decoded, has no label though others have one, or holds a NaN.
        """
        if self._tensors is not None:
            images, labels = self._tensors
            picture = Picture(str(i), images[i], None if labels is None else int(labels[i]))
        else:
            assert self._source is not None
            assert self._model is not None
            item = self._source.read(i)
            model = self._model
            pixels, mirrored = prepare(
                item.picture,
                model.input_size,
                crop_fraction=model.crop_fraction,
                interpolation=model.interpolation,  # type: ignore[arg-type]
                margin_px=self.margin_px,
            )
            label = item.label if item.label is None or self._index is None else self._index[item.label]
            picture = Picture(item.name, torch.from_numpy(np.ascontiguousarray(pixels)), label, mirrored)
        if picture.pixels.is_floating_point() and not bool(torch.isfinite(picture.pixels).all()):
            raise BadItemError("a pixel is NaN or infinite", where=picture.name, remedy="mend or remove the picture")
        return picture

    def match(self, classes: int, labels: list[str] | None) -> None:
        """Let the labels mean the model's classes: by name where both sides have names, else by number.

        Args:
            classes: how many classes the model has.
            labels: their names, if known.

        Raises:
            DataError: the data has another number of classes, and their names are not among the model's.
        """
        if not self.labelled or self.classes is None:
            return
        places = {name.casefold(): i for i, name in reversed(list(enumerate(labels or [])))}
        wanted = [name.casefold() for name in self.classes]
        if all(name in places for name in wanted):
            self._index = {i: places[name] for i, name in enumerate(wanted)}
        elif len(wanted) != classes:
            raise DataError(
                f"{len(wanted)} classes in the data ({', '.join(self.classes[:3])} ...), but the model has {classes}",
                where=self.word,
                remedy="give a labels.csv with the model's class indices, or leave labels out (--no-labels)",
            )

    def scene(self, boundary: str, fill: float, mirrored: int) -> str:
        """Where the pixels that move in come from, in words; `mirrored` pictures had too little margin."""
        if boundary != "crop":
            words = {"circular": "the opposite edge", "zero": f"constant fill {fill:g}", "reflect": "mirrored picture"}
            return words[boundary]
        if mirrored:
            return f"the picture's own margin, mirrored where it has too little ({mirrored} pictures)"
        return "the picture's own margin"


def from_source(source: Source, model: LoadedModel, *, margin_px: int, labelled: bool) -> Pictures:
    """The pictures of `source`, prepared for `model` with a margin of `margin_px` on every side; labels if `labelled`."""
    c, h, w = model.input_size
    if not len(source):
        raise DataError("no pictures", where=source.word, remedy="give data that holds at least one picture")
    return Pictures(
        word=source.word,
        count=len(source),
        labelled=source.labelled and labelled,
        classes=source.classes,
        margin_px=margin_px,
        preparation=f"short side to {h}/{model.crop_fraction:g} px, {model.interpolation}, centre crop {h} x {w}, {c} channels",
        fingerprint=lambda: f"{source.word}:{source.fingerprint()}:{labelled}",
        _source=source,
        _model=model,
    )


def from_tensors(images: Tensor, labels: Tensor | None, *, margin_px: int) -> Pictures:
    """The pictures of a tensor (n, c, H, W) as they are; H = h + 2 * margin_px for `crop` sets.

    Raises:
        DataError: not four dimensions, no pictures, or another number of labels than of pictures.
    """
    if images.ndim != 4 or not len(images):
        raise DataError(
            f"images have shape {tuple(images.shape)}", where="images", remedy="give (n, c, h, w) with n of at least 1"
        )
    if labels is not None and len(labels) != len(images):
        raise DataError(f"{len(labels)} labels for {len(images)} images", where="labels", remedy="give one per image")
    if not images.is_floating_point() and images.dtype != torch.uint8:
        raise DataError(f"images are {images.dtype}", where="images", remedy="give floats, or uint8 for 0..255")
    return Pictures(
        word="tensor",
        count=len(images),
        labelled=labels is not None,
        classes=None,
        margin_px=margin_px,
        preparation="as given",
        fingerprint=lambda: digest(images, labels),
        _tensors=(images, labels),
    )


def digest(images: Tensor, labels: Tensor | None) -> str:
    """What tells these images and labels from others: SHA-256 of shape, dtype and bytes, one image at a time."""
    found = hashlib.sha256(f"{tuple(images.shape)} {images.dtype}".encode())
    for image in images:
        found.update(image.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    if labels is not None:
        found.update(labels.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
