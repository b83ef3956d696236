"""The one orchestrator: model x pictures x translations -> AuditRecord, in one streaming pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shiftproof import records
from shiftproof.auditing.asked import Asked, Progress
from shiftproof.auditing.pictures import Pictures, from_source, from_tensors
from shiftproof.auditing.run import Run
from shiftproof.data import Source
from shiftproof.errors import DataError, MeasureError, ModelError
from shiftproof.models import LoadedModel, evaluating, wrap
from shiftproof.translations import TranslationSet


def audit(
    model: nn.Module | LoadedModel | Callable[[Tensor], Tensor],
    images: Tensor | np.ndarray | Source,
    labels: Tensor | np.ndarray | Sequence[int] | bool | None = None,
    *,
    translations: TranslationSet,
    precision: float | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    layers: int = 16,
    batch_size: int | None = None,
    max_bad: int = 10,
    border_px: int | None = None,
    features: str | None = None,
    out: Path | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> records.AuditRecord:
    """How much a model's answer changes when the picture moves: an `AuditRecord` with an interval on every figure.

    Every picture is moved by every translation of the set and compared with itself unmoved. Pictures are taken in a
    seeded random order, streamed: memory does not grow with pictures x translations.

    Args:
        model: a module or function from (n, c, h, w) to logits (n, k), or to a dense map (n, k, h', w'); or what
            `load_model` returns. A module is run in evaluation mode and left as it was found.
        images: (n, c, h, w) as the model takes them, with a margin of `translations.margin_px` on every side for
            `crop` sets; or what `open_data` returns.
        labels: (n,) class indices for a tensor of images; None measures consistency only. For a source: False leaves
            its labels out.
        translations: the moves, e.g. `grid(8, boundary="circular")`.
        precision: stop as soon as the headline intervals' half-width is under this fraction; None uses all pictures.
        seed: of the order of the pictures and every other random choice.
        confidence: of the intervals, in (0, 1).
        layers: number of pictures for the layer profile; 0 leaves it out.
        batch_size: views a forward; None tries and chooses. It halves when memory runs out.
        max_bad: number of pictures that may be skipped before the run stops.
        border_px: dense models: cells nearer to the edge count as border; None is an eighth of the shorter side.
        features: name of a layer whose output, instead of the model's, the sensitivity is measured on.
        out: run folder for `record.json`, `views.parquet` and the witnesses' pictures; a killed run goes on from there.
        progress: called after every block of pictures.

    Returns:
        The record; it prints itself, and `to_dict()` is the JSON of docs/record.md.

    Raises:
        DataError: no usable picture, or labels that the model's classes do not hold.
        TooManyBadError: more than `max_bad` pictures had to be skipped.
        ModelError: the model's output is no tensor of logits or maps.

    >>> import torch, shiftproof as sp
    >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> record = sp.audit(model, torch.rand(8, 3, 8, 8), translations=sp.grid(1, boundary="circular"))
    >>> record.metrics["flip_rate"].value
    0.0
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    asked = Asked(
        precision,
        seed,
        confidence,
        layers,
        batch_size,
        max_bad,
        border_px,
        features,
        None if out is None else Path(out),
    )
    asked.check()
    if not isinstance(translations, TranslationSet):
        raise MeasureError(f"translations is a {type(translations).__name__}", remedy="use e.g. grid(8, 'circular')")
    loaded, pictures = _bind(model, images, labels, translations)
    with evaluating(loaded.module), torch.inference_mode():
        work = Run(loaded, pictures, translations, asked, progress)
        try:
            return work.record(started, cpu_started)
        finally:
            work.close()


def _bind(
    model: nn.Module | LoadedModel | Callable[[Tensor], Tensor],
    images: Tensor | np.ndarray | Source,
    labels: Tensor | np.ndarray | Sequence[int] | bool | None,
    translations: TranslationSet,
) -> tuple[LoadedModel, Pictures]:
    """The model with its input size, and the pictures with their margin."""
    margin = translations.margin_px if translations.boundary == "crop" else 0
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(images)
    if isinstance(images, Tensor):
        pictures = from_tensors(images, _class_indices(labels), margin_px=margin)
        c, height, width = images.shape[1:]
        size = (c, height - 2 * margin, width - 2 * margin)
        if min(size) < 1:
            raise DataError(
                f"pictures of {height} x {width} px have no window left inside a margin of {margin} px",
                where="images",
                remedy="give larger pictures or smaller moves",
            )
        return (model if isinstance(model, LoadedModel) else wrap(model, size)), pictures
    if not isinstance(images, Source):
        raise DataError(
            f"images are a {type(images).__name__}",
            where="images",
            remedy="give a tensor (n, c, h, w), or open_data(...)",
        )
    if labels is not None and not isinstance(labels, bool):
        raise DataError("labels given beside a data source", where="labels", remedy="the source has its own")
    if not isinstance(model, LoadedModel):
        raise ModelError(
            "a data source needs a model that knows its input size",
            where="model",
            remedy="use load_model(...), wrap(module, (c, h, w)), or give a tensor of images",
        )
    return model, from_source(images, model, margin_px=margin, labelled=labels is not False)


def _class_indices(labels: Any) -> Tensor | None:
    """Labels as whole numbers (n,)."""
    if labels is None:
        return None
    found = None if isinstance(labels, bool) else torch.as_tensor(labels)
    if found is None or found.ndim != 1 or found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        said = f"of shape {tuple(found.shape)}, {found.dtype}" if found is not None else str(labels)
        raise DataError(f"labels {said}", where="labels", remedy="give one class index an image: whole numbers (n,)")
    return found.long()
