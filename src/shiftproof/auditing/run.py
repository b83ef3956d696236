"""One run of an audit, block by block: what it measured is kept as it comes, and folded into one record."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from shiftproof import records
from shiftproof.auditing.asked import Asked, Progress
from shiftproof.auditing.evaluate import Evaluation, Shapes, evaluate
from shiftproof.auditing.folder import Block, RunFolder, write_views
from shiftproof.auditing.identity import identify
from shiftproof.auditing.pictures import Picture, Pictures
from shiftproof.auditing.stream import (
    Features,
    Forward,
    as_unit,
    find_period,
    is_out_of_memory,
    measure_forward,
    plan_moves,
    run,
)
from shiftproof.auditing.tally import Tally
from shiftproof.auditing.witnesses import draw
from shiftproof.environment import environment, library_version
from shiftproof.errors import BadItemError, DataError, TooManyBadError
from shiftproof.measure import INTERVALS
from shiftproof.measure.layers import LayerEnergies, LayerProfiler, summarise
from shiftproof.models import LoadedModel
from shiftproof.translations import TranslationSet, offsets_tensor, roundtrip_error

PERIOD_PICTURES = 4  # a period is looked for on so many
BLOCK_VIEWS = 8192  # pictures are done, written and counted in blocks of at most so many views
BLOCK_VALUES = 2**25  # and of at most so many pixels x channels in all views (seconds of a large network)


class Run:
    """One run: what it was asked, and its state between blocks."""

    def __init__(
        self,
        model: LoadedModel,
        pictures: Pictures,
        translations: TranslationSet,
        asked: Asked,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.model, self.pictures, self.translations, self.asked = model, pictures, translations, asked
        self.progress = progress
        self.layer_images = asked.layers if model.traceable else 0
        self.border_px = asked.border_px if asked.border_px is not None else min(model.input_size[1:]) // 8
        self.offsets = offsets_tensor(translations, "cpu").numpy().astype(float)
        self.order = np.random.default_rng(asked.seed).permutation(pictures.count)
        self.device = next((p.device for p in model.module.parameters()), torch.device("cpu"))
        self.bad: list[records.BadItem] = []
        self.views, self.seconds, self.cpu_seconds = 0, 0.0, 0.0
        self.profiler: LayerProfiler | None = None
        self.energies: list[LayerEnergies] = []
        self.folder = RunFolder(asked.out, self._identity()) if asked.out is not None else None
        self.features = None if asked.features is None else Features(model, asked.features)
        try:
            self._begin(asked.batch_size)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave the model as it was found."""
        if self.features is not None:
            self.features.close()

    def _identity(self) -> dict[str, Any]:
        """Everything that decides the figures: only a run of the same goes on where this one stopped."""
        options = {**dataclasses.asdict(self.asked), "out": None, "max_bad": None}
        return {
            "versions": [library_version(name) for name in ("shiftproof", "torch", "onnxruntime")],
            "schema": records.SCHEMA,
            "model": identify(self.model),
            "data": (self.pictures.fingerprint(), self.pictures.preparation, self.pictures.margin_px),
            "moves": (self.translations.to_dict(), hashlib.sha256(self.offsets.tobytes()).hexdigest()),
            "options": options,
            "device": str(self.device),
        }

    # ---- before the first block -------------------------------------------------------------------------------------

    def _begin(self, batch_size: int | None) -> None:
        """The first good picture tells the task, the cost of a forward, the batch size, the period and the geometry."""
        first = self._first_good()
        pixels = as_unit(first[0].pixels[None].to(self.device)).clone()
        m = self.pictures.margin_px
        window = pixels[..., m : pixels.shape[-2] - m, m : pixels.shape[-1] - m]
        output = run(self.model, window.clone())
        self.shapes = Shapes.of(output, window)
        if self.shapes.task == "classification":
            self.pictures.match(self.shapes.classes, self.model.labels)
        kept = self.folder.settings() if self.folder else None
        if kept is None:
            period = None
            if self.translations.kind == "torus" and self.shapes.task == "classification":
                several = as_unit(torch.stack([p.pixels for p in first]).to(self.device))
                period = find_period(self.model, several, seed=self.asked.seed)
            moves = len(plan_moves(self.offsets, period).run)
            forward = measure_forward(self.model, window, most=batch_size or moves * self.pictures.count)
            if batch_size is not None:
                forward = Forward(batch_size, forward.seconds)
            kept = {
                **dataclasses.asdict(forward),
                "period": period,
                "floor": roundtrip_error(pixels, self.translations),
            }
            if self.folder:
                self.folder.keep_settings(kept)
        self.forward = Forward(kept["batch_size"], kept["seconds"])
        self.interpolator_error = float(kept["floor"])
        self.plan = plan_moves(self.offsets, tuple(kept["period"]) if kept["period"] else None)  # type: ignore[arg-type]
        if self.layer_images and self.plan.period is None:
            fill = self.model.normalise(torch.full_like(window[..., :1, :1], self.translations.fill)).reshape(-1)
            example = self.model.ready(window.clone())
            self.profiler = LayerProfiler(self.model.module, example, self.translations.boundary, fill)
        else:
            self.layer_images = 0
        self.tally = Tally(
            self.offsets,
            is_path=self.translations.kind == "path",
            classes=self.shapes.classes,
            labelled=self.pictures.labelled and self.shapes.task == "classification",
            confidence=self.asked.confidence,
            seed=self.asked.seed,
        )

    def _first_good(self) -> list[Picture]:
        """The first few pictures that can be used, at least one."""
        reason, found = "", []
        for i in self.order[: self.asked.max_bad + PERIOD_PICTURES]:
            try:
                found.append(self.pictures.load(int(i)))
            except BadItemError as e:
                reason = str(e)
            if len(found) == (PERIOD_PICTURES if self.translations.kind == "torus" else 1):
                break
        if not found:
            raise TooManyBadError(
                "none of the first pictures could be used", where=reason, remedy="mend the data, or raise max_bad"
            )
        return found

    # ---- blocks -----------------------------------------------------------------------------------------------------

    def blocks(self) -> list[np.ndarray]:
        """The pictures' indices, block by block."""
        views = min(BLOCK_VIEWS, BLOCK_VALUES // math.prod(self.model.input_size))
        size = max(1, views // len(self.plan.run))
        return [self.order[i : i + size] for i in range(0, len(self.order), size)]

    def work(self) -> int:
        """Do, or read back, block after block and fold each; return how many blocks there are in the result."""
        blocks = self.blocks()
        done = 0
        with ThreadPoolExecutor(2, thread_name_prefix="shiftproof-decode") as pool:
            ahead = {}
            for number, indices in enumerate(blocks):
                block = self.folder.read(number) if self.folder else None
                if block is None:
                    for later in range(number, min(number + 2, len(blocks))):
                        if later not in ahead and not (self.folder and later > number and self.folder.has(later)):
                            ahead[later] = [pool.submit(self._load, int(i)) for i in blocks[later]]
                    started, cpu = time.perf_counter(), time.process_time()
                    loaded = [f.result() for f in ahead.pop(number)]
                    block = self._evaluate(number, indices, loaded)
                    spent = time.perf_counter() - started, time.process_time() - cpu
                    block = dataclasses.replace(block, seconds=spent[0], cpu_seconds=spent[1])
                    if self.folder:
                        self.folder.write(block)
                self._fold(block)
                done += 1
                half = self.tally.half_width() if self.asked.precision is not None else None
                if self.progress:
                    finished = sum(len(b) for b in blocks[:done])
                    self.progress(Progress(finished, len(self.order), self.views, half))
                if self.asked.precision is not None and half is not None and half < self.asked.precision:
                    for futures in ahead.values():
                        for future in futures:
                            future.cancel()
                    break
        return done

    def _load(self, i: int) -> Picture | BadItemError:
        try:
            return self.pictures.load(i)
        except BadItemError as e:
            return e

    def _evaluate(self, number: int, indices: np.ndarray, loaded: list[Picture | BadItemError]) -> Block:
        bad, good = [], []
        for i, picture in zip(indices, loaded, strict=True):
            if isinstance(picture, BadItemError):
                bad.append((picture.where or f"item {i}", picture.what))
            elif (
                picture.label is not None
                and self.shapes.task == "classification"
                and not 0 <= picture.label < self.shapes.classes
            ):
                bad.append((picture.name, f"label {picture.label} is not a class: the model has {self.shapes.classes}"))
            elif self.tally.labelled and picture.label is None:
                bad.append((picture.name, "no label"))
            else:
                good.append((int(i), picture))
        remaining = max(0, self.layer_images - len(self.energies))
        while True:
            try:
                evaluation = evaluate(
                    self.model,
                    good,
                    self.plan,
                    self.translations,
                    shapes=self.shapes,
                    margin_px=self.pictures.margin_px,
                    border_px=self.border_px,
                    batch_size=self.forward.batch_size,
                    profiler=self.profiler,
                    profiled=remaining,
                    features=self.features,
                    keep=self.tally.wants_features,
                    seed=self.asked.seed,
                )
                break
            except Exception as e:
                if not is_out_of_memory(e) or self.forward.batch_size == 1:
                    raise
                self.forward = Forward(self.forward.batch_size // 2, self.forward.seconds)
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
        return self._block(number, evaluation, bad)

    def _block(self, number: int, e: Evaluation, bad: list[tuple[str, str]]) -> Block:
        return Block(
            number=number,
            names=e.names,
            per_image=e.per_image,
            per_view=e.per_view,
            layers=[x.to_dict() for x in e.layers],
            bad=bad + e.bad,
            views=e.views,
        )

    def _fold(self, block: Block) -> None:
        self.tally.fold(block)
        self.energies.extend(LayerEnergies.from_dict(x) for x in block.layers)
        self.bad.extend(records.BadItem(a, b) for a, b in block.bad)
        self.views += block.views
        self.seconds += block.seconds
        self.cpu_seconds += block.cpu_seconds
        if len(self.bad) > self.asked.max_bad:
            last = self.bad[-1]
            raise TooManyBadError(
                f"{len(self.bad)} pictures had to be skipped, more than max_bad={self.asked.max_bad}",
                where=f"last: {last.item}: {last.reason}",
                remedy="mend the data, or raise --max-bad",
            )

    # ---- the record -------------------------------------------------------------------------------------------------

    def record(self, started: float, cpu_started: float) -> records.AuditRecord:
        """Run what is left and put the record together; with a run folder, write it."""
        before = time.perf_counter() - started, time.process_time() - cpu_started
        count = self.work()
        if not self.tally.images:
            first = self.bad[0] if self.bad else records.BadItem(self.pictures.word, "no pictures")
            raise DataError(
                f"no picture could be used, {len(self.bad)} were skipped",
                where=f"first: {first.item}: {first.reason}",
                remedy="mend the data or the model",
            )
        witnesses, drawn = draw(self.tally.witnesses(), self.pictures, self.translations, self.offsets, self.model)
        record = records.AuditRecord(
            model=_describe(self.model, self.shapes.task),
            data=records.Data(
                word=self.pictures.word,
                items=self.pictures.count,
                used=self.tally.images,
                labelled=self.tally.labelled,
                scene=self.pictures.scene(
                    self.translations.boundary, float(self.translations.fill), self.tally.mirrored
                ),
                bad=self.bad,
            ),
            protocol=self._protocol(),
            metrics=self.tally.metrics(),
            maps=self.tally.maps(),
            layers=summarise(self.profiler.layers, self.energies, confidence=self.asked.confidence)
            if self.profiler and self.energies
            else [],
            witnesses=witnesses,
            cost=self._cost(before),
            environment=environment(self.device),
            pictures=drawn,
        )
        if self.folder and self.asked.out:
            write_views(self.folder.blocks(count), self.offsets, self.asked.out / "views.parquet")
            for old in self.asked.out.glob("witnesses/*.png"):
                old.unlink()
            records.save(record, self.asked.out)
            self.folder.finish()
        return record

    def _protocol(self) -> records.Protocol:
        t = self.translations
        return records.Protocol(
            boundary=t.boundary,
            fill=float(t.fill),
            translations=t.to_dict(),
            views_per_image=len(self.offsets),
            interpolator=t.interpolator,
            interpolator_error=self.interpolator_error,
            order="seeded permutation",
            seed=self.asked.seed,
            confidence=self.asked.confidence,
            intervals=INTERVALS,
            precision=self.asked.precision,
            period=list(self.plan.period) if self.plan.period else None,
            preparation=self.pictures.preparation,
            layer_images=len(self.energies),
        )

    def _cost(self, before: tuple[float, float]) -> records.Cost:
        seconds, cpu = self.seconds + before[0], self.cpu_seconds + before[1]
        clock = cpu if self.device.type == "cpu" else seconds
        total = clock / max(self.forward.seconds, 1e-9)
        peak = (
            torch.cuda.max_memory_allocated(self.device)
            if self.device.type == "cuda"
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        )
        return records.Cost(
            views=self.views,
            forward_equivalents=total,
            forward_equivalents_per_view=total / max(self.views, 1),
            seconds=seconds,
            cpu_seconds=cpu,
            forward_s=self.forward.seconds,
            batch_size=self.forward.batch_size,
            peak_memory_bytes=int(peak),
        )


def _describe(model: LoadedModel, task: str) -> records.Model:
    return records.Model(
        word=model.word,
        parameters=model.parameters,
        input_size=list(model.input_size),
        mean=[float(v) for v in model.mean],
        std=[float(v) for v in model.std],
        scale=float(model.scale),
        task=task,
        weights=model.weights,
        sha256=model.sha256,
    )
