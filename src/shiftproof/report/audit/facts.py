"""How a record was made, as lists of terms and facts, and why a section of the page is empty."""

from __future__ import annotations

from shiftproof.records import AuditRecord
from shiftproof.records.numbers import bytes_words, confidence_words, count_words, fixed, percent, seconds_words
from shiftproof.records.printing import headline_row
from shiftproof.report import words
from shiftproof.report.environment import Facts, environment_facts


def how(record: AuditRecord) -> list[tuple[str, Facts]]:
    """Model, data, protocol, cost and environment, each a heading with its facts in reading order."""
    return [
        ("Model", _model(record)),
        ("Data", _data(record)),
        ("Protocol", _protocol(record)),
        ("Cost", _cost(record)),
        ("Environment", environment_facts(record.environment)),
    ]


def why_empty(record: AuditRecord) -> dict[str, str]:
    """For every empty section, one sentence that says why."""
    reasons = {}
    if not any(m.offsets_px for m in record.maps.values()):
        reasons["maps"] = "There is no map, because the record has no figures for single moves."
    if not record.layers:
        reasons["layers"] = "There is no layer profile: " + _why_no_layers(record)
    if not record.witnesses:
        row = headline_row(record)
        if record.model.task == "dense":
            kind = "map" if record.model.answer == "values" else "mask"
            reasons["witnesses"] = (
                f"There are no witnesses, because the model answers with a {kind} and not with one class."
            )
        elif record.model.answer in ("embedding", "values"):
            reasons["witnesses"] = (
                f"There are no witnesses, because the model answers with {record.model.answer} and not with a class."
            )
        elif row and row.metric.value == 0:
            reasons["witnesses"] = "There are no witnesses, because no move of any picture changed an answer."
        else:
            reasons["witnesses"] = "There are no witnesses, because the record did not keep any."
    return reasons


def _why_no_layers(record: AuditRecord) -> str:
    # From the particular to the general: the first reason that applies is the one to tell.
    if record.protocol.layer_images:
        return "none of the model's layers gave an output that could be compared."
    if record.protocol.period:
        return "the model is periodic, so only one move per residue was run."
    if record.model.parameters is None:
        return "the layers of this kind of model cannot be seen."
    return "none was asked for, or the model's layers cannot be seen."


def _model(record: AuditRecord) -> Facts:
    m = record.model
    return [
        ("Model", m.word),
        ("Task", m.task),
        ("Output", f"{m.answer} ({m.answer_from})"),
        ("Parameters", "unknown" if m.parameters is None else f"{m.parameters:,}"),
        ("Input", " × ".join(str(s) for s in m.input_size) + " (c, h, w)"),
        ("Weights", "random" if m.random_weights else m.weights or "those that the model came with"),
        ("Scale, mean, std", f"{m.scale:g}; {_numbers(m.mean)}; {_numbers(m.std)}"),
        *([("Assumed", ", ".join(m.assumed))] if m.assumed else []),
        ("SHA-256", m.sha256),
    ]


def _data(record: AuditRecord) -> Facts:
    d = record.data
    return [
        ("Data", d.word),
        ("Pictures used", f"{d.used:,} of {d.items:,}"),
        ("Labels", "used" if d.labelled else "none: only the model's answers are compared with each other"),
        ("Moved-in pixels", d.scene),
        ("Skipped", count_words(len(d.bad), "item") if d.bad else "none"),
    ]


def _protocol(record: AuditRecord) -> Facts:
    p = record.protocol
    return [
        ("Boundary", p.boundary + (f", fill {p.fill:g}" if p.boundary == "zero" else "")),
        ("Moves", words.set_words(p.translations)),
        ("Moves per picture", f"{p.views_per_image:,}"),
        ("Interpolator", p.interpolator if p.interpolator != "none" else "none: whole pixels"),
        (
            "Round-trip error of the interpolator",
            f"{p.interpolator_error:.1e}" if p.interpolator_error else "exactly 0",
        ),
        ("Preparation", p.preparation),
        ("Order", f"{p.order}, seed {p.seed}"),
        ("Intervals", f"{confidence_words(p.confidence)}, {p.intervals}"),
        (
            "Stopped at",
            "all pictures" if p.precision is None else f"half-width ± {percent(p.precision)}",
        ),
        *([("Period", f"{p.period[0]} × {p.period[1]} px, verified: one view per residue")] if p.period else []),
        ("Layer profile", count_words(p.layer_images, "picture") if p.layer_images else "not made"),
    ]


def _cost(record: AuditRecord) -> Facts:
    c = record.cost
    return [
        ("Views", f"{c.views:,}"),
        ("Forward equivalents", f"{c.forward_equivalents:,.0f} ({fixed(c.forward_equivalents_per_view, 2)} per view)"),
        ("Wall clock", seconds_words(c.seconds)),
        ("CPU", seconds_words(c.cpu_seconds)),
        ("One plain forward pass", seconds_words(c.forward_s) + " CPU"),
        ("Form of the model", c.form),
        ("Batch", count_words(c.batch_size, "view")),
        ("Peak memory", bytes_words(c.peak_memory_bytes)),
    ]


def _numbers(values: list[float]) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in values) + ")"
