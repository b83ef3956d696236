"""The audit: model x pictures x translations -> AuditRecord, in one pass over the views."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from shiftproof import records
from shiftproof.auditing.default_moves import Fitted
from shiftproof.auditing.estimate import first_estimate
from shiftproof.auditing.folder import RunFolder, key_of, write_views
from shiftproof.auditing.given import bind
from shiftproof.auditing.identity import identify
from shiftproof.auditing.options import AuditOptions, Changes, changed
from shiftproof.auditing.pictures import Pictures
from shiftproof.auditing.probe import is_same_model, probe
from shiftproof.auditing.record import Meter, Progress, blocks_in, fold
from shiftproof.auditing.setup import Measured, Setup, Subject, device_of, prepare
from shiftproof.auditing.unmeasured import must_measure
from shiftproof.auditing.work import blocks
from shiftproof.data import Source
from shiftproof.environment import library_version
from shiftproof.errors import enough_memory
from shiftproof.models import LoadedModel
from shiftproof.records import owned, writing
from shiftproof.translations import TranslationSet, offsets_tensor


# Options are keywords, because `layers=0` is what people type, and one record, because programs pass them on whole.
def audit(
    model: nn.Module | LoadedModel | Callable[[Tensor], Tensor],
    images: Tensor | np.ndarray | Source | Dataset[Any] | DataLoader[Any] | Sequence[Any],
    labels: Tensor | np.ndarray | Sequence[int] | bool | None = None,
    *,
    translations: TranslationSet | Fitted | None = None,
    required: Sequence[str] = (),
    out: Path | str | Callable[[str], Path] | None = None,
    progress: Callable[[Progress], None] | None = None,
    finish: Callable[[records.AuditRecord], object] | None = None,
    command: str = "",
    options: AuditOptions | None = None,
    **changes: Unpack[Changes],
) -> records.AuditRecord:
    """How much a model's answer changes when the picture moves: an `AuditRecord` with an interval on every figure.

    Every picture is moved by every translation of the set and compared with itself unmoved. Pictures are taken in a
    seeded random order and streamed: memory does not grow with pictures x translations.

    Args:
        model: a module or function from (n, c, h, w) to (n, k), or to a dense map (n, k, h', w'); or what `load_model`
            returns. A module is run in evaluation mode and left as it was found. What its output means is recognised where
            that is unmistakable; `answer` declares it.
        images: a tensor (n, c, h, w) as the model takes it, with a margin of `translations.margin_px` on every side for
            `crop` sets; what `open_data` returns; a list of PIL pictures or of arrays (h, w, c), which are resized and
            normalised for the model; or a `torch.utils.data.Dataset` or `DataLoader` of such pictures or of tensors, with or
            without labels. A loader's batches are taken apart; of an iterable data set, all pictures are kept in memory.
        labels: (n,) class indices, for images that have none of their own; None measures consistency only. False leaves the
            labels of the images out: no picture is then skipped because of its label.
        translations: the moves, e.g. `grid(8, boundary="circular")`. By default all moves by up to 8 px (up to half the side
            of smaller pictures): of the camera where the pictures are larger than the model's input (`crop`), else circular.
            The record says which.
        required: names of metrics. If this audit cannot measure one of them (no labels, one move), that is an error before
            the first picture is run.
        out: run folder for `record.json`, `views.parquet` and the witnesses' pictures, or a function from the run's key
            (hexadecimal digits) to that folder. A killed run continues from it. Files there that shiftproof did not write
            are neither overwritten nor deleted.
        progress: called before the first view and after every batch. A run of more than 100,000 views also calls it within
            seconds, with a rough estimate.
        finish: called with the record once it is in `out`, before the unfinished work is removed. A run that is killed in
            this call, for example while it draws a page, need not start again.
        command: what to type to repeat the run, for the record; "" if it is started from Python.
        options: how the audit is run; None is `AuditOptions()`.
        **changes: any field of `AuditOptions` as a keyword, e.g. `layers=0`; it takes precedence over `options`.

    Returns:
        The record. It prints itself; `to_dict()` is the JSON of docs/record.md.

    Raises:
        MeasureError: an option that does not exist or is out of range; a required metric that cannot be measured.
        DataError: no usable picture, or labels that are not among the model's classes.
        TooManyBadError: more than `max_bad` pictures had to be skipped.
        ModelError: the model fails; its output is neither (n, k) nor a map; or it is one column, and nothing says whether
            that is a logit, a probability or a value.
        OutOfMemoryError: memory ran out even with one picture per batch.
        RecordError: `out` cannot be written, holds a file that would be overwritten and that shiftproof did not write, or
            another process is running an audit into it.

    >>> import torch, shiftproof as sp
    >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> record = sp.audit(model, torch.rand(8, 3, 8, 8), translations=sp.grid(1, boundary="circular"), layers=0)
    >>> record.metrics["flip_rate"].value
    0.0
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    options = changed(options, changes)
    bound = bind(model, images, labels, translations)
    loaded, pictures, translations = bound.model, bound.pictures, bound.translations
    if options.answer is not None:
        loaded = replace(loaded, answer=options.answer)
    if progress is not None and (early := first_estimate(loaded, pictures, translations)) is not None:
        progress(early)
    smaller = "use smaller pictures or fewer moves, or another device"
    place = nullcontext()
    if out is not None:
        identity = _identity(loaded, pictures, translations, options)
        place = RunFolder(Path(out(key_of(identity)) if callable(out) else out), identity)
    with place as folder, enough_memory(f"{loaded.word} on {device_of(loaded)}, batches of one picture", smaller):
        setup, subject = _prepare(loaded, pictures, translations, options, folder)
        must_measure(setup, required)
        setup = replace(
            setup, seconds=time.perf_counter() - started, cpu_seconds=time.process_time() - cpu_started
        )  # with what opening the folder and digesting the pictures took
        # Closed even if the fold stops early or fails: threads that decode ahead end with the generator.
        meter = Meter(setup, progress)
        with closing(blocks(setup, subject, folder, meter.add)) as stream:
            record = replace(fold(setup, stream, subject=subject, progress=meter.at), command=command)
        record = replace(record, notes=[*record.notes, *bound.notes])
        if folder is not None:
            owned.claim(folder.out, _names(record))
            _write(setup, record, folder)
        if finish is not None:
            finish(record)
        if folder is not None:
            owned.settle(folder.out, _names(record))
            folder.finish()
    return record


def _prepare(
    model: LoadedModel,
    pictures: Pictures,
    translations: TranslationSet,
    options: AuditOptions,
    folder: RunFolder | None,
) -> tuple[Setup, Subject]:
    """The setup; the measurements of this run's first start are read from the folder.

    The identity of a run covers the weights and the code that can be found. A model may also depend on other things: another
    file, the environment, a server. So the model runs again on a few pictures, and the audit continues only if the answers
    are those of the first start.
    """
    if folder is None:
        return prepare(model, pictures, translations, options)
    kept = folder.settings()
    if kept is not None:
        known = kept.pop("probe")
        period = tuple(kept["period"]) if kept["period"] else None
        # The same batch size as before: sums that are cut in other places round differently.
        measured = Measured(**{**kept, "period": period})
        setup, subject = prepare(model, pictures, translations, options, measured)
        if is_same_model(probe(setup, subject), known):
            return setup, subject
        why = "the model does not give the same answers as when this audit began"
        if measured.repeat:
            why += ", and no two runs of it give the same answers, so that an audit of it cannot be continued"
        folder.discard(why)
    setup, subject = prepare(model, pictures, translations, options)
    folder.keep_settings({**asdict(setup.measured), "probe": probe(setup, subject)})
    return setup, subject


def _write(setup: Setup, record: records.AuditRecord, folder: RunFolder) -> None:
    with writing(folder.out):
        # Only the blocks that were folded: with a precision asked, an earlier start may have gone further.
        write_views(folder.blocks(blocks_in(setup, record)), setup.plan.asked, folder.out / "views.parquet")
    records.save(record, folder.out)


def _names(record: records.AuditRecord) -> list[str]:
    """The files of a run folder, with the page that `finish` may write."""
    return ["index.html", "record.json", "views.parquet", *record.pictures]


def _identity(
    model: LoadedModel, pictures: Pictures, translations: TranslationSet, options: AuditOptions
) -> dict[str, Any]:
    """Everything that decides the figures: a run continues only the work of a run with the same identity."""
    # Their bytes as well as their words: two sets may be described alike and hold other moves.
    offsets = offsets_tensor(translations, "cpu").numpy().astype(float)
    return {
        "versions": [library_version(name) for name in ("shiftproof", "torch", "onnxruntime")],
        "schema": records.SCHEMA,
        "model": identify(model),
        "data": (pictures.fingerprint(), pictures.preparation, pictures.margin_px),
        "moves": (translations.to_dict(), hashlib.sha256(offsets.tobytes()).hexdigest()),
        "options": {**asdict(options), "max_bad": None},  # it decides whether a run ends, not what it finds
        "device": str(device_of(model)),
    }
