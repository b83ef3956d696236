"""The table of measures: every row is complete, and its function exists and is public."""

import ast
import importlib
import math
from pathlib import Path

import pytest

import shiftproof
from shiftproof.records.metrics import MAPS, METRICS


@pytest.mark.parametrize("row", METRICS.values(), ids=lambda row: row.name)
def test_the_function_of_a_metric_is_a_public_measure(row):
    module, _, name = row.function.partition(":")
    assert module.split(".")[:2] == ["shiftproof", "measure"]
    assert not name.startswith("_")
    function = getattr(importlib.import_module(module), name)
    assert function.__doc__
    assert ">>>" in function.__doc__


@pytest.mark.parametrize("row", [*METRICS.values(), *MAPS.values()], ids=lambda row: f"{type(row).__name__} {row.name}")
def test_a_row_can_be_printed_and_looked_up(row):
    assert row.definition.endswith(".")
    assert row.words
    assert all(source.url.startswith("https://") for source in row.sources)
    assert row.bounds[0] < row.bounds[1]
    if row.unit == "fraction" and row.bounds[1] == math.inf:
        assert row.better == "lower"  # a relative error: 0 is exact


def test_names_are_the_keys():
    assert all(name == row.name for table in (METRICS, MAPS) for name, row in table.items())


def test_a_map_has_a_short_name():
    assert all(0 < len(row.short) <= 12 for row in MAPS.values())


SOURCES = Path(shiftproof.__file__).parent
ALLOWED = (  # measures give their own figures names, and an experiment looks a figure of its own audit up by name
    "records/metrics.py",
    "measure/",
    "experiments/",
    "metrics.py",  # a class of torchmetrics for each of four figures, which has the figure's name
    "records/repair_",  # a repair judges by five of them, and a rung of its ladder has a field `agreement`
)


def named(source: str) -> set[str]:
    """The names of metrics and maps that stand as strings in a source."""
    strings = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return {text for text in strings if isinstance(text, str)} & (METRICS.keys() | MAPS.keys())


def test_nothing_but_the_table_and_the_measures_names_a_metric():
    files = [path for path in SOURCES.rglob("*.py") if not str(path.relative_to(SOURCES)).startswith(ALLOWED)]
    assert len(files) > 100
    assert {str(path.relative_to(SOURCES)): found for path in files if (found := named(path.read_text()))} == {}


def test_twin_a_name_in_a_source_is_noticed():
    assert named("tiles = ('flip_rate', 'other')") == {"flip_rate"}
