"""How a record was made, as lists of term and fact; and why a section of the page has nothing to show."""

from __future__ import annotations

from shiftproof.records import AuditRecord, Environment
from shiftproof.report import words

Facts = list[tuple[str, str]]


def how(record: AuditRecord) -> list[tuple[str, Facts]]:
    """Model, data, protocol, cost and environment, each a heading with its facts in reading order."""
    return [
        ("Model", _model(record)),
        ("Data", _data(record)),
        ("Protocol", _protocol(record)),
        ("Cost", _cost(record)),
        ("Environment", environment(record.environment)),
    ]


def why_empty(record: AuditRecord) -> dict[str, str]:
    """For every section that has nothing to show, one sentence that says why."""
    reasons = {}
    if not any(m.offsets_px for m in record.maps.values()):
        reasons["maps"] = "There is no map: the record holds no figure for each single move."
    if not record.layers:
        reasons["layers"] = "There is no layer profile: " + _why_no_layers(record)
    if not record.witnesses:
        flip = record.metrics.get("flip_rate")
        if flip and flip.value == 0:
            reasons["witnesses"] = "There is no witness: no answer changed at any move of any picture."
        elif record.model.task == "dense":
            reasons["witnesses"] = "There is no witness: the model answers with a mask, not with one class."
        else:
            reasons["witnesses"] = "There is no witness: the record kept none."
    return reasons


def _why_no_layers(record: AuditRecord) -> str:
    if record.protocol.layer_images:
        return "none of the model's layers gave an output that could be compared."
    if record.protocol.period:
        return "the model is periodic, so that only one move a residue was run."
    if record.model.parameters is None:
        return "from outside the model is one piece; its layers cannot be seen."
    return "the run was not asked for one, or the model's layers cannot be seen."


def _model(record: AuditRecord) -> Facts:
    m = record.model
    return [
        ("Model", m.word),
        ("Task", m.task),
        ("Parameters", "unknown" if m.parameters is None else f"{m.parameters:,}"),
        ("Input", " × ".join(str(s) for s in m.input_size) + " (c, h, w)"),
        ("Weights", m.weights or "as the model came"),
        ("Scale, mean, std", f"{m.scale:g}; {_numbers(m.mean)}; {_numbers(m.std)}"),
        ("SHA-256", m.sha256),
    ]


def _data(record: AuditRecord) -> Facts:
    d = record.data
    return [
        ("Data", d.word),
        ("Pictures used", f"{d.used:,} of {d.items:,}"),
        ("Labels", "used" if d.labelled else "none: only the model's own answers are compared"),
        ("Moved-in pixels", d.scene),
        ("Skipped", words.count_words(len(d.bad), "item") if d.bad else "none"),
    ]


def _protocol(record: AuditRecord) -> Facts:
    p = record.protocol
    return [
        ("Boundary", p.boundary + (f", fill {p.fill:g}" if p.boundary == "zero" else "")),
        ("Moves", words.set_words(p.translations)),
        ("Moves a picture", f"{p.views_per_image:,}"),
        ("Interpolator", p.interpolator if p.interpolator != "none" else "none: whole pixels"),
        ("Its round-trip error", f"{p.interpolator_error:.1e}" if p.interpolator_error else "0, exactly"),
        ("Preparation", p.preparation),
        ("Order", f"{p.order}, seed {p.seed}"),
        ("Intervals", f"{words.confidence_words(p.confidence)}, {p.intervals}"),
        (
            "Stopped at",
            "the end: all pictures" if p.precision is None else f"half-width ± {words.percent(p.precision)}",
        ),
        *([("Period", f"{p.period[0]} × {p.period[1]} px, verified: one view a residue")] if p.period else []),
        ("Layer profile", words.count_words(p.layer_images, "picture") if p.layer_images else "not made"),
    ]


def _cost(record: AuditRecord) -> Facts:
    c = record.cost
    return [
        ("Views", f"{c.views:,}"),
        ("Forward equivalents", f"{c.forward_equivalents:,.0f} ({c.forward_equivalents_per_view:.2f} a view)"),
        ("Wall clock", words.seconds_words(c.seconds)),
        ("CPU", words.seconds_words(c.cpu_seconds)),
        ("One bare forward", words.seconds_words(c.forward_s) + " CPU"),
        ("Batch", words.count_words(c.batch_size, "view")),
        ("Peak memory", words.bytes_words(c.peak_memory_bytes)),
    ]


def environment(e: Environment) -> Facts:
    """Where a run happened."""
    return [
        ("Date", e.date),
        ("Device", f"{e.device}, {words.count_words(e.threads, 'thread')}"),
        ("Platform", e.platform),
        ("Versions", ", ".join(f"{name} {version}" for name, version in e.versions.items())),
    ]


def _numbers(values: list[float]) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in values) + ")"
