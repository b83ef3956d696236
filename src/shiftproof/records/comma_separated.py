"""Each kind of record as one table: comma-separated values for a spreadsheet, or a data frame of pandas.

Numbers are written in full, fractions are in [0, 1], and a cell is empty where there is nothing to say. Names of somebody else
(layers, classes, files) are written printable, so that they steer no terminal, and a text that a spreadsheet would take for a
formula has an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import Any

from shiftproof.errors import RecordError
from shiftproof.printable import printable
from shiftproof.records.audit_parts import AuditParts, Metric
from shiftproof.records.experiment_parts import ExperimentParts
from shiftproof.records.metrics import MAPS, METRICS, in_order
from shiftproof.records.repair_measured import Measured
from shiftproof.records.repair_parts import RepairParts
from shiftproof.records.verdict_parts import WORLDS, VerdictParts

FORMULA = ("=", "+", "-", "@")  # what a spreadsheet takes for the beginning of one

Record = AuditParts | ExperimentParts | RepairParts | VerdictParts
Row = dict[str, Any]

AUDIT = ("kind", "name", "part", "dy_px", "dx_px", "length_px", "value", "low", "high", "n")
"""Columns of an audit: `kind` is metric, map, curve or layer. `part` is of a layer's error, or its share of interior cells."""

CHECK = (
    "kind",
    "name",
    "status",
    "step_y_px",
    "step_x_px",
    "stride_y_px",
    "stride_x_px",
    "cells_y",
    "cells_x",
    "margin",
    "distance_px",
    "module",
    "operator",
    "source",
    "detail",
    "axes",
    "breaks",
    "alias",
    "mend",
    "mend_code",
)
"""Columns of a verdict: `kind` is claim (one per world), finding, or stage (a part of the network)."""

EXPERIMENT = (
    "experiment",
    "kind",
    "claim",
    "verdict",
    "reason",
    "table",
    "row",
    "column",
    "unit",
    "measured",
    "low",
    "high",
    "interval",
    "spread",
    "published",
    "deviation",
    "holds",
    "source",
    "values",
)
"""Columns of an experiment: `kind` is claim (with its verdict and the reason) or figure. `values` are those of each seed,
separated by spaces; `source` is that of the claim, or of the published figure."""

REPAIR = (
    "kind",
    "method",
    "name",
    "status",
    "step_y_px",
    "step_x_px",
    "value",
    "low",
    "high",
    "n",
    "module",
    "operator",
    "detail",
    "mend",
)
"""Columns of a repair: `kind` is guarantee, cost, claim (one per world, before and after), change, method (one that was tried
on pictures), or metric. `status` says what became of a method, what was done at a place, or what is proved. A metric without a
method is that of the original model."""


def to_csv(record: Record) -> str:
    """The table of a record as comma-separated values, with a first line that names the columns."""
    text = io.StringIO()
    # The module's default of \r\n would make every line of a diff end in a control character.
    table = csv.DictWriter(text, _columns(record), restval="", lineterminator="\n")
    table.writeheader()
    for row in _rows(record):
        table.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A value as it is written; None is an empty cell."""
    if not isinstance(value, str):
        return "" if value is None else value
    return f"'{printable(value)}" if value.startswith(FORMULA) else printable(value)


def to_pandas(record: Record) -> Any:
    """The table of a record as a `pandas.DataFrame`, with the columns of `to_csv`.

    Raises:
        RecordError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as e:
        raise RecordError("pandas is not installed", where="to_pandas", remedy="pip install shiftproof[pandas]") from e
    return pandas.DataFrame(list(_rows(record)), columns=list(_columns(record)))


def _columns(record: Record) -> tuple[str, ...]:
    return next(columns for kind, (columns, _) in TABLES.items() if isinstance(record, kind))


def _rows(record: Record) -> Iterator[Row]:
    return next(rows(record) for kind, (_, rows) in TABLES.items() if isinstance(record, kind))


def _of_audit(record: AuditParts) -> Iterator[Row]:
    """Every metric, every move of each map, every length of its curve, and every part of each layer's error."""
    for name in in_order(record.metrics, METRICS):
        yield {"kind": "metric", "name": name, **_figure(record.metrics[name])}
    for name in in_order(record.maps, MAPS):
        m = record.maps[name]
        for (dy, dx), value, low, high in zip(m.offsets_px, m.values, m.low, m.high, strict=True):
            yield {"kind": "map", "name": name, "dy_px": dy, "dx_px": dx, "value": value, "low": low, "high": high}
        curve = m.radial
        for length, value, low, high in zip(curve.radius_px, curve.values, curve.low, curve.high, strict=True):
            yield {"kind": "curve", "name": name, "length_px": length, "value": value, "low": low, "high": high}
    for layer in record.layers:
        yield {"kind": "layer", "name": layer.name, "part": "interior", "value": layer.interior}
        for part in vars(layer.error):
            error: Metric | None = getattr(layer.error, part)
            if error is not None:
                yield {"kind": "layer", "name": layer.name, "part": part, **_figure(error)}


def _figure(metric: Metric) -> Row:
    return {"value": metric.value, "low": metric.low, "high": metric.high, "n": metric.n}


def _of_verdict(verdict: VerdictParts) -> Iterator[Row]:
    """What is known in each world, every finding, and every part of the network."""
    for world in WORLDS:
        claim = getattr(verdict, world)
        clean = claim.clean or (None, None)
        yield {
            "kind": "claim",
            "name": world,
            "status": claim.status,
            "step_y_px": claim.step[0],
            "step_x_px": claim.step[1],
            "cells_y": clean[0],
            "cells_x": clean[1],
            "distance_px": claim.distance_px,
            "detail": "; ".join(claim.told),
        }
    for f in verdict.findings:
        yield {
            "kind": "finding",
            "name": f.code,
            "module": f.module,
            "operator": f.operator,
            "source": f.source,
            "detail": f.detail,
            "axes": " ".join(f.axes),
            "breaks": " ".join(f.breaks),
            "alias": f.alias,
            "mend": f.mend.kind,
            "mend_code": f.mend.code,
        }
    for s in verdict.stages:
        yield {
            "kind": "stage",
            "name": s.name,
            "step_y_px": s.step[0],
            "step_x_px": s.step[1],
            "stride_y_px": s.stride[0],
            "stride_x_px": s.stride[1],
            "cells_y": s.cells[0],
            "cells_x": s.cells[1],
            "margin": "all" if s.covered else s.margin,
        }


def _of_experiment(record: ExperimentParts) -> Iterator[Row]:
    """Every claim with its verdict, and every figure beside the published one."""
    for c in record.claims:
        yield {
            "experiment": record.name,
            "kind": "claim",
            "claim": c.claim,
            "verdict": c.outcome,
            "reason": c.reason,
            "source": c.source.paper,
        }
    for f in record.figures:
        yield {
            "experiment": record.name,
            "kind": "figure",
            "table": f.table,
            "row": f.row,
            "column": f.column,
            "unit": f.unit,
            "measured": f.measured,
            "low": f.low,
            "high": f.high,
            "interval": f.interval,
            "spread": f.spread,
            "published": f.published,
            "deviation": f.deviation,
            "holds": f.holds,
            "source": None if f.source is None else f.source.paper,
            "values": " ".join(repr(v) for v in f.values),
        }


def _of_repair(record: RepairParts) -> Iterator[Row]:
    """The guarantee, the claims before and after, every change, and what the methods do to the user's pictures."""
    g = record.guarantee
    if g is not None:
        step = {"step_y_px": g.step[0], "step_x_px": g.step[1]}
        yield {
            "kind": "guarantee",
            "method": record.method,
            "name": g.world,
            "status": "proved",
            **step,
            "detail": str(g),
        }
    if record.cost is not None:
        yield {"kind": "cost", "method": record.method, "name": "forward passes", "value": record.cost}
    for method, verdict in (("", record.before), (record.method, record.after)):
        for row in _of_verdict(verdict) if verdict is not None else ():
            if row["kind"] == "claim":
                yield {name: row[name] for name in REPAIR if name in row} | {"method": method}
    for c in record.changes:
        yield {
            "kind": "change",
            "method": record.method,
            "status": c.action,
            "module": c.module,
            "operator": c.operator,
            "detail": c.why,
            "mend": None if c.mend is None else c.mend.kind,
        }
    if record.measured is not None:
        yield from _of_measured(record.measured)


def _of_measured(measured: Measured) -> Iterator[Row]:
    for name, metric in measured.before.items():
        yield {"kind": "metric", "name": name, **_figure(metric)}
    for rung in measured.rungs:
        yield {"kind": "method", "method": rung.method, "status": rung.standing, "detail": rung.why}
        for name, metric in rung.metrics.items():
            yield {"kind": "metric", "method": rung.method, "name": name, **_figure(metric)}
        alone = {"forward passes": rung.cost, "answers as before": rung.agreement, "covered": rung.covered}
        for name, value in alone.items():
            if value is not None:
                yield {"kind": "metric", "method": rung.method, "name": name, "value": value}


TABLES: dict[type, tuple[tuple[str, ...], Callable[[Any], Iterator[Row]]]] = {
    AuditParts: (AUDIT, _of_audit),
    VerdictParts: (CHECK, _of_verdict),
    ExperimentParts: (EXPERIMENT, _of_experiment),
    RepairParts: (REPAIR, _of_repair),
}

OUR_TABLE = re.compile("|".join(re.escape(",".join(columns)) + "\n" for columns, _ in TABLES.values()).encode())
"""How a file begins that `to_csv` wrote: with the whole first line, as somebody may have added columns."""
