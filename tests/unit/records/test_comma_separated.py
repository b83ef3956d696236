"""Every kind of record as a table: each number in full, at its place."""

import csv
import dataclasses
import html
import io
import re
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
import torch
from torch import nn

import experiments_made
import records_made as made
import shiftproof as sp
from shiftproof.records import Citation, Figure
from shiftproof.records.comma_separated import AUDIT, CHECK, EXPERIMENT, REPAIR


def table(record):
    return list(csv.DictReader(io.StringIO(record.to_csv())))


def verdict():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return sp.check(net, (3, 16, 16))


def test_every_part_of_every_layers_error_is_there():
    record = made.classification(reach=1, layers=8)
    rows = [row for row in table(record) if row["kind"] == "layer"]
    found = {(row["name"], row["part"]): row for row in rows}
    for layer in record.layers:
        assert float(found[layer.name, "interior"]["value"]) == layer.interior
        for part in ("total", "local", "aliasing", "border", "position"):
            error = getattr(layer.error, part)
            if error is None:
                assert (layer.name, part) not in found
                continue
            row = found[layer.name, part]
            assert [float(row[k]) for k in ("value", "low", "high", "n")] == [
                error.value,
                error.low,
                error.high,
                error.n,
            ]


def test_the_curves_of_maps_are_there():
    record = made.classification(reach=2, layers=2)
    for name, m in record.maps.items():
        rows = [row for row in table(record) if (row["kind"], row["name"]) == ("curve", name)]
        assert [float(row["length_px"]) for row in rows] == m.radial.radius_px
        assert [float(row["value"]) for row in rows] == m.radial.values


def test_a_verdict_has_a_line_for_each_world_finding_and_part():
    record = verdict()
    rows = table(record)
    claims = {row["name"]: row for row in rows if row["kind"] == "claim"}
    assert {name: row["status"] for name, row in claims.items()} == {
        world: getattr(record, world).status for world in ("circular", "window", "canvas")
    }
    found = [row for row in rows if row["kind"] == "finding"]
    assert [(r["name"], r["module"], r["mend"]) for r in found] == [
        (f.code, f.module, f.mend.kind) for f in record.findings
    ]
    assert [float(r["alias"]) if r["alias"] else None for r in found] == [f.alias for f in record.findings]
    parts = [row for row in rows if row["kind"] == "stage"]
    assert [(r["name"], r["margin"]) for r in parts] == [
        (s.name, "all" if s.covered else str(s.margin)) for s in record.stages
    ]


def test_an_experiment_has_a_line_for_each_figure():
    figure = Figure(
        "t", "r", "c", 0.5, values=[0.25, 0.75], published=0.4, source=Citation("Somebody 2017"), holds=True
    )
    record = sp.records.load_experiment(Path(__file__).parents[2] / "golden" / "experiments" / "softmax.json")
    record = record.__class__(**{**vars(record), "figures": [figure, *record.figures]})
    first, *rest = (row for row in table(record) if row["kind"] == "figure")
    assert first["experiment"] == "softmax"
    assert [first[k] for k in ("table", "row", "column", "source", "holds")] == ["t", "r", "c", "Somebody 2017", "True"]
    assert float(first["spread"]) == pytest.approx(0.125**0.5)
    assert float(first["deviation"]) == pytest.approx(0.1 / 0.125**0.5)
    assert [float(v) for v in first["values"].split()] == [0.25, 0.75]
    assert [float(row["measured"]) for row in rest] == [f.measured for f in record.figures[1:]]


def test_an_experiment_has_a_line_for_each_claim_with_its_verdict():
    record = experiments_made.whole()
    claims = [row for row in table(record) if row["kind"] == "claim"]
    assert [tuple(row[k] for k in ("experiment", "claim", "verdict", "reason", "source")) for row in claims] == [
        ("pooling", c.claim, c.outcome, c.reason, c.source.paper) for c in record.claims
    ]
    assert {row["measured"] for row in claims} == {""}
    assert len(table(record)) == len(record.claims) + len(record.figures)
    frame = record.to_pandas()
    assert list(frame.columns) == list(EXPERIMENT)
    verdicts = frame[frame.kind == "claim"].verdict
    assert list(verdicts) == ["holds in part", "does not hold", "not decided here"]


@pytest.mark.parametrize("kind", [lambda: made.classification(reach=1, layers=4), verdict], ids=["audit", "check"])
def test_the_frame_holds_the_same_as_the_csv(kind):
    record = kind()
    frame, rows = record.to_pandas(), table(record)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(rows[0])
    assert len(frame) == len(rows)
    numbers = [c for c in frame.columns if pandas.api.types.is_numeric_dtype(frame[c])]
    assert "value" in numbers or "alias" in numbers
    for column in numbers:
        wanted = [float(row[column]) if row[column] else None for row in rows]
        assert [None if pandas.isna(v) else float(v) for v in frame[column]] == wanted


def test_no_column_is_named_twice():
    for columns in (AUDIT, CHECK, EXPERIMENT):
        assert len(set(columns)) == len(columns)


def test_without_pandas_one_sentence_says_what_to_install():
    program = (
        "import sys; sys.modules['pandas'] = None\n"
        "import torch, shiftproof as sp\n"
        "from shiftproof.errors import RecordError\n"
        "verdict = sp.check(torch.nn.Conv2d(1, 1, 3), (1, 8, 8))\n"
        "try:\n    verdict.to_pandas()\nexcept RecordError as e:\n    print(e)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "pandas is not installed (to_pandas): pip install shiftproof[pandas]"


@pytest.fixture(scope="module")
def repaired():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.Flatten(), nn.Linear(36, 10))
    return sp.repair(net, (1, 8, 8), goal="circular", data=sp.open_data("digits", limit=40), max_drop=1.0).record


def test_a_repair_has_its_guarantee_its_changes_and_the_figures_of_every_method(repaired):
    rows = table(repaired)
    assert list(rows[0]) == list(REPAIR)
    (promise,) = [row for row in rows if row["kind"] == "guarantee"]
    assert (promise["name"], promise["step_y_px"], promise["status"]) == ("circular", "1", "proved")
    assert [row["detail"] for row in rows if row["kind"] == "change"] == [c.why for c in repaired.changes]
    claims = {(row["method"], row["name"]): row["status"] for row in rows if row["kind"] == "claim"}
    assert claims["", "circular"] == repaired.before.circular.status == "not_proved"
    assert claims[repaired.method, "circular"] == "proved"
    figures = {(row["method"], row["name"]): float(row["value"]) for row in rows if row["kind"] == "metric"}
    for name, metric in repaired.measured.before.items():
        assert figures["", name] == metric.value
    for rung in repaired.measured.rungs:
        for name, metric in rung.metrics.items():
            assert figures[rung.method, name] == metric.value
    frame = repaired.to_pandas()
    assert (list(frame.columns), len(frame)) == (list(REPAIR), len(rows))


def test_the_card_of_a_repair_says_what_its_lines_say(repaired):
    card = repaired._repr_html_()
    text = html.unescape(re.sub(r"<[^>]*>", " ", card))
    for line in str(repaired).splitlines():
        assert " ".join(line.split()) in " ".join(text.split())
    hostile = dataclasses.replace(repaired, model=dataclasses.replace(repaired.model, word="<script>alert(1)</script>"))
    assert "<script" not in hostile._repr_html_()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("conv\x1b[2J", "conv\\x1b[2J"),
        ("a\rb\nc", "a\\rb\\nc"),
        ("cat\u202egpj", "cat\\u202egpj"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@sum", "'@sum"),
    ],
)
def test_a_strangers_name_steers_no_terminal_and_is_no_formula(name, written):
    record = made.classification(reach=1, layers=1)
    record = dataclasses.replace(record, layers=[dataclasses.replace(record.layers[0], name=name)])
    text = record.to_csv()
    assert all(line.isprintable() for line in text.splitlines())
    assert {row["name"] for row in table(record) if row["kind"] == "layer"} == {written}
