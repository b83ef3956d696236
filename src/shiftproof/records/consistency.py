"""What a record may not say although every type is right: an interval that ends before it begins, a fraction above 1.

A record of a stranger, or one that was edited by hand, would otherwise fail where it is printed, or print nonsense.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, TypeVar

from shiftproof.records.audit_parts import (
    AuditParts,
    Cost,
    Curve,
    Data,
    Environment,
    Layer,
    Map,
    Metric,
    Model,
    Protocol,
    Witness,
)
from shiftproof.records.experiment_parts import ExperimentParts
from shiftproof.records.faults import (
    Fault,
    backward,
    empty,
    intervals,
    not_digest,
    not_positive,
    other_length,
    out_of_bounds,
    twice,
)
from shiftproof.records.figures import Chart, Figure, Series
from shiftproof.records.judged import Judged
from shiftproof.records.metrics import map_row, metric_row
from shiftproof.records.moves import moves_of
from shiftproof.records.plain import invalid
from shiftproof.records.repair_consistency import RULES as OF_REPAIRS
from shiftproof.records.verdict_parts import (
    AXES,
    WORLDS,
    CheckedModel,
    Claim,
    Counterexample,
    Finding,
    Mend,
    Output,
    Part,
    Stage,
    VerdictParts,
)

T = TypeVar("T")


def consistent(record: T) -> T:
    """The record, if no part of it contradicts itself.

    Raises:
        RecordError: a part does; the error names it.

    >>> consistent(Metric(0.5, 0.75, 0.25, 10))
    Traceback (most recent call last):
        ...
    shiftproof.errors.RecordError: not a valid record: 0.75 is above high, 0.25 (low): use a record as it was written
    """
    _look(record, "")
    return record


def _look(value: Any, where: str) -> None:
    """Raises a RecordError for the first fault, those of inner parts first."""
    if dataclasses.is_dataclass(value):
        for f in dataclasses.fields(value):
            _look(getattr(value, f.name), f"{where}.{f.name}")
        rule = next((RULES[kind] for kind in type(value).__mro__ if kind in RULES), None)
        for at, what in rule(value) if rule is not None else ():
            raise invalid(what, f"{where}.{at}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _look(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _look(item, f"{where}[{number}]")


# ---- Audits ----------------------------------------------------------------------------------------------------------


def of_audit(record: AuditParts) -> Iterator[Fault]:
    """Figures that their measure cannot take. What a name means that the table does not hold, nobody knows."""
    for name, metric in record.metrics.items():
        yield from out_of_bounds(f"metrics.{name}.value", metric.value, *metric_row(name).bounds)
    for name, m in record.maps.items():
        for i, value in enumerate(m.values):
            yield from out_of_bounds(f"maps.{name}.values[{i}]", value, *map_row(name).bounds)


def of_metric(m: Metric) -> Iterator[Fault]:
    """An interval whose ends are exchanged, or a negative number of pictures."""
    yield from backward("low", m.low, m.high)
    yield from out_of_bounds("n", m.n, 0)


def of_curve(c: Curve) -> Iterator[Fault]:
    """Lists of different lengths, intervals whose ends are exchanged, radii that do not grow."""
    for name in ("values", "low", "high"):
        yield from other_length(name, getattr(c, name), len(c.radius_px), "radius_px")
    yield from intervals(c.low, c.high)
    for i, (near, far) in enumerate(pairwise(c.radius_px)):
        if near >= far:
            yield f"radius_px[{i + 1}]", f"{far} is not above {near}, the radius before it"


def of_map(m: Map) -> Iterator[Fault]:
    """Lists of different lengths, moves that are not pairs, and values without their interval."""
    for name in ("values", "low", "high"):
        yield from other_length(name, getattr(m, name), len(m.offsets_px), "offsets_px")
    for i, move in enumerate(m.offsets_px):
        yield from other_length(f"offsets_px[{i}]", move, 2, "dy and dx")
    yield from intervals(m.low, m.high)
    for i, (value, low) in enumerate(zip(m.values, m.low, strict=False)):
        if (value is None) != (low is None):
            yield f"values[{i}]", "a value and its interval are both there, or neither is"


def of_layer(layer: Layer) -> Iterator[Fault]:
    """A fraction outside 0 to 1, or a stride that is not two positive numbers."""
    yield from out_of_bounds("interior", layer.interior, 0, 1)
    if layer.stride is not None:
        yield from other_length("stride", layer.stride, 2, "y and x")
        yield from not_positive("stride", *layer.stride)


def of_witness(w: Witness) -> Iterator[Fault]:
    """Probabilities outside 0 to 1."""
    yield from out_of_bounds("probability_before", w.probability_before, 0, 1)
    yield from out_of_bounds("probability_after", w.probability_after, 0, 1)


def of_model(m: Model) -> Iterator[Fault]:
    """A size that is not three positive numbers; means and deviations that do not belong together."""
    yield from out_of_bounds("parameters", m.parameters, 0)
    yield from other_length("input_size", m.input_size, 3, "c, h and w")
    yield from not_positive("input_size", *m.input_size)
    yield from not_positive("scale", m.scale)
    yield from other_length("std", m.std, len(m.mean), "mean")
    yield from not_positive("std", *m.std)
    yield from not_digest("sha256", m.sha256)


def of_data(d: Data) -> Iterator[Fault]:
    """More pictures in the figures than there are."""
    yield from out_of_bounds("items", d.items, 0)
    yield from out_of_bounds("used", d.used, 0, d.items)


def of_protocol(p: Protocol) -> Iterator[Fault]:
    """A set of moves that cannot be; a confidence that is not between 0 and 1; counts and lengths that are not positive."""
    moves = moves_of(p.translations, "protocol.translations")
    if moves.boundary != p.boundary:
        yield "translations.boundary", f"{moves.boundary!r} is not the boundary of the protocol, {p.boundary!r}"
    yield from out_of_bounds("translations.fill", moves.fill, 0, 1)
    yield from out_of_bounds("translations.count", moves.count, 1)
    if not 0 < p.confidence < 1:
        yield "confidence", f"{p.confidence} is not between 0 and 1"
    yield from out_of_bounds("fill", p.fill, 0, 1)
    yield from out_of_bounds("views_per_image", p.views_per_image, 1)
    yield from out_of_bounds("interpolator_error", p.interpolator_error, 0)
    yield from out_of_bounds("layer_images", p.layer_images, 0)
    yield from not_positive("precision", p.precision)
    if p.period is not None:
        yield from other_length("period", p.period, 2, "y and x")
        yield from not_positive("period", *p.period)


def of_cost(c: Cost) -> Iterator[Fault]:
    """Negative costs, or no form."""
    for f in dataclasses.fields(c):
        if f.name != "form":
            yield from out_of_bounds(f.name, getattr(c, f.name), 0)
    yield from empty("form", c.form)


def of_environment(e: Environment) -> Iterator[Fault]:
    """Fewer threads than one."""
    yield from out_of_bounds("threads", e.threads, 1)


# ---- Experiments -----------------------------------------------------------------------------------------------------


def of_experiment(record: ExperimentParts) -> Iterator[Fault]:
    """A negative time; a claim that rests on a figure that the record does not hold."""
    yield from out_of_bounds("seconds", record.seconds, 0)
    known = {(f.table, f.row, f.column) for f in record.figures}
    for i, claim in enumerate(record.claims):
        for j, at in enumerate(claim.rests_on):
            if (at.table, at.row, at.column) not in known:
                yield f"claims[{i}].rests_on[{j}]", "there is no figure at that place"


def of_judged(c: Judged) -> Iterator[Fault]:
    """A claim or a reason without words."""
    yield from empty("claim", c.claim)
    yield from empty("reason", c.reason)


def of_figure(f: Figure) -> Iterator[Fault]:
    """An interval whose ends are exchanged, or with one end only."""
    yield from backward("low", f.low, f.high)


def of_series(s: Series) -> Iterator[Fault]:
    """Lists of different lengths, intervals whose ends are exchanged."""
    yield from other_length("y", s.y, len(s.x), "x")
    for name in ("low", "high") if s.low or s.high else ():
        yield from other_length(name, getattr(s, name), len(s.y), "y")
    yield from intervals(s.low, s.high)


def of_chart(c: Chart) -> Iterator[Fault]:
    """Positions of a kind that the chart cannot draw; a series that belongs to none of the chart."""
    names = {s.name for s in c.series if not s.of}
    for i, s in enumerate(c.series):
        if s.of and s.of not in names:
            yield f"series[{i}].of", f"{s.of!r:.80} is not a series of the chart"
    for i, s in enumerate(c.series):
        for j, x in enumerate(s.x):
            where = f"series[{i}].x[{j}]"
            if c.kind == "maps" and not (isinstance(x, list) and len(x) == 2 and all(map(_is_number, x))):
                yield where, f"{x!r:.40} is not a pair dy, dx, which a chart of kind maps needs"
            elif c.kind in ("lines", "points") and not (_is_number(x) or isinstance(x, str)):
                yield where, f"{x!r:.40} is neither a number nor a word"


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


# ---- Verdicts --------------------------------------------------------------------------------------------------------


def of_checked_model(m: CheckedModel) -> Iterator[Fault]:
    """A digest that is none of SHA-256."""
    yield from not_digest("sha256", m.sha256)


def of_verdict(v: VerdictParts) -> Iterator[Fault]:
    """Sizes, counts and times that are not positive; a proof in a world where a finding ends it."""
    yield from not_positive("input_size", *v.input_size)
    for name, count in v.unknown_operators.items():
        yield from out_of_bounds(f"unknown_operators.{name}", count, 1)
    for name, seconds in v.seconds.items():
        yield from out_of_bounds(f"seconds.{name}", seconds, 0)
    for world in WORLDS:
        if getattr(v, world).status != "proved" or (world == "canvas" and _follows_from_circular(v)):
            continue
        for f in v.findings:
            if world in f.breaks and any(n > 1 and a in f.axes for a, n in zip(AXES, v.input_size[1:], strict=True)):
                yield f"{world}.status", f"proved, but {f.code} at {f.module or f.operator!r:.80} ends the proof"


def _follows_from_circular(v: VerdictParts) -> bool:
    """Whether the canvas claim needs no proof of its own: on a uniform background, a move of the object is a circular move."""
    steps = zip(v.circular.step, v.canvas.step, strict=True)
    return v.circular.status == "proved" and all(c and step and step % c == 0 for c, step in steps)


def of_claim(c: Claim) -> Iterator[Fault]:
    """Steps, margins and distances that cannot be; a proof without a step."""
    yield from not_positive("step", *c.step)
    if c.status == "proved" and None in c.step:
        yield "step", f"{list(c.step)} of a claim that is proved: it has no number for each axis"
    for ends in c.margins or ():
        for cells in ends:
            yield from out_of_bounds("margins", cells, 0)
    for cells in c.clean or ():
        yield from out_of_bounds("clean", cells, 0)
    for pixels in c.halo_px or ():
        yield from out_of_bounds("halo_px", pixels, 0)
    yield from not_positive("smallest_px", *(c.smallest_px or ()))
    yield from out_of_bounds("distance_px", c.distance_px, 0)


def of_counterexample(c: Counterexample) -> Iterator[Fault]:
    """Negative differences."""
    yield from out_of_bounds("difference", c.difference, 0)
    yield from out_of_bounds("of", c.of, 0)


def of_finding(f: Finding) -> Iterator[Fault]:
    """A share outside 0 to 1, a world or an axis that is named twice, and a mend of another place or without words."""
    yield from out_of_bounds("alias", f.alias, 0, 1)
    yield from twice("axes", f.axes)
    yield from twice("breaks", f.breaks)
    if f.mend.module != f.module:
        yield "mend.module", f"{f.mend.module!r:.80} is not the module of the finding, {f.module!r:.80}"


def of_mend(m: Mend) -> Iterator[Fault]:
    """A mend that does not say what to change."""
    yield from empty("code", m.code)


def of_part(p: Part) -> Iterator[Fault]:
    """Negative sizes, and a stride that is not a fraction."""
    yield from out_of_bounds("size", p.size, 0)
    yield from out_of_bounds("period", p.period, 0)


def of_output(o: Output) -> Iterator[Fault]:
    """Steps and strides that are not positive."""
    yield from not_positive("step", *(o.step or ()))
    yield from not_positive("stride", *o.stride)


def of_stage(s: Stage) -> Iterator[Fault]:
    """Steps, strides and cells that cannot be."""
    yield from not_positive("stride", *s.stride)
    yield from not_positive("step", *s.step)
    for cells in (*s.cells, s.margin):
        yield from out_of_bounds("cells", cells, 0)


RULES: dict[type, Callable[[Any], Iterator[Fault]]] = {
    AuditParts: of_audit,
    Metric: of_metric,
    Curve: of_curve,
    Map: of_map,
    Layer: of_layer,
    Witness: of_witness,
    Model: of_model,
    Data: of_data,
    Protocol: of_protocol,
    Cost: of_cost,
    Environment: of_environment,
    ExperimentParts: of_experiment,
    Judged: of_judged,
    Figure: of_figure,
    Series: of_series,
    Chart: of_chart,
    VerdictParts: of_verdict,
    Claim: of_claim,
    Counterexample: of_counterexample,
    CheckedModel: of_checked_model,
    Finding: of_finding,
    Mend: of_mend,
    Part: of_part,
    Output: of_output,
    Stage: of_stage,
    **OF_REPAIRS,
}
"""What is asked of each class. A class that is not here can say nothing that contradicts itself."""
