"""Pictures of lists, data sets and loaders that are given in Python, read one at a time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, RandomSampler, SequentialSampler

from shiftproof.auditing.pictures import TENSOR, Picture, Pictures, digest
from shiftproof.data import ItemSource
from shiftproof.data.items import count_of, is_picture, named_classes
from shiftproof.errors import BadItemError, DataError
from shiftproof.printable import said

PICTURE_KEYS = ("image", "pixel_values", "img", "picture", "images")
LABEL_KEYS = ("label", "labels", "target", "y", "fine_label")
LOOKED_AT, TIMES = 16, 4  # pictures, evenly spread, and how often each is read: a random flip of one in ten shows
FORMS = "give a tensor (n, c, h, w), a list of PIL pictures or arrays, a torch Dataset or DataLoader, or open_data(...)"


@dataclass(frozen=True)
class Tensors:
    """Tensors (c, h, w) of a list or data set, as the model takes them, read one at a time.

    Args:
        get: index -> the tensor and the index of its class, or None without a label.
        count: number of pictures.
        first: the first of them, (c, h, w); all have its shape.
        classes: names of the classes, if they are known.
        labelled: whether the pictures have labels.
    """

    get: Callable[[int], tuple[Any, int | None]]
    count: int
    first: Tensor
    classes: list[str] | None
    labelled: bool

    @property
    def shape(self) -> torch.Size:
        """(c, h, w) of each."""
        return self.first.shape

    def pictures(self, margin_px: int) -> Pictures:
        """The pictures as an audit reads them; `margin_px` of each belong to the margin."""
        bare = self.read
        return Pictures(
            word=TENSOR,
            count=self.count,
            labelled=self.labelled,
            classes=self.classes,
            class_names=dict(enumerate(self.classes or [])),
            margin_px=margin_px,
            preparation="as given",
            read=lambda i: bare(i, labelled=self.labelled),
            bare=bare,
            fingerprint=self._fingerprint,
        )

    def read(self, i: int, *, labelled: bool = False) -> Picture:
        """Picture `i`.

        Raises:
            BadItemError: it is not a tensor of the others' shape, or has no label though others have one.
        """
        value, label = self.get(i)
        found = channels_first(value) if isinstance(value, np.ndarray) else value
        if not isinstance(found, Tensor) or _framed(found).shape != self.shape:
            shape = tuple(found.shape) if isinstance(found, Tensor) else f"a {type(value).__name__}"
            raise BadItemError(
                f"its shape is {shape}, not {tuple(self.shape)}", where=str(i), remedy="give all in one size"
            )
        if labelled and label is None:
            raise BadItemError("no label", where=str(i), remedy="give every picture a label, or none")
        if not found.is_floating_point() and found.dtype != torch.uint8:
            raise BadItemError(f"it is {found.dtype}", where=str(i), remedy="give floats, or uint8 for 0..255")
        return Picture(str(i), _framed(found), label if labelled else None)

    def _fingerprint(self) -> str:
        found = hashlib.sha256(ascii((self.count, tuple(self.shape), self.classes, self.labelled)).encode())
        for i in range(self.count):
            try:
                picture = self.read(i, labelled=self.labelled)
                found.update(f"{picture.label} {digest(picture.pixels[None], None)}".encode())
            except BadItemError as e:
                found.update(ascii(str(e)).encode())
        return found.hexdigest()


def opened(images: Any, labels: Any) -> tuple[Tensors | ItemSource, str]:
    """The pictures of a list, a data set or a loader, and what stands beside them if it is not a class, else "".

    Args:
        images: the list, data set or loader.
        labels: one class index per picture, None for those of the items, or False to leave them out.

    Raises:
        DataError: it is something else, is empty, or does not give the same picture twice.
    """
    get, count, classes = _indexed(images)
    own = None if labels is None or isinstance(labels, bool) else class_indices(labels)
    if own is not None and len(own) != count:
        raise DataError(f"{len(own)} labels for {count} images", where="labels", remedy="give one per image")
    lock = threading.Lock()

    def read(i: int) -> tuple[Any, int | None]:
        try:
            with lock:  # a data set need not be one that several threads may read
                value, label = _split(get(i))
        except Exception as e:  # the user's own code
            raise BadItemError(f"it cannot be read: {type(e).__name__}: {said(e)}", where=str(i)) from e
        return value, label if own is None else int(own[i])

    first, label = read(0)
    if own is not None and _split(get(0))[1] is not None:
        raise DataError(
            "labels were given together with pictures that have labels", where="labels", remedy="leave one of them out"
        )
    if (changed := _changing(read, count)) is not None:
        raise DataError(
            f"picture {changed} differs when it is read again",
            where=type(images).__name__,
            remedy="give the data without random transforms: the moves are to be the only change",
        )
    beside = _split(get(0), whole=True)[1] if own is None and labels is not False else None
    ignored = "" if label is not None or beside is None else _described(beside)
    labelled = label is not None and labels is not False
    if is_picture(first):
        return ItemSource(_name(images), read, count, classes if labelled else None, labelled), ignored
    first = channels_first(first) if isinstance(first, np.ndarray) else first
    if not isinstance(first, Tensor) or first.ndim not in (2, 3):
        shape = f" of shape {tuple(first.shape)}" if isinstance(first, Tensor) else ""
        raise DataError(f"picture 0 is a {type(first).__name__}{shape}", where=type(images).__name__, remedy=FORMS)
    return Tensors(read, count, _framed(first), classes if labelled else None, labelled), ignored


def _changing(read: Callable[[int], tuple[Any, Any]], count: int) -> int | None:
    """The first of a few pictures that differs when it is read again; None if none does."""
    for i in np.unique(np.linspace(0, count - 1, LOOKED_AT).round().astype(int)).tolist():
        try:
            first = read(i)[0]
            if not all(_equal(first, read(i)[0]) for _ in range(TIMES - 1)):
                return i
        except BadItemError:  # said when its turn comes
            continue
    return None


def _described(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor | np.ndarray) else ""
    return f"{type(value).__name__}{shape}"


def _indexed(images: Any) -> tuple[Callable[[int], Any], int, list[str] | None]:
    """(index -> item, number of items, names of the classes) of a list, a data set or a loader."""
    data = images.dataset if isinstance(images, DataLoader) else images
    classes = named_classes(getattr(data, "classes", None))
    if isinstance(data, IterableDataset):
        if isinstance(images, DataLoader):
            with torch.random.fork_rng(devices=[]):  # a loader draws a seed for its workers, even if it has none
                kept = [item for batch in images for item in unbatched(batch)]
        else:
            kept = list(data)
        return kept.__getitem__, count_of(kept), classes
    if not hasattr(data, "__getitem__") or isinstance(data, str | bytes | Mapping):
        raise DataError(f"images are a {type(images).__name__}", where="images", remedy=FORMS)
    if not isinstance(images, DataLoader):
        return data.__getitem__, count_of(data), classes
    order = _order(images)
    collate = images.collate_fn if images.batch_size is not None or images.batch_sampler is not None else None

    def get(i: int) -> Any:
        item = data[order[i]]
        # What the loader makes of an item, as a batch of one: that is what the model would see.
        return item if collate is None else unbatched(collate([item]))[0]

    return get, count_of(order), classes


def _order(loader: DataLoader[Any]) -> Sequence[int]:
    """The indices that a loader reads, in order; a shuffling one reads all of them."""
    # A class of the user's may batch, or leave out, what it likes.
    if type(loader.sampler) in (SequentialSampler, RandomSampler) and type(loader.batch_sampler) is BatchSampler:
        return range(count_of(loader.dataset))
    with torch.random.fork_rng(devices=[]):  # a sampler may draw from the caller's random numbers
        chosen = loader.batch_sampler
        return sorted(chain.from_iterable(chosen) if chosen is not None else loader.sampler)


def unbatched(batch: Any) -> list[Any]:
    """The items of a batch: (picture, label) pairs, or pictures alone."""
    picture, label = _split(batch, whole=True)
    if not isinstance(picture, Tensor) or picture.ndim != 4:
        shape = f" of shape {tuple(picture.shape)}" if isinstance(picture, Tensor) else ""
        raise DataError(
            f"a batch's pictures are a {type(picture).__name__}{shape}",
            where="DataLoader",
            remedy="let its batches be a tensor (n, c, h, w), or (tensor, labels)",
        )
    if isinstance(label, Tensor) and label.ndim == 1 and len(label) == len(picture):
        return list(zip(picture, label, strict=True))
    return list(picture)


def _split(item: Any, *, whole: bool = False) -> tuple[Any, Any]:
    """(picture, label) of an item; the label is None if it is not one whole number, unless it is that of a whole batch."""
    picture, label = item, None
    if isinstance(item, Mapping):
        picture = next((item[k] for k in PICTURE_KEYS if k in item), item)
        label = next((item[k] for k in LABEL_KEYS if k in item), None)
    elif isinstance(item, tuple | list) and item:
        picture, label = item[0], item[1] if len(item) > 1 else None
    return picture, label if whole else _class_index(label)


def _class_index(label: Any) -> int | None:
    """The label as a class index; None if it is something else: a mask, boxes, a target of a regression."""
    if (
        isinstance(label, Tensor | np.ndarray | np.generic) and label.size == 1
        if not isinstance(label, Tensor)
        else label.numel() == 1
    ):
        label = label.item()
    return label if isinstance(label, int) and not isinstance(label, bool) else None


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and bool(torch.equal(a.nan_to_num(), b.nan_to_num()))
    return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=False) if is_picture(a) else True


def _framed(picture: Tensor) -> Tensor:
    """(h, w) as (1, h, w)."""
    return picture[None] if picture.ndim == 2 else picture


def channels_first(array: np.ndarray) -> Tensor:
    """An array as the model takes it, as a tensor.

    Raises:
        DataError: torch has no such numbers.
    """
    try:
        return torch.from_numpy(array)
    except TypeError as e:
        raise DataError(f"images are {array.dtype}", where="images", remedy="give floats, or uint8 for 0..255") from e


def _name(images: Any) -> str:
    data = images.dataset if isinstance(images, DataLoader) else images
    return "pictures" if isinstance(data, list | tuple | np.ndarray) else type(data).__name__


def class_indices(labels: Any) -> Tensor | None:
    """Labels as whole numbers (n,).

    Args:
        labels: one class index per picture; None or False for none.

    Raises:
        DataError: they are something else.
    """
    if labels is None or labels is False:
        return None
    try:
        found = None if isinstance(labels, bool) else torch.as_tensor(labels)
    except (ValueError, TypeError, RuntimeError) as e:
        raise DataError(
            f"labels are {type(labels).__name__} of something else than numbers",
            where="labels",
            remedy="give one class index per image: whole numbers (n,)",
        ) from e
    # Python counts True as 1: a mask given as labels would be taken for classes 0 and 1.
    if found is None or found.ndim != 1 or found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        said = f"of shape {tuple(found.shape)}, {found.dtype}" if found is not None else str(labels)
        raise DataError(f"labels {said}", where="labels", remedy="give one class index per image: whole numbers (n,)")
    if set(found.unique().tolist()) == {-1, 1}:
        raise DataError("labels are -1 and 1", where="labels", remedy="classes are counted from 0: give 0 and 1")
    return found.long()
