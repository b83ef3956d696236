"""Blocks folded into the record of an audit."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch

from shiftproof import records
from shiftproof.auditing.block import Block
from shiftproof.auditing.notes import Facts, notes, settled
from shiftproof.auditing.pictures import TENSOR, scene
from shiftproof.auditing.setup import Setup, Subject
from shiftproof.auditing.tally import Tally
from shiftproof.auditing.witnesses import describe, draw
from shiftproof.environment import environment
from shiftproof.errors import TooManyBadError
from shiftproof.measure import INTERVALS
from shiftproof.profiling.profile import LayerEnergies, summarise
from shiftproof.records.metrics import METRICS


@dataclass(frozen=True)
class Progress:
    """The progress of a run.

    Args:
        done: number of pictures that are done.
        total: number of pictures in the data.
        views: pictures that went through the model so far.
        total_views: how many there are to be in all.
        expected_s: seconds that the model alone needs for all of them, at the cost that was measured before the first.
        half_width: the widest interval of the headline metrics, if a precision was asked; infinite while unknown.
    """

    done: int
    total: int
    views: int
    total_views: int = 0
    expected_s: float = 0.0
    half_width: float | None = None


class Meter:
    """Says how far a run is, view by view: a block of a large model takes minutes.

    Args:
        setup: of the run.
        progress: who is told, at once and after every batch; None is nobody.
    """

    def __init__(self, setup: Setup, progress: Callable[[Progress], None] | None) -> None:
        self.progress = progress
        views = setup.count * len(setup.plan.run)
        seconds = views * setup.measured.forward_s
        if setup.device == "cpu":  # there, the cost of a forward pass is in CPU seconds, of all threads together
            seconds /= torch.get_num_threads()
        self.last = Progress(0, setup.count, 0, views, seconds)
        self._tell()

    def add(self, views: int) -> None:
        """So many more views of the block at work have gone through the model."""
        self.last = replace(self.last, views=self.last.views + views)
        self._tell()

    def at(self, progress: Progress) -> None:
        """A block is folded: what it says counts, beside what was run of blocks that are not folded yet."""
        last = self.last
        views = max(last.views, progress.views)
        self.last = replace(progress, views=views, total_views=last.total_views, expected_s=last.expected_s)
        self._tell()

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.last)


def fold(
    setup: Setup,
    blocks: Iterable[Block],
    *,
    subject: Subject | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> records.AuditRecord:
    """The record of an audit, from its blocks.

    Args:
        setup: of the run.
        blocks: in order, from block 0. No more are taken once the asked precision is reached.
        subject: the pictures, to draw the witnesses; None leaves the drawings out.
        progress: called after every block.

    Raises:
        TooManyBadError: more pictures were skipped than `max_bad`, or all of them.
    """
    tally = Tally(setup)
    folded: list[Block] = []  # without their arrays, see _head
    wanted = setup.options.precision
    done = 0
    for block in blocks:
        tally.fold(block)
        folded.append(_head(block))
        _check_bad(setup, folded)
        done += len(setup.indices(block.number))
        # After whole blocks only, so that where a run stops does not depend on the batch size.
        half = tally.half_width() if wanted is not None else None
        if progress is not None:
            progress(Progress(done, setup.count, sum(b.views for b in folded), half_width=half))
        if wanted is not None and half is not None and half < wanted:
            break
    return _record(setup, tally, folded, subject)


def blocks_in(setup: Setup, record: records.AuditRecord) -> int:
    """From how many blocks the record was folded: every picture of a block was either used or skipped."""
    return -(-(record.data.used + len(record.data.bad)) // setup.block_size)


def _head(block: Block) -> Block:
    """The block without its arrays, which the tally has taken in: memory must not grow with the views."""
    return Block(
        number=block.number,
        names=[],
        per_image={},
        per_view={},
        layers=block.layers,
        bad=block.bad,
        views=block.views,
        batch_size=block.batch_size,
        seconds=block.seconds,
        cpu_seconds=block.cpu_seconds,
    )


def _check_bad(setup: Setup, folded: list[Block]) -> None:
    bad = [b for block in folded for b in block.bad]
    if len(bad) > setup.options.max_bad:
        item, reason = bad[-1]
        raise TooManyBadError(
            f"{len(bad)} pictures had to be skipped, more than max_bad={setup.options.max_bad}",
            where=f"last: {item}: {reason}",
            remedy="fix the data, or raise --max-bad",
        )


def _record(setup: Setup, tally: Tally, folded: list[Block], subject: Subject | None) -> records.AuditRecord:
    bad = [records.BadItem(item, reason) for block in folded for item, reason in block.bad]
    if not tally.images:
        first = bad[0] if bad else records.BadItem(setup.data, "no pictures")
        raise TooManyBadError(
            f"no picture could be used, {len(bad)} were skipped",
            where=f"first: {first.item}: {first.reason}",
            remedy="fix the data or the model",
        )
    energies = [LayerEnergies.from_dict(x) for x in chain.from_iterable(block.layers for block in folded)]
    flips = tally.witnesses()
    boundary, fill = setup.translations.boundary, float(setup.translations.fill)
    metrics = tally.metrics()
    facts = _facts(setup, tally, metrics)
    model = setup.model
    if model.answer_from == "guessed" and settled(model, facts):
        model = replace(model, answer_from="recognised")
    return records.AuditRecord(
        notes=notes(model, facts),
        model=model,
        data=records.Data(
            word=setup.data,
            items=setup.count,
            used=tally.images,
            labelled=setup.labelled,
            scene=scene(boundary, fill, tally.mirrored),
            bad=bad,
        ),
        protocol=_protocol(setup, len(energies)),
        metrics=metrics,
        maps=tally.maps(),
        layers=summarise(setup.layers, energies, confidence=setup.options.confidence) if energies else [],
        witnesses=describe(flips, setup),
        cost=_cost(setup, folded),
        environment=environment(torch.device(setup.device)),
        pictures=draw(flips, setup, subject.pictures) if subject is not None else {},
    )


def _facts(setup: Setup, tally: Tally, metrics: dict[str, records.Metric]) -> Facts:
    return Facts(
        repeat=setup.measured.repeat,
        neighbours=setup.measured.neighbours,
        tensors=setup.data == TENSOR,
        constant=setup.measured.constant,
        taken=setup.taken,
        by_number=setup.by_number,
        copies=tally.copies,
        grid_assumed=setup.grid is not None and setup.grid.assumed,
        low=setup.values[0],
        high=setup.values[1],
        unit=setup.unit,
        crop_fraction=setup.loading["crop_fraction"],
        interpolation=setup.loading["interpolation"],
        enlarged=float(np.median(tally.enlarged)),
        resized=any(factor != 1 for factor in tally.enlarged),
        mirrored=tally.mirrored,
        transparent=tally.transparent,
        sixteen=tally.sixteen,
        high16=tally.high16,
        unseen=setup.options.layers > 0 and not setup.layer_images and setup.plan.period is None,
        used=tally.images,
        accuracy=next((metrics[name] for name, row in METRICS.items() if row.plain and name in metrics), None),
        classes=setup.classes,
    )


def _protocol(setup: Setup, layer_images: int) -> records.Protocol:
    moves, options = setup.translations, setup.options
    return records.Protocol(
        boundary=moves.boundary,
        fill=float(moves.fill),
        translations=moves.to_dict(),
        views_per_image=len(setup.plan.asked),
        interpolator=moves.interpolator,
        interpolator_error=setup.measured.floor,
        order="seeded permutation",
        seed=options.seed,
        confidence=options.confidence,
        intervals=INTERVALS,
        precision=options.precision,
        period=list(setup.plan.period) if setup.plan.period else None,
        preparation=setup.preparation,
        layer_images=layer_images,
    )


def _cost(setup: Setup, folded: list[Block]) -> records.Cost:
    views = sum(block.views for block in folded)
    seconds = setup.seconds + sum(block.seconds for block in folded)
    cpu_seconds = setup.cpu_seconds + sum(block.cpu_seconds for block in folded)
    device = torch.device(setup.device)
    # In the same currency as `forward_s`: CPU seconds of the process, or wall clock
    # where it only waits for an accelerator.
    total = (cpu_seconds if device.type == "cpu" else seconds) / max(setup.measured.forward_s, 1e-9)
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
    else:
        # Linux counts it in KiB, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return records.Cost(
        views=views,
        forward_equivalents=total,
        forward_equivalents_per_view=total / max(views, 1),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        forward_s=setup.measured.forward_s,
        batch_size=min(block.batch_size for block in folded),
        peak_memory_bytes=int(peak),
        form=setup.measured.form,
    )
