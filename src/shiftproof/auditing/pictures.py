"""The pictures of an audit: from a data source, prepared for the model, or from tensors given in Python."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from shiftproof.data import Item, Source, prepare, scaling
from shiftproof.errors import BadItemError, DataError
from shiftproof.models import LoadedModel

TENSOR = "tensor"  # the word of pictures that are given in Python


@dataclass(frozen=True)
class Picture:
    """One picture that is ready to be moved.

    Args:
        name: its identity in the data: file name or index.
        pixels: (c, H, W), with the margin that a `crop` set needs.
        label: index of its class, or None without labels.
        mirrored: whether part of that margin is mirrored, because the picture has too little of its own.
        enlarged: the factor by which its sides were scaled to fit the model's input.
        transparent: whether its transparency was dropped.
        high16: its largest value, if it has 16 bits per channel; else None.
    """

    name: str
    pixels: Tensor
    label: int | None
    mirrored: bool = False
    enlarged: float = 1.0
    transparent: bool = False
    high16: int | None = None


@dataclass(frozen=True)
class Pictures:
    """All pictures of an audit, loaded one at a time by `load`, which several threads may call.

    Args:
        word: what the user typed, or "tensor".
        count: number of pictures.
        labelled: whether the pictures have labels.
        classes: names of the classes, if the data has them.
        margin_px: pixels of margin that each picture has on every side of its window.
        preparation: how pictures were resized and cropped, in words.
        read: returns picture `i` with its label in the data; if it is not `labelled`, without.
        bare: returns picture `i` without looking at its label.
        fingerprint: a digest that tells these pictures and labels from all others.
        most_label: the largest label, if it is known without reading the pictures; else -1.
        class_names: label -> name of its class, as far as names are known.
        renumbered: for each label of the data, the index of its class in the model; None keeps the data's numbers.
        by_number: which classes of data and model were taken for the same by their number alone, in words; else empty.
    """

    word: str
    count: int
    labelled: bool
    classes: list[str] | None
    margin_px: int
    preparation: str
    read: Callable[[int], Picture]
    bare: Callable[[int], Picture]
    fingerprint: Callable[[], str]
    most_label: int = -1
    class_names: Mapping[int, str] = field(default_factory=dict)
    renumbered: dict[int, int] | None = None
    by_number: str = ""

    def load(self, i: int) -> Picture:
        """Picture `i`.

        Raises:
            BadItemError: it cannot be decoded, has no label though others have one, or holds a NaN.
        """
        picture = self.read(i)
        if picture.label is not None and self.renumbered is not None:
            picture = replace(picture, label=self.renumbered[picture.label])
        if picture.pixels.is_floating_point() and not bool(torch.isfinite(picture.pixels).all()):
            raise BadItemError("a pixel is NaN or infinite", where=picture.name, remedy="repair or remove the picture")
        return picture

    @property
    def is_binary(self) -> bool:
        """Whether the labels are known to be 0 and 1."""
        return self.labelled and (len(self.classes or []) == 2 or self.most_label == 1)

    def unlabelled(self) -> Pictures:
        """The same pictures without their labels: no picture is skipped because of its label."""
        return replace(self, labelled=False, read=self.bare, most_label=-1, renumbered=None)

    def matched(self, classes: int, labels: list[str] | None) -> Pictures:
        """The same pictures, with labels as the model's class indices, matched by name if both sides have names.

        Args:
            classes: number of classes of the model.
            labels: their names, if known.

        Raises:
            DataError: the data has a different number of classes, and the model does not have all their names.
        """
        if not self.labelled:
            return self
        # Reversed, so that the first of several classes of one name stays (ImageNet has two cranes and two maillots).
        places = {name.casefold(): i for i, name in reversed(list(enumerate(labels or [])))}
        if self.classes is None:
            # Numbers decide; but the same name under another number says that they are not the model's.
            other = [i for i, name in self.class_names.items() if places.get(name.casefold(), i) != i and i < classes]
            return replace(self, by_number=_pair(other[0], self.class_names[other[0]], labels)) if other else self
        wanted = [name.casefold() for name in self.classes]
        if all(name in places for name in wanted):
            return replace(self, renumbered={i: places[name] for i, name in enumerate(wanted)})
        # As many classes, but other names: then numbers are all there is to go by.
        if len(wanted) != classes:
            raise DataError(
                f"{len(wanted)} classes in the data ({', '.join(self.classes[:3])} ...), but the model has {classes}",
                where=self.word,
                remedy="give a labels.csv with the model's class indices, leave labels out (--no-labels), or say what "
                "the output is if it is not class scores (--answer)",
            )
        other = [i for i, name in enumerate(self.classes) if name != str(i)]
        return replace(self, by_number=_pair(other[0], self.classes[other[0]], labels)) if other else self


def _pair(i: int, name: str, labels: list[str] | None) -> str:
    """Which class of the data was taken for which of the model, in words."""
    called = f", which it calls {labels[i]!r:.40}" if labels else ""
    return f"{name!r:.40} of the data is class {i} of the model{called}"


def scene(boundary: str, fill: float, mirrored: int) -> str:
    """Where the pixels that move in come from, in words; `mirrored` is the number of pictures with too small a margin."""
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

    def prepared(item: Item) -> Picture:
        pixels, mirrored = prepare(
            item.picture,
            model.input_size,
            crop_fraction=model.crop_fraction,
            interpolation=model.interpolation,  # type: ignore[arg-type]
            margin_px=margin_px,
        )
        enlarged = scaling(item.picture.shape[:2], model.input_size, model.crop_fraction)
        return Picture(
            name=item.name,
            pixels=torch.from_numpy(np.ascontiguousarray(pixels)),
            label=item.label,
            mirrored=mirrored,
            enlarged=enlarged,
            transparent=item.transparent,
            high16=item.high16,
        )

    bare = source.unlabelled()
    short_side = f"short side to {h}/{model.crop_fraction:g} px, {model.interpolation}"
    return Pictures(
        word=source.word,
        count=len(source),
        labelled=source.labelled and labelled,
        classes=source.classes,
        class_names=source.class_names,
        margin_px=margin_px,
        preparation=f"{short_side}, centre crop {h} x {w}, {c} channels",
        read=lambda i: prepared((source if labelled else bare).read(i)),
        bare=lambda i: prepared(bare.read(i)),
        fingerprint=lambda: f"{source.word}:{source.fingerprint()}:{labelled}",
    )


def from_tensors(images: Tensor, labels: Tensor | None, *, margin_px: int) -> Pictures:
    """The pictures of a tensor (n, c, H, W) as they are; H = h + 2 * margin_px for `crop` sets.

    Raises:
        DataError: the images are not (n, c, h, w) floats or uint8 with n of at least 1, or the number of labels differs.
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
        word=TENSOR,
        count=len(images),
        labelled=labels is not None,
        classes=None,
        margin_px=margin_px,
        preparation="as given",
        read=lambda i: Picture(str(i), images[i], None if labels is None else int(labels[i])),
        bare=lambda i: Picture(str(i), images[i], None),
        most_label=-1 if labels is None else int(labels.max()),
        fingerprint=lambda: digest(images, labels),
    )


def digest(images: Tensor, labels: Tensor | None) -> str:
    """SHA-256 of the shape, dtype and bytes of the images and labels; one image at a time, to copy at most one."""
    found = hashlib.sha256(f"{tuple(images.shape)} {images.dtype}".encode())
    for image in images:
        # As bytes, because NumPy has no bfloat16.
        found.update(image.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    if labels is not None:
        found.update(labels.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
