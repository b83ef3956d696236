"""From a step of several pixels to every pixel: the picture is rolled once, and no strided layer is touched."""

from __future__ import annotations

from shiftproof.layers import PhaseAlign
from shiftproof.records import Change
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.methods.refusal import refused


def phase(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model behind a `PhaseAlign` of its step.

    Raises:
        RepairError: no step is proved of the model, or it is the whole picture.
    """
    claim = job.verdict.circular if job.verdict is not None else None
    y, x = claim.step if claim is not None else (None, None)
    if job.verdict is None or claim is None or claim.status != "proved" or y is None or x is None:
        broken = [] if job.verdict is None else [f for f in job.verdict.findings if "circular" in f.breaks]
        if not broken:
            raise refused("no step is proved that could be made finer", "the original model", job.goal)
        first = broken[0]
        more = f", and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise refused(
            f"{first.name}: {first.detail}{more}", f"{first.module or first.source} ({first.operator})", job.goal
        )
    # The step of a mapped answer: its own cells move by whole pixels of theirs, so it cannot become finer than they are.
    added = Change(
        "added", "PhaseAlign", "", f"rolls the picture by its seam modulo {y}, {x} px before the network sees it"
    )
    kept = [
        Change(
            "kept",
            f.module,
            f.operator,
            f"It stays as it is: the picture is aligned before it. The check found: {f.detail}",
            f.mend,
        )
        for f in job.verdict.findings
        if f.code == "T1"
    ]
    return Mended(job.network, PhaseAlign((y, x), return_phase=True), job.input_size, job.dense), (added, *kept)
