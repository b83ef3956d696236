"""The audit: model x pictures x translations -> AuditRecord, in one pass over the views."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from shiftproof import records
from shiftproof.auditing.block import Block
from shiftproof.auditing.default_moves import Fitted
from shiftproof.auditing.estimate import first_estimate
from shiftproof.auditing.folder import RunFolder, key_of, write_views
from shiftproof.auditing.given import bind
from shiftproof.auditing.identity import identify
from shiftproof.auditing.kept import KeptBlocks
from shiftproof.auditing.options import AuditOptions, Changes, at_least, changed
from shiftproof.auditing.pictures import TENSOR, Pictures
from shiftproof.auditing.probe import is_same_model, probe
from shiftproof.auditing.record import Meter, Progress, blocks_in, fold
from shiftproof.auditing.setup import Measured, Setup, Subject, device_of, prepare
from shiftproof.auditing.shared import (
    Helpers,
    help_until_done,
    shared_blocks,
    shared_threads,
    stamp,
    wait_for_settings,
)
from shiftproof.auditing.unmeasured import must_measure
from shiftproof.auditing.work import blocks
from shiftproof.data import Source
from shiftproof.environment import library_version
from shiftproof.errors import BusyError, MeasureError, ModelError, RecordError, enough_memory
from shiftproof.models import GIVEN, LoadedModel
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
    devices: int = 1,
    nodes: int = 1,
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
        devices: number of processes of this machine that share the work, each with its own accelerator, or with its part of
            the processor's threads. More than one needs `out`, and a model and pictures that `load_model` and `open_data`
            opened by a word; as in every program that starts processes, the calling script needs `if __name__ ==
            "__main__"`.
        nodes: number of launches of this audit, on one machine or on several, that share the folder `out`. The first to come
            leads; the others run blocks for it, come and go as they like, and return the record that it wrote. If it dies,
            another takes its place. More than one needs `out`.
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
        RecordError: `out` cannot be written, or holds a file that would be overwritten and that shiftproof did not write.
        BusyError: another process is writing into `out`, and this is not one of several `nodes` of the same audit.

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
    for name, count in (("devices", devices), ("nodes", nodes)):
        at_least(name, count, 1)
        if count > 1 and out is None:
            raise MeasureError("several processes need a folder that they share", where=name, remedy="give out")
    if devices > 1 and (loaded.weights_from == GIVEN or pictures.word == TENSOR):
        raise MeasureError(
            "a model or pictures that were given in Python cannot be opened by another process",
            where="devices",
            remedy="name both by words (load_model, open_data), or start the audit several times with nodes",
        )
    smaller = "use smaller pictures or fewer moves, or another device"
    task = Task(loaded, pictures, translations, options, devices, progress)
    with (
        shared_threads(devices if device_of(loaded).type == "cpu" else 1),
        enough_memory(f"{loaded.word} on {device_of(loaded)}, batches of one picture", smaller),
    ):
        place: RunFolder | nullcontext[None] = nullcontext()
        if out is not None:
            identity = _identity(loaded, pictures, translations, options)
            folder = Path(out(key_of(identity)) if callable(out) else out)
            found = _lead_or_help(task, folder, identity, shared=nodes > 1 or devices > 1, nodes=nodes)
            if isinstance(found, records.AuditRecord):
                return found
            place = found
        with place as kept:
            setup, subject = _prepare(task, kept)
            must_measure(setup, required)
            if kept is not None:
                with writing(kept.ready):
                    kept.ready.touch()
            setup = replace(
                setup, seconds=time.perf_counter() - started, cpu_seconds=time.process_time() - cpu_started
            )  # with what opening the folder and digesting the pictures took
            # Closed even if the fold stops early or fails: threads that decode ahead end with the generator.
            meter = Meter(setup, progress)
            with _stream(task, setup, subject, kept, meter, nodes) as stream:
                record = replace(fold(setup, stream, subject=subject, progress=meter.at), command=command)
            record = replace(record, notes=[*record.notes, *bound.notes])
            if kept is not None:
                owned.claim(kept.out, _names(record))
                _write(setup, record, kept)
            if finish is not None:
                finish(record)
            if kept is not None:
                owned.settle(kept.out, _names(record))
                kept.finish()
    return record


@dataclass(frozen=True)
class Task:
    """What is audited, and how: the arguments of `audit`, bound."""

    model: LoadedModel
    pictures: Pictures
    translations: TranslationSet
    options: AuditOptions
    devices: int
    progress: Callable[[Progress], None] | None


def _lead_or_help(
    task: Task, out: Path, identity: dict[str, Any], *, shared: bool, nodes: int
) -> RunFolder | records.AuditRecord:
    """The folder, if this process is to lead; or the record, once the one that leads has written it with this one's help."""
    while True:
        try:
            return RunFolder(out, identity, shared=shared)
        except BusyError:
            if nodes == 1:
                raise
        kept, before = KeptBlocks(out, key_of(identity)), stamp(out / "record.json")
        if wait_for_settings(kept):
            setup, subject = _prepare(task, kept)
            meter = Meter(setup, task.progress)
            with Helpers(setup, subject, kept, task.devices - 1) as helpers:
                help_until_done(setup, subject, kept, helpers, meter.add)
        if not (kept.work / "settings.json").exists() and stamp(out / "record.json") not in (None, before):
            shutil.rmtree(kept.work, ignore_errors=True)  # of a block that was written while the folder was removed
            return records.load(out)
        # The process that led has gone without a record, so its place is free.


@contextmanager
def _stream(
    task: Task, setup: Setup, subject: Subject, kept: RunFolder | None, meter: Meter, nodes: int
) -> Iterator[Iterator[Block]]:
    """The blocks in order, computed by this process alone or by all that share the folder."""
    if kept is None or nodes == task.devices == 1:
        with closing(blocks(setup, subject, kept, meter.add)) as stream:
            yield stream
        return
    with (
        Helpers(setup, subject, kept, task.devices - 1) as helpers,
        closing(shared_blocks(setup, subject, kept, helpers, meter.add)) as stream,
    ):
        yield stream


def _prepare(task: Task, kept: KeptBlocks | None) -> tuple[Setup, Subject]:
    """The setup; the measurements of this run's first start are read from the folder.

    The identity of a run covers the weights and the code that can be found. A model may also depend on other things: another
    file, the environment, a server. So the model runs again on a few pictures, and the audit continues only if the answers
    are those of the first start.
    """
    asked = task.model, task.pictures, task.translations, task.options
    if kept is None:
        return prepare(*asked)
    settings = kept.settings()
    if settings is not None:
        known = settings.pop("probe")
        period = tuple(settings["period"]) if settings["period"] else None
        # The same batch size as before: sums that are cut in other places round differently.
        measured = Measured(**{**settings, "period": period})
        setup, subject = prepare(*asked, measured)
        if is_same_model(probe(setup, subject), known):
            return setup, subject
        why = "the model does not give the same answers as when this audit began"
        if measured.repeat:
            why += ", and no two runs of it give the same answers, so that an audit of it cannot be continued"
        if not isinstance(kept, RunFolder):  # another process leads: its work is not this one's to discard
            raise ModelError(
                why, where=task.model.word, remedy="start the same command, with the same files, everywhere"
            )
        kept.discard(why)
    elif not isinstance(kept, RunFolder):
        raise RecordError(
            "what the process that leads has settled cannot be read", where=str(kept.work), remedy="run again"
        )
    setup, subject = prepare(*asked)
    kept.keep_settings({**asdict(setup.measured), "probe": probe(setup, subject)})
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
        "device": device_of(model).type,  # processes that share the work have a device each
    }
