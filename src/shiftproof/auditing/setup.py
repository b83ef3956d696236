"""What is settled before the first block, in a form that can be sent to another process.

A block of an audit is a function of a `Setup` and a number (`work.work`). The setup holds everything that was asked and
measured, but neither the model nor the pictures: these are the `Subject`, which another process opens from the words in
the setup.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shiftproof import records
from shiftproof.auditing.behaviour import classes_of, columns_of, first_answers, kind_of_answer, steadiness, taken_of
from shiftproof.auditing.described import described, loading
from shiftproof.auditing.fast_form import PLAIN, chosen_form, in_form, some_views
from shiftproof.auditing.forward import MAX_BATCH, Forward, check_layer, measure_forward
from shiftproof.auditing.grid import Grid, find_grid
from shiftproof.auditing.options import AuditOptions
from shiftproof.auditing.pictures import TENSOR, Picture, Pictures, from_source
from shiftproof.auditing.plan import Plan, find_period, plan_moves
from shiftproof.auditing.stream import as_unit
from shiftproof.data import open_data
from shiftproof.errors import BadItemError, DataError, ModelError, ShiftproofError, TooManyBadError
from shiftproof.measure import ANSWERS, Answer
from shiftproof.measure.answer_kinds import Distance
from shiftproof.models import GIVEN, LoadedModel, evaluating, load_model
from shiftproof.models.loading.fixed_batch import unbatched
from shiftproof.profiling.geometry import LayerGeometry
from shiftproof.profiling.profile import LayerProfiler
from shiftproof.translations import TranslationSet, offsets_tensor, roundtrip_error

PERIOD_PICTURES = 4  # a period is looked for on this many pictures
BLOCK_VIEWS = 8192  # views per block: enough that a block's overhead vanishes, few enough that little is lost by a kill
BLOCK_VALUES = 2**25  # pixels x channels per block, for large pictures: a block should take seconds, not minutes


@dataclass(frozen=True)
class Measured:
    """What the first start of a run measured. A resumed run uses the same values and does not measure again.

    Args:
        batch_size: views per forward pass.
        forward_s: CPU seconds of a plain forward pass per picture.
        period: (y, x) in px if the model is periodic on the torus of all moves, else None.
        floor: relative round-trip error of the interpolator; smaller differences mean nothing.
        repeat: by how much the answer to the same batch differed, see `behaviour.Steadiness`.
        neighbours: by how much the answer depended on the rest of the batch, likewise.
        constant: whether different pictures got the same output, likewise.
        form: of the model, through which most views go, see `fast_form.chosen_form`.
    """

    batch_size: int
    forward_s: float
    period: tuple[int, int] | None
    floor: float
    repeat: float = 0.0
    neighbours: float = 0.0
    constant: bool = False
    form: str = PLAIN


@dataclass(frozen=True, kw_only=True, eq=False)
class Setup:
    """Everything that decides a block, except the model and the pictures themselves. It can be pickled.

    Args:
        options: what was asked.
        translations: the moves.
        model: the model, as the record names it.
        loading: what `load_model` takes beside the model's word.
        class_names: the names of the model's classes, if known.
        data: the data's word.
        count: number of pictures.
        labelled: whether labels are used.
        data_names: label of the data -> name of its class, as far as names are known.
        preparation: how pictures were resized and cropped, in words.
        margin_px: pixels on every side that a picture carries, for `crop`.
        by_number: see `Pictures.by_number`.
        taken: which of several outputs was taken for the answer, in words; empty where there is no doubt.
        classes: number of classes (channels of a dense output).
        columns: numbers per picture, or per cell of a map, in the output of which distances are measured: the model's, or
            that of the layer `options.features`.
        plan: which moves are run.
        measured: batch size, cost and period.
        border_px: how far the border of a dense output reaches in.
        grid: where its cells lie; None for one answer per picture.
        layer_images: number of pictures for the layer profile.
        layers: the layers of the profile.
        example: index of a picture that can be used.
        values: smallest and largest value of the first pictures, as they are given to the model.
        unit: whether the pictures are taken to be in [0, 1], so that the model's preprocessing applies to them: they come
            from a data source, are whole numbers that were divided by 255, or are in [0, 1] for a model that was loaded by a
            word. Other tensors are as the model takes them.
        device: where the model runs.
        seconds: wall clock that the preparation took.
        cpu_seconds: likewise, of the process.
    """

    options: AuditOptions
    translations: TranslationSet
    model: records.Model
    loading: dict[str, Any]
    class_names: list[str] | None
    data: str
    count: int
    labelled: bool
    data_names: dict[int, str]
    preparation: str
    margin_px: int
    by_number: str
    taken: str
    classes: int
    columns: int
    plan: Plan
    measured: Measured
    border_px: int
    grid: Grid | None
    layer_images: int
    layers: tuple[LayerGeometry, ...]
    example: int
    values: tuple[float, float]
    unit: bool
    device: str
    seconds: float
    cpu_seconds: float

    @property
    def is_dense(self) -> bool:
        """Whether the output is a map, not one row per picture."""
        return self.model.task == "dense"

    @property
    def answer(self) -> Answer:
        """The kind of the model's answer."""
        return ANSWERS[self.model.answer]

    @property
    def distances(self) -> tuple[Distance, ...]:
        """Which distances between two outputs mean something: between single numbers there is no angle."""
        if self.columns == 1:
            return ("euclidean",)
        # A layer's output is a vector of features, whatever the model's own output is.
        return self.answer.distances if self.options.features is None else ("euclidean", "cosine")

    @property
    def words(self) -> str:
        """What decides the subject: two setups of the same words can share one."""
        moves = self.translations.boundary, self.translations.fill
        data = self.data, self.count, self.labelled, self.margin_px, self.preparation
        return repr((self.model, self.loading, data, moves, self.layer_images, self.example))

    @property
    def block_size(self) -> int:
        """Pictures per block (fewer in the last)."""
        views = min(BLOCK_VIEWS, BLOCK_VALUES // math.prod(self.model.input_size))
        return max(1, views // len(self.plan.run))

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.count // self.block_size)

    @cached_property
    def order(self) -> np.ndarray:
        """The pictures' indices in the order in which they are run: (count,)."""
        return shuffled(self.count, self.options.seed)

    def indices(self, number: int) -> np.ndarray:
        """The pictures' indices in block `number`."""
        return self.order[number * self.block_size : (number + 1) * self.block_size]

    def first_of(self, pictures: int, number: int) -> int:
        """How many of the run's first `pictures` pictures are in block `number` or later."""
        return max(0, pictures - number * self.block_size)


@dataclass(frozen=True)
class Subject:
    """The model and the pictures of an audit, as one process holds them.

    Args:
        model: the model.
        running: the form of it that is run on the views, but for those of the layer profile.
        pictures: the pictures, with labels that mean the model's classes.
        profiler: of the layers; None where no profile is made.
    """

    model: LoadedModel
    running: LoadedModel
    pictures: Pictures
    profiler: LayerProfiler | None


def shuffled(count: int, seed: int) -> np.ndarray:
    """0..count-1 in the seeded random order in which pictures are run."""
    return np.random.default_rng(seed).permutation(count)


def device_of(model: LoadedModel) -> torch.device:
    """Where the model's parameters are now; for a model without any, where it was loaded."""
    return next((p.device for p in model.module.parameters()), torch.device(model.device))


def prepare(
    model: LoadedModel,
    pictures: Pictures,
    translations: TranslationSet,
    options: AuditOptions,
    measured: Measured | None = None,
) -> tuple[Setup, Subject]:
    """The setup of an audit. The first usable picture tells the task, the cost of a forward pass and the geometry.

    Args:
        model: the model.
        pictures: with a margin of `translations.margin_px` for `crop`.
        translations: the moves.
        options: what was asked.
        measured: what the first start of this run measured; None measures it.

    Raises:
        TooManyBadError: none of the first pictures can be used.
        ModelError: the model's output is neither logits nor maps.
        DataError: the labels do not fit the model's classes.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    if device_of(model).type == "meta":
        raise ModelError("the model's weights have no values", where=model.word, remedy="move it off the device 'meta'")
    check_layer(model, options.features)
    with evaluating(model.module), torch.inference_mode():
        first = _first_usable(pictures, options)
        pixels = as_unit(first[0][1].pixels[None].to(device_of(model))).clone()
        window = _window(pixels, pictures.margin_px)
        batch, outputs = first_answers(model, _windows(model, pictures, first), options.batch_size or MAX_BATCH)
        task, taken = _task(outputs, batch), taken_of(model, batch)
        kind, settled = kind_of_answer(model, pictures, batch, outputs, options.answer)
        classes = classes_of(model, ANSWERS[kind], outputs)
        columns = outputs.shape[1] if task == "dense" else columns_of(model, batch, outputs, options.features)
        if task == "dense" or not classes:
            pictures = pictures.unlabelled()
        else:
            pictures = pictures.matched(classes, model.labels)
        offsets = offsets_tensor(translations, "cpu").numpy().astype(float)
        running = model if measured is None else in_form(model, measured.form)
        if measured is None:
            period = None
            # Only the torus of all moves has the group's structure: of some moves
            # a period would say nothing about the others.
            if translations.kind == "torus" and task == "classification":
                stack = as_unit(torch.stack([p.pixels for _, p in first]).to(device_of(model)))
                period = find_period(model, stack, seed=options.seed)
            run = plan_moves(offsets, period).run
            views = len(run) * pictures.count
            forward = measure_forward(model, window, most=options.batch_size or views)
            steady = steadiness(model, batch, outputs)
            measured = Measured(
                batch_size=options.batch_size or forward.batch_size,
                forward_s=forward.seconds,
                period=period,
                floor=float(roundtrip_error(pixels, translations)),
                **asdict(steady),
            )
            if options.features is None and not steady.repeat:  # a layer is seen in the model as it is
                stack = as_unit(torch.stack([p.pixels for _, p in first]).to(device_of(model)))
                moved = some_views(stack, run, translations, pictures.margin_px)
                plain = Forward(measured.batch_size, forward.seconds)
                form, running = chosen_form(model, moved, ANSWERS[kind], views, plain)
                measured = replace(measured, form=form)
        grid = find_grid(model, window.clone(), (outputs.shape[2], outputs.shape[3])) if task == "dense" else None
        plan = plan_moves(offsets, measured.period)
        # Of a periodic model only some moves are run; the profile would be of those alone.
        layer_images = options.layers if model.traceable and plan.period is None else 0
        profiler = _profiler(model, window, translations) if layer_images else None
    border_px = options.border_px if options.border_px is not None else min(model.input_size[1:]) // 8
    setup = Setup(
        options=options,
        translations=translations,
        model=described(model, task, kind, settled),
        loading=loading(model, device_of(model)),
        class_names=model.labels,
        data=pictures.word,
        count=pictures.count,
        labelled=pictures.labelled,
        data_names=dict(pictures.class_names) if pictures.labelled else {},
        preparation=pictures.preparation,
        margin_px=pictures.margin_px,
        by_number=pictures.by_number,
        taken=taken,
        classes=classes,
        columns=columns,
        plan=plan,
        measured=measured,
        border_px=border_px,
        grid=grid,
        layer_images=layer_images,
        layers=profiler.layers if profiler else (),
        example=first[0][0],
        values=(float(batch.min()), float(batch.max())),
        unit=_in_unit(model, pictures, first[0][1].pixels, batch),
        device=str(device_of(model)),
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
    )
    return setup, Subject(model, running, pictures, profiler)


def reopen(setup: Setup) -> Subject:
    """The model and the pictures that the setup's words name, opened in this process.

    Raises:
        ModelError: the model was given in Python and has no word, or its weights are no longer the same.
        DataError: the same of the pictures.
    """
    try:
        model = load_model(setup.model.word, **setup.loading)
    except ShiftproofError as e:
        raise ModelError(
            f"the model cannot be opened again: {e}",
            where=setup.model.word,
            remedy="give work() the subject, or audit a model that load_model can name",
        ) from e
    if model.sha256 != setup.model.sha256:
        raise ModelError("the weights differ from those that the audit began with", where=setup.model.word)
    try:
        source = open_data(setup.data, limit=setup.count)
    except ShiftproofError as e:
        raise DataError(
            f"the pictures cannot be opened again: {e}",
            where=setup.data,
            remedy="give work() the subject, or audit data that open_data can name",
        ) from e
    pictures = from_source(source, model, margin_px=setup.margin_px, labelled=setup.labelled)
    if (pictures.count, pictures.preparation) != (setup.count, setup.preparation):
        raise DataError("the pictures differ from those that the audit began with", where=setup.data)
    pictures = pictures.matched(setup.classes, model.labels)
    profiler = None
    if setup.layer_images:
        with evaluating(model.module), torch.inference_mode():
            pixels = as_unit(pictures.unlabelled().load(setup.example).pixels[None].to(device_of(model))).clone()
            profiler = _profiler(model, _window(pixels, setup.margin_px), setup.translations)
    return Subject(model, in_form(model, setup.measured.form), pictures, profiler)


def _first_usable(pictures: Pictures, options: AuditOptions) -> list[tuple[int, Picture]]:
    """The first usable pictures with their indices: `PERIOD_PICTURES` if there are so many, at least one."""
    found, reason = [], ""
    for i in shuffled(pictures.count, options.seed)[: options.max_bad + PERIOD_PICTURES]:
        try:
            found.append((int(i), pictures.unlabelled().load(int(i))))
        except BadItemError as e:
            reason = str(e)
        if len(found) == PERIOD_PICTURES:
            break
    if not found:
        raise TooManyBadError(
            "none of the first pictures could be used", where=reason, remedy="fix the data, or raise max_bad"
        )
    return found


def _window(pixels: Tensor, margin_px: int) -> Tensor:
    """The pictures (n, c, H, W) without their margin."""
    m = margin_px
    return pixels[..., m : pixels.shape[-2] - m, m : pixels.shape[-1] - m]


def _in_unit(model: LoadedModel, pictures: Pictures, pixels: Tensor, batch: Tensor) -> bool:
    if pictures.word != TENSOR or pixels.dtype == torch.uint8:
        return True
    return model.weights_from != GIVEN and bool(batch.min() >= 0) and bool(batch.max() <= 1)


def _windows(model: LoadedModel, pictures: Pictures, chosen: list[tuple[int, Picture]]) -> list[Tensor]:
    """The chosen pictures (1, c, h, w) as floats without their margin."""
    return [_window(as_unit(p.pixels[None].to(device_of(model))), pictures.margin_px) for _, p in chosen]


def _task(output: Tensor, pictures: Tensor) -> records.Task:
    """The task, from the output (n, k) or (n, k, h', w') for a few pictures."""
    if not output.is_floating_point():
        raise ModelError(f"the model answers in {output.dtype}", remedy="return floating-point logits")
    if output.ndim not in (2, 4):
        raise ModelError(
            f"the model's output for {len(pictures)} pictures has shape {tuple(output.shape)}",
            remedy="return logits (n, k) or a map (n, k, h', w')",
        )
    return "classification" if output.ndim == 2 else "dense"


def _profiler(model: LoadedModel, window: Tensor, translations: TranslationSet) -> LayerProfiler:
    # Pictures are normalised before the layers see them, so the constant that `zero` moves in is normalised too.
    fill = model.normalise(torch.full_like(window[..., :1, :1], translations.fill)).reshape(-1)
    network, rows = unbatched(model.module)
    return LayerProfiler(network, model.ready(window.clone()), translations.boundary, fill, rows)
